import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { describeFile, type NetworkHints, readNetwork } from '../../../adapters/network/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { concreteShape, type Graph } from '../../../core/graph/graph.js'
import { settleOpenAxes } from '../../../core/graph/open-axes.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { sizeOf, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { fixture } from '../../support/fixture.js'
import { caseNames, referenceCase } from '../../support/reference-case.js'
import * as onnx from '../onnx/onnx-bytes.js'
import { file } from '../safetensors/write.js'

const architectureOf = (name: string): NonNullable<NetworkHints['architecture']> =>
  JSON.parse(new TextDecoder().decode(fixture(`cases/${name}/architecture.json`)))

function run(graph: Graph, x: Tensor): Tensor {
  const settled = settleOpenAxes(graph, new Map([[graph.inputs[0].name, x.shape.slice(1)]]))
  const precision = settled.inputs[0].dtype === 'float64' ? 'float64' : 'float32'
  return runGraph(settled,
    new Map([[settled.inputs[0].name,
      precision === 'float64' ? x : { dtype: precision, shape: x.shape, data: Float32Array.from(x.data) }]]), precision)
    .get(settled.outputs[0])!
}

/** Values in (-1, 1). */
function examples(graph: Graph): Tensor {
  const shape = concreteShape(graph.inputs[0].shape, 3)
  return { dtype: 'float64', shape, data: Float64Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(i * i + 1)) }
}

t.test('the reference networks are equal in ONNX, PyTorch and safetensors', async t => {
  for (const name of caseNames()) {
    const { xTest, expected } = referenceCase(name)
    const architecture = architectureOf(name)
    for (const [extension, hints] of [['onnx', {}], ['pt', { architecture }], ['safetensors', {
      architecture,
    }]] as const) {
      const graph = await readNetwork(fixture(`cases/${name}/model.${extension}`), hints)
      t.ok(relativeDifference(run(graph, xTest).data, expected.f.x_test.data) < 1e-12, `${name}.${extension}: outputs`)
      const stated = expected.parameters.map((p: { name: string }) => p.name).sort()
      if (extension !== 'onnx') {
        t.same(graph.parameters.map(p => p.name).sort(), stated, `${name}.${extension}: parameters`)
      }
    }
  }
})

const models = new URL('../../../../shared/models/', import.meta.url)
const hints = new Map(
  Object.entries(
    JSON.parse(readFileSync(new URL('../../../scripts/corpus-architectures.json', import.meta.url), 'utf8')) as Record<
      string,
      NetworkHints
    >,
  ),
)

t.test('real networks that come in two formats are equal', {
  skip: existsSync(models) ? false : 'the corpus is not beside the repository',
}, async t => {
  // The pairs whose weights are the same; LeNet and burn's mnist were trained anew for each format.
  const pairs = [
    ['pt/burn__complex_nested__complex_nested.pt', 'other/burn__complex_nested.safetensors'],
    ['onnx/heubert-housing__mlp_model.onnx', 'other/heubert-housing__mlp_model.keras'],
    ['onnx/Marabou__cnn_max_mninst2.onnx', 'other/Marabou__cnn_max_mnist2.h5'],
    ['onnx/Marabou__cnn_max_mninst3.onnx', 'other/Marabou__cnn_max_mnist3.h5'],
  ]
  for (const pair of pairs) {
    const [one, two] = await Promise.all(
      pair.map(path => readNetwork(readFileSync(new URL(path, models)), hints.get(path.split('/')[1]) ?? {})),
    )
    const x = examples(one)
    // Keras' files of Marabou's networks take what their ONNX files take, in another shape.
    const [a, b] = [run(one, x), run(two, { ...x, shape: concreteShape(two.inputs[0].shape, 3) })]
    t.ok(relativeDifference(b.data, a.data) < 1e-5, `${pair.join(' and ')}: ${relativeDifference(b.data, a.data)}`)
  }
})

