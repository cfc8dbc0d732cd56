import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Dim } from '../../../core/graph/graph.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { checkDerivative } from './check-derivative.js'
import { draw } from './draw.js'

for (const op of ['Softmax', 'LogSoftmax']) {
  for (const [dims, axis] of [[[BATCH, 4], -1], [[BATCH, 3, 2], 1], [[3, BATCH], 0]] as [Dim[], number][]) {
    await checkDerivative(`${op} along axis ${axis} of ${dims.length}`, b => b.node(op, [b.input('x', dims)], { axis }))
  }
  await checkDerivative(`${op} of a parameter`, b =>
    b.node('Mul', [b.input('x', [BATCH, 3]), b.node(op, [b.parameter('w', draw(3))])]))
}

const positive = (...shape: number[]): Tensor => ({ ...draw(...shape),
  data: draw(...shape).data.map(value => 0.5 + value * value) })
for (const dims of [[BATCH, 3], [BATCH, 3, 2], [BATCH, 3, 2, 2], [2, 3, BATCH]] as Dim[][]) {
  const variance = positive(3)
  await checkDerivative(`BatchNormalization of ${dims.length} axes`, b =>
    b.node('BatchNormalization', [
      b.input('x', dims),
      b.parameter('scale', draw(3)),
      b.parameter('shift', draw(3)),
      b.parameter('mean', draw(3)),
      b.parameter('variance', variance),
    ], { epsilon: 1e-3 }), { values: { variance } })
}

await checkDerivative('LayerNormalization',
  b =>
    b.node('LayerNormalization', [b.input('x', [BATCH, 2, 5]), b.parameter('scale', draw(5)),
      b.parameter('shift', draw(5))], { epsilon: 1e-3 }))
await checkDerivative('LayerNormalization over two axes, no shift',
  b =>
    b.node('LayerNormalization', [b.input('x', [BATCH, 2, 3]), b.parameter('scale', draw(2, 3))], { axis: 1,
      epsilon: 1e-3 }))
await checkDerivative('LayerNormalization with one scale for all',
  b => b.node('LayerNormalization', [b.input('x', [2, BATCH, 3]), b.parameter('scale', draw(1))], { epsilon: 1e-3 }))
await checkDerivative('LayerNormalization of a parameter',
  b =>
    b.node('Mul', [b.input('x', [BATCH, 5]),
      b.node('LayerNormalization', [b.parameter('w', draw(5)), b.constant(draw(5))], { epsilon: 1e-3 })]))
await checkDerivative('RMSNormalization',
  b => b.node('RMSNormalization', [b.input('x', [BATCH, 2, 5]), b.parameter('scale', draw(5))], { epsilon: 1e-3 }))
await checkDerivative('GroupNormalization',
  b =>
    b.node('GroupNormalization', [b.input('x', [BATCH, 4, 3]), b.parameter('scale', draw(4)),
      b.parameter('shift', draw(4))], { num_groups: 2, epsilon: 1e-3 }))
await checkDerivative('GroupNormalization of vectors',
  b =>
    b.node('GroupNormalization', [b.input('x', [BATCH, 6]), b.parameter('scale', draw(6)),
      b.parameter('shift', draw(6))], { num_groups: 2, epsilon: 1e-3 }))
await checkDerivative('InstanceNormalization',
  b =>
    b.node('InstanceNormalization', [b.input('x', [BATCH, 2, 3, 2]), b.parameter('scale', draw(2)),
      b.parameter('shift', draw(2))], { epsilon: 1e-3 }))

t.test('normalising over the examples is refused', async t => {
  const infer = (build: (b: GraphBuilder) => string) => () => {
    const b = new GraphBuilder('float64')
    return inferTypes(b.build([build(b)]))
  }
  const vectors = (b: GraphBuilder, count: number, size: number): string[] =>
    Array.from({ length: count }, () => b.constant(float64([size], new Float64Array(size))))
  t.throws(infer(b => b.node('Softmax', [b.input('x', [BATCH, 4])], { axis: 0 })), { code: 'BATCH_AXIS' })
  t.throws(infer(b => b.node('Softmax', [b.input('x', [BATCH, 4])], { axis: 2 })), { code: 'BAD_GRAPH' })
  t.throws(infer(b => b.node('Softmax', [b.input('x', [BATCH, 4], 'int64')])), { code: 'BAD_GRAPH' })
  t.throws(infer(b => b.node('LayerNormalization', [b.input('x', [BATCH, 4]), ...vectors(b, 1, 4)], { axis: 0 })), {
    code: 'BATCH_AXIS',
  })
  t.throws(infer(b => b.node('LayerNormalization', [b.input('x', [BATCH, 4]), ...vectors(b, 1, 3)])), {
    code: 'BAD_GRAPH',
  })
  t.throws(
    infer(b => b.node('BatchNormalization', [b.input('x', [BATCH, 4]), ...vectors(b, 4, 4)], { training_mode: 1 })),
    { code: 'BATCH_AXIS', message: /training mode/ },
  )
  t.throws(infer(b => b.node('BatchNormalization', [b.input('x', [BATCH, 4]), ...vectors(b, 4, 3)])), {
    code: 'BAD_GRAPH',
    message: /4 channels/,
  })
  t.throws(infer(b => b.node('BatchNormalization', [b.input('x', [4, BATCH]), ...vectors(b, 4, 4)])), {
    code: 'BATCH_AXIS',
  })
  t.throws(infer(b => b.node('BatchNormalization', [b.input('x', [BATCH]), ...vectors(b, 4, 4)])), { code: 'BAD_GRAPH',
    message: /channel axis/ })
  t.throws(infer(b => b.node('GroupNormalization', [b.input('x', [BATCH, 4]), ...vectors(b, 2, 4)], { num_groups: 3 })),
    { code: 'BAD_GRAPH', message: /3 groups/ })
  t.throws(infer(b => b.node('InstanceNormalization', [b.input('x', [2, 4, BATCH]), ...vectors(b, 2, 4)])), {
    code: 'BATCH_AXIS',
  })
})
