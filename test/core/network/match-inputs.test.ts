/** @file Arrays and inputs: by name, by place, by the names of columns. */
import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type GraphInput } from '../../../core/graph/graph.js'
import { laplace, loadPosterior } from '../../../core/index.js'
import { networkInputs } from '../../../core/network/input-rows.js'
import { matchInputs, withColumnNames } from '../../../core/network/match-inputs.js'
import type { Examples, InputArray } from '../../../core/tensor/examples.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'
import { drawer } from '../../support/random-network.js'

const input = (name: string, width: number, more: Partial<GraphInput> = {}): GraphInput => ({ name, dtype: 'float64',
  shape: [BATCH, width], ...more })
const network = (...inputs: GraphInput[]) => ({ inputs, declared: inputs.map(({ name }) => name) })
const rowsOf = (...rows: number[][]) => float64([rows.length, rows[0].length], rows.flat())
const named = (name: string, ...rows: number[][]): InputArray => ({ name, values: rowsOf(...rows) })
const table = (columns: string[], ...rows: number[][]): InputArray => ({ values: rowsOf(...rows), columns })

const one = network(input('x', 2))
const two = network(input('x', 2), input('c', 1))
const matched = (x: Examples, to = two) =>
  Object.fromEntries([...matchInputs(x, to)].map(([name, { values }]) => [name, [...values.data]]))

t.test('one input', async t => {
  t.same(matched(rowsOf([1, 2]), one), { x: [1, 2] })
  t.same(matched([named('x', [1, 2])], one), { x: [1, 2] })
  t.same(matched([named('a', [1], [3]), named('b', [2], [4])], one), { x: [1, 2, 3, 4] }, 'columns by name are a table')
  t.throws(() => matched([named('a', [1, 2])], one), { code: 'BAD_ARRAY',
    message: /one input, 'x' is N x 2; there is no input 'a'.*Give its array alone, or by this name/ })
})

t.test('several inputs by name and by place', async t => {
  t.same(matched([named('c', [3]), named('x', [1, 2])]), { x: [1, 2], c: [3] })
  t.same(matched([{ values: rowsOf([1, 2]) }, { values: rowsOf([3]) }]), { x: [1, 2], c: [3] })
  t.throws(() => matched(rowsOf([1, 2])), { code: 'BAD_ARRAY',
    message: /2 inputs, 'x' is N x 2, 'c' is N x 1; there is 1 array without a name/ })
  t.throws(() => matched([named('x', [1, 2])]), { message: /'c' is missing among 'x'/ })
  t.throws(() => matched([named('x', [1, 2]), named('c', [3]), named('cc', [3])]), {
    message: /no input 'cc' \(did you mean 'c'\?\)/,
  })
  t.throws(() => matched([named('x', [1, 2]), { values: rowsOf([3]) }]), { message: /some arrays have names/ })
  t.throws(() => matched([named('x', [1, 2], [1, 2]), named('c', [3])]), { code: 'SHAPE_MISMATCH',
    message: /same number of rows: 'x' has 2, 'c' has 1/ })
})

t.test('inputs that the output does not depend on', async t => {
  const some = { inputs: [input('x', 2)], declared: ['mask', 'x'] }
  t.same(matched([named('mask', [1]), named('x', [1, 2])], some), { x: [1, 2] })
  t.same(matched([{ values: rowsOf([9]) }, { values: rowsOf([1, 2]) }], some), { x: [1, 2] })
})

t.test('columns of a table become inputs by name', async t => {
  t.same(matched([table(['c', 'x2', 'x1'], [3, 2, 1], [6, 5, 4])]), { x: [1, 2, 4, 5], c: [3, 6] })
  t.same(matched([table(['x[0]', 'c', 'x[1]'], [1, 3, 2])]), { x: [1, 2], c: [3] })
  t.throws(() => matched([table(['x1', 'x2', 'd'], [1, 2, 3])]), { message: /no input 'd'/ })
})

