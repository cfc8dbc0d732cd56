/**
 * @file Programs that compute derivatives: the factored Jacobian of a network, and vector-Jacobian products.
 *
 * A program is the forward graph with the backward pass appended. K seeds travel through the backward pass together;
 * the forward part runs once, and its values are broadcast against the leading K axis.
 */
import { GraphError, InternalError } from '../errors/errors.js'
import { type GraphBuilder } from '../graph/builder.js'
import type { Graph, Node, Parameter } from '../graph/graph.js'
import { removeDead } from '../passes/fold.js'
import { appendCotangentRows, appendGroupCotangents, appendGroupInputs, appendInputRows, findGroupedConvolutions,
  findLinearOperators, type GroupedConvolution, type LinearOperator } from '../passes/linear-operators.js'
import { sizeOf, type Tensor } from '../tensor/tensor.js'
import { asOutput, startBackward } from './backward-start.js'
import type { DirectFactor, FactoredJacobian, GroupedFactor, LinearFactor } from './factored-jacobian.js'
import { reverse } from './reverse.js'

/**
 * A pair (a, g) of a linear operator, or the per-example gradient of another parameter: names of a program's outputs.
 */
export type FactorDescription =
  /** `a` is N x positions x in, `g` is K x N x positions x out; a parameter that was not asked for is undefined. */
  | { readonly kind: 'linear', readonly weight: string | undefined, readonly bias: string | undefined,
    readonly in: number, readonly out: number, readonly positions: number, readonly a: string, readonly g: string }
  /** `gradient` is K x N x size. */
  | { readonly kind: 'direct', readonly parameter: string, readonly size: number, readonly gradient: string }

/** The pairs of a convolution in groups (see GroupedFactor): names of a program's outputs. */
export interface GroupedDescription {
  readonly weight: string | undefined
  readonly bias: string | undefined
  readonly groups: number
  readonly in: number
  readonly out: number
  /** Of one image. */
  readonly positions: number
  readonly a: string
  readonly g: string
}

/** A graph that computes outputs and Jacobian factors, and the names of what goes in and comes out. */
export interface FactorsProgram {
  readonly graph: Graph
  /** Name of the input for the seeds, K x N x C. */
  readonly seed: string
  readonly seeds: number
  /** Name of the output that holds f, N x C. */
  readonly output: string
  readonly outputs: number
  /** The parameters asked for, in that order. */
  readonly parameters: readonly string[]
  readonly factors: readonly FactorDescription[]
  readonly grouped: readonly GroupedDescription[]
}

/**
 * A program whose inputs are the network's and K seeds, and whose outputs are f and the factors of the seeds' Jacobian
 * with respect to the named parameters. A parameter on which the output does not depend has no factor.
 * @param groups whether convolutions in groups have their pairs as well; else their weights have gradients
 * @throws GraphError NOT_DIFFERENTIABLE, BATCH_AXIS, BAD_GRAPH
 */
export function factorsProgram(graph: Graph, output: string, parameterNames: readonly string[], seeds: number,
  groups = false): FactorsProgram {
  const { builder, types, network, cotangent, seed, f, outputs } = startBackward(graph, output, seeds)
  const wanted = new Set(parameterNames)
  const named = parameterNames.map(name => parameterOf(network, name))
  const isWanted = ({ weight, bias }: WeightUse): boolean =>
    wanted.has(weight.name) || (bias !== undefined && wanted.has(bias.parameter.name))
  const operators = findLinearOperators(network, types).filter(isWanted)
  const convolutions = groups ? findGroupedConvolutions(network, types).filter(isWanted) : []
  const handled = handledInputs([...operators, ...convolutions])
  const cotangents = reverse({ builder, types, output, cotangent, seeds, wanted,
    handled: (node, input) => handled.get(node)?.has(input) === true })
  const factors = [
    ...operators.flatMap(operator => linearFactor(builder, operator, wanted, cotangents)),
    ...named.flatMap(parameter => directFactor(builder, parameter, cotangents)),
  ]
  const grouped = convolutions.flatMap(operator => groupedFactor(builder, operator, wanted, cotangents))
  const results = new Set([f, ...grouped.flatMap(({ a, g }) => [a, g]),
    ...factors.flatMap(factor => (factor.kind === 'linear' ? [factor.a, factor.g] : [factor.gradient]))])
  return { graph: removeDead(builder.build([...results])), seed, seeds, output: f, outputs,
    parameters: [...parameterNames], factors, grouped }
}

type WeightUse = Pick<LinearOperator, 'node' | 'weightInput' | 'weight' | 'bias'>

/** The inputs of nodes whose derivative the factors of linear operators hold: weights and attached biases. */
export function handledInputs(operators: readonly WeightUse[]): Map<Node, Set<number>> {
  const handled = new Map<Node, Set<number>>()
  const add = (node: Node, input: number): void => {
    handled.set(node, (handled.get(node) ?? new Set<number>()).add(input))
  }
  for (const { node, weightInput, bias } of operators) {
    add(node, weightInput)
    if (bias !== undefined) add(bias.node, bias.input)
  }
  return handled
}

