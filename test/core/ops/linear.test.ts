import t, { type Test } from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { type Attribute, BATCH, type Dim } from '../../../core/graph/graph.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { float64, sizeOf, type Tensor } from '../../../core/tensor/tensor.js'
import { checkDerivative, uniform } from './check-derivative.js'

const random = uniform(3)
const draw = (...shape: number[]): Tensor =>
  float64(shape, Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1))

function apply(op: string, values: readonly Tensor[], attributes: Record<string, Attribute> = {}): Tensor {
  const b = new GraphBuilder('float64')
  const names = values.map((value, i) => b.input(`x${i}`, value.shape))
  const y = b.node(op, names, attributes)
  return runGraph(b.build([y]), new Map(names.map((name, i) => [name, values[i]])), 'float64').get(y)!
}

/** Matrix product by the definition; the leading axes of the operands are broadcast. */
function product(a: Tensor, b: Tensor): number[] {
  const [m, k, n] = [a.shape[a.shape.length - 2], a.shape[a.shape.length - 1], b.shape[b.shape.length - 1]]
  const leads = [a, b].map(x => x.shape.slice(0, -2))
  const rank = Math.max(leads[0].length, leads[1].length)
  const padded = leads.map(lead => [...new Array<number>(rank - lead.length).fill(1), ...lead])
  const lead = padded[0].map((extent, axis) => Math.max(extent, padded[1][axis]))
  const result: number[] = []
  for (let flat = 0; flat < sizeOf(lead); flat++) {
    const [fromA, fromB] = padded.map(own =>
      own.reduce((offset, extent, axis) => {
        const index = Math.floor(flat / sizeOf(lead.slice(axis + 1))) % lead[axis]
        return offset * extent + (extent === 1 ? 0 : index)
      }, 0)
    )
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0
        for (let p = 0; p < k; p++) sum += a.data[(fromA * m + i) * k + p] * b.data[(fromB * k + p) * n + j]
        result.push(sum)
      }
    }
  }
  return result
}

function close(t: Test, actual: Tensor, expected: readonly number[], shape: readonly number[], name: string): void {
  t.same(actual.shape, shape, `${name}: shape`)
  t.ok(expected.length === actual.data.length && expected.every((value, i) => Math.abs(value - actual.data[i]) < 1e-13),
    `${name}: values`)
}

t.test('MatMul of operands of any rank', async t => {
  const cases: readonly (readonly [number[], number[], number[]])[] = [
    [[4, 3], [3, 5], [4, 5]],
    [[2, 4, 3], [3, 5], [2, 4, 5]],
    [[4, 3], [2, 3, 5], [2, 4, 5]],
    [[2, 1, 4, 3], [6, 3, 5], [2, 6, 4, 5]],
    [[2, 4, 3], [2, 3, 5], [2, 4, 5]],
    [[1, 4, 3], [2, 3, 5], [2, 4, 5]],
  ]
  for (const [a, b, shape] of cases) {
    const [left, right] = [draw(...a), draw(...b)]
    close(t, apply('MatMul', [left, right]), product(left, right), shape, `${a.join('x')} by ${b.join('x')}`)
  }
  const [m, v] = [draw(4, 3), draw(3)]
  close(t, apply('MatMul', [m, v]), product(m, { ...v, shape: [3, 1] }), [4], 'matrix by vector')
  close(t, apply('MatMul', [v, draw(3, 5)]).shape.length === 1 ? apply('MatMul', [v, v]) : v,
    product({ ...v, shape: [1, 3] }, { ...v, shape: [3, 1] }), [], 'vector by vector')
})

t.test('Gemm with its flags and a broadcast third input', async t => {
  const [a, b] = [draw(4, 3), draw(3, 5)]
  const swapped = (x: Tensor): Tensor =>
    float64([x.shape[1], x.shape[0]], Array.from({ length: x.data.length }, (_, i) =>
      x.data[(i % x.shape[0]) * x.shape[1] + Math.floor(i / x.shape[0])]))
  const plain = product(a, b)
  for (const transA of [0, 1]) {
    for (const transB of [0, 1]) {
      for (const c of [draw(4, 5), draw(5), draw(4, 1), draw(), undefined]) {
        const operands = [transA === 1 ? swapped(a) : a, transB === 1 ? swapped(b) : b, ...(c === undefined ? [] : [c])]
        const at = (i: number): number => (c === undefined
          ? 0
          : c
            .data[c.shape.length === 2 ? (c.shape[1] === 1 ? Math.floor(i / 5) : i) : c.shape.length === 1 ? i % 5 : 0])
        close(t, apply('Gemm', operands, { transA, transB, alpha: 0.5, beta: 2 }), plain.map((value, i) =>
          0.5 * value + 2 * at(i)
        ), [4, 5], `transA ${transA}, transB ${transB}, C ${c?.shape.join('x') ?? 'absent'}`)
      }
    }
  }
})

