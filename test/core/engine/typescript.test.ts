import t from 'tap'
import { compileGraph, runGraph, typescriptEngine } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { arenaArray, beginArenaUnless } from '../../../core/kernels/arena.js'
import { float64, sizeOf, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { uniform } from '../ops/check-derivative.js'

const random = uniform(9)
const draw = (...shape: number[]): Tensor =>
  float64(shape, Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1))

function chain(length: number): { graph: Graph, output: string } {
  const b = new GraphBuilder('float64')
  let h = b.input('x', [BATCH, 100])
  for (let i = 0; i < length; i++) h = b.node('Tanh', [h])
  return { graph: b.build([h]), output: h }
}

t.test('memory does not grow with depth, and is reused from batch to batch', async t => {
  const peaks = [3, 50].map(depth => {
    const program = compileGraph(chain(depth).graph, 'float64')
    for (let i = 0; i < 4; i++) program.run(new Map([['x', draw(10, 100)]]))
    return program.peakBytes()
  })
  t.equal(peaks[0], peaks[1])
  t.equal(peaks[0], 2 * 10 * 100 * 8, 'one value being read and one being written')
})

t.test('a run of many batches asks the heap for nothing but the outputs', async t => {
  const { graph, output } = chain(10)
  const program = compileGraph(graph, 'float64')
  const x = new Map([['x', draw(10, 100)]])
  program.run(x)
  const Original = globalThis.ArrayBuffer
  let allocations = 0
  globalThis.ArrayBuffer = class extends Original {
    constructor(length: number) {
      super(length)
      allocations++
    }
  } as ArrayBufferConstructor
  try {
    for (let i = 0; i < 5; i++) program.run(x).get(output)
  } finally {
    globalThis.ArrayBuffer = Original
  }
  t.equal(allocations, 0, 'values live in the arena, and outputs are copied out of it')
})

t.test('outputs are read where they lie, and values made meanwhile do not write over them', async t => {
  const { graph, output } = chain(3)
  const program = compileGraph(graph, 'float64')
  const x = new Map([['x', draw(10, 100)]])
  const expected = program.run(x).get(output)!.data.slice()
  let first: Float64Array | undefined
  const given = program.run(x, { read: outputs => {
    const lent = outputs.get(output)!.data as Float64Array
    beginArenaUnless(lent)
    arenaArray(lent, 1000).fill(7)
    t.strictSame(lent, expected)
    first = lent
  } })
  t.equal(given.size, 0)
  program.run(new Map([['x', draw(10, 100)]]), { read: outputs => {
    t.equal(outputs.get(output)!.data.buffer, first!.buffer, 'no copies')
  } })
})

t.test('results belong to the caller', async t => {
  const b = new GraphBuilder('float64')
  const x = b.input('x', [BATCH, 2])
  const w = b.parameter('w', draw(2))
  const y = b.node('Neg', [x])
  const outputs = [y, b.node('Reshape', [y, b.integers([-1])]), b.node('Reshape', [x, b.integers([-1])]),
    b.node('Identity', [w])]
  const graph = b.build(outputs)
  const program = compileGraph(graph, 'float64')
  const input = float64([2, 2], [1, 2, 3, 4])
  const first = program.run(new Map([['x', input]]))
  const before = outputs.map(name => Array.from(first.get(name)!.data))
  program.run(new Map([['x', float64([2, 2], [5, 6, 7, 8])]]))
  t.same(outputs.map(name => Array.from(first.get(name)!.data)), before, 'a later run leaves them alone')
  for (const name of outputs) first.get(name)!.data.fill(0)
  t.same(Array.from(input.data), [1, 2, 3, 4], 'writing into them leaves the inputs alone')
  t.not(graph.initializers.get('w')!.data[0], 0, 'and the weights')
  t.same(Array.from(program.run(new Map([['x', input]])).get(y)!.data), [-1, -2, -3, -4])
})

t.test('values that are read later are kept', async t => {
  const b = new GraphBuilder('float64')
  const x = b.input('x', [BATCH, 4])
  const early = b.node('Exp', [x])
  const view = b.node('Reshape', [early, b.integers([-1, 2, 2])])
  let h = b.node('Neg', [early])
  for (let i = 0; i < 6; i++) h = b.node('Tanh', [b.node('Mul', [h, h])])
  const y = b.node('Add', [b.node('Reshape', [h, b.integers([-1, 2, 2])]), view])
  const input = draw(3, 4)
  const expected = Array.from(input.data, v => {
    let value = -Math.exp(v)
    for (let i = 0; i < 6; i++) value = Math.tanh(value * value)
    return value + Math.exp(v)
  })
  const actual = Array.from(runGraph(b.build([y]), new Map([['x', input]]), 'float64').get(y)!.data)
  t.ok(actual.every((value, i) => Math.abs(value - expected[i]) < 1e-14))
})

