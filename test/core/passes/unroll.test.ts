import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { type Attribute, BATCH, type Dim } from '../../../core/graph/graph.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { unrollRecurrences } from '../../../core/passes/unroll.js'
import { factorsProgram } from '../../../core/programs/factors-program.js'
import { relativeDifference } from '../../support/compare.js'
import { checkDerivative } from '../ops/check-derivative.js'
import { draw } from '../ops/draw.js'

type Attributes = Record<string, Attribute>
const GATES: Record<string, number> = { RNN: 1, GRU: 3, LSTM: 4 }
const [T, I, H] = [3, 2, 2]

/** A recurrence with all its inputs; states come from the data so that the batch axis is theirs. */
function append(b: GraphBuilder, op: string, attributes: Attributes, { states = true, bias = true } = {}): string[] {
  const d = attributes['direction'] === 'bidirectional' ? 2 : 1
  const width = GATES[op] * H
  const state = (name: string): string => (states ? b.input(name, [d, BATCH, H]) : '')
  const inputs = [b.input('x', [T, BATCH, I]), b.parameter('W', draw(d, width, I)), b.parameter('R', draw(d, width, H)),
    bias ? b.parameter('B', draw(d, 2 * width)) : '', '', state('h0'), ...(op === 'LSTM' ? [state('c0')] : [])]
  return b.nodeOutputs(op, inputs, op === 'LSTM' ? 3 : 2, { hidden_size: H, ...attributes })
}

for (const op of Object.keys(GATES)) {
  for (const direction of ['forward', 'reverse', 'bidirectional']) {
    await checkDerivative(`${op} ${direction}, all states`, b => append(b, op, { direction })[0], { n: 2 })
    await checkDerivative(`${op} ${direction}, the last state`, b => append(b, op, { direction }, { states: false })[1],
      { n: 2 })
  }
  await checkDerivative(`${op} without bias and state`, b => append(b, op, {}, { states: false, bias: false })[0], {
    n: 2,
  })
}
await checkDerivative('GRU, linear before reset', b => append(b, 'GRU', { linear_before_reset: 1 })[0], { n: 2 })
await checkDerivative('GRU, linear before reset, without state',
  b => append(b, 'GRU', { linear_before_reset: 1 }, { states: false })[0], { n: 2 })
await checkDerivative('LSTM, the last cell', b => append(b, 'LSTM', {})[2], { n: 2 })
await checkDerivative('LSTM with other activations',
  b => append(b, 'LSTM', { activations: ['Sigmoid', 'Softsign', 'Softplus'] })[0], { n: 2 })

t.test('unrolled recurrences compute the same', async t => {
  for (const op of Object.keys(GATES)) {
    for (const attributes of [{ direction: 'bidirectional' }, { linear_before_reset: 1 }] as Attributes[]) {
      const b = new GraphBuilder('float64')
      const outputs = append(b, op, attributes)
      const graph = b.build(outputs)
      const d = attributes['direction'] === undefined ? 1 : 2
      const inputs = new Map([['x', draw(T, 4, I)], ['h0', draw(d, 4, H)],
        ...(op === 'LSTM' ? [['c0', draw(d, 4, H)] as const] : [])])
      const [expected, actual] = [graph, unrollRecurrences(graph, 'float64')].map(g => runGraph(g, inputs, 'float64'))
      for (const name of outputs) {
        t.same(actual.get(name)!.shape, expected.get(name)!.shape)
        t.ok(relativeDifference(actual.get(name)!.data, expected.get(name)!.data) < 1e-13, `${op} ${name}`)
      }
    }
  }
})

t.test('weights of one direction are those of linear operators', async t => {
  const b = new GraphBuilder('float64')
  const [, last] = append(b, 'LSTM', {}, { states: false })
  const output = b.node('Squeeze', [last, b.integers([0])])
  const program = factorsProgram(b.build([output]), output, ['W', 'R', 'B'], 2)
  const uses = program.factors.map(
    factor => (factor.kind === 'linear'
      ? `${factor.weight} ${factor.positions} ${factor.in} ${factor.out}`
      : factor.parameter),
  )
  // The state before the first time is zero, and R is used there too.
  t.same(uses.sort(), ['B', 'R 1 2 8', 'R 1 2 8', 'R 1 2 8', 'W 3 2 8'])
})

t.test('a graph without recurrences is returned as it is', async t => {
  const b = new GraphBuilder('float64')
  const graph = b.build([b.node('Tanh', [b.input('x')])])
  t.equal(unrollRecurrences(graph, 'float64'), graph)
})

t.test('what is not supported is named', async t => {
  const infer =
    (attributes: Attributes, dims: readonly Dim[] = [T, BATCH, I], more: (b: GraphBuilder) => string[] = () => []) =>
    () => {
      const b = new GraphBuilder('float64')
      return inferTypes(
        b.build(
          b.nodeOutputs('LSTM', [b.input('x', dims), b.parameter('W', draw(1, 8, I)), b.parameter('R', draw(1, 8, H)),
            ...more(b)], 3, attributes),
        ),
      )
    }
  t.throws(infer({ layout: 1 }), { code: 'BAD_GRAPH', message: /layout 1/ })
  t.throws(infer({ clip: 3 }), { code: 'BAD_GRAPH', message: /clipping/ })
  t.throws(infer({ input_forget: 1 }), { code: 'BAD_GRAPH', message: /coupled/ })
  t.throws(infer({ direction: 'sideways' }), { code: 'BAD_GRAPH', message: /sideways/ })
  t.throws(infer({ direction: 'bidirectional' }), { code: 'BAD_GRAPH',
    message: /input W must have the shape 2 x 8 x 2/ })
  t.throws(infer({ activations: ['Sigmoid', 'Tanh'] }), { code: 'BAD_GRAPH', message: /3 activations/ })
  t.throws(infer({ activations: ['Sigmoid', 'Tanh', 'Affine'] }), { code: 'BAD_GRAPH', message: /Affine/ })
  t.throws(infer({}, [BATCH, T, I]), { code: 'BATCH_AXIS', message: /axis 1/ })
  t.throws(infer({}, [BATCH, I]), { code: 'BAD_GRAPH', message: /times x examples x features/ })
  t.throws(infer({}, [T, BATCH, I], b => ['', b.integers([2])]), { code: 'BAD_GRAPH', message: /shorter than 3/ })
  t.doesNotThrow(infer({}, [T, BATCH, I], b => ['', b.integers([3])]))
  t.throws(infer({}, [T, BATCH, I], b => ['', '', '', '', b.constant(draw(1, 6))]), { code: 'BAD_GRAPH',
    message: /peepholes/ })
  const b = new GraphBuilder('float64')
  const [y] = b.nodeOutputs('RNN', [b.input('x', [1001, BATCH, 1]), b.parameter('W', draw(1, 1, 1)),
    b.parameter('R', draw(1, 1, 1))], 2, {})
  t.throws(() => factorsProgram(b.build([y]), y, ['W'], 1), { code: 'NOT_DIFFERENTIABLE', message: /1001 times/ })
})
