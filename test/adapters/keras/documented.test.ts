/** @file The page of formats lists the layers of Keras that the reader knows. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { SUPPORTED_CLASSES } from '../../../adapters/keras/layers.js'

t.test('docs/formats.md lists the layers of Keras', async t => {
  const page = readFileSync(new URL('../../../docs/formats.md', import.meta.url), 'utf8')
  const [, list = ''] = /<!-- keras -->([^]*)<!-- \/keras -->/.exec(page) ?? []
  const expected = [...SUPPORTED_CLASSES].sort().map(name => `\`${name}\``).join(', ')
  t.equal(list.trim().replace(/\s+/g, ' '), expected)
})