t.test('transposed operands are read in place, weights are not copied', async t => {
  const b = new GraphBuilder('float64')
  const big = draw(300, 200)
  const y = b.node('MatMul', [b.input('x', [BATCH, 200]),
    b.node('Transpose', [b.parameter('w', big)], { perm: [1, 0] })])
  const z = b.node('MatMul', [b.node('Transpose', [b.input('stack', [BATCH, 3, 2])], { perm: [0, 2, 1] }),
    b.constant(draw(3, 4))])
  const program = compileGraph(b.build([y, z]), 'float64')
  const results = program.run(new Map([['x', draw(2, 200)], ['stack', draw(2, 3, 2)]]))
  t.same(results.get(y)!.shape, [2, 300])
  t.same(results.get(z)!.shape, [2, 2, 4])
  t.equal(program.peakBytes(), (2 * 300 + 2 * 2 * 4) * 8)
})

t.test('the precision is that of the program', async t => {
  const b = new GraphBuilder('float32')
  const y = b.node('Add', [b.node('Cast', [b.input('x', [BATCH, 2])], { to: 11 }),
    b.constant(float64([2], [0.1, 0.2]))])
  const graph = b.build([y])
  for (const precision of ['float32', 'float64'] as const) {
    const result = runGraph(graph, new Map([['x', tensor('float32', [1, 2], [1, 2])]]), precision).get(y)!
    t.equal(result.dtype, precision)
    t.ok(result.data instanceof (precision === 'float32' ? Float32Array : Float64Array))
  }
})

t.test('inputs that do not fit are refused', async t => {
  const b = new GraphBuilder('float64')
  const graph = b.build([b.node('Add', [b.input('x', [BATCH, 64]), b.input('seed', [2, BATCH, 64])])])
  const program = await typescriptEngine().compile(graph, 'float64')
  const run = (inputs: Record<string, Tensor>): Promise<unknown> => program.run(new Map(Object.entries(inputs)))
  const seed = draw(2, 3, 64)
  await t.rejects(run({ x: draw(3, 63), seed }), { code: 'SHAPE_MISMATCH',
    message: /'x' must have the shape N x 64.*got 3 x 63/ })
  await t.rejects(run({ x: draw(64), seed }), { code: 'SHAPE_MISMATCH' })
  await t.rejects(run({ x: draw(4, 64), seed }), { code: 'SHAPE_MISMATCH',
    message: /'seed' holds 3 examples; another input holds 4/ })
  await t.rejects(run({ seed }), { code: 'SHAPE_MISMATCH', message: /'x'.*missing/ })
  await t.rejects(run({ x: { dtype: 'float64', shape: [3, 64], data: new Float64Array(7) }, seed }), {
    code: 'SHAPE_MISMATCH',
  })
  t.same([...(await program.run(new Map([['x', draw(3, 64)], ['seed', seed]]))).values()][0].shape, [2, 3, 64])
  program.dispose()
})

t.test('an empty batch gives empty results', async t => {
  const b = new GraphBuilder('float64')
  const y = b.node('Tanh', [
    b.node('Gemm', [b.input('x', [BATCH, 3]), b.parameter('w', draw(2, 3)), b.parameter('b', draw(2))], { transB: 1 }),
  ])
  t.same(runGraph(b.build([y]), new Map([['x', draw(0, 3)]]), 'float64').get(y)!.shape, [0, 2])
})

t.test('shapes are computed once for a number of examples, and again for another', async t => {
  const b = new GraphBuilder('float64')
  const x = b.input('x', [BATCH, 6])
  // The last reader of `y` asks for its shape alone.
  const y = b.node('Neg', [x])
  const shape = b.node('Concat', [b.node('Gather', [b.node('Shape', [x]), b.integers([0])]), b.integers([2, 3])], {
    axis: 0,
  })
  const z = b.node('Reshape', [b.node('Exp', [y]), shape])
  const graph = b.build([z, b.node('Shape', [y])])
  const program = compileGraph(graph, 'float64')
  for (const n of [2, 3, 2, 2, 5, 1, 4, 6, 2]) {
    const input = draw(n, 6)
    const results = program.run(new Map([['x', input]]))
    t.strictSame(results.get(z)?.shape, [n, 2, 3])
    t.strictSame(Array.from(results.get(z)?.data ?? []).map(v => v.toFixed(9)), Array.from(input.data, v =>
      Math.exp(-v).toFixed(9)))
    t.strictSame([...results.get(graph.outputs[1])?.data ?? []], [n, 6])
  }
})

t.test("programs' constants stay theirs from run to run, with those of others in between", async t => {
  // Together more than the arena keeps: each run of one puts the other out.
  const [rows, columns] = [1100, 6400]
  const programs = [1, 2, 3].map(value => {
    const b = new GraphBuilder('float64')
    const w = b.parameter('w', float64([rows, columns], new Float64Array(rows * columns).fill(value)))
    const y = b.node('MatMul', [b.input('x', [BATCH, rows]), w])
    return { program: compileGraph(b.build([y]), 'float64'), y, value }
  })
  const x = float64([1, rows], new Float64Array(rows).fill(1))
  for (const turn of [0, 0, 1, 0, 2, 1, 2, 0]) {
    const { program, y, value } = programs[turn]
    const data = program.run(new Map([['x', x]])).get(y)?.data
    t.ok(data?.every(sum => sum === rows * value))
  }
  for (const { program } of programs) program.dispose()
})
