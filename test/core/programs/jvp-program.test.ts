/** @file J v of whole networks against central differences and J'u, and both as a linear map of all parameters. */
import t from 'tap'
import { compileGraph, runGraph, typescriptEngine } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { termsOf } from '../../../core/likelihood/output-layout.js'
import type { Inputs } from '../../../core/network/input-rows.js'
import { prepareNetwork } from '../../../core/network/network.js'
import { parameterCount } from '../../../core/network/parameter-slot.js'
import { parameterSlots, parameterVector, withParameters } from '../../../core/network/parameters.js'
import { jvpProgram } from '../../../core/programs/jvp-program.js'
import { linearMap } from '../../../core/programs/linear-map.js'
import { vjpProgram } from '../../../core/programs/vjp-program.js'
import { float64, type Precision, sizeOf, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { uniform } from '../ops/check-derivative.js'
import { draw, type Example, NETWORKS } from './networks.js'

const only = (x: Tensor): Inputs => new Map([['x', x]])

const K = 3
const N = 4
const STEP = 1e-5

function buildNetwork({ build, x, below }: Example): { graph: Graph, output: string, batch: (n: number) => Tensor } {
  const builder = new GraphBuilder('float64')
  const output = build(builder)
  const random = uniform(9)
  const batch = (n: number): Tensor => {
    const shape = x(n)
    return below === undefined
      ? draw(...shape)
      : float64(shape, Array.from({ length: sizeOf(shape) }, () => Math.floor(below * random())))
  }
  return { graph: builder.build([output]), output, batch }
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, value, i) => sum + value * b[i], 0)
const rowsOf = ({ data, shape }: Tensor, k: number): ArrayLike<number> =>
  data.subarray(k * data.length / shape[0], (k + 1) * data.length / shape[0])
const moved = ({ data, shape }: Tensor, step: number, v: ArrayLike<number>): Tensor =>
  float64(shape, Array.from(data, (value, i) => value + step * v[i]))

/** f as N x C at values moved by `step` in direction number k. */
function outputsAt(graph: Graph, output: string, x: Tensor, tangents: ReadonlyMap<string, Tensor>, k: number,
  step: number): Float64Array {
  const at = (name: string, value: Tensor): Tensor =>
    tangents.has(name) ? moved(value, step, rowsOf(tangents.get(name)!, k)) : value
  const initializers = new Map([...graph.initializers].map(([name, value]) => [name, at(name, value)] as const))
  const program = jvpProgram({ ...graph, initializers }, output, [], 1)
  return Float64Array.from(runGraph(program.graph, new Map([['x', at('x', x)]]), 'float64').get(program.output)!.data)
}

for (const [name, example] of Object.entries(NETWORKS)) {
  t.test(`J v of ${name}`, async t => {
    const { graph, output, batch } = buildNetwork(example)
    const x = batch(N)
    const parameters = graph.parameters.map(parameter => parameter.name)
    const all = [...parameters, ...(example.below === undefined ? ['x'] : [])]
    for (const wrt of [all, parameters, ...all.map(value => [value])]) {
      const values = new Map(wrt.map(value => [value, value === 'x' ? x : graph.initializers.get(value)!] as const))
      const tangents = new Map([...values].map(([key, { shape }]) => [key, draw(K, ...shape)] as const))
      const forward = jvpProgram(graph, output, wrt, K)
      t.same([...forward.tangents.keys()], wrt, 'a tangent for each value')
      const inputs = new Map([['x', x], ...wrt.map(key => [forward.tangents.get(key)!, tangents.get(key)!] as const)])
      t.same(forward.graph.inputs.map(input => input.name).sort(), [...inputs.keys()].sort(), 'the inputs')
      const results = runGraph(forward.graph, inputs, 'float64')
      const product = results.get(forward.product)!
      t.same(product.shape, [K, N, forward.outputs])
      t.same(results.get(forward.output)!.data, outputsAt(graph, output, x, tangents, 0, 0), 'f')

      const backward = vjpProgram(graph, output, wrt, 1)
      const u = draw(1, N, forward.outputs)
      const gradients = runGraph(backward.graph, new Map([['x', x], [backward.seed, u]]), 'float64')
      for (let k = 0; k < K; k++) {
        const actual = rowsOf(product, k)
        const [up, down] = [STEP, -STEP].map(step => outputsAt(graph, output, x, tangents, k, step))
        const difference = relativeDifference(actual, up.map((value, i) => (value - down[i]) / (2 * STEP)))
        t.ok(difference < 1e-6, `central differences for ${wrt.join(', ')} (${difference.toExponential(1)})`)
        const back = wrt.reduce((sum, key) => {
          const gradient = gradients.get(backward.gradients.get(key)!)!.data
          const v = rowsOf(tangents.get(key)!, k)
          // The gradient of a parameter has a part for each example.
          return sum + dot(gradient, Array.from(gradient, (_, i) => v[i % v.length]))
        }, 0)
        t.ok(Math.abs(dot(u.data, actual) - back) < 1e-10 * Math.sqrt(dot(u.data, u.data) * dot(actual, actual)),
          `<u, J v> = <J'u, v> for ${wrt.join(', ')}`)
      }
    }
  })

  t.test(`the linear map of ${name}`, async t => {
    const { graph, batch } = buildNetwork(example)
    const network = prepareNetwork(graph, undefined)
    const slots = parameterSlots(network.graph, graph.parameters.map(parameter => parameter.name))
    const size = parameterCount(slots)
    const theta = parameterVector(network.graph, slots)
    const map = linearMap(network, slots, typescriptEngine(), 'float64')
    const width = network.outputs * termsOf(network)
    t.same([map.parameters, map.outputs], [size, width])
    const v = draw(size).data as Float64Array
    const total = new Float64Array(size)
    const expected = new Float64Array(size)
    for (const n of [N, 1]) {
      const x = batch(n)
      const product = await map.times(v, only(x))
      const at = (step: number): Float64Array => {
        const changed = withParameters(network.graph, slots, theta.map((value, i) => value + step * v[i]))
        return runGraph(changed, new Map([['x', x]]), 'float64').get(network.output)!.data as Float64Array
      }
      const [up, down] = [at(STEP), at(-STEP)]
      t.ok(relativeDifference(product, up.map((value, i) => (value - down[i]) / (2 * STEP))) < 1e-6,
        `J v of ${n} example(s)`)
      const u = draw(n, width).data as Float64Array
      const back = await map.transposedTimes(u, only(x))
      const scale = Math.sqrt(dot(u, u) * dot(product, product))
      t.ok(Math.abs(dot(u, product) - dot(back, v)) < 1e-10 * scale, `<u, J v> = <J'u, v> of ${n} example(s)`)
      back.forEach((value, i) => (expected[i] += value))
      t.equal(await map.transposedTimes(u, only(x), total), total)
    }
    t.ok(relativeDifference(total, expected) < 1e-14, 'sums over batches')
    map.dispose()
  })
}

