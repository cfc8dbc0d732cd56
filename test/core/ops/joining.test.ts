import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Dim, isBatch } from '../../../core/graph/graph.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { checkDerivative } from './check-derivative.js'
import { draw } from './draw.js'

await checkDerivative('Concat',
  b => b.node('Concat', [b.input('x', [BATCH, 2]), b.input('y', [BATCH, 3]), b.input('z', [BATCH, 1])], { axis: 1 }))
await checkDerivative('Concat, examples last',
  b => b.node('Concat', [b.input('x', [2, 2, BATCH]), b.input('y', [2, 1, BATCH])], { axis: -2 }))
await checkDerivative('Concat of parameters',
  b =>
    b.node('Mul', [b.input('x', [BATCH, 5]),
      b.node('Concat', [b.parameter('u', draw(2)), b.parameter('v', draw(3))], { axis: 0 })]))
await checkDerivative('Split, all parts', b => {
  const [p, q] = b.nodeOutputs('Split', [b.input('x', [BATCH, 2, 5]), b.integers([2, 3])], 2, { axis: -1 })
  return b.node('Concat', [b.node('Mul', [q, q]), b.node('Tanh', [p])], { axis: 2 })
})
await checkDerivative('Split, one part',
  b => b.node('Tanh', [b.nodeOutputs('Split', [b.input('x', [BATCH, 6])], 3, { axis: 1, num_outputs: 3 })[1]]))
await checkDerivative('Split, two of three parts of a parameter', b => {
  const [p, , r] = b.nodeOutputs('Split', [b.parameter('w', draw(6))], 3, { axis: 0, num_outputs: 3 })
  return b.node('Mul', [b.node('Mul', [b.input('x', [BATCH, 2]), p]), r])
})

t.test('examples are kept apart', async t => {
  const infer = (build: (b: GraphBuilder) => string) => () => {
    const b = new GraphBuilder('float64')
    return inferTypes(b.build([build(b)]))
  }
  t.throws(infer(b => b.node('Concat', [b.input('x', [BATCH, 2]), b.input('y', [BATCH, 2])], { axis: 0 })), {
    code: 'BATCH_AXIS',
    message: /along the batch axis/,
  })
  t.throws(infer(b => b.node('Concat', [b.input('x', [BATCH, 2]), b.parameter('y', draw(1, 2))], { axis: 1 })), {
    code: 'BATCH_AXIS',
    message: /carry the examples/,
  })
  t.throws(infer(b => b.node('Concat', [b.input('x', [BATCH, 2, 3]), b.input('y', [BATCH, 2, 4])], { axis: 1 })), {
    code: 'BAD_GRAPH',
    message: /only along axis 1/,
  })
  t.throws(infer(b => b.node('Concat', [b.input('x', [BATCH, 2]), b.input('y', [BATCH])], { axis: 1 })), {
    code: 'BAD_GRAPH',
    message: /number of axes/,
  })
  t.throws(infer(b => b.node('Concat', [b.input('x', [BATCH, 2]), b.input('y', [BATCH, 2], 'int64')], { axis: 1 })), {
    code: 'BAD_GRAPH',
    message: /one type/,
  })
  t.throws(infer(b => b.nodeOutputs('Split', [b.input('x', [BATCH, 2])], 2, { axis: 0 })[0]), { code: 'BATCH_AXIS' })
  t.throws(infer(b => b.nodeOutputs('Split', [b.input('x', [BATCH, 4]), b.integers([1, 2])], 2, { axis: 1 })[0]), {
    code: 'BAD_GRAPH',
    message: /1, 2 elements/,
  })
  t.throws(infer(b => b.nodeOutputs('Split', [b.input('x', [BATCH, 4])], 2, { axis: 1, num_outputs: 3 })[0]), {
    code: 'BAD_GRAPH',
  })
})

t.test('shapes are put together from extents', async t => {
  const b = new GraphBuilder('float64')
  const x = b.input('x', [BATCH, 3, 4])
  const shape = b.node('Concat', [b.node('Shape', [x], { start: 0, end: 1 }), b.integers([-1])], { axis: 0 })
  const [first] = b.nodeOutputs('Split', [shape, b.integers([1, 1])], 2, { axis: 0 })
  const types = inferTypes(b.build([b.node('Reshape', [x, shape], {}, 'y'), first]))
  t.same(types.get('y')?.shape, [BATCH, 12] satisfies Dim[])
  t.ok(types.get(first)?.dims?.every(isBatch))
})
