import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { type Attribute, BATCH, type Dim } from '../../../core/graph/graph.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { float64 } from '../../../core/tensor/tensor.js'
import { checkDerivative } from './check-derivative.js'
import { draw } from './draw.js'

type Attributes = Record<string, Attribute>

const SHAPES: readonly (readonly [readonly Dim[], Attributes])[] = [
  [[BATCH, 2, 6], { kernel_shape: [3], strides: [2] }],
  [[BATCH, 2, 4, 5], { kernel_shape: [2, 3], strides: [1, 2], pads: [1, 1, 0, 1] }],
  [[BATCH, 1, 5, 6], { kernel_shape: [2, 3], strides: [2, 2], ceil_mode: 1 }],
  [[BATCH, 1, 1, 2], { kernel_shape: [2, 3], strides: [2, 3], ceil_mode: 1 }],
  [[BATCH, 1, 5, 5], { kernel_shape: [2, 2], dilations: [2, 2], auto_pad: 'SAME_UPPER' }],
  [[BATCH, 1, 2, 3, 3], { kernel_shape: [2, 2, 2] }],
  [[{ outer: 1, inner: 2 }, 2, 4], { kernel_shape: [2], strides: [2] }],
]
for (const op of ['MaxPool', 'AveragePool', 'LpPool']) {
  for (const [dims, attributes] of SHAPES) {
    await checkDerivative(`${op} ${JSON.stringify(attributes)}`, b => b.node(op, [b.input('x', dims)], attributes), {
      n: 2,
    })
  }
  await checkDerivative(`${op} of a parameter`, b =>
    b.node('Mul', [b.input('x', [BATCH, 2, 2, 3]),
      b.node(op, [b.parameter('w', draw(2, 2, 6))], { kernel_shape: [2], strides: [2] })]))
}
await checkDerivative('AveragePool that counts padding',
  b =>
    b.node('AveragePool', [b.input('x', [BATCH, 1, 5, 5])], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1],
      count_include_pad: 1, ceil_mode: 1 }))
await checkDerivative('LpPool of third powers',
  b => b.node('LpPool', [b.input('x', [BATCH, 2, 5])], { kernel_shape: [3], p: 3 }))
await checkDerivative('LpPool of zeros',
  b => b.node('LpPool', [b.node('Mul', [b.input('x', [BATCH, 1, 4]), b.scalar(0)])], { kernel_shape: [2] }))
for (const op of ['GlobalAveragePool', 'GlobalMaxPool']) {
  await checkDerivative(op, b => b.node(op, [b.input('x', [BATCH, 2, 3, 2])]))
  await checkDerivative(`${op} of a parameter`, b =>
    b.node('Mul', [b.input('x', [BATCH, 2, 3, 1]), b.node(op, [b.parameter('w', draw(2, 3, 4))])]))
}

t.test('a NaN in a window is kept', async t => {
  const b = new GraphBuilder('float64')
  const y = b.node('MaxPool', [b.input('x', [BATCH, 1, 4])], { kernel_shape: [2] })
  const result = runGraph(b.build([y]), new Map([['x', float64([1, 1, 4], [1, NaN, 5, 3])]]), 'float64').get(y)!
  t.same(Array.from(result.data), [NaN, NaN, 5])
})

t.test('what does not fit is refused', async t => {
  const infer = (dims: readonly Dim[], attributes: Attributes, dtype: 'float64' | 'bool' = 'float64') => () => {
    const b = new GraphBuilder('float64')
    return inferTypes(b.build([b.node('MaxPool', [b.input('x', dims, dtype)], attributes)]))
  }
  t.throws(infer([BATCH, 2, 4], {}), { code: 'BAD_GRAPH', message: /'kernel_shape'/ })
  t.throws(infer([BATCH, 2, 4], { kernel_shape: [2, 2] }), { code: 'BAD_GRAPH', message: /'kernel_shape' must hold 1/ })
  t.throws(infer([BATCH, 2, 4], { kernel_shape: [5] }), { code: 'BAD_GRAPH', message: /covers 5/ })
  t.throws(infer([BATCH, 2, 4], { kernel_shape: [2], storage_order: 1 }), { code: 'BAD_GRAPH',
    message: /storage_order/ })
  t.throws(infer([BATCH, 2, 4], { kernel_shape: [2] }, 'bool'), { code: 'BAD_GRAPH', message: /bool/ })
  t.throws(infer([2, BATCH, 4], { kernel_shape: [2] }), { code: 'BATCH_AXIS' })
  t.throws(infer([BATCH, 2], { kernel_shape: [2] }), { code: 'BAD_GRAPH' })
})
