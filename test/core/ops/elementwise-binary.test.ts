import fc from 'fast-check'
import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { type Attribute, BATCH, type Dim } from '../../../core/graph/graph.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { float64, sizeOf, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { checkDerivative, uniform } from './check-derivative.js'
import { draw } from './draw.js'

function apply(op: string, values: readonly Tensor[], attributes: Record<string, Attribute> = {}): Tensor {
  const b = new GraphBuilder('float64')
  const names = values.map((value, i) => b.input(`x${i}`, value.shape, value.dtype))
  const y = b.node(op, names, attributes)
  return runGraph(b.build([y]), new Map(names.map((name, i) => [name, values[i]])), 'float64').get(y)!
}

const vector = (...values: number[]): Tensor => float64([values.length], values)
const integers = (...values: number[]): Tensor => tensor('int64', [values.length], values)
const bools = (...values: number[]): Tensor => tensor('bool', [values.length], values)
const numbers = (value: Tensor): number[] => Array.from(value.data)

t.test('values', async t => {
  const [a, b] = [vector(1, -2, 3), vector(2, -2, 0.5)]
  t.same(numbers(apply('Add', [a, b])), [3, -4, 3.5])
  t.same(numbers(apply('Sub', [a, b])), [-1, 0, 2.5])
  t.same(numbers(apply('Mul', [a, b])), [2, 4, 1.5])
  t.same(numbers(apply('Div', [a, b])), [0.5, 1, 6])
  t.same(numbers(apply('Pow', [a, vector(2, 3, 0)])), [1, -8, 1])
  t.same(numbers(apply('Pow', [a, float64([], [2])])), [1, 4, 9])
  t.same(numbers(apply('Max', [a, b, vector(1.5, 0, 0)])), [2, 0, 3])
  t.same(numbers(apply('Min', [a, b])), [1, -2, 0.5])
  t.same(numbers(apply('Sum', [a, b, a])), [4, -6, 6.5])
  t.same(numbers(apply('Mean', [a, b])), [1.5, -2, 1.75])
  t.same(numbers(a), [1, -2, 3], 'operands are left alone')
  t.same(numbers(apply('PRelu', [a, float64([], [0.25])])), [1, -0.5, 3])
  t.same(numbers(apply('Mod', [integers(-4, 7), integers(3, -3)])), [2, -2])
  t.same(numbers(apply('Mod', [vector(-4.5, 7), vector(3, -3)], { fmod: 1 })), [-1.5, 1])
  t.same(numbers(apply('Div', [integers(-7, 7), integers(2, 2)])), [-3, 3], 'integers are divided towards zero')
  t.same(numbers(apply('Pow', [integers(2, 3, -3), vector(0.5, 2, 1)])), [1, 9, -3], 'powers of integers are integers')
})

t.test('comparison, logic, selection', async t => {
  const [a, b] = [vector(1, 2, 3), vector(2, 2, 2)]
  const expected: Record<string, number[]> = { Greater: [0, 0, 1], GreaterOrEqual: [0, 1, 1], Less: [1, 0, 0],
    LessOrEqual: [1, 1, 0], Equal: [0, 1, 0] }
  for (const [op, values] of Object.entries(expected)) {
    const result = apply(op, [a, b])
    t.equal(result.dtype, 'bool')
    t.same(numbers(result), values, op)
  }
  const [p, q] = [bools(0, 0, 1, 1), bools(0, 1, 0, 1)]
  t.same(numbers(apply('And', [p, q])), [0, 0, 0, 1])
  t.same(numbers(apply('Or', [p, q])), [0, 1, 1, 1])
  t.same(numbers(apply('Xor', [p, q])), [0, 1, 1, 0])
  t.same(numbers(apply('Not', [p])), [1, 1, 0, 0])
  t.same(numbers(apply('Where', [bools(1, 0, 1), a, float64([2, 1], [-1, -2])])), [1, -1, 3, 1, -2, 3])
})

t.test('Clip takes its limits as optional inputs', async t => {
  const b = new GraphBuilder('float64')
  const x = b.input('x', [BATCH])
  const outputs = [b.node('Clip', [x, b.scalar(-1), b.scalar(1)]), b.node('Clip', [x, '', b.scalar(0)]),
    b.node('Clip', [x])]
  const results = runGraph(b.build(outputs), new Map([['x', vector(-3, 0.5, 3)]]), 'float64')
  t.same(outputs.map(name => numbers(results.get(name)!)), [[-1, 0.5, 1], [-3, 0, 0], [-3, 0.5, 3]])
})

t.test('any two shapes that broadcast give what index arithmetic gives', async t => {
  const pair = fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom('both', 'left', 'right')), {
    maxLength: 5,
  }).chain(axes =>
    fc.record({
      axes: fc.constant(axes),
      dropLeft: fc.integer({ min: 0, max: axes.length }),
      dropRight: fc.integer({ min: 0, max: axes.length }),
    })
  )
  fc.assert(fc.property(pair, ({ axes, dropLeft, dropRight }) => {
    const own = (side: string, drop: number): number[] =>
      axes.map(([extent, where]) => (where === 'both' || where === side ? extent : 1)).slice(drop)
    const random = uniform(axes.length)
    const [a, b] = [own('left', dropLeft), own('right', dropRight)].map(shape =>
      float64(shape, Array.from({ length: sizeOf(shape) }, random))
    )
    const result = apply('Sub', [a, b])
    const at = (value: Tensor, index: readonly number[]): number => {
      let offset = 0
      value.shape.forEach((extent, axis) => {
        offset = offset * extent + (extent === 1 ? 0 : index[axis + index.length - value.shape.length])
      })
      return value.data[offset]
    }
    return numbers(result).every((value, flat) => {
      const index: number[] = []
      for (let axis = result.shape.length - 1, rest = flat; axis >= 0; axis--) {
        index.unshift(rest % result.shape[axis])
        rest = Math.floor(rest / result.shape[axis])
      }
      return value === at(a, index) - at(b, index)
    })
  }))
  t.pass('nothing failed')
})

