/**
 * @file Operators of ONNX Runtime, also as its optimisers write them: values against ONNX Runtime, derivatives against
 * central differences, posteriors against those of the network before the optimiser.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import t, { type Test as Tap } from 'tap'
import { CONTRIBUTED_ATTRIBUTES } from '../../../adapters/onnx/contributed/attribute-table.js'
import { CONTRIBUTED } from '../../../adapters/onnx/contributed/index.js'
import { readOnnx } from '../../../adapters/onnx/index.js'
import { convertPrecision } from '../../../core/engine/precision.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { concreteShape, type Graph } from '../../../core/graph/graph.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { isSupported } from '../../../core/ops/registry.js'
import { sizeOf, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { checkGraph } from '../../core/ops/check-derivative.js'
import { relativeDifference } from '../../support/compare.js'
import * as b from './onnx-bytes.js'
import { numbers, runInOnnxRuntime } from './onnxruntime.js'

type Attributes = Parameters<typeof b.node>[3]

const weights = (name: string, ...dims: number[]): Uint8Array =>
  b.floats(name, dims, numbers(sizeOf(dims) + name.length).slice(name.length))
const whole = (name: string, dims: number[], values: number[]): Uint8Array =>
  b.tensor({ name, dims, type: b.INT32, raw: new Uint8Array(Int32Array.from(values).buffer) })

interface Case {
  op: string
  inputs: string[]
  attributes?: Attributes
  tensors?: Uint8Array[]
  /** Shapes behind the batch axis; `ids` are tokens. */
  shapes?: Record<string, number[]>
  outputs?: string[]
  /** False where ONNX Runtime has no kernel for the processor. */
  runtime?: boolean
}

const float = (value: number): { float: number } => ({ float: value })
const attention = [weights('w', 6, 12), weights('bias', 12)]
const pairs = { q: [3, 8], k: [4, 8], v: [4, 6] }