/** The gradients of all parameters in one vector, each summed over the examples; what has no gradient is zero. */
function summedGradients(graph: Graph, results: ReadonlyMap<string, Tensor>,
  gradients: ReadonlyMap<string, string>): Float64Array {
  return Float64Array.from(graph.parameters.flatMap(({ name, shape }) => {
    const sum = new Array<number>(sizeOf(shape)).fill(0)
    const gradient = gradients.get(name)
    if (gradient !== undefined) results.get(gradient)!.data.forEach((value, i) => (sum[i % sum.length] += value))
    return sum
  }))
}

for (const [name, example] of Object.entries(NETWORKS)) {
  t.test(`the gradient of <u, J v> is the second derivative of ${name} times v`, async t => {
    const { graph, output, batch } = buildNetwork(example)
    const names = graph.parameters.map(parameter => parameter.name)
    const valueOf = (key: string): Tensor => graph.initializers.get(key)!
    const tangents = new Map(names.map(key => [key, draw(1, ...valueOf(key).shape)] as const))
    const forward = jvpProgram(graph, output, names, 1)
    const both = vjpProgram(forward.graph, forward.product, names, 1)
    const [x, u] = [batch(N), draw(1, N, forward.outputs)]
    const inputs = new Map([['x', x], [both.seed, u], ...names.map(key =>
      [forward.tangents.get(key)!, tangents.get(key)!] as const
    )])
    const actual = summedGradients(graph, runGraph(both.graph, inputs, 'float64'), both.gradients)
    const gradientAt = (step: number): Float64Array => {
      const changed = { ...graph, initializers: new Map(graph.initializers) }
      for (const key of names) changed.initializers.set(key, moved(valueOf(key), step, tangents.get(key)!.data))
      const program = vjpProgram(changed, output, names, 1)
      return summedGradients(graph, runGraph(program.graph, new Map([['x', x], [program.seed, u]]), 'float64'),
        program.gradients)
    }
    const [up, down] = [gradientAt(STEP), gradientAt(-STEP)]
    const difference = relativeDifference(actual, up.map((value, i) => (value - down[i]) / (2 * STEP)))
    t.ok(difference < 1e-6, `central differences of J'u (${difference.toExponential(1)})`)
  })
}

/** A perceptron in one precision. */
function perceptron(precision: Precision): Graph {
  const b = new GraphBuilder(precision)
  const value = (...shape: number[]): Tensor => {
    const drawn = draw(...shape)
    return precision === 'float64' ? drawn : { ...drawn, dtype: precision, data: Float32Array.from(drawn.data) }
  }
  const h = b.node('Tanh', [
    b.node('Gemm', [b.input('x', [BATCH, 3]), b.parameter('w1', value(4, 3)), b.parameter('b1', value(4))], {
      transB: 1,
    }),
  ])
  return b.build([b.node('Gemm', [h, b.parameter('w2', value(2, 4)), b.parameter('b2', value(2))], { transB: 1 })])
}