t.test('products that would mix examples are refused', async t => {
  const infer = (a: Dim[], b: Dim[]) => () => {
    const builder = new GraphBuilder('float64')
    builder.node('MatMul', [builder.input('a', a), builder.input('b', b)], {}, 'mul')
    return inferTypes(builder.build([]))
  }
  t.throws(infer([3, BATCH], [BATCH, 3]), { code: 'BATCH_AXIS', message: /MatMul node 'mul'.*sums over the examples/ })
  t.throws(infer([BATCH, 3], [3, BATCH]), { code: 'BATCH_AXIS' })
  t.throws(infer([BATCH, 3], [BATCH, 3, 2]), { code: 'BATCH_AXIS' })
  t.throws(infer([BATCH, 3], [4, 2]), { code: 'BAD_GRAPH', message: /3 and 4/ })
  t.throws(infer([BATCH, 3], []), { code: 'BAD_GRAPH' })
})

const INPUTS: readonly (readonly [string, readonly Dim[], readonly Dim[]])[] = [
  ['rows of examples', [BATCH, 3], [3, 4]],
  ['sequences', [BATCH, 2, 3], [3, 4]],
  ['time-major sequences', [2, BATCH, 3], [3, 4]],
  ['flattened sequences', [{ outer: 1, inner: 2 }, 3], [3, 4]],
  ['flattened time-major sequences', [{ outer: 2, inner: 1 }, 3], [3, 4]],
  ['weight on the left', [4, 3], [3, BATCH]],
  ['weight on the left of stacks', [4, 3], [BATCH, 3, 2]],
  ['weight on the left, examples last', [4, 3], [2, 3, BATCH]],
  ['two values of each example', [BATCH, 4, 3], [BATCH, 3, 2]],
  ['heads', [BATCH, 2, 4, 3], [BATCH, 2, 3, 2]],
  ['stacks of weights', [BATCH, 2, 4, 3], [2, 3, 2]],
  ['stacks of weights, examples are rows', [2, BATCH, 3], [2, 3, 2]],
  ['stacks of weights, merged rows', [2, { outer: 2, inner: 2 }, 3], [2, 3, 2]],
  ['stacks of weights on the left, examples are columns', [2, 4, 3], [2, 3, BATCH]],
  ['broadcast stacks', [BATCH, 1, 4, 3], [2, 3, 2]],
  ['matrix by vector', [BATCH, 4, 3], [3]],
  ['rows by vector', [BATCH, 3], [3]],
  ['vector by matrix', [3], [3, BATCH]],
  ['vector by stacks', [3], [BATCH, 3, 2]],
]
for (const [what, a, b] of INPUTS) {
  await checkDerivative(`MatMul, ${what}`, builder =>
    builder.node('MatMul', [builder.input('a', a), builder.input('b', b)]))
}

await checkDerivative('MatMul of parameters',
  b =>
    b.node('MatMul', [b.input('x', [BATCH, 3]),
      b.node('MatMul', [b.parameter('u', draw(3, 2)), b.parameter('v', draw(2, 4))])]))

for (const transA of [0, 1]) {
  for (const transB of [0, 1]) {
    const flags = { transA, transB, alpha: 0.5, beta: 3 }
    await checkDerivative(`Gemm ${JSON.stringify(flags)}, examples left`, b =>
      b.node('Gemm', [b.input('x', transA === 1 ? [3, BATCH] : [BATCH, 3]),
        b.parameter('w', transB === 1 ? draw(4, 3) : draw(3, 4)), b.parameter('c', draw(4))], flags))
    await checkDerivative(`Gemm ${JSON.stringify(flags)}, examples right`, b =>
      b.node('Gemm', [b.parameter('w', transA === 1 ? draw(3, 4) : draw(4, 3)),
        b.input('x', transB === 1 ? [BATCH, 3] : [3, BATCH]), b.parameter('c', draw(4, 1))], flags))
  }
}