const CASES: Record<string, Case> = {
  ...Object.fromEntries(
    ([['Relu', {}], ['Tanh', {}], ['Sigmoid', {}], ['Softplus', {}], ['Softsign', {}], ['Elu', { alpha: 0.5 }], [
      'LeakyRelu',
      { alpha: 0.2 },
    ], ['ThresholdedRelu', { alpha: 0.4 }], ['HardSigmoid', { alpha: 0.3, beta: 0.4 }]] as [string,
      Record<string, number>][]).map(([activation, given]) => [`FusedGemm with ${activation}`, {
        op: 'FusedGemm',
        inputs: ['x', 'w', 'c'],
        attributes: { activation, transB: 1, alpha: float(0.5), beta: float(2), ...Object.fromEntries(
          Object.entries(given).map(([key, value]) => [`activation_${key}`, float(value)]),
        ) },
        tensors: [weights('w', 3, 6), weights('c', 3)],
        shapes: { x: [6] },
      }]),
  ),
  ...Object.fromEntries(
    ([['Relu', []], ['Tanh', []], ['Sigmoid', []], ['LeakyRelu', [0.3]], ['Clip', [-0.5, 0.5]], ['HardSigmoid', [0.3,
      0.4]]] as [string, number[]][]).map((
        [activation, given],
      ) => [`FusedConv with ${activation}`, { op: 'FusedConv', inputs: ['x', 'w', 'c'],
        attributes: { activation, activation_params: { floats: given }, pads: [1, 1, 0, 0], strides: [2, 1] },
        tensors: [weights('w', 3, 2, 3, 2), weights('c', 3)], shapes: { x: [2, 5, 4] } }]
      ),
  ),
  'FusedConv with a sum': { op: 'FusedConv', inputs: ['x', 'w', 'c', 'z'], attributes: { activation: 'Relu' },
    tensors: [weights('w', 3, 2, 2, 2), weights('c', 3)], shapes: { x: [2, 4, 4], z: [3, 3, 3] } },
  'NhwcConv': { op: 'NhwcConv', inputs: ['x', 'w', 'c'], attributes: { strides: [2, 1] },
    tensors: [weights('w', 3, 2, 2, 2), weights('c', 3)], shapes: { x: [4, 4, 2] }, runtime: false },
  'FusedMatMul of a transposed weight': { op: 'FusedMatMul', inputs: ['x', 'w'], attributes: { transB: 1 },
    tensors: [weights('w', 3, 4)], shapes: { x: [2, 4] } },
  'Gelu': { op: 'Gelu', inputs: ['x'], shapes: { x: [5] } },
  'BiasGelu': { op: 'BiasGelu', inputs: ['x', 'c'], tensors: [weights('c', 5)], shapes: { x: [2, 5] } },
  'FastGelu': { op: 'FastGelu', inputs: ['x', 'c'], tensors: [weights('c', 5)], shapes: { x: [2, 5] } },
  'QuickGelu': { op: 'QuickGelu', inputs: ['x'], shapes: { x: [5] } },
  'SkipLayerNormalization and its sum': { op: 'SkipLayerNormalization', inputs: ['x', 'z', 'g', 'c', 'd'],
    tensors: [weights('g', 4), weights('c', 4), weights('d', 4)], shapes: { x: [3, 4], z: [3, 4] },
    attributes: { epsilon: float(1e-3) }, outputs: ['y', '', '', 's'] },
  'SkipSimplifiedLayerNormalization': { op: 'SkipSimplifiedLayerNormalization', inputs: ['x', 'z', 'g'],
    tensors: [weights('g', 4)], shapes: { x: [3, 4], z: [3, 4] }, outputs: ['y', '', '', 's'] },
  'SimplifiedLayerNormalization': { op: 'SimplifiedLayerNormalization', inputs: ['x', 'g'], tensors: [weights('g', 4)],
    shapes: { x: [3, 4] } },
  'EmbedLayerNormalization': { op: 'EmbedLayerNormalization', inputs: ['ids', '', 'w', 'p', '', 'g', 'c'],
    tensors: [weights('w', 4, 6), weights('p', 7, 6), weights('g', 6), weights('c', 6)], shapes: { ids: [5] },
    outputs: ['y', 'm'] },
  'EmbedLayerNormalization of segments': {
    op: 'EmbedLayerNormalization',
    inputs: ['ids', 'kinds', 'w', 'p', 'k', 'g', 'c', 'ids', 'at'],
    tensors: [weights('w', 4, 6), weights('p', 7, 6), weights('k', 4, 6), weights('g', 6), weights('c', 6),
      whole('at', [1, 5], [6, 1, 4, 2, 3])],
    shapes: { ids: [5], kinds: [5] },
    outputs: ['y', 'm', 's'],
  },
  'Attention': { op: 'Attention', inputs: ['x', 'w', 'bias'], attributes: { num_heads: 2 }, tensors: attention,
    shapes: { x: [4, 6] } },
  'Attention of the past': { op: 'Attention', inputs: ['x', 'w', 'bias'], tensors: attention, shapes: { x: [4, 6] },
    attributes: { num_heads: 2, unidirectional: 1, scale: float(0.7) } },
  'Attention of other widths': { op: 'Attention', inputs: ['x', 'w', 'bias'], tensors: attention,
    attributes: { num_heads: 2, qkv_hidden_sizes: [4, 4, 4] }, shapes: { x: [4, 6] } },
  'MultiHeadAttention': { op: 'MultiHeadAttention', inputs: ['q', 'k', 'v'], attributes: { num_heads: 2 },
    shapes: pairs },
  'Attention up to an end': { op: 'Attention', inputs: ['x', 'w', 'bias', 'ends'], attributes: { num_heads: 2 },
    tensors: attention, shapes: { x: [4, 6], ends: [] } },
  'Attention with a mask and an added bias': { op: 'Attention', inputs: ['x', 'w', 'bias', 'mask', '', 'added'],
    attributes: { num_heads: 2, mask_filter_value: float(-3) }, tensors: [...attention, weights('added', 1, 2, 4, 4)],
    shapes: { x: [4, 6], mask: [4] } },
  'Attention of the past with a mask': { op: 'Attention', inputs: ['x', 'w', 'bias', 'mask'],
    attributes: { num_heads: 2, unidirectional: 1 }, tensors: attention, shapes: { x: [4, 6], mask: [4] } },
  'Attention with a mask for each query': { op: 'Attention', inputs: ['x', 'w', 'bias', 'mask'],
    attributes: { num_heads: 2 }, shapes: { x: [3, 6], mask: [3, 3] }, tensors: attention },
  'Attention and its cache': { op: 'Attention', inputs: ['x', 'w', 'bias', '', 'both'], tensors: attention,
    attributes: { num_heads: 2, unidirectional: 1 }, shapes: { x: [3, 6], past: [2, 2, 2] }, outputs: ['y', 'p'] },
  'MultiHeadAttention with biases and a mask': { op: 'MultiHeadAttention', inputs: ['q', 'k', 'v', 'bias', 'mask'],
    attributes: { num_heads: 2 }, shapes: { ...pairs, mask: [4] }, tensors: [weights('bias', 22)] },
  'FusedMatMul of exchanged batch axes': { op: 'FusedMatMul', inputs: ['x', 'w'],
    attributes: { transBatchA: 1, transBatchB: 1, alpha: float(0.5) }, tensors: [weights('w', 4, 2, 3)],
    shapes: { x: [2, 4] } },
  'MultiHeadAttention of the past and its cache': { op: 'MultiHeadAttention',
    inputs: ['q', 'k', 'v', '', '', '', 'pk', 'pv'], attributes: { num_heads: 2, unidirectional: 1 },
    shapes: { q: [3, 8], k: [3, 8], v: [3, 8], pk: [2, 2, 4], pv: [2, 2, 4] }, outputs: ['y', 'nk', 'nv'] },
  'RotaryEmbedding': { op: 'RotaryEmbedding', inputs: ['x', 'at', 'cos', 'sin'], shapes: { x: [3, 8] },
    tensors: [whole64('at', [1], [2]), weights('cos', 6, 2), weights('sin', 6, 2)] },
  'RotaryEmbedding of positions, of a part, interleaved': { op: 'RotaryEmbedding', inputs: ['x', 'ids', 'cos', 'sin'],
    attributes: { interleaved: 1, num_heads: 2, rotary_embedding_dim: 4 }, shapes: { x: [3, 12], ids: [3] },
    tensors: [weights('cos', 6, 2), weights('sin', 6, 2)] },
  'GroupNorm': { op: 'GroupNorm', inputs: ['x', 'g', 'c'], attributes: { groups: 2, activation: 1 },
    tensors: [weights('g', 4), weights('c', 4)], shapes: { x: [2, 3, 4] }, runtime: false },
}

