import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { type Attribute, BATCH } from '../../../core/graph/graph.js'
import { erf } from '../../../core/ops/erf.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'
import { checkDerivative } from './check-derivative.js'

type Attributes = Record<string, Attribute>

function evaluate(op: string, x: readonly number[], attributes: Attributes = {}): number[] {
  const b = new GraphBuilder('float64')
  const y = b.node(op, [b.input('x', [BATCH])], attributes)
  return Array.from(runGraph(b.build([y]), new Map([['x', float64([x.length], x)]]), 'float64').get(y)!.data)
}

const POINTS = [-6, -2.5, -1, -0.5, -1e-3, 0, 1e-3, 0.5, 1, 1.5, 2.5, 3.5, 8]
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
/** What the ONNX standard says of each operator, written in the plainest way. */
const DEFINITIONS: readonly (readonly [string, (x: number) => number, Attributes?])[] = [
  ['Relu', x => Math.max(x, 0)],
  ['LeakyRelu', x => (x < 0 ? 0.2 * x : x), { alpha: 0.2 }],
  ['ThresholdedRelu', x => (x > 1.2 ? x : 0), { alpha: 1.2 }],
  ['Elu', x => (x < 0 ? 0.7 * (Math.exp(x) - 1) : x), { alpha: 0.7 }],
  ['Celu', x => Math.max(0, x) + Math.min(0, 1.3 * (Math.exp(x / 1.3) - 1)), { alpha: 1.3 }],
  ['Selu', x => 1.05070102214813232421875 * (x < 0 ? 1.67326319217681884765625 * (Math.exp(x) - 1) : x)],
  ['Sigmoid', sigmoid],
  ['Tanh', Math.tanh],
  ['HardSigmoid', x => Math.max(0, Math.min(1, 0.2 * x + 0.5))],
  ['HardSwish', x => x * Math.max(0, Math.min(1, x / 6 + 0.5))],
  ['Softplus', x => Math.log(Math.exp(x) + 1)],
  ['Softsign', x => x / (1 + Math.abs(x))],
  ['Gelu', x => 0.5 * x * (1 + erf(x / Math.SQRT2))],
  ['Gelu', x => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))), { approximate: 'tanh' }],
  ['Swish', x => x * sigmoid(1.4 * x), { alpha: 1.4 }],
  ['Mish', x => x * Math.tanh(Math.log(1 + Math.exp(x)))],
  ['Shrink', x => (x < -0.7 ? x + 0.1 : x > 0.7 ? x - 0.1 : 0), { bias: 0.1, lambd: 0.7 }],
  ['Neg', x => -x],
  ['Abs', Math.abs],
  ['Exp', Math.exp],
  ['Erf', erf],
  ['Sin', Math.sin],
  ['Cos', Math.cos],
  ['Tan', Math.tan],
  ['Atan', Math.atan],
  ['Sinh', Math.sinh],
  ['Cosh', Math.cosh],
  ['Asinh', Math.asinh],
  ['Identity', x => x],
  ['Dropout', x => x],
  ['Sign', Math.sign],
  ['Floor', Math.floor],
  ['Ceil', Math.ceil],
]

t.test('values follow the definitions', async t => {
  for (const [op, definition, attributes] of DEFINITIONS) {
    const y = evaluate(op, POINTS, attributes)
    const worst = Math.max(
      ...POINTS.map((x, i) => Math.abs(y[i] - definition(x)) / Math.max(1, Math.abs(definition(x)))),
    )
    t.ok(worst < 4e-15, `${op} ${JSON.stringify(attributes ?? {})}: ${worst}`)
  }
})

t.test('halves are rounded to the even neighbour', async t => {
  t.same(evaluate('Round', [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 2.4, -2.6]), [-2, -2, -0, 0, 2, 2, 2, -3])
})

t.test('extreme arguments neither overflow nor lose NaN', async t => {
  t.same(evaluate('Softplus', [800, -800]), [800, 0])
  t.same(evaluate('Mish', [800]), [800])
  t.same(evaluate('Sigmoid', [800, -800]), [1, 0])
  t.ok(evaluate('Relu', [NaN]).every(Number.isNaN))
  t.ok(evaluate('Erf', [NaN]).every(Number.isNaN))
  t.same(evaluate('Erf', [Infinity, -Infinity, 7]), [1, -1, 1])
})