t.test('columns follow the names of the training, whatever their order', async t => {
  const known = network(input('x', 2, { columns: ['a', 'b'] }))
  t.same(matched([table(['b', 'a'], [2, 1], [4, 3])], known), { x: [1, 2, 3, 4] })
  t.same(matched(rowsOf([1, 2]), known), { x: [1, 2] }, 'without names by place')
  t.throws(() => matched([table(['b', 'd'], [2, 1])], known), { code: 'BAD_ARRAY',
    message: /expected 'a', 'b'; 'a' missing; 'd' not among them. Select these columns, in any order/ })
  t.throws(() => matched([table(['b', 'a', 'd'], [2, 1, 0])], known), { message: /'d' not among them/ })
  t.throws(() => matched([table(['a', 'a'], [2, 1])], known), { message: /'b' missing/ })
})

t.test('names of columns are taken from the data once', async t => {
  const x: Examples = [table(['b', 'a'], [2, 1])]
  t.same(withColumnNames(one.inputs, matchInputs(x, one))[0].columns, ['b', 'a'])
  const known = network(input('x', 2, { columns: ['a', 'b'] }))
  t.equal(withColumnNames(known.inputs, matchInputs(x, known))[0], known.inputs[0])
  const twice: Examples = [table(['a', 'a'], [2, 1])]
  t.equal(withColumnNames(one.inputs, matchInputs(twice, one))[0], one.inputs[0], 'names that occur twice say nothing')
})

t.test('integers and booleans are checked', async t => {
  const ids = network(input('ids', 2, { dtype: 'int64', below: 5 }))
  const rows = (...values: number[]) => networkInputs(rowsOf(values), ids, 'float32', () => undefined)
  t.same(rows(0, 4).get('ids'), tensor('int64', [1, 2], [0, 4]))
  t.throws(() => rows(0, 5), { code: 'BAD_ARRAY', message: /integers from 0 to 4.*found 5 in row 0, column 1/ })
  t.throws(() => rows(-1, 0), { message: /found -1 in row 0, column 0/ })
  t.throws(() => rows(0, 0.5), { message: /found 0.5/ })
  const mask = network(input('mask', 2, { dtype: 'bool' }))
  t.throws(() => networkInputs(rowsOf([0, 2]), mask, 'float32', () => undefined), {
    message: /booleans, 0 and 1.*found 2/,
  })
})

t.test('an input without an axis of examples', async t => {
  const scale: GraphInput = { name: 'scale', dtype: 'float64', shape: [3] }
  t.throws(() => networkInputs(rowsOf([1, 2, 3]), network(scale), 'float32', () => undefined), { code: 'BATCH_AXIS',
    message: /'scale' is 3 for all examples together/ })
})

t.test('of several outputs the one that is chosen has the inputs that it depends on', async t => {
  const draw = drawer(4)
  const [first, second, x, c] = [draw(3, 2), draw(3, 2), draw(5, 2), draw(5, 2)]
  const b = new GraphBuilder('float64')
  const [one, other] = [b.input('x', [BATCH, 2]), b.input('c', [BATCH, 2])]
  const heads = [b.node('Gemm', [one, b.parameter('v', first)], { transB: 1 }),
    b.node('Gemm', [b.node('Tanh', [other]), b.parameter('w', second)], { transB: 1 })]
  const graph = b.build(heads)
  const alone = new GraphBuilder('float64')
  const only = alone.build([
    alone.node('Gemm', [alone.node('Tanh', [alone.input('c', [BATCH, 2])]), alone.parameter('w', second)], {
      transB: 1,
    }),
  ])
  const options = { likelihood: 'classification', subset: 'last_layer', structure: 'full', priorPrecision: 1 } as const
  const labels = float64([5], [0, 1, 2, 1, 0])
  const expected = await (await laplace(only, options).fit(c, labels)).predict(c)
  const given = [{ name: 'x', values: x }, { name: 'c', values: c }]
  const posterior = await laplace(graph, { ...options, output: heads[1] }).fit(given, labels)
  for (const fitted of [posterior, loadPosterior(posterior.save())]) {
    t.same((await fitted.predict(given)).variance, expected.variance)
    t.same((await fitted.predict([given[1]])).variance, expected.variance)
  }
  t.ok(await laplace(graph, { ...options, subset: 'all', output: heads[0] }).fit(given, labels))
})