function whole64(name: string, dims: number[], values: number[]): Uint8Array {
  return b.integers(name, dims, values)
}

const isIds = (name: string): boolean => ['ids', 'kinds', 'mask', 'ends'].includes(name)
/** Operators that take tokens as integers of 64 bits. */
const LONG = new Set(['RotaryEmbedding'])

function modelOf({ op, inputs, attributes, tensors = [], shapes = {}, outputs = ['y'] }: Case): Uint8Array {
  // Tokens are of 32 bits, those of runInOnnxRuntime of 64.
  const casts = Object.keys(shapes).filter(name => isIds(name) && !LONG.has(op))
  const twice = inputs.includes('both')
  return b.model({ opset: 17, ir: 10, domains: [b.opset(1, 'com.microsoft')],
    tensors: [...tensors, ...(twice ? [b.integers('front', [1], [0])] : [])],
    nodes: [...casts.map(name => b.node('Cast', [name], [`${name}32`], { to: b.INT32 })), ...(twice
      ? [b.node('Unsqueeze', ['past', 'front'], ['one']), b.node('Concat', ['one', 'one'], ['both'], { axis: 0 })]
      : []),
      b.node(op, inputs.map(name => (casts.includes(name) ? `${name}32` : name)), outputs, attributes,
        op === 'SimplifiedLayerNormalization' ? '' : 'com.microsoft')],
    inputs: Object.entries(shapes).map(([name, shape]) =>
      b.value(name, ['n', ...shape], isIds(name) ? b.INT64 : b.FLOAT)
    ), outputs: outputs.filter(name => name !== '').map(name => b.message([[1, name]])) })
}

