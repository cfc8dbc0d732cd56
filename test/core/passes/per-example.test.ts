import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import type { Graph } from '../../../core/graph/graph.js'
import { perExample } from '../../../core/passes/per-example.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { type DType, sizeOf, type Tensor, tensor } from '../../../core/tensor/tensor.js'

const ROWS = 3
const random = randomGenerator(1)
const numbers = (...shape: number[]): Tensor =>
  tensor('float64', shape, Array.from({ length: sizeOf(shape) }, () => random.normal()))

/** What the graph gives for all rows at once, and for one after another. */
function both(graph: Graph, rows: Readonly<Record<string, Tensor>>): { together: Tensor[], alone: Tensor[][] } {
  const each = Array.from({ length: ROWS }, (_, n) => {
    const own = graph.inputs.map(({ name, shape, dtype }) => {
      const width = sizeOf(shape.map(Number))
      return [name,
        tensor(dtype, shape.map(Number), Array.from(rows[name].data).slice(n * width, (n + 1) * width))] as const
    })
    const results = runGraph(graph, new Map(own), 'float64')
    return graph.outputs.map(name => results.get(name)!)
  })
  const all = perExample(graph, 'float64')
  const given = all.inputs.map(({ name, shape, dtype }) => {
    t.same(shape[0], { outer: 1, inner: 1 })
    return [name, tensor(dtype, [ROWS, ...shape.slice(1).map(Number)], Array.from(rows[name].data))] as const
  })
  const results = runGraph(all, new Map(given), 'float64')
  return { together: graph.outputs.map(name => results.get(name)!), alone: each }
}

/** Builds a graph on inputs of one example and compares. */
function check(name: string, shapes: Readonly<Record<string, readonly number[]>>,
  build: (b: GraphBuilder, ...inputs: string[]) => string | string[],
  integers: Readonly<Record<string, number>> = {}): void {
  t.test(name, async t => {
    const b = new GraphBuilder('float64')
    const rows: Record<string, Tensor> = {}
    const inputs = Object.entries(shapes).map(([input, shape]) => {
      const dtype: DType = integers[input] === undefined ? 'float64' : 'int64'
      const values = Array.from({ length: ROWS * sizeOf(shape) },
        () => (dtype === 'int64' ? Math.floor(random.uniform() * integers[input]) : random.normal()))
      rows[input] = tensor(dtype, [ROWS * sizeOf(shape)], values)
      return b.input(input, shape, dtype)
    })
    const outputs = build(b, ...inputs)
    const { together, alone } = both(b.build([outputs].flat()), rows)
    together.forEach((found, k) => {
      const expected = alone.flatMap(results => Array.from(results[k].data))
      t.equal(found.data.length, expected.length)
      t.ok(expected.every((value, i) => Math.abs(value - found.data[i]) <= 1e-12 * (1 + Math.abs(value))), name)
    })
  })
}

