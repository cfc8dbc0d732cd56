/**
 * @file Operators that are written in others when a file is read: derivatives against central differences, values
 * against ONNX Runtime.
 */
import t from 'tap'
import { COMPOSED } from '../../../adapters/onnx/composed/index.js'
import { CONTROL_FLOW } from '../../../adapters/onnx/control-flow.js'
import { readOnnx } from '../../../adapters/onnx/index.js'
import { SEQUENCES } from '../../../adapters/onnx/sequences.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { isSupported, supportedOperators } from '../../../core/ops/registry.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { sizeOf, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { checkGraph } from '../../core/ops/check-derivative.js'
import { relativeDifference } from '../../support/compare.js'
import * as b from './onnx-bytes.js'
import { numbers, runInOnnxRuntime } from './onnxruntime.js'

const doubles = (name: string, dims: readonly number[],
  values: readonly number[] = numbers(sizeOf(dims))): Uint8Array =>
  b.tensor({ name, dims, type: b.DOUBLE, raw: new Uint8Array(Float64Array.from(values).buffer) })

interface Case {
  nodes: Uint8Array[]
  tensors?: Uint8Array[]
  /** Shapes behind the batch axis. */
  inputs?: Record<string, readonly number[]>
  opset?: number
  /** Whether ONNX Runtime has it in double precision. */
  runtime?: boolean
}

/** i: 0, 1, ... N - 1 for the N examples of x. */
const numbersOfExamples = [b.node('Shape', ['x'], ['shape']), b.node('Gather', ['shape', 'zero'], ['n'], { axis: 0 }),
  b.node('Range', ['zero', 'n', 'one'], ['i'])]
const zeroAndOne = [b.integers('zero', [], [0]), b.integers('one', [], [1])]

const CASES: Record<string, Case> = {
  'GatherND of constant places': {
    nodes: [b.node('Transpose', ['x'], ['xt'], { perm: [1, 2, 0] }), b.node('GatherND', ['xt', 'at'], ['g']),
      b.node('Transpose', ['g'], ['y'], { perm: [1, 0] })],
    tensors: [b.integers('at', [3, 2], [0, 1, -1, 2, 0, 1])],
    inputs: { x: [2, 3] },
  },
  'GatherND for every example': {
    nodes: [b.node('GatherND', ['x', 'at'], ['y'], { batch_dims: 1 })],
    tensors: [],
    inputs: { x: [4, 2], at: [3, 1] },
  },
  'the last of each, by its number among the rows of all': {
    nodes: [...numbersOfExamples, b.node('Mul', ['i', 'four'], ['first']), b.node('Add', ['at', 'first'], ['place']),
      b.node('Flatten', ['x'], ['rows'], { axis: 2 }), b.node('Gather', ['rows', 'place'], ['g'], { axis: 0 }),
      b.node('Shape', ['place'], ['s']), b.node('Concat', ['s', 'two'], ['target'], { axis: 0 }),
      b.node('Reshape', ['g', 'target'], ['y'])],
    tensors: [...zeroAndOne, b.integers('four', [], [4]), b.integers('two', [1], [2])],
    inputs: { x: [4, 2], at: [] },
  },
  'the last of each, by vectors of indices': {
    nodes: [...numbersOfExamples, b.node('Unsqueeze', ['i', 'behind'], ['n1']),
      b.node('Unsqueeze', ['at', 'behind'], ['at1']), b.node('Concat', ['n1', 'at1'], ['v'], { axis: -1 }),
      b.node('GatherND', ['x', 'v'], ['y'])],
    tensors: [...zeroAndOne, b.integers('behind', [1], [-1])],
    inputs: { x: [4, 2], at: [] },
  },
  'the last of each, by a number of the example that is broadcast by a maximum': {
    nodes: [...numbersOfExamples, b.node('Unsqueeze', ['i', 'behind'], ['n1']),
      b.node('Unsqueeze', ['at', 'behind'], ['at1']), b.node('Max', ['n1', 'at1'], ['m']),
      b.node('Shape', ['m'], ['both']), b.node('Expand', ['n1', 'both'], ['n2']),
      b.node('Concat', ['n2', 'at1'], ['v'], { axis: -1 }), b.node('GatherND', ['x', 'v'], ['y'])],
    tensors: [...zeroAndOne, b.integers('behind', [1], [-1])],
    inputs: { x: [4, 2], at: [] },
  },
  'ScatterND': {
    nodes: [b.node('Transpose', ['x'], ['xt'], { perm: [1, 0] }), b.node('ReduceSum', ['xt', 'axes'], ['s']),
      b.node('Expand', ['s', 'two'], ['u']), b.node('ScatterND', ['xt', 'at', 'u'], ['p']),
      b.node('Transpose', ['p'], ['y'], { perm: [1, 0] })],
    tensors: [b.integers('at', [2, 1], [3, 0]), b.integers('axes', [1], [0]), b.integers('two', [2], [2, 1])],
    inputs: { x: [4] },
  },
  'ScatterElements that replaces': {
    nodes: [b.node('ScatterElements', ['x', 'at', 'u'], ['y'], { axis: 1 })],
    inputs: { x: [4, 2], at: [2, 2], u: [2, 2] },
    opset: 18,
  },
  'ScatterElements that adds, in a part of the columns': {
    nodes: [b.node('ScatterElements', ['x', 'at', 'u'], ['y'], { axis: 1, reduction: 'add' })],
    inputs: { x: [4, 3], at: [3, 2], u: [3, 2] },
    opset: 18,
  },
  'TopK': {
    nodes: [b.node('TopK', ['x', 'k'], ['v', 'i'], { axis: 1 }), b.node('Mul', ['v', 'v'], ['y'])],
    tensors: [b.integers('k', [1], [2])],
    inputs: { x: [5, 2] },
  },
  'ReverseSequence': {
    nodes: [b.node('ReverseSequence', ['x', 'at'], ['y'], { batch_axis: 0, time_axis: 1 })],
    inputs: { x: [4, 2], at: [] },
  },
  'Hardmax beside what it chose from': {
    nodes: [b.node('Hardmax', ['x'], ['h']), b.node('Mul', ['x', 'h'], ['y'])],
    inputs: { x: [4] },
    runtime: false,
  },
  'Compress': { nodes: [b.node('Compress', ['x', 'c'], ['y'], { axis: 1 })],
    tensors: [b.tensor({ name: 'c', dims: [4], type: b.BOOL, raw: Uint8Array.of(1, 0, 1, 0) })],
    inputs: { x: [4, 2] } },
  'LRN': { nodes: [b.node('LRN', ['x'], ['y'], { size: 3, alpha: { float: 0.5 }, bias: { float: 1 } })],
    inputs: { x: [4, 2, 2] }, runtime: false },
  'MeanVarianceNormalization': { nodes: [b.node('MeanVarianceNormalization', ['x'], ['y'], { axes: [2, 3] })],
    inputs: { x: [2, 3, 2] }, runtime: false },
  'GlobalLpPool': { nodes: [b.node('GlobalLpPool', ['x'], ['y'], { p: 3 })], inputs: { x: [2, 3, 2] }, runtime: false },
  'CumProd': { nodes: [b.node('CumProd', ['x', 'a'], ['y'], { exclusive: 1 })], tensors: [b.integers('a', [], [1])],
    inputs: { x: [4] }, opset: 26, runtime: false },
  'Col2Im': { nodes: [b.node('Col2Im', ['x', 'image', 'block'], ['y'], { strides: [2, 1], pads: [1, 0, 0, 0] })],
    tensors: [b.integers('image', [2], [4, 4]), b.integers('block', [2], [2, 2])], inputs: { x: [8, 6] }, opset: 18,
    runtime: false },
  'CenterCropPad': { nodes: [b.node('CenterCropPad', ['x', 's'], ['y'], { axes: [1, 2] })],
    tensors: [b.integers('s', [2], [2, 5])], inputs: { x: [4, 3] }, opset: 18, runtime: false },
  'DFT': { nodes: [b.node('DFT', ['x', '', 'a'], ['y'])], tensors: [b.integers('a', [], [1])], inputs: { x: [5, 2] },
    opset: 20 },
  'STFT': { nodes: [b.node('STFT', ['x', 'step', 'window'], ['y'])],
    tensors: [b.integers('step', [], [2]), doubles('window', [4])], inputs: { x: [10] } },
  'MaxUnpool': {
    nodes: [b.node('MaxPool', ['x'], ['p', 'i'], { kernel_shape: [2, 2], strides: [2, 2] }),
      b.node('MaxUnpool', ['p', 'i'], ['y'], { kernel_shape: [2, 2], strides: [2, 2] })],
    inputs: { x: [2, 4, 4] },
    runtime: false,
  },
  'SwiGLU': { nodes: [b.node('SwiGLU', ['x', 'z'], ['y'])], inputs: { x: [3], z: [3] }, opset: 28, runtime: false },
  'CausalConvWithState': { nodes: [b.node('CausalConvWithState', ['x', 'w'], ['y', 's'])],
    tensors: [doubles('w', [2, 1, 3])], inputs: { x: [2, 5] }, opset: 27, runtime: false },
  'Attention with a mask of the keys': {
    nodes: [b.node('Attention', ['q', 'k', 'v', 'm'], ['y'], { q_num_heads: 4, kv_num_heads: 2, is_causal: 1 })],
    tensors: [b.tensor({ name: 'm', dims: [3, 3], type: b.BOOL, raw: Uint8Array.of(1, 1, 0, 1, 1, 1, 0, 0, 0) })],
    inputs: { q: [3, 8], k: [3, 4], v: [3, 4] },
    opset: 24,
    runtime: false,
  },
  'Attention with a soft cap': {
    nodes: [b.node('Attention', ['q', 'k', 'v'], ['y'], { softcap: { float: 2 } })],
    inputs: { q: [2, 3, 4], k: [2, 5, 4], v: [2, 5, 3] },
    opset: 24,
    runtime: false,
  },
  'RotaryEmbedding': { nodes: [b.node('RotaryEmbedding', ['x', 'c', 's'], ['y'], { interleaved: 1 })],
    tensors: [doubles('c', [1, 3, 2]), doubles('s', [1, 3, 2])], inputs: { x: [2, 3, 4] }, opset: 23, runtime: false },
  'SoftmaxCrossEntropyLoss': {
    nodes: [b.node('SoftmaxCrossEntropyLoss', ['x', 'at', 'w'], ['y'], { reduction: 'none', ignore_index: 1 })],
    tensors: [doubles('w', [3], [1, 2, 3])],
    inputs: { x: [3, 2], at: [2] },
  },
  ...Object.fromEntries(
    ['linear', 'nearest', 'cubic'].flatMap(mode =>
      ['zeros', 'border', 'reflection'].map(padding => [`GridSample, ${mode}, ${padding}`, {
        nodes: [b.node('GridSample', ['x', 'grid'], ['y'], { mode, padding_mode: padding })],
        inputs: { x: [2, 3, 4], grid: [2, 2, 2] },
        opset: 20,
      }])
    ),
  ),
  'AffineGrid': { nodes: [b.node('AffineGrid', ['x', 's'], ['y'])], tensors: [b.integers('s', [4], [1, 1, 2, 3])],
    inputs: { x: [2, 3] }, opset: 20, runtime: false },
  'TensorScatter': { nodes: [b.node('TensorScatter', ['x', 'u'], ['y'])], inputs: { x: [2, 4, 2], u: [2, 3, 2] },
    opset: 24, runtime: false },
}

/** Values without ties; indices are small. */
function valuesOf(name: string, shape: readonly number[]): Tensor {
  const size = sizeOf(shape)
  return name === 'at'
    ? tensor('int64', shape, Array.from({ length: size }, (_, i) => (i * 2 + Math.floor(i / 4)) % 3))
    : tensor('float64', shape, Array.from({ length: size }, (_, i) => 1.4 * Math.sin(3 * i + name.length + 1)))
}

for (const [name, { nodes, tensors = [], inputs = { x: [4] }, opset = 17, runtime = true }] of Object.entries(CASES)) {
  const bytes = b.model({ nodes, tensors, opset, ir: 10, inputs: Object.entries(inputs).map(([key, shape]) =>
    b.value(key, ['n', ...shape], key === 'at' ? b.INT64 : b.DOUBLE)
  ), outputs: [b.message([[1, 'y']])] })
  const graph = readOnnx(bytes)
  const values = Object.fromEntries(Object.entries(inputs).map(([key, shape]) => [key, valuesOf(key, [3, ...shape])]))
  await t.test(name, async t => {
    t.same(graph.nodes.filter(({ op }) =>
      !isSupported(op)
    ), [])
    if (!runtime) return
    const fed = new Map(Object.entries(values))
    const theirs = (await runInOnnxRuntime(bytes, fed)).get('y')!
    const ours = runGraph(graph, fed, 'float64').get('y')!
    t.same(ours.shape, theirs.shape)
    t.ok(relativeDifference(ours.data, theirs.data) < 1e-10, String(relativeDifference(ours.data, theirs.data)))
  })
  await checkGraph(name, graph, { values, tolerance: 1e-6 })
}

t.test('numbers of examples that do more than pick from the own one are refused', async t => {
  const refused = (nodes: readonly Uint8Array[]): void => {
    const graph = readOnnx(
      b.model({ nodes: [...numbersOfExamples, ...nodes], tensors: [...zeroAndOne, b.integers('three', [], [3])],
        opset: 17, ir: 10, inputs: [b.value('x', ['n', 4, 2], b.DOUBLE), b.value('at', ['n'], b.INT64)],
        outputs: [b.message([[1, 'y']])] }),
    )
    t.throws(() => inferTypes(graph), { code: 'UNSUPPORTED_OPERATOR', message: /the examples/ })
  }
  refused([b.node('Cast', ['i'], ['d'], { to: b.DOUBLE }), b.node('Mul', ['d', 'd'], ['y'])])
  // Rows of three would reach into the next example.
  refused([b.node('Mul', ['i', 'three'], ['first']), b.node('Flatten', ['x'], ['rows'], { axis: 2 }),
    b.node('Gather', ['rows', 'first'], ['y'], { axis: 0 })])
  refused([b.node('Add', ['at', 'i'], ['y'])])
  refused([b.node('Identity', ['i'], ['y'])])
  refused([b.node('Max', ['at', 'i'], ['other']), b.node('Gather', ['x', 'other'], ['y'], { axis: 0 })])
  refused([b.node('Sub', ['at', 'i'], ['other']), b.node('Gather', ['x', 'other'], ['y'], { axis: 0 })])
})

t.test('the operators that are listed are those that are written in others', async t => {
  const written = [...COMPOSED.keys(), ...CONTROL_FLOW.keys(), ...SEQUENCES.keys(), 'Scatter', 'Upsample']
  t.same(supportedOperators(), [...new Set([...written, ...supportedOperators().filter(isSupported)])].sort())
  t.ok(supportedOperators().length >= 165, String(supportedOperators().length))
})