/** Tokens 0 to 3; numbers without ties. */
function valuesFor(graph: Graph, examples = 3): Map<string, Tensor> {
  return new Map(graph.inputs.map(({ name, dtype, shape }) => {
    const extents = concreteShape(shape, examples)
    const values = numbers(sizeOf(extents) + name.length).slice(name.length)
    return [name, tensor(dtype, extents, dtype === 'int64'
      ? values.map(value => Math.floor((name === 'kinds' || name === 'mask' ? 1 : 2) * (1 + value)))
      : values)]
  }))
}

for (const [name, each] of Object.entries(CASES)) {
  const bytes = modelOf(each)
  const graph = readOnnx(bytes)
  await t.test(name, async t => {
    t.same(graph.nodes.filter(({ op }) => !isSupported(op)), [])
    if (each.runtime === false) return
    const values = valuesFor(graph)
    const theirs = await runInOnnxRuntime(bytes, values)
    for (const [output, ours] of runGraph(graph, values, 'float32')) {
      t.same(ours.shape, theirs.get(output)!.shape, output)
      const difference = relativeDifference(ours.data, theirs.get(output)!.data)
      t.ok(difference < 1e-5, `${output}: ${difference}`)
    }
  })
  const double = convertPrecision({ ...graph, outputs: graph.outputs.slice(0, 1) }, 'float64')
  const tokens = [...valuesFor(double)].filter(([, { dtype }]) => dtype === 'int64')
  await checkGraph(name, double, { values: Object.fromEntries(tokens), tolerance: 1e-6 })
}

t.test('attributes that an operator does not have are refused', async t => {
  const file = (op: string, attributes: Attributes, domain = 'com.microsoft'): Uint8Array =>
    b.model({ opset: 17, domains: [b.opset(1, domain)], nodes: [b.node(op, ['x'], ['y'], attributes, domain)],
      inputs: [b.value('x', ['n', 2])], outputs: [b.message([[1, 'y']])] })
  t.ok(readOnnx(file('QuickGelu', { alpha: float(2) })))
  t.throws(() => readOnnx(file('QuickGelu', { alhpa: float(2) })), { code: 'UNTRUSTED_INPUT',
    message: /QuickGelu has no attribute 'alhpa'; 'alpha' may be meant\./ })
  t.throws(() => readOnnx(file('QuickGelu', { alpha: 2 })), { message: /takes a number as 'alpha'/ })
  t.throws(() => readOnnx(file('Binarizer', { treshold: float(2) }, 'ai.onnx.ml')), { message: /no attribute/ })
  for (const op of CONTRIBUTED.keys()) t.ok(CONTRIBUTED_ATTRIBUTES[op], op)
})

t.test('every operator has a case', async t => {
  const tried = new Set(Object.values(CASES).map(({ op }) => `com.microsoft::${op}`))
  t.same([...CONTRIBUTED.keys()].filter(op => op.startsWith('com.') && !tried.has(op)), [
    'com.microsoft::FusedMatMulActivation',
    'com.microsoft::TransposeMatMul',
  ])
})

t.test('what ONNX Runtime writes for itself alone is refused with the way out', async t => {
  const conv = b.model({ opset: 17, domains: [b.opset(1, 'com.microsoft.nchwc')], tensors: [weights('w', 8, 8, 1, 1)],
    nodes: [b.node('Conv', ['x', 'w'], ['y'], {}, 'com.microsoft.nchwc')], inputs: [b.value('x', ['n', 8, 2, 2])],
    outputs: [b.message([[1, 'y']])] })
  t.throws(() => runGraph(readOnnx(conv), new Map([['x', tensor('float32', [1, 8, 2, 2], numbers(32))]]), 'float32'), {
    code: 'UNSUPPORTED_OPERATOR',
    message: /use the network it was made from/,
  })
})

const FUSED = new URL('../../fixtures/onnx/fused/', import.meta.url)
const CASES_OF_NETWORKS = new URL('../../fixtures/cases/', import.meta.url)