t.test('shapes that do not fit are refused', async t => {
  const infer = (a: Dim[], b: Dim[]) => () => {
    const builder = new GraphBuilder('float64')
    builder.node('Add', [builder.input('a', a), builder.input('b', b)], {}, 'plus')
    return inferTypes(builder.build([]))
  }
  t.throws(infer([2, 3], [4]), { code: 'BAD_GRAPH', message: /Add node 'plus'.*2 x 3 and 4/ })
  t.throws(infer([BATCH, 3], [3, 3]), { code: 'BATCH_AXIS', message: /Add node 'plus'.*N x 3 and 3 x 3/ })
  t.throws(infer([BATCH, 1], [1, BATCH]), { code: 'BATCH_AXIS', message: /different axes/ })
  t.doesNotThrow(infer([BATCH, 3], [1, 3]))
})

t.test('integers computed from shapes are followed', async t => {
  const b = new GraphBuilder('float64')
  const n = b.input('x', [BATCH, 6])
  const rows = b.node('Mul', [b.node('Shape', [n], { start: 0, end: 1 }), b.constant(tensor('int64', [1], [4]))])
  const half = b.node('Div', [rows, b.constant(tensor('int64', [1], [2]))])
  const types = inferTypes(b.build([]))
  t.match(types.get(rows), { dims: [{ outer: 1, inner: 4 }] })
  t.match(types.get(half), { dims: [{ outer: 1, inner: 2 }] })
})

const SHAPES: readonly (readonly [string, readonly Dim[], readonly Dim[]])[] = [
  ['equal shapes', [BATCH, 3], [BATCH, 3]],
  ['a row', [BATCH, 3], [3]],
  ['a column of examples', [BATCH, 1], [BATCH, 3]],
  ['a scalar', [], [BATCH, 3]],
  ['batch axis second', [2, BATCH, 3], [2, 1, 1]],
  ['batch axis last', [3, BATCH], [3, 1]],
  ['two examples axes merged', [{ outer: 2, inner: 2 }, 3], [3]],
  ['more axes on the right', [BATCH, 1, 2], [3, 1]],
]
for (const op of ['Add', 'Sub', 'Mul', 'Div', 'Mod', 'Pow', 'Max', 'Min', 'PRelu']) {
  for (const [what, a, b] of SHAPES) {
    if (op === 'PRelu' && b.length > a.length) continue
    await checkDerivative(`${op}, ${what}`, builder => builder.node(op, [builder.input('a', a), builder.input('b', b)]),
      op === 'PRelu' ? {} : { range: [0.3, 2] })
  }
}
await checkDerivative('Mod, the remainder of the division that is cut off',
  b => b.node('Mod', [b.input('a', [BATCH, 3]), b.scalar(-0.7)], { fmod: 1 }))
await checkDerivative('Mean of three',
  b => b.node('Mean', [b.input('a', [BATCH, 2]), b.input('b', [2]), b.input('c', [BATCH, 1])]))
await checkDerivative('Sum of three',
  b => b.node('Sum', [b.input('a', [BATCH, 2]), b.input('b', [2]), b.input('c', [BATCH, 1])]))
await checkDerivative('Clip', b => b.node('Clip', [b.input('x', [BATCH, 6]), b.scalar(-1), b.scalar(0.5)]))
await checkDerivative('Where',
  b =>
    b.node('Where', [b.node('Greater', [b.input('x', [BATCH, 3]), b.scalar(0)]), b.input('a', [3]),
      b.input('b', [BATCH, 1])]))
await checkDerivative('a parameter that passes through functions first',
  b =>
    b.node('Mul', [b.input('x', [BATCH, 3]),
      b.node('Exp', [b.node('Mul', [b.parameter('s', float64([3], [0.1, 0.2, 0.3])), b.scalar(0.5)])])]))
await checkDerivative('a value used three times', b => {
  const x = b.input('x', [BATCH, 3])
  return b.node('Mul', [b.node('Mul', [x, x]), x])
})

for (const op of ['Max', 'Min']) {
  await checkDerivative(`${op} of equal operands`, b => {
    const x = b.node('MatMul', [b.input('x', [BATCH, 2]), b.parameter('w', draw(2, 3))])
    const far = b.constant(float64([], [op === 'Max' ? -100 : 100]))
    return b.node(op, [x, b.node('Identity', [x]), x, far])
  })
  await checkDerivative(`${op} where a limit is attained alone`, b => {
    const x = b.node('MatMul', [b.input('x', [BATCH, 2]), b.parameter('w', draw(2, 3))])
    return b.node(op, [x, b.node('Neg', [x]), b.constant(float64([], [op === 'Max' ? 100 : -100]))])
  })
}
