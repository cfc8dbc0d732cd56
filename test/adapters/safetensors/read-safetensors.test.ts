import { existsSync, readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { looksLikeSafetensors, looksLikeSafetensorsIndex, readSafetensors, readSafetensorsMetadata,
  readSafetensorsTensors, readShardedSafetensors } from '../../../adapters/safetensors/index.js'
import { toTensor } from '../../../adapters/tensors/convert.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { settleOpenAxes } from '../../../core/graph/open-axes.js'
import { isSupported } from '../../../core/ops/registry.js'
import { relativeDifference } from '../../support/compare.js'
import { caseNames, referenceCase } from '../../support/reference-case.js'
import { file, raw } from './write.js'

const CASES = new URL('../../fixtures/cases/', import.meta.url)

t.test('the reference networks, with their architecture, give their outputs and parameters in order', async t => {
  let ran = 0
  for (const name of caseNames()) {
    const { xTest, expected } = referenceCase(name)
    const bytes = readFileSync(new URL(`${name}/model.safetensors`, CASES))
    const read = readSafetensors(bytes, {
      architecture: JSON.parse(readFileSync(new URL(`${name}/architecture.json`, CASES), 'utf8')),
    })
    t.same(read.parameters.map(({ name, shape }) => ({ name, shape })),
      expected.parameters.map((p: { name: string, shape: number[] }) => ({ name: p.name, shape: p.shape })),
      `${name}: parameters`)
    const theta = read.parameters.flatMap(p => Array.from(read.initializers.get(p.name)!.data))
    t.same(theta, expected.theta.data ?? expected.theta, `${name}: theta bit for bit`)
    const graph = settleOpenAxes(read, new Map([['input', xTest.shape.slice(1)]]))
    if (!graph.nodes.every(node => isSupported(node.op))) continue
    ran++
    t.ok(
      relativeDifference(runGraph(graph, new Map([['input', xTest]]), 'float64').get(graph.outputs[0])!.data,
        expected.f.x_test.data) < 1e-12,
      `${name}: outputs`,
    )
  }
  t.ok(ran >= 16)
})

t.test('a plain chain of Linear layers needs only its activation', async t => {
  const bytes = readFileSync(new URL('regression-1d/model.safetensors', CASES))
  t.throws(() => readSafetensors(bytes), { code: 'MISSING_ARCHITECTURE',
    message: /'0': 1 to 20, '2': 20 to 1.*option activation/ })
  const { xTest, expected } = referenceCase('regression-1d')
  const graph = readSafetensors(bytes, { activation: 'tanh' })
  t.ok(
    relativeDifference(runGraph(graph, new Map([['input', xTest]]), 'float64').get(graph.outputs[0])!.data,
      expected.f.x_test.data) < 1e-12,
  )
})

t.test('every element type, at any alignment, as views of the file', async t => {
  const types: [string, number, string, number[]][] = [
    ['BOOL', 1, 'bool', [1, 0]],
    ['U8', 1, 'uint8', [255, 1]],
    ['I8', 1, 'int8', [-1, 127]],
    ['U16', 2, 'uint16', [65535, 1]],
    ['I16', 2, 'int16', [-2, 5]],
    ['F16', 2, 'float16', [1.5, -0.25]],
    ['BF16', 2, 'bfloat16', [1.5, -0.25]],
    ['U32', 4, 'uint32', [4294967295, 1]],
    ['I32', 4, 'int32', [-7, 9]],
    ['F32', 4, 'float32', [0.1, -3]],
    ['F64', 8, 'float64', [0.1, -3]],
    ['I64', 8, 'int64', [-5, 2 ** 40]],
    ['U64', 8, 'uint64', [5, 2 ** 40]],
  ]
  const data = new DataView(new ArrayBuffer(types.reduce((sum, [, width]) => sum + 2 * width, 0)))
  let offset = 0
  const header: Record<string, unknown> = {}
  for (const [word, width, name, values] of types) {
    header[name] = { dtype: word, shape: [2], data_offsets: [offset, offset + 2 * width] }
    values.forEach((value, i) => {
      const at = offset + i * width
      if (word === 'F64') data.setFloat64(at, value, true)
      else if (word === 'F32') data.setFloat32(at, value, true)
      else if (word === 'F16') data.setUint16(at, value === 1.5 ? 0x3e00 : 0xb400, true)
      else if (word === 'BF16') data.setUint16(at, value === 1.5 ? 0x3fc0 : 0xbe80, true)
      else if (width === 8) data.setBigInt64(at, BigInt(value), true)
      else if (width === 4) data.setInt32(at, value | 0, true)
      else if (width === 2) data.setInt16(at, value, true)
      else data.setInt8(at, value)
    })
    offset += 2 * width
  }
  // Spaces behind the header, as writers pad it, put the data at every alignment.
  for (let pad = 0; pad < 8; pad++) {
    const bytes = raw(JSON.stringify(header) + ' '.repeat(pad), new Uint8Array(data.buffer))
    t.ok(looksLikeSafetensors(bytes))
    const tensors = readSafetensorsTensors(bytes)
    for (const [, , name, values] of types) {
      const found = tensors.get(name)!
      t.equal(found.dtype, name)
      t.equal(found.bytes.buffer, bytes.buffer, 'a view')
      const read = Array.from(toTensor(found, name).data)
      t.same(name === 'float32' ? read.map(value => Number(value.toPrecision(6))) : read, values,
        `${name} at padding ${pad}`)
    }
  }
})

t.test('scalars, tensors without elements, escaped names, metadata', async t => {
  const bytes = raw(
    '{"__metadata__":{"format":"pt"},"\\u00e9\\n":{"data_offsets":[0,8],"shape":[],"dtype":"F64"},' +
      '"none":{"dtype":"F32","shape":[0,5],"data_offsets":[8,8]}}',
    new Uint8Array(Float64Array.of(2).buffer),
  )
  const tensors = readSafetensorsTensors(bytes)
  t.same([...tensors].map(([name, { shape }]) => [name, shape]), [['é\n', []], ['none', [0, 5]]])
  t.same(toTensor(tensors.get('é\n')!, '').data, Float64Array.of(2))
  t.same([...readSafetensorsMetadata(bytes)], [['format', 'pt']])
  t.same([...readSafetensorsTensors(raw('{}'))], [], 'no tensors')
})

t.test("files of R's torch: metadata that are objects, an R object, bytes behind", async t => {
  const header = '{"0.weight":{"dtype":"F64","shape":[1,1],"data_offsets":[0,8]},' +
    '"__robj__":{"dtype":"U8","shape":[3],"data_offsets":[8,11]},"__metadata__":{"__r__":{"type":"module",' +
    '"version":3,"nested":[{"a":null,"b":-1.5e3,"c":true}]},"x":"y"}}'
  const bytes = raw(header, new Uint8Array(20))
  t.throws(() => readSafetensorsTensors(bytes), { code: 'UNTRUSTED_INPUT', message: /r-torch/ })
  t.same([...readSafetensorsTensors(bytes, { tolerate: 'r-torch' }).keys()], ['0.weight'])
  t.same([...readSafetensorsMetadata(bytes, { tolerate: 'r-torch' })], [['x', 'y']])
  t.equal(readSafetensors(bytes, { tolerate: 'r-torch' }).parameters.length, 1)
  // @ts-expect-error a word that is none
  t.throws(() => readSafetensorsTensors(bytes, { tolerate: 'R' }), { code: 'BAD_OPTION' })
})

t.test('a network in two parts', async t => {
  const one = file({ '0.weight': { shape: [2, 1], data: [1, 2] }, '0.bias': { shape: [2], data: [0, 0] } })
  const two = file({ '2.weight': { shape: [1, 2], data: [3, 4] } })
  const index = new TextEncoder().encode(
    JSON.stringify({ metadata: { total_size: 48 },
      weight_map: { '0.weight': 'model-1.safetensors', '0.bias': 'model-1.safetensors',
        '2.weight': 'model-2.safetensors' } }),
  )
  t.ok(looksLikeSafetensorsIndex(index))
  t.notOk(looksLikeSafetensorsIndex(one))
  const tensors = readShardedSafetensors(index, new Map([['model-1.safetensors', one], ['model-2.safetensors', two]]))
  t.same([...tensors.keys()], ['0.weight', '0.bias', '2.weight'])
})

t.test('the real files of the corpus', {
  skip: existsSync(new URL('../../../../shared/models/other/', import.meta.url))
    ? false
    : 'the corpus is not beside the repository',
}, async t => {
  const folder = new URL('../../../../shared/models/other/', import.meta.url)
  const names = readdirSync(folder).filter(name => name.endsWith('.safetensors'))
  t.ok(names.length > 5)
  for (const name of names) t.doesNotThrow(() => readSafetensorsTensors(readFileSync(new URL(name, folder))), name)
})