const x4 = { x: [1, 4] }
check('means, norms and softmaxes over the axis of the examples', x4, (b, x) => [
  b.node('ReduceMean', [x, b.integers([0])], { keepdims: 1 }),
  b.node('ReduceL2', [x], { keepdims: 0 }),
  b.node('Softmax', [x], { axis: 0 }),
  b.node('CumSum', [x, b.integers([-1])]),
  b.node('LogSoftmax', [x], { axis: -1 }),
  b.node('ArgMax', [x], { axis: 1 }),
])
check('products with squeezed and turned examples', x4, (b, x) => {
  const row = b.node('Squeeze', [x, b.integers([0])])
  const w = b.constant(numbers(4, 3))
  return [b.node('MatMul', [row, w]), b.node('MatMul', [b.constant(numbers(3, 4)), row]), b.node('MatMul', [row, row]),
    b.node('Gemm', [x, b.constant(numbers(3, 4)), b.constant(numbers(3))], { transB: 1, alpha: 2, beta: 0.5 }),
    b.node('Gemm', [b.constant(numbers(5, 4)), x, b.constant(numbers(5, 1))], { transB: 1 }),
    b.node('Gemm', [x, x], { transA: 1 }), b.node('MatMul', [x, b.constant(numbers(2, 4, 3))])]
})
check('arithmetic with constants of fewer and of more axes', x4, (b, x) => {
  const row = b.node('Reshape', [x, b.integers([-1])])
  return [b.node('Add', [row, b.constant(numbers(1, 4))]), b.node('Mul', [row, x]), b.node('Add', [row, b.scalar(2)]),
    b.node('Where', [b.node('Greater', [row, b.scalar(0)]), x, b.constant(numbers(2, 1, 1))]),
    b.node('Clip', [row, b.scalar(-0.5), '']), b.node('Tanh', [row])]
})
check('shapes of one example', { x: [1, 2, 6] }, (b, x) => [
  b.node('Reshape', [x, b.integers([0, 3, -1])]),
  b.node('Flatten', [x], { axis: 0 }),
  b.node('Transpose', [x]),
  b.node('Expand', [x, b.integers([3, 1, 1])]),
  b.node('Tile', [x, b.integers([2, 1, 3])]),
  b.node('Slice', [x, b.integers([1]), b.integers([9]), b.integers([-1]), b.integers([2])]),
  b.node('Slice', [x, b.integers([0, 1]), b.integers([1, 2])]),
  b.node('Pad', [x, b.integers([1, 0, 2, 0, 1, 0])]),
  b.node('Concat', [x, b.constant(numbers(1, 2, 6)), x], { axis: 0 }),
  ...b.nodeOutputs('Split', [x, b.integers([2, 4])], 2, { axis: -1 }),
  b.node('Trilu', [x]),
  ...b.nodeOutputs('TopK', [x, b.integers([2])], 2),
  b.node('Reshape', [b.node('Neg', [x]), b.node('Shape', [x])]),
  b.node('LayerNormalization', [x, b.constant(numbers(2, 6)), b.constant(numbers(2, 6))], { axis: -2 }),
])
check('elements that are picked', { x: [1, 3, 4], i: [1, 2] }, (b, x, i) => [
  b.node('Gather', [x, b.integers([2, 0])], { axis: 1 }),
  b.node('Gather', [x, b.integers([0, 0])], { axis: 0 }),
  b.node('Gather', [b.constant(numbers(3, 5)), i]),
  b.node('Gather', [b.constant(numbers(5, 3)), i], { axis: 1 }),
  b.node('Gather', [x, i], { axis: 1 }),
  b.node('Gather', [x, i], { axis: -1 }),
  b.node('ScatterRows', [x, b.integers([2, 0, 2])], { rows: 4 }),
  b.node('ScatterRows', [b.constant(numbers(1, 2, 3)), i], { rows: 3 }),
  b.node('ScatterRows', [b.node('Slice', [x, b.integers([0]), b.integers([2]), b.integers([1])]), i], { rows: 3 }),
  b.node('OneHot', [i, b.integers([3]), b.constant(tensor('float64', [2], [0, 1]))], { axis: 1 }),
  b.node('GatherElements', [x, b.node('Expand', [b.node('Unsqueeze', [i, b.integers([2])]), b.integers([1, 2, 4])])], {
    axis: 1,
  }),
], { i: 3 })
check('sums by letters', { x: [1, 3, 4] }, (b, x) => [
  b.node('Einsum', [x, b.constant(numbers(4, 2))], { equation: 'bij,jk->bik' }),
  b.node('Einsum', [x, x], { equation: 'bij,bkj' }),
  b.node('Einsum', [x], { equation: '...ij->...ji' }),
  b.node('Einsum', [x, b.constant(numbers(2, 5))], { equation: 'bij,ck->kji' }),
])
check('convolutions, pools and normalisations', { x: [1, 4, 6, 6] }, (b, x) => [
  b.node('Conv', [x, b.constant(numbers(2, 4, 3, 3)), b.constant(numbers(2))]),
  b.node('Conv', [b.node('Reshape', [x, b.integers([2, 2, 6, 6])]), b.constant(numbers(3, 2, 3, 3))]),
  b.node('ConvTranspose', [x, b.constant(numbers(4, 2, 2, 2))], { strides: [2, 2] }),
  b.node('MaxPool', [x], { kernel_shape: [2, 2] }),
  b.node('GlobalAveragePool', [x]),
  b.node('InstanceNormalization', [x, b.constant(numbers(4)), b.constant(numbers(4))]),
  b.node('DepthToSpace', [x], { blocksize: 2 }),
  b.node('Resize', [x, '', b.constant(tensor('float64', [4], [1, 1, 2, 2]))], { mode: 'linear' }),
  b.node('Resize', [x, '', '', b.integers([1, 4, 3, 9])]),
])
for (const [op, gates] of [['RNN', 1], ['GRU', 3], ['LSTM', 4]] as const) {
  check(`${op} of a sequence without an axis for examples`, { x: [5, 1, 3] }, (b, x) =>
    b.nodeOutputs(op, [x, b.constant(numbers(2, 2 * gates, 3)), b.constant(numbers(2, 2 * gates, 2)),
      b.constant(numbers(2, 4 * gates)), '', b.constant(numbers(2, 1, 2))], 2, { hidden_size: 2,
      direction: 'bidirectional' }))
}

t.test('an axis of length 1 stands for the examples, and is left out of inputs and outputs', async t => {
  const shapes = ([x, y]: [number[], number[]]): unknown[] => {
    const b = new GraphBuilder('float64')
    b.input('x', x)
    const graph = perExample(b.build([b.node('Reshape', ['x', b.integers(y)])]), 'float64')
    return [graph.inputs[0].shape.slice(1),
      runGraph(graph, new Map([['x', numbers(2, ...graph.inputs[0].shape.slice(1).map(Number))]]), 'float64')
        .get(graph.outputs[0])!.shape]
  }
  t.same(shapes([[1, 6], [1, 2, 3]]), [[6], [2, 2, 3]])
  t.same(shapes([[3, 1, 2], [2, 3]]), [[3, 2], [2, 2, 3]])
  t.same(shapes([[4], [4]]), [[4], [2, 4]])
  t.same(shapes([[1, 1, 4], [1, 4]]), [[1, 4], [2, 4]])
})

t.test('an operator without a form for several examples is named', async t => {
  const b = new GraphBuilder('float64')
  const x = b.input('x', [1, 4, 4])
  b.node('Conv', [x, b.node('Reshape', [x, b.integers([4, 4, 1])])], {}, 'dynamic')
  t.throws(() => perExample(b.build(['dynamic']), 'float64'), { code: 'BATCH_AXIS', message: /Conv node 'dynamic'/ })
})