t.test('the first backward pass does not run: five products for two layers', async t => {
  const graph = perceptron('float64')
  const program = jvpProgram(graph, graph.outputs[0], ['w1', 'b1', 'w2', 'b2'], K)
  // Two of the outputs, two of the layers' inputs with the tangents of their weights, one of the hidden units' tangent.
  t.equal(program.graph.nodes.filter(({ op }) => op === 'MatMul' || op === 'Gemm').length, 5)
  t.equal(program.graph.nodes.filter(({ op }) => op === 'Tanh').length, 1)
  const compiled = compileGraph(program.graph, 'float64')
  for (const n of [5, 1]) {
    const inputs = new Map([['x', draw(n, 3)], ...[...program.tangents].map(([key, name]) =>
      [name, draw(K, ...graph.initializers.get(key)!.shape)] as const
    )])
    t.same(compiled.run(inputs).get(program.product)!.shape, [K, n, 2], 'batches of any size fit one program')
  }
})

t.test('values that the output does not depend on have no tangent', async t => {
  const b = new GraphBuilder('float64')
  const y = b.node('Tanh', [b.input('x', [BATCH, 3])])
  b.parameter('unused', draw(2))
  const graph = b.build([y])
  const both = jvpProgram(graph, y, ['unused', 'x', 'x'], K)
  t.same([...both.tangents.keys()], ['x'])
  const none = jvpProgram(graph, y, ['unused'], K)
  t.same([...none.tangents.keys()], [])
  t.same(runGraph(none.graph, new Map([['x', draw(2, 3)]]), 'float64').get(none.product),
    float64([K, 2, 3], new Array<number>(K * 2 * 3).fill(0)))
  const map = linearMap(prepareNetwork(graph, undefined), parameterSlots(graph, ['unused']), typescriptEngine(),
    'float64')
  t.same(await map.times(Float64Array.of(1, 2), only(draw(2, 3))), new Float64Array(6))
  t.same(await map.transposedTimes(new Float64Array(6).fill(1), only(draw(2, 3))), new Float64Array(2))
})

t.test('an input without examples has one tangent for all of them', async t => {
  const b = new GraphBuilder('float64')
  const y = b.node('Mul', [b.input('x', [BATCH, 3]), b.node('Exp', [b.input('scale', [3])])])
  const program = jvpProgram(b.build([y]), y, ['scale'], 2)
  const [x, scale, v] = [draw(N, 3), draw(3), draw(2, 3)]
  const results = runGraph(program.graph, new Map([['x', x], ['scale', scale], [program.tangents.get('scale')!, v]]),
    'float64')
  const expected = Array.from({ length: 2 * N * 3 },
    (_, i) => x.data[i % (N * 3)] * Math.exp(scale.data[i % 3]) * v.data[Math.floor(i / (N * 3)) * 3 + i % 3])
  t.ok(relativeDifference(results.get(program.product)!.data, expected) < 1e-15)
})

t.test('float32: products in single precision, sums over examples in double', async t => {
  const single = prepareNetwork(perceptron('float32'), undefined)
  const slots = parameterSlots(single.graph, ['w1', 'b1', 'w2', 'b2'])
  const [own, exact] = (['float32', 'float64'] as const).map(precision =>
    linearMap(single, slots, typescriptEngine(), precision)
  )
  const [v, x, u] = [draw(parameterCount(slots)).data as Float64Array, draw(200, 3), draw(200, 2).data as Float64Array]
  t.ok(relativeDifference(await own.times(v, only(x)), await exact.times(v, only(x))) < 1e-6)
  const sum = await own.transposedTimes(u, only(x))
  t.ok(sum instanceof Float64Array)
  t.ok(relativeDifference(sum, await exact.transposedTimes(u, only(x))) < 1e-6)
})

t.test('vectors of a wrong length are refused', async t => {
  const network = prepareNetwork(perceptron('float64'), undefined)
  const slots = parameterSlots(network.graph, ['w2', 'b2'])
  const map = linearMap(network, slots, typescriptEngine(), 'float64')
  const expected = { code: 'SHAPE_MISMATCH', data: { expected: 10, actual: 9 } }
  await t.rejects(map.times(new Float64Array(9), only(draw(2, 3))), expected)
  await t.rejects(map.transposedTimes(new Float64Array(4), only(draw(2, 3)), new Float64Array(9)), expected)
  await t.rejects(map.transposedTimes(new Float64Array(6), only(draw(2, 3))), { code: 'SHAPE_MISMATCH',
    message: /u must hold 4/ })
  await t.rejects(map.times(new Float64Array(10), only(draw(2, 4))), { code: 'SHAPE_MISMATCH' })
})