/** Number of parameters, and covariances of the outputs with all weights' posterior. */
async function posteriorOf(graph: Graph, structure: 'full' | 'diag', x: ReadonlyMap<string, Tensor>): Promise<{
  size: number
  covariance: Tensor
}> {
  const double = convertPrecision(graph, 'float64')
  const values = double.inputs.map(({ name, dtype }) => ({ name,
    values: tensor(dtype, x.get(name)!.shape, Array.from(x.get(name)!.data)) })
  )
  const given = values.length > 1 ? values : values[0].values
  const [rows] = values[0].values.shape
  const posterior = await laplace(double, { likelihood: 'classification', subset: 'all', structure, tune: 'none',
    priorPrecision: 1 }).fit(given, tensor('int64', [rows], Array.from({ length: rows }, (_, i) => i % 3)))
  const { covariance } = await posterior.functionalVariance(given)
  return { size: posterior.summary().parameters.reduce((sum, { size }) => sum + size, 0), covariance }
}

/** Asserts that two files are the same network: outputs, number of parameters, posteriors. */
async function sameNetwork(t: Tap, plain: Uint8Array, fused: Uint8Array, values: ReadonlyMap<string, Tensor>,
  structures: readonly ('full' | 'diag')[]): Promise<void> {
  const graph = readOnnx(fused)
  const ours = runGraph(graph, values, 'float32').get(graph.outputs[0])!
  for (const bytes of [fused, plain]) {
    const theirs = (await runInOnnxRuntime(bytes, values)).get(graph.outputs[0])!
    const difference = relativeDifference(ours.data, theirs.data)
    t.ok(difference < 1e-5, `outputs: ${difference}`)
  }
  for (const structure of structures) {
    const [before, after] = [await posteriorOf(readOnnx(plain), structure, values),
      await posteriorOf(graph, structure, values)]
    t.equal(after.size, before.size)
    const difference = relativeDifference(after.covariance.data, before.covariance.data)
    t.ok(difference < 1e-6, `functional variance, ${structure}: ${difference}`)
  }
}

for (const kind of ['attention', 'multi-head-attention']) {
  t.test(`the optimiser for transformers: ${kind}`, async t => {
    const [plain, fused] = ['bert', `bert-${kind}`].map(name =>
      new Uint8Array(readFileSync(new URL(`${name}.onnx`, FUSED)))
    )
    const values = valuesFor(readOnnx(plain))
    values.set('mask', tensor('int64', [3, 6], [1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]))
    values.set('kinds', tensor('int64', [3, 6], Array.from({ length: 18 }, (_, i) => i % 2)))
    await sameNetwork(t, plain, fused, values, ['full', 'diag'])
  })
}

t.test("ONNX Runtime's own optimiser", async t => {
  const folder = mkdtempSync(join(tmpdir(), 'optimised-'))
  t.teardown(() => {
    rmSync(folder, { recursive: true })
  })
  const found = new Set<string>()
  const optimised = async (name: string, bytes: Uint8Array): Promise<Uint8Array> => {
    const optimizedModelFilePath = join(folder, `${name}.onnx`)
    const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 4, intraOpNumThreads: 1,
      graphOptimizationLevel: 'extended', optimizedModelFilePath })
    await session.release()
    const fused = new Uint8Array(readFileSync(optimizedModelFilePath))
    for (const [op] of Buffer.from(fused).toString('latin1').matchAll(/Fused[A-Z]\w+|BiasGelu|SkipLayer\w+/g)) {
      found.add(op)
    }
    return fused
  }
  for (const name of ['cnn', 'regression-1d', 'classification-4', 'deep']) {
    const path = new URL(`${name}/model32.onnx`, CASES_OF_NETWORKS)
    if (!existsSync(path)) continue
    const plain = new Uint8Array(readFileSync(path))
    const values = valuesFor(readOnnx(plain))
    await sameNetwork(t, plain, await optimised(name, plain), values, name === 'deep' ? ['full'] : [])
  }
  const bert = new Uint8Array(readFileSync(new URL('bert.onnx', FUSED)))
  await sameNetwork(t, bert, await optimised('bert', bert), valuesFor(readOnnx(bert)), ['diag'])
  t.ok(found.has('FusedGemm') && found.has('FusedMatMul') && found.has('BiasGelu'), [...found].join())
})