function linearFactor(builder: GraphBuilder, operator: LinearOperator, wanted: ReadonlySet<string>,
  cotangents: ReadonlyMap<string, string>): FactorDescription[] {
  const cotangent = cotangents.get(operator.output)
  if (cotangent === undefined) return []
  const a = asOutput(builder, appendInputRows(builder, operator))
  const g = asOutput(builder, appendCotangentRows(builder, operator, cotangent))
  return [{ kind: 'linear', ...askedOf(operator, wanted), in: operator.in, out: operator.out,
    positions: operator.positions, a, g }]
}

function groupedFactor(builder: GraphBuilder, operator: GroupedConvolution, wanted: ReadonlySet<string>,
  cotangents: ReadonlyMap<string, string>): GroupedDescription[] {
  const cotangent = cotangents.get(operator.output)
  if (cotangent === undefined) return []
  const { groups, in: inputs, out, positions } = operator
  return [{ ...askedOf(operator, wanted), groups, in: inputs, out, positions,
    a: asOutput(builder, appendGroupInputs(builder, operator)),
    g: asOutput(builder, appendGroupCotangents(builder, operator, cotangent)) }]
}

/** The names of the parameters of a use that were asked for. */
function askedOf({ weight, bias }: WeightUse,
  wanted: ReadonlySet<string>): { readonly weight: string | undefined, readonly bias: string | undefined } {
  const asked = (
    parameter: Parameter | undefined,
  ): string | undefined => (parameter !== undefined && wanted.has(parameter.name) ? parameter.name : undefined)
  return { weight: asked(weight), bias: asked(bias?.parameter) }
}

function directFactor(builder: GraphBuilder, parameter: Parameter,
  cotangents: ReadonlyMap<string, string>): FactorDescription[] {
  const { name, shape, transposed } = parameter
  const cotangent = cotangents.get(name)
  if (cotangent === undefined) return []
  const rank = shape.length + 2
  // Theta holds out x in: of a square matrix stored as in x out the gradient would be that of the transpose.
  const oriented = transposed
    ? builder.node('Transpose', [cotangent], {
      perm: [...Array.from({ length: rank - 2 }, (_, axis) => axis), rank - 1, rank - 2],
    })
    : cotangent
  const size = sizeOf(shape)
  return [{ kind: 'direct', parameter: name, size,
    gradient: builder.node('Reshape', [oriented, builder.integers([0, 0, size])]) }]
}

function parameterOf(graph: Graph, name: string): Parameter {
  const found = graph.parameters.find(parameter => parameter.name === name)
  if (found === undefined) {
    throw new GraphError('BAD_GRAPH',
      `The network has no parameter '${name}'; it has ${graph.parameters.map(parameter => parameter.name).join(', ')}.`,
      { name })
  }
  return found
}

/**
 * Puts the results of a factors program together; parameters are numbered as `program.parameters` lists them.
 * @param results the outputs of a run of `program.graph`
 */
export function factoredJacobian(program: FactorsProgram, results: ReadonlyMap<string, Tensor>): FactoredJacobian {
  const index = new Map(program.parameters.map((name, i) => [name, i] as const))
  const indexOf = (name: string | undefined): number => (name === undefined ? -1 : index.get(name) ?? -1)
  const factors = program.factors.map((factor): LinearFactor | DirectFactor => {
    if (factor.kind === 'direct') {
      return { kind: 'direct', parameter: indexOf(factor.parameter),
        gradient: realResult(results, factor.gradient).data }
    }
    const { kind, positions, out } = factor
    return {
      kind,
      positions,
      out,
      in: factor.in,
      weight: indexOf(factor.weight),
      bias: indexOf(factor.bias),
      a: realResult(results, factor.a).data,
      g: realResult(results, factor.g).data,
    }
  })
  const examples = realResult(results, program.output).shape[0]
  const grouped = program.grouped.map(
    ({ weight, bias, groups, in: inputs, out, positions, ...names }): GroupedFactor => {
      const [a, g] = [names.a, names.g].map(name => realResult(results, name).data)
      return { weight: indexOf(weight), bias: indexOf(bias), groups, in: inputs, out,
        images: a.length / (examples * groups * positions * inputs), a, g }
    },
  )
  return { seeds: program.seeds, examples, factors, ...(grouped.length > 0 ? { grouped } : {}) }
}

function realResult(results: ReadonlyMap<string, Tensor>,
  name: string): { shape: readonly number[], data: Float32Array | Float64Array } {
  const found = results.get(name)
  if (found === undefined || found.data instanceof Uint8Array) {
    throw new InternalError(`The program has no real result '${name}'.`)
  }
  return { shape: found.shape, data: found.data }
}
