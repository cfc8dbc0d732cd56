/**
 * @file The program of Jacobian-vector products, made from the derivative rules of reverse mode alone.
 *
 * The vector-Jacobian product u -> J'u is linear in u, and its own vector-Jacobian product with respect to u, for v, is
 * J v whatever u is: a second backward pass through the first one (J. Townsend, "A new trick for calculating Jacobian
 * vector products", 2017). So every operator that has a cotangent has a tangent, and there is no second rule that could
 * disagree with the first.
 *
 * Of a linear operator z = W a + b the first pass hands out g = (dz)'u and never g ⊗ a, so the second one starts there
 * from V a + v, one matrix product for the whole batch, where V and v are the tangents of W and b; of another parameter
 * or of an input it starts from the tangent itself. Every element of the seed u belongs to one example, so all values
 * of the first pass carry the examples, and their cotangents have [K] in front, K counting the tangents.
 */
import { InternalError } from '../errors/errors.js'
import type { GraphBuilder } from '../graph/builder.js'
import { type Graph, isBatch } from '../graph/graph.js'
import { removeDead } from '../passes/fold.js'
import { inferTypes } from '../passes/infer.js'
import { appendCotangentRows, appendInputRows, findLinearOperators,
  type LinearOperator } from '../passes/linear-operators.js'
import { sizeOf, type Tensor, tensor } from '../tensor/tensor.js'
import { type BackwardStart, startBackward } from './backward-start.js'
import { handledInputs } from './factors-program.js'
import { reverse, reverseFrom } from './reverse.js'

/** A graph that gives J v for tangents v of weights or inputs. */
export interface JvpProgram {
  readonly graph: Graph
  /**
   * Names of the inputs for the tangents, by value: K, then the shape of the network's input, or that of the
   * parameter as it is stored (one tangent for all examples). A value that the output does not depend on has none.
   */
  readonly tangents: ReadonlyMap<string, string>
  /** Name of the output that holds f, N x C. */
  readonly output: string
  /** C. */
  readonly outputs: number
  /** Name of the output that holds J v, summed over the values: K x N x C. */
  readonly product: string
}

/** What the tangents are put together from. */
interface Tangents {
  readonly start: BackwardStart
  /** K. */
  readonly count: number
  /** The inputs for the tangents, by value. */
  readonly inputs: ReadonlyMap<string, string>
}

/** A value of the first pass, which is linear in the seed, and its cotangent in the second one. */
type Start = readonly [value: string, cotangent: string]

/**
 * Jacobian-vector products: J v for K tangents v of inputs and parameters, the products with all of them added.
 * @param count K
 * @throws GraphError NOT_DIFFERENTIABLE, BATCH_AXIS, BAD_GRAPH
 */
export function jvpProgram(graph: Graph, output: string, wrt: readonly string[], count: number): JvpProgram {
  const start = startBackward(graph, output, 1)
  const { builder, seed, f, outputs } = start
  const { operators, cotangents } = firstPass(start, output, new Set(wrt))
  const tangents = { start, count, inputs: tangentInputs(start, operators, cotangents, wrt, count) }
  const starts = [
    ...operators.map(operator => operatorStart(tangents, operator, cotangents)),
    ...[...tangents.inputs.keys()].flatMap(name => gradientStart(tangents, name, cotangents)),
  ]
  const types = inferTypes(builder.build([]))
  const cotangent = reverseFrom({ builder, types, starts, seeds: count, wanted: new Set([seed]) }).get(seed)
  const product = cotangent === undefined
    ? forEveryExample(builder, builder.constant(zeros(builder, [count, 1, outputs])), f, 2)
    : builder.node('Reshape', [cotangent, builder.integers([count, -1, outputs])])
  return { graph: withoutSeed(removeDead(builder.build([f, product])), seed), tangents: tangents.inputs, output: f,
    outputs, product }
}

/** The backward pass with one seed: the linear operators and the cotangents that it reaches. */
function firstPass({ builder, network, types, cotangent }: BackwardStart, output: string,
  wanted: ReadonlySet<string>): { operators: LinearOperator[], cotangents: ReadonlyMap<string, string> } {
  const operators = findLinearOperators(network, types).filter(({ weight, bias }) =>
    wanted.has(weight.name) || (bias !== undefined && wanted.has(bias.parameter.name))
  )
  const handled = handledInputs(operators)
  const cotangents = reverse({ builder, types, output, cotangent, seeds: 1, wanted,
    handled: (node, input) => handled.get(node)?.has(input) === true })
  return { operators: operators.filter(operator => cotangents.has(operator.output)), cotangents }
}