t.test('erf equals tabulated values to the last digits', async t => {
  const table: readonly (readonly [number, number])[] = [
    [1e-10, 1.1283791670955126e-10],
    [0.1, 0.1124629160182849],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [1.125, 0.8883882317017078],
    [1.5, 0.9661051464753108],
    [2, 0.9953222650189527],
    [3, 0.9999779095030014],
    [4, 0.9999999845827421],
    [5.5, 0.9999999999999927],
  ]
  for (const [x, expected] of table) {
    t.ok(Math.abs(erf(x) - expected) <= 3e-16 && Math.abs(erf(x) / expected - 1) < 5e-16, `erf(${x})`)
    t.equal(erf(-x), -erf(x))
  }
})

t.test('Cast', async t => {
  t.same(evaluate('Cast', [-1.7, 0, 2.9], { to: 7 }), [-1, 0, 2])
  t.same(evaluate('Cast', [-1.7, 0, 2.9], { to: 9 }), [1, 0, 1])
  t.throws(() => evaluate('Cast', [1], { to: 8 }), { code: 'BAD_GRAPH' }, 'text is refused')
})

t.test('Dropout in training mode is refused', async t => {
  const b = new GraphBuilder('float64')
  const y = b.node('Dropout', [b.input('x', [BATCH]), b.scalar(0.5), b.constant(tensor('bool', [], [1]))])
  t.throws(() => runGraph(b.build([y]), new Map([['x', float64([1], [1])]]), 'float64'), { code: 'BAD_GRAPH',
    message: /training mode/ })
})

const EVERYWHERE = ['Relu', 'LeakyRelu', 'ThresholdedRelu', 'Elu', 'Celu', 'Selu', 'Sigmoid', 'Tanh', 'Softplus',
  'Softsign', 'Gelu', 'Swish', 'Mish', 'Neg', 'Abs', 'Exp', 'Erf', 'Sin', 'Cos', 'Tan', 'Atan', 'Sinh', 'Cosh', 'Asinh',
  'Identity', 'Dropout', 'Shrink', 'Floor', 'Sign', 'Ceil', 'Round']
for (const op of EVERYWHERE) {
  await checkDerivative(op, b => b.node(op, [b.input('x', [BATCH, 4])]), op === 'Tan' ? { range: [-1, 1] } : {})
}
const INSIDE: Readonly<Record<string, readonly [number, number]>> = { Log: [0.2, 3], Sqrt: [0.2, 3],
  Reciprocal: [0.3, 2], Asin: [-0.9, 0.9], Acos: [-0.9, 0.9], Atanh: [-0.8, 0.8], Acosh: [1.2, 3] }
for (const [op, range] of Object.entries(INSIDE)) {
  await checkDerivative(op, b => b.node(op, [b.input('x', [BATCH, 4])]), { range })
}
for (const op of ['HardSigmoid', 'HardSwish']) {
  await checkDerivative(op, b => b.node(op, [b.input('x', [BATCH, 8])]), { range: [-5, 5] })
}
await checkDerivative('Gelu, tanh approximation',
  b => b.node('Gelu', [b.input('x', [BATCH, 4])], { approximate: 'tanh' }))
await checkDerivative('Celu and Elu with parameters',
  b => b.node('Celu', [b.node('Elu', [b.input('x', [BATCH, 4])], { alpha: 0.6 })], { alpha: 0.4 }))
await checkDerivative('Cast to integers and back, which stops the gradient',
  b => b.node('Add', [b.node('Cast', [b.node('Cast', [b.input('x', [BATCH, 4])], { to: 7 })], { to: 11 }), 'x']))

t.test('questions about numbers', async t => {
  const ask = (op: string, attributes: Attributes = {}): number[] =>
    evaluate(op, [1, NaN, Infinity, -Infinity], attributes)
  t.same(ask('IsNaN'), [0, 1, 0, 0])
  t.same(ask('IsInf'), [0, 0, 1, 1])
  t.same(ask('IsInf', { detect_negative: 0 }), [0, 0, 1, 0])
  t.same(ask('IsInf', { detect_positive: 0 }), [0, 0, 0, 1])
})
