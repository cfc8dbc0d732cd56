/** @file Whether a network has the derivative that its own framework gives it. */
import { expectedPrecision } from '../answer/check-outputs.js'
import { chosenEngine } from '../engine/chosen-engine.js'
import { GraphError } from '../errors/errors.js'
import { type Graph, isBatch } from '../graph/graph.js'
import { settleOpenAxes } from '../graph/open-axes.js'
import { precisionOf } from '../network/network.js'
import { isFloat } from '../ops/element-types.js'
import type { Runtime } from '../parallel/runtime.js'
import { inferTypes } from '../passes/infer.js'
import { jvpProgram } from '../programs/jvp-program.js'
import { cast, type Precision, type Tensor } from '../tensor/tensor.js'

/** Largest difference relative to the sum of all slopes' sizes. */
const TOLERANCE: Readonly<Record<Precision, number>> = { float32: 1e-3, float64: 1e-5 }

/** What another program says of a network's derivative. */
export interface Derivatives {
  /** Some rows, by the names of the inputs. */
  readonly inputs: ReadonlyMap<string, Tensor>
  /** The output that was differentiated. */
  readonly output: string
  /** Of each parameter the sum over its elements j of d(sum_i w_i y_i) / d theta_j * directionOf(theta_j). */
  readonly slopes: ReadonlyMap<string, number>
}

/** The weight w of an output element: a product over its places on all axes, so that their order does not matter. */
const placeWeight = (place: number): number => Math.cos(place + 1)

/** The direction of a parameter's element: by its value, so that no layout of a tensor matters. */
const directionOf = (value: number): number => Math.cos(1000 * value)

/**
 * Compares slopes of a network along one direction of all its parameters with those that its framework computes, whose
 * code may stop derivatives or replace them.
 * @throws GraphError NOT_DIFFERENTIABLE naming the parameters whose derivatives differ
 */
export async function checkDerivatives(graph: Graph, expected: Derivatives, runtime: Runtime): Promise<void> {
  const names = graph.parameters.map(({ name }) => name).filter(name => expected.slopes.has(name))
  const settled = settleOpenAxes(graph, new Map([...expected.inputs].map(([name, x]) => [name, x.shape.slice(1)])))
  const scale = names.reduce((sum, name) => sum + Math.abs(expected.slopes.get(name) ?? 0), 0)
  const differs = async (some: readonly string[]): Promise<boolean> => {
    const slope = await slopeOf(settled, expected, some, runtime)
    const wanted = some.reduce((sum, name) => sum + (expected.slopes.get(name) ?? 0), 0)
    return slope !== undefined && Math.abs(slope - wanted) > TOLERANCE[expectedPrecision(settled)] * scale
  }
  if (names.length === 0 || !Number.isFinite(scale) || !await differs(names)) return
  const found: string[] = []
  for (const name of names) if (await differs([name])) found.push(name)
  if (found.length === 0) return
  const listed = found.slice(0, 5).map(name => `'${name}'`).join(', ')
  throw new GraphError('NOT_DIFFERENTIABLE',
    `The module's own derivative by ${listed}${found.length > 5 ? ` and ${found.length - 5} more` : ''} is another ` +
      'than that of what it computes: its code replaces or scales gradients (a torch.autograd.Function, a hook, ' +
      'scale_grad_by_freq). Leave these parameters out (freeze), or export the module by torch.onnx.export and give ' +
      'the file, whose derivative is that of what is computed.', { parameters: found })
}

/** The slope along the direction of some parameters; undefined where the network has no derivative. */
async function slopeOf(graph: Graph, { inputs, output }: Derivatives, names: readonly string[],
  runtime: Runtime): Promise<number | undefined> {
  const precision = precisionOf(graph)
  let program
  try {
    program = jvpProgram(graph, output, names, 1)
  } catch (error) {
    if (error instanceof GraphError) return undefined
    throw error
  }
  const feed = new Map(graph.inputs.flatMap(({ name, dtype }): [string, Tensor][] => {
    const value = inputs.get(name)
    return value === undefined ? [] : [[name, cast(value, isFloat(dtype) ? precision : dtype)]]
  }))
  for (const [name, input] of program.tangents) {
    const value = graph.initializers.get(name)
    if (value === undefined) continue
    const direction = precision === 'float32'
      ? new Float32Array(value.data.length)
      : new Float64Array(value.data.length)
    for (let j = 0; j < direction.length; j++) direction[j] = directionOf(Number(value.data[j]))
    feed.set(input, { dtype: precision, shape: [1, ...value.shape], data: direction })
  }
  const compiled = await chosenEngine({ name: 'typescript', threads: undefined }, precision, runtime)
    .compile(program.graph, precision)
  const product = (await compiled.run(feed)).get(program.product)
  compiled.dispose()
  if (product === undefined) return undefined
  const extents = (inferTypes(graph).get(output)?.shape ?? []).filter(dim => !isBatch(dim)).map(Number)
  const slope = weightedSum(product.data, [product.shape[1], ...extents])
  return Number.isFinite(slope) ? slope : undefined
}

function weightedSum(values: ArrayLike<number>, extents: readonly number[]): number {
  const weights = extents.reduce<number[]>(
    (before, extent) =>
      before.flatMap(weight => Array.from({ length: extent }, (_, place) => weight * placeWeight(place))),
    [1],
  )
  return weights.reduce((sum, weight, i) => sum + weight * values[i], 0)
}