/** Declares the inputs for the tangents of those values that the output depends on. */
function tangentInputs({ builder, types }: BackwardStart, operators: readonly LinearOperator[],
  cotangents: ReadonlyMap<string, string>, wrt: readonly string[], count: number): Map<string, string> {
  const used = new Set([...cotangents.keys(),
    ...operators.flatMap(({ weight, bias }) => [weight.name, ...(bias === undefined ? [] : [bias.parameter.name])])])
  return new Map(
    [...new Set(wrt)].filter(name => used.has(name)).map(name =>
      [name, builder.freshInput('tangent', [count, ...required(types, name).shape])] as const
    ),
  )
}

/** The cotangent of a linear operator's output, and the tangent that it meets. */
function operatorStart(tangents: Tangents, operator: LinearOperator, cotangents: ReadonlyMap<string, string>): Start {
  const rows = appendCotangentRows(tangents.start.builder, operator, required(cotangents, operator.output))
  return [rows, operatorTangent(tangents, operator)]
}

/** The gradient of a value, where it has uses outside of linear operators, and the tangent that it meets. */
function gradientStart(tangents: Tangents, name: string, cotangents: ReadonlyMap<string, string>): Start[] {
  const gradient = cotangents.get(name)
  return gradient === undefined ? [] : [[gradient, gradientTangent(tangents, name)]]
}

/** The tangent of a linear operator's output with respect to its weight and bias: K x 1 x N x T x out. */
function operatorTangent({ start: { builder, f }, count, inputs }: Tangents, operator: LinearOperator): string {
  const { weight, bias, in: width, out, positions } = operator
  const [ofWeight, ofBias] = [inputs.get(weight.name), bias === undefined ? undefined : inputs.get(bias.parameter.name)]
  const shift = ofBias === undefined
    ? undefined
    : builder.node('Reshape', [ofBias, builder.integers([count, 1, 1, 1, out])])
  if (ofWeight === undefined) {
    const alike = builder.node('Expand', [shift ?? '', builder.integers([1, 1, 1, positions, 1])])
    return forEveryExample(builder, alike, f, 3)
  }
  const matrices = weight.transposed
    ? builder.node('Reshape', [ofWeight, builder.integers([count, width, out])])
    : builder.node('Transpose', [builder.node('Reshape', [ofWeight, builder.integers([count, out, width])])], {
      perm: [0, 2, 1],
    })
  // All positions of all examples as the rows of one matrix, so that there is one product a tangent.
  const rows = builder.node('Reshape', [appendInputRows(builder, operator), builder.integers([-1, width])])
  const product = builder.node('Reshape', [builder.node('MatMul', [rows, matrices]),
    builder.integers([count, 1, -1, positions, out])])
  return shift === undefined ? product : builder.node('Add', [product, shift])
}

/**
 * The tangent of a value in the layout of its gradient's cotangent: K x 1 (x N, where it has no batch axis) x shape.
 */
function gradientTangent({ start: { builder, types, f }, count, inputs }: Tangents, name: string): string {
  const { shape } = required(types, name)
  const target = [count, 1, ...shape.map(dim => (isBatch(dim) ? -1 : dim))]
  if (shape.some(isBatch)) return builder.node('Reshape', [required(inputs, name), builder.integers(target)])
  const alike = builder.node('Reshape', [required(inputs, name), builder.integers([count, 1, 1, ...target.slice(2)])])
  return forEveryExample(builder, alike, f, shape.length + 1)
}

/** Repeats a value along an axis of one element, the `fromEnd`th from the end, once for each row of f. */
function forEveryExample(builder: GraphBuilder, value: string, f: string, fromEnd: number): string {
  const examples = builder.node('Shape', [f], { start: 0, end: 1 })
  const others = builder.integers(new Array<number>(fromEnd - 1).fill(1))
  return builder.node('Expand', [value, builder.node('Concat', [examples, others], { axis: 0 })])
}

function zeros({ precision }: GraphBuilder, shape: readonly number[]): Tensor {
  return tensor(precision, shape, new Array<number>(sizeOf(shape)).fill(0))
}

/**
 * The program without its first seed, which nothing may depend on.
 * @throws InternalError where a derivative rule is not linear
 */
function withoutSeed(program: Graph, seed: string): Graph {
  if (program.nodes.some(node => node.inputs.includes(seed))) {
    throw new InternalError('A derivative rule is not linear in the cotangent: its own derivative depends on it.')
  }
  return { ...program, inputs: program.inputs.filter(input => input.name !== seed) }
}

function required<T>(values: ReadonlyMap<string, T>, name: string): T {
  const found = values.get(name)
  if (found === undefined) throw new InternalError(`Nothing is known of the value '${name}'.`)
  return found
}
