/** @file The architecture of docs/formats.md is one that the reader takes, and the layers it names exist. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { networkFromLayers, parseArchitecture } from '../../adapters/layers/index.js'
import { forward } from '../../core/index.js'
import { tensor } from '../../core/tensor/tensor.js'

const page = readFileSync(new URL('../../docs/formats.md', import.meta.url), 'utf8')

t.test('the example', async t => {
  const [, json] = /```json\n(.*?)```/s.exec(page) ?? []
  const floats = (shape: number[]) => ({ dtype: 'float32' as const, shape,
    bytes: new Uint8Array(new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.01).buffer) })
  const tensors = new Map([['features.0.weight', floats([3, 1, 3, 3])], ['features.0.bias', floats([3])], [
    'classifier.weight',
    floats([2, 48]),
  ], ['classifier.bias', floats([2])]])
  const network = networkFromLayers(parseArchitecture(json), tensors)
  t.same((await forward(network, tensor('float32', [2, 1, 8, 8], new Float32Array(128)))).shape, [2, 2])
})

t.test('the layers it names', async t => {
  const list = page.slice(page.indexOf('Layers:\n'), page.indexOf('A plain chain'))
  const known = (type: string): boolean => {
    try {
      networkFromLayers([{ type }], new Map(), { inputSize: [2, 8, 8] })
    } catch (error) {
      return !/which is not known/.test(String(error))
    }
    return true
  }
  t.notOk(known('Nonsense'))
  const names = [...list.matchAll(/`([A-Z]\w+)`/g)].map(match => match[1])
  t.ok(names.length > 20)
  for (const name of names) t.ok(known(name) || known(`${name}2d`), name)
})
