import { readFileSync } from 'node:fs'
import t from 'tap'
import { CONTRIBUTED } from '../../../adapters/onnx/contributed/index.js'
import { NEWEST_OPSET, OLDEST_OPSET } from '../../../adapters/onnx/upgrade.js'
import * as registry from '../../../core/ops/registry.js'

interface Script {
  operatorsPage(from: { registry: typeof registry, sets: number[], contributed: Iterable<string> }): string
}

t.test('docs/operators.md is what the registry says: node scripts/operators-page.mjs', async t => {
  const { operatorsPage } = await import(new URL('../../../scripts/operators-page.mjs', import.meta.url).href) as Script
  const page = operatorsPage({ registry, sets: [OLDEST_OPSET, NEWEST_OPSET], contributed: CONTRIBUTED.keys() })
  t.equal(readFileSync('docs/operators.md', 'utf8'), page)
  for (const row of ['| Relu | 6, 13, 14 | rule | yes |', '| Floor | 6, 13 | zero | zero |',
    '| Det | 11, 22 | none | none |']) {
    t.ok(page.includes(row), row)
  }
})
