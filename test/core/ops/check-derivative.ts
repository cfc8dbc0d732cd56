/** @file Compares derivative rules with central differences in float64. */
import t, { type Test as Tap } from 'tap'
import { compileGraph, runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { batchAxis, concreteShape, type Dim, type Graph, isBatch } from '../../../core/graph/graph.js'
import { elementsPerExample } from '../../../core/ops/shape-rules.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { jvpProgram } from '../../../core/programs/jvp-program.js'
import { vjpProgram } from '../../../core/programs/vjp-program.js'
import { float64, sizeOf, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'

export interface CheckOptions {
  /** Number of examples; 3 by default. */
  n?: number
  /** Values are drawn uniformly from this interval; (-2, 2) by default. */
  range?: readonly [number, number]
  /** Values of inputs that are not drawn: integers, points that are to be met exactly. */
  values?: Readonly<Record<string, Tensor>>
  /** Largest difference relative to the largest derivative; 1e-7 by default. */
  tolerance?: number
}

/** A small generator of uniform numbers in [0, 1), so that the tests draw the same numbers every time. */
export function uniform(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

const STEP = 1e-5
const SEEDS = 2

/**
 * Builds a graph (`build` declares inputs and parameters and returns the output's name) and asserts that the gradient
 * of every real input and parameter equals central differences, for two random cotangents of the output and per
 * example.
 * @example
 * await checkDerivative('Tanh', b => b.node('Tanh', [b.input('x', [BATCH, 4])]))
 */
export async function checkDerivative(name: string, build: (builder: GraphBuilder) => string,
  options: CheckOptions = {}): Promise<void> {
  const builder = new GraphBuilder('float64')
  const output = build(builder)
  await checkGraph(name, builder.build([output]), options)
}

/** The same for the only output of a graph in double precision. */
export async function checkGraph(name: string, graph: Graph, options: CheckOptions = {}): Promise<void> {
  await t.test(`derivative of ${name}`, async t => {
    const [output] = graph.outputs
    const point = drawPoint(graph, options)
    const wrt = [...point.keys()].filter(key => point.get(key)!.dtype === 'float64')
    const program = vjpProgram(graph, output, wrt, SEEDS)
    const examples = options.n ?? 3
    const outputs = elementsPerExample(inferTypes(graph).get(output)!.shape)
    const random = uniform(7)
    const seed = float64([SEEDS, examples, outputs],
      Array.from({ length: SEEDS * examples * outputs }, () => 2 * random() - 1))
    const withValues = replaceInitializers(program.graph, point)
    const results = runGraph(withValues, new Map([...point, [program.seed, seed]]), 'float64')
    const declared = inferTypes(graph)
    for (const key of wrt) {
      const type = declared.get(key)!
      const expected = differences(graph, output, point, key, seed, examples, outputs, type.shape)
      const gradient = program.gradients.get(key)
      const actual = gradient === undefined ? new Float64Array(expected.data.length) : results.get(gradient)!.data
      if (gradient !== undefined) {
        t.same(results.get(gradient)!.shape, expected.shape, `shape of the gradient of ${key}`)
      }
      const difference = relativeDifference(actual, expected.data)
      t.ok(difference < (options.tolerance ?? 1e-7),
        `gradient of ${key} equals central differences (${difference.toExponential(1)})`)
      checkProducts(t, { graph, output, point, key, examples, outputs, seed, tolerance: options.tolerance ?? 1e-7 },
        gradient === undefined ? undefined : results.get(gradient))
    }
  })
}

interface Checked {
  readonly graph: Graph
  readonly output: string
  readonly point: ReadonlyMap<string, Tensor>
  readonly key: string
  readonly examples: number
  readonly outputs: number
  readonly seed: Tensor
  readonly tolerance: number
}

/** Asserts that J v for two random tangents of one value equals central differences, and that <u, J v> = <J'u, v>. */
function checkProducts(t: Tap, { graph, output, point, key, examples, outputs, seed, tolerance }: Checked,
  gradient: Tensor | undefined): void {
  const random = uniform(3)
  const value = point.get(key)!
  const size = value.data.length
  const tangent = float64([SEEDS, ...value.shape], Array.from({ length: SEEDS * size }, () => 2 * random() - 1))
  const program = jvpProgram(graph, output, [key], SEEDS)
  const name = program.tangents.get(key)
  t.equal(name === undefined, gradient === undefined, `a tangent of ${key} is an input where it has a gradient`)
  const inputs = new Map(point)
  if (name !== undefined) inputs.set(name, tangent)
  const product = runGraph(replaceInitializers(program.graph, point), inputs, 'float64').get(program.product)!
  t.same(product.shape, [SEEDS, examples, outputs])
  const width = examples * outputs
  for (let k = 0; k < SEEDS; k++) {
    const v = tangent.data.subarray(k * size, (k + 1) * size)
    const actual = product.data.subarray(k * width, (k + 1) * width)
    const difference = relativeDifference(actual, direction(graph, output, point, key, v, examples, outputs))
    t.ok(difference < 10 * tolerance, `J v for ${key} equals central differences (${difference.toExponential(1)})`)
    for (let s = 0; s < SEEDS && gradient !== undefined; s++) {
      const own = gradient.data.length / SEEDS
      const back = gradient.data.subarray(s * own, (s + 1) * own)
      const u = seed.data.subarray(s * width, (s + 1) * width)
      const [there, here] = [dot(u, actual), dot(back, Float64Array.from({ length: own }, (_, i) => v[i % size]))]
      t.ok(Math.abs(there - here) <= 1e-10 * norm(u) * norm(actual), `<u, J v> = <J'u, v> for ${key} (${there - here})`)
    }
  }
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}

function norm(a: ArrayLike<number>): number {
  return Math.sqrt(dot(a, a))
}

/** (f(value + h v) - f(value - h v)) / 2h, example by example. */
function direction(graph: Graph, output: string, point: ReadonlyMap<string, Tensor>, key: string, v: ArrayLike<number>,
  examples: number, outputs: number): Float64Array {
  const value = point.get(key)!
  const type = inferTypes(graph).get(output)!
  const at = (step: number): Float64Array => {
    const moved = new Map(point).set(key, { ...value,
      data: Float64Array.from(value.data, (entry, i) => entry + step * v[i]) })
    return rowsByExample(runGraph(replaceInitializers(graph, moved), moved, 'float64').get(output)!, type.shape,
      examples, outputs)
  }
  const [up, down] = [at(STEP), at(-STEP)]
  return up.map((entry, i) => (entry - down[i]) / (2 * STEP))
}

/** Values for every input and parameter; the latter are drawn too, unless given. */
function drawPoint(graph: Graph,
  { n = 3, range: [low, high] = [-2, 2], values = {} }: CheckOptions): Map<string, Tensor> {
  const random = uniform(42)
  const draw = (shape: readonly number[]): Tensor =>
    float64(shape, Array.from({ length: sizeOf(shape) }, () => low + (high - low) * random()))
  const point = new Map<string, Tensor>()
  for (const { name, shape } of graph.inputs) point.set(name, values[name] ?? draw(concreteShape(shape, n)))
  for (const { name } of graph.parameters) point.set(name, values[name] ?? draw(graph.initializers.get(name)!.shape))
  return point
}

function replaceInitializers(graph: Graph, point: ReadonlyMap<string, Tensor>): Graph {
  return { ...graph,
    initializers: new Map([...graph.initializers].map(([name, value]) => [name, point.get(name) ?? value])) }
}

/** sum_c seed[k,n,c] df[n,c]/dv for every element v: K x shape, or K x N x shape for a value without batch axis. */
function differences(graph: Graph, output: string, point: ReadonlyMap<string, Tensor>, key: string, seed: Tensor,
  examples: number, outputs: number, shape: readonly Dim[]): Tensor {
  const value = point.get(key)!
  const isInput = graph.inputs.some(input => input.name === key)
  const type = inferTypes(graph).get(output)!
  const program = isInput ? compileGraph(replaceInitializers(graph, point), 'float64') : undefined
  const at = (element: number, step: number): Float64Array => {
    const data = Float64Array.from(value.data)
    data[element] += step
    const moved = new Map(point).set(key, { ...value, data })
    const run = program === undefined
      ? runGraph(replaceInitializers(graph, moved), moved, 'float64')
      : program.run(moved)
    return rowsByExample(run.get(output)!, type.shape, examples, outputs)
  }
  const perExample = !shape.some(isBatch)
  const size = value.data.length
  const result = new Float64Array(SEEDS * (perExample ? examples : 1) * size)
  for (let i = 0; i < size; i++) {
    const [up, down] = [at(i, STEP), at(i, -STEP)]
    for (let k = 0; k < SEEDS; k++) {
      for (let n = 0; n < examples; n++) {
        let sum = 0
        for (let c = 0; c < outputs; c++) {
          sum += seed.data[(k * examples + n) * outputs + c] * (up[n * outputs + c] - down[n * outputs + c]) /
            (2 * STEP)
        }
        result[perExample ? (k * examples + n) * size + i : k * size + i] += sum
      }
    }
  }
  return float64([SEEDS, ...(perExample ? [examples] : []), ...value.shape], result)
}

/** The elements of a value example by example, whatever its layout. */
function rowsByExample(value: Tensor, shape: readonly Dim[], examples: number, outputs: number): Float64Array {
  const axis = batchAxis({ dtype: 'float64', shape })
  const dim = shape[axis]
  if (!isBatch(dim)) throw new Error('the output does not depend on the input')
  const inner = dim.inner * sizeOf(value.shape.slice(axis + 1))
  const outer = value.data.length / (inner * examples)
  const rows = new Float64Array(value.data.length)
  for (let o = 0; o < outer; o++) {
    for (let n = 0; n < examples; n++) {
      for (let i = 0; i < inner; i++) rows[n * outputs + o * inner + i] = value.data[(o * examples + n) * inner + i]
    }
  }
  return rows
}
