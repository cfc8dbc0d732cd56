import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'
import { checkDerivative } from './check-derivative.js'
import { draw } from './draw.js'

for (const op of ['ReduceSum', 'ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceProd', 'ReduceL1', 'ReduceL2',
  'ReduceSumSquare', 'ReduceLogSum', 'ReduceLogSumExp']) {
  const options = op === 'ReduceLogSum' ? { range: [0.5, 2] as const } : {}
  await checkDerivative(`${op} keeping axes`, b => b.node(op, [b.input('x', [BATCH, 3, 2]), b.integers([1])]), options)
  await checkDerivative(`${op} of two axes`, b =>
    b.node(op, [b.input('x', [2, BATCH, 3]), b.integers([0, -1])], { keepdims: 0 }), options)
  await checkDerivative(`${op} of a parameter`, b =>
    b.node('Mul', [b.input('x', [BATCH, 2]),
      b.node(op, [b.parameter('w', draw(2, 3)), b.integers([1])], { keepdims: 0 })]), options)
}
await checkDerivative('ReduceProd where elements are 0',
  b => b.node('ReduceProd', [b.input('x', [BATCH, 4]), b.integers([1])]), {
  values: { x: float64([3, 4], [0, 2, -1, 3, 0, 0, 1, 2, 1, 2, 3, -0.5]) },
})
await checkDerivative('ReduceL2 of zeros',
  b => b.node('ReduceL2', [b.node('Mul', [b.input('x', [BATCH, 3]), b.scalar(0)]), b.integers([1])]))

/** Three copies of each example, N x 3 x 2, times a weight: the extreme of copies is differentiable. */
const copies = (b: GraphBuilder): string => {
  const x = b.node('Unsqueeze', [b.input('x', [BATCH, 2]), b.integers([1])])
  return b.node('MatMul', [b.node('Concat', [x, x, x], { axis: 1 }), b.parameter('w', draw(2, 4))])
}
for (const op of ['ReduceMax', 'ReduceMin']) {
  await checkDerivative(`${op} of copies`, b => b.node(op, [copies(b), b.integers([1])]))
  await checkDerivative(`${op} of no axes`, b => b.node(op, [copies(b), b.integers([])], { noop_with_empty_axes: 1 }))
}
await checkDerivative('GlobalMaxPool of copies',
  b => b.node('GlobalMaxPool', [b.node('Transpose', [copies(b)], { perm: [0, 2, 1] })]))

t.test('the mean of no elements is no number', async t => {
  const b = new GraphBuilder('float64')
  const mean = b.node('ReduceMean', [b.input('x', [BATCH, 0, 2]), b.integers([1])])
  const found = runGraph(b.build([mean]), new Map([['x', float64([3, 0, 2], [])]]), 'float64').get(mean)!
  t.same([...found.data], new Array(6).fill(NaN))
})

for (const attributes of [{}, { exclusive: 1 }, { reverse: 1 }, { exclusive: 1, reverse: 1 }]) {
  await checkDerivative(`CumSum ${JSON.stringify(attributes)}`, b =>
    b.node('CumSum', [b.input('x', [BATCH, 3, 2]), b.constant(tensor('int64', [], [1]))], attributes))
}
await checkDerivative('CumSum of a parameter',
  b => b.node('Mul', [b.input('x', [BATCH, 3]), b.node('CumSum', [b.parameter('w', draw(3)), b.integers([0])])]))
await checkDerivative('LpNormalization', b => b.node('LpNormalization', [b.input('x', [BATCH, 3, 2])], { axis: 1 }))
await checkDerivative('LpNormalization with p = 1',
  b => b.node('LpNormalization', [b.input('x', [BATCH, 4])], { p: 1 }))
await checkDerivative('ArgMax', b => {
  const x = b.input('x', [BATCH, 4])
  return b.node('Add', [b.node('ReduceSum', [x, b.integers([1])]),
    b.node('Cast', [b.node('ArgMax', [x], { axis: 1 })], { to: 11 })])
})

t.test('reducing the examples is refused', async t => {
  const infer = (build: (b: GraphBuilder, x: string) => string) => () => {
    const b = new GraphBuilder('float64')
    return inferTypes(b.build([build(b, b.input('x', [BATCH, 4]))]))
  }
  t.throws(infer((b, x) => b.node('ReduceMax', [x, b.integers([0])])), { code: 'BATCH_AXIS' })
  t.throws(infer((b, x) => b.node('ReduceMax', [x])), { code: 'BATCH_AXIS' })
  t.throws(infer((b, x) => b.node('CumSum', [x, b.integers([0])])), { code: 'BATCH_AXIS' })
  t.throws(infer((b, x) => b.node('ArgMax', [x])), { code: 'BATCH_AXIS' })
  t.throws(infer((b, x) => b.node('LpNormalization', [x], { axis: 0 })), { code: 'BATCH_AXIS' })
  t.throws(infer((b, x) => b.node('LpNormalization', [x], { p: 3 })), { code: 'BAD_GRAPH',
    message: /p must be 1 or 2/ })
  t.throws(infer((b, x) => b.node('NonZero', [x])), { code: 'BAD_GRAPH', message: /constants only.*option output/ })
  t.throws(infer((b, x) => b.node('OneHot', [x, b.integers([0]), b.constant(float64([2], [0, 1]))])), {
    code: 'BAD_GRAPH',
    message: /depth/,
  })
})

t.test('the number of elements of a batch', async t => {
  const b = new GraphBuilder('float64')
  const y = b.node('Size', [b.input('x', [BATCH, 4])])
  t.same(inferTypes(b.build([y])).get(y)?.dims, [{ outer: 1, inner: 4 }])
})