t.test('parts of safetensors, data of ONNX beside the model', async t => {
  const index = new TextEncoder().encode(
    JSON.stringify({ weight_map: { '0.weight': 'a.safetensors', '2.weight': 'b.safetensors' } }),
  )
  const files = { 'a.safetensors': file({ '0.weight': { shape: [2, 1], data: [1, 2] } }),
    'b.safetensors': file({ '2.weight': { shape: [1, 2], data: [3, 4] } }) }
  for (const given of [files, new Map(Object.entries(files))]) {
    const graph = await readNetwork(index, { files: given, activation: 'relu' })
    t.same(Array.from(run(graph, { dtype: 'float64', shape: [1, 1], data: Float64Array.of(2) }).data), [22])
  }
  await t.rejects(readNetwork(index), { code: 'BAD_OPTION', message: /'a.safetensors', 'b.safetensors'.*not given/ })
})

t.test('of ONNX: open lengths and trainable tensors', async t => {
  const bytes = onnx.model({
    nodes: [onnx.node('Flatten', ['x'], ['h']), onnx.node('Gemm', ['h', 'w', 'b'], ['y'])],
    inputs: [onnx.value('x', ['n', 'side', 2])],
    outputs: [onnx.value('y', ['n', 1])],
    tensors: [onnx.floats('w', [22, 1], new Array(22).fill(1)), onnx.floats('b', [1], [0])],
  })
  await t.rejects(readNetwork(bytes), { code: 'AMBIGUOUS_NETWORK', message: /option dimensions/ })
  const graph = await readNetwork(bytes, { dimensions: { side: 11 }, parameters: ['b'] })
  t.same([graph.inputs[0].shape.slice(1), graph.parameters.map(({ name }) => name)], [[11, 2], ['b']])
})

t.test('Flux arrays with an architecture: JLD2, BSON', async t => {
  const about = await describeFile(fixture('flux/state.jld2'))
  t.match(about, { format: 'jld2', supported: true, problem: { code: 'MISSING_ARCHITECTURE' } })
  t.ok(about.tensors.length > 0 && about.tensors.every(({ name, shape }) => name !== '' && shape.length > 0))
})

t.test("R's torch files are read without being asked", async t => {
  const header = '{"0.weight":{"dtype":"F64","shape":[1,1],"data_offsets":[0,8]},' +
    '"__metadata__":{"__r__":{"type":"module","version":3}}}'
  const bytes = new Uint8Array(8 + header.length + 8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.length), true)
  bytes.set(new TextEncoder().encode(header), 8)
  t.equal((await readNetwork(bytes)).parameters[0].name, '0.weight')
})

t.test('a posterior gives its network back', async t => {
  const { graph, x, y, xTest, expected } = referenceCase('regression-1d')
  const posterior = await laplace(graph, { likelihood: 'regression', priorPrecision: 1 }).fit(x, y)
  const read = await readNetwork(posterior.save())
  t.ok(relativeDifference(run(read, xTest).data, expected.f.x_test.data) < 1e-12)
  t.match(read.notes.join(), /taken from a saved posterior/)
  await t.rejects(readNetwork(posterior.save({ network: false })), { code: 'UNSUPPORTED_FORMAT',
    message: /without its network/ })
  t.match(await describeFile(posterior.save()), { format: 'posterior', parameterCount: 61 })
})

t.test('descriptions: tensors, layers, parameters, and the problem where there is no network', async t => {
  const about = await describeFile(fixture('cases/binary/model.safetensors'), {
    architecture: architectureOf('binary'),
  })
  t.match(about, { format: 'safetensors', supported: true, parameterCount: 49, problem: undefined })
  t.same(about.tensors.map(({ name }) => name).sort(), ['0.bias', '0.weight', '2.bias', '2.weight'])
  t.same(about.tensors.find(({ name }) => name === '0.weight'), { name: '0.weight', dtype: 'float64', shape: [12, 2] })
  t.equal(about.layers.reduce((sum, { parameters }) => sum + parameters, 0), 49)
  const bare = await describeFile(fixture('cases/cnn/model.pt'))
  t.match(bare, { format: 'pytorch', supported: true, parameterCount: undefined,
    problem: { code: 'MISSING_ARCHITECTURE', message: /architecture/ } })
  t.equal(bare.tensors.length, 6)
  const damaged = await describeFile(fixture('cases/binary/model.safetensors').subarray(0, 300))
  t.match(damaged, { format: 'safetensors', tensors: [], problem: { code: 'UNTRUSTED_INPUT' } })
})
