/** @file The network with the variances of its outputs behind it: features of its last layer, or its Jacobian. */
import { lastLayerIndices } from '../curvature/last-layer.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { termsOf } from '../likelihood/output-layout.js'
import { lastLayerShape } from '../network/linear-shape.js'
import type { Network } from '../network/network.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { Subset } from '../options/words.js'
import { blockVariance, factorVariance, lastLayerBlockVariance,
  lastLayerFullVariance } from '../posterior/functional-variance.js'
import type { ProcessParts } from '../posterior/posterior-parts.js'
import { once, type StructuredPosterior } from '../posterior/posterior.js'
import type { DirectGradient, LinearPair, UsesOf } from '../posterior/variance-operations.js'
import { type FactorsProgram, factorsProgram } from '../programs/factors-program.js'
import { featuresProgram } from '../programs/features-program.js'
import { identity } from '../tensor/identity.js'
import { type Precision, tensor } from '../tensor/tensor.js'
import { type Formulas, formulas } from './formulas.js'
import { asDouble, bothPrecisions, graphOperations, type GraphPrecisions, type GraphRows,
  product } from './graph-operations.js'
import { factoredVariance, type GraphJacobian, lowRankValues, ofOutput, spanVariance } from './low-rank.js'
import { independentOutputs, type OutputVariance } from './output-variance.js'

/** What is made into nodes. */
export interface GaussianTask {
  readonly graph: Graph
  readonly output: string
  readonly network: Network
  readonly subset: Subset
  readonly posterior: StructuredPosterior
  readonly change: Float64Array | undefined
  readonly precision: Precision
}

/** The Gaussian over the outputs of every term. */
export interface NetworkGaussian {
  /** The network's outputs, (N T) x C, in its precision. */
  readonly f: string
  /** f_lin - f, (N T) x C in float64, where there is a linear model. */
  readonly change: (() => string) | undefined
  readonly variance: OutputVariance
}

/** A graph that has the network's nodes, and the values that give the Gaussian over its outputs. */
export function networkGaussian(task: GaussianTask): { builder: GraphBuilder, values: NetworkGaussian } {
  return task.subset === 'last_layer' ? ofLastLayer(task) : ofAllWeights(task)
}

function ofLastLayer(
  { graph, output, network, posterior, change, precision }: GaussianTask,
): { builder: GraphBuilder, values: NetworkGaussian } {
  const program = featuresProgram(graph, output)
  const builder = GraphBuilder.from(program.graph, precision)
  const precisions = bothPrecisions(formulas(builder, precision))
  const ops = graphOperations(precisions, network.outputs)
  const { slots } = posterior
  const features = { name: program.features, width: program.in }
  const parts = posterior.parts()
  const variance = parts.kind === 'blocks'
    ? lazily(() => lastLayerBlockVariance(ops, parts.blocks, slots, features))
    : lazily(() =>
      lastLayerFullVariance(ops, posterior.covarianceTimes(identity(posterior.size), posterior.size), slots, features)
    )
  return { builder,
    values: { f: termRows(precisions.network, program.output, network), variance,
      change: change && once(() => lastLayerChange(precisions, slots, features, change)) } }
}

/** phi1 D' for the change D of (W, b). */
function lastLayerChange(precisions: GraphPrecisions, slots: readonly ParameterSlot[], features: GraphRows,
  change: Float64Array): string {
  const { bias, out } = lastLayerShape(slots)
  const phi = graphOperations(precisions, out).withOnes(features, bias >= 0)
  const values = Float64Array.from(lastLayerIndices(slots), at => change[at])
  const own = product(precisions.network, phi, { values, rows: out, columns: phi.width }, { transposed: true })
  return asDouble(precisions, own.name)
}

function ofAllWeights(
  { graph, output, network, posterior, precision }: GaussianTask,
): { builder: GraphBuilder, values: NetworkGaussian } {
  const { slots } = posterior
  const terms = termsOf(network)
  const width = terms * network.outputs
  // Values of the graph may have been renamed; their order is the network's.
  const names = slots.map(slot =>
    graph.parameters[network.graph.parameters.findIndex(({ name }) => name === slot.name)].name
  )
  const program = factorsProgram(graph, output, names, width)
  const builder = GraphBuilder.from(withoutInput(program.graph, program.seed), precision)
  appendSeeds(builder, program, width)
  const precisions = bothPrecisions(formulas(builder, precision))
  const factors = once(() => termFactors(precisions.network, program, network.outputs, terms))
  const uses = (own: readonly Factor[]): readonly UsesOf<GraphRows>[] => usesOf(slots, own)
  const parts = posterior.parts()
  const f = termRows(precisions.network, program.output, network)
  if (parts.kind === 'lowrank') {
    const values = once(() =>
      lowRankValues(precisions, parts.parts, slots, { outputs: network.outputs, factors: factors(), uses })
    )
    return { builder, values: { f, change: () => values().change, variance: lazily(() => values().variance) } }
  }
  const ops = graphOperations(precisions, network.outputs)
  const variance = parts.kind === 'factored' || parts.kind === 'span' || parts.kind === 'outputs'
    ? lazily(() => processVariance(precisions, parts, slots, { outputs: network.outputs, factors: factors(), uses }))
    : parts.kind === 'factors'
    ? lazily(() => factorVariance(ops, parts.blocks, slots, factors()))
    : lazily(() => blockVariance(ops, parts.blocks, slots, uses(factors())))
  return { builder, values: { f, change: undefined, variance } }
}

/** The variance of a process: of all outputs, or of independent ones. */
function processVariance(precisions: GraphPrecisions, parts: ProcessParts, slots: readonly ParameterSlot[],
  jacobian: GraphJacobian): OutputVariance {
  switch (parts.kind) {
    case 'factored':
      return parts.part === undefined
        ? factoredVariance(precisions, parts, slots, jacobian)
        : lowRankValues(precisions, [parts.part], slots, jacobian).variance
    case 'span':
      return spanVariance(precisions, parts.vectors, jacobian)
    case 'outputs':
      return independentOutputs(precisions.double,
        parts.parts.map((own, c) => processVariance(precisions, own, slots, ofOutput(precisions, jacobian, c))))
  }
}

type Factor = LinearPair<GraphRows> | DirectGradient<GraphRows>

/** Nodes of the variance only where one of its forms is asked for. */
function lazily(make: () => OutputVariance): OutputVariance {
  const own = once(make)
  return { variance: () => own().variance(), rowSums: () => own().rowSums(), centred: () => own().centred(),
    covariance: () => own().covariance() }
}

function usesOf(slots: readonly ParameterSlot[], factors: readonly Factor[]): UsesOf<GraphRows>[] {
  const linear = factors.flatMap(factor => (factor.kind === 'linear' ? [factor] : []))
  const direct = factors.flatMap(factor => (factor.kind === 'direct' ? [factor] : []))
  return slots.map((_, slot) => ({ slot, asWeight: linear.filter(({ weight }) => weight === slot),
    asBias: linear.filter(({ bias }) => bias === slot), direct: direct.filter(({ parameter }) => parameter === slot) })
  )
}

function withoutInput(graph: Graph, name: string): Graph {
  return { ...graph, inputs: graph.inputs.filter(input => input.name !== name) }
}

/** The one-hot seeds of all outputs for every example, K x N x K, as a value of the graph. */
function appendSeeds(builder: GraphBuilder, { seed, output }: FactorsProgram, width: number): void {
  const examples = builder.node('Shape', [output], { start: 0, end: 1 })
  const shape = builder.node('Concat', [builder.integers([width]), examples, builder.integers([width])], { axis: 0 })
  const one = builder.constant(tensor(builder.precision, [width, 1, width], identity(width)))
  builder.nodes.push({ op: 'Expand', inputs: [one, shape], outputs: [seed], attributes: {} })
}

/** Outputs N x (T C) as (N T) x C. */
function termRows(f: Formulas, output: string, network: Network): string {
  return termsOf(network) === 1 ? output : f.reshape(output, [-1, network.outputs])
}

/** The factors of a program with every position of an example as an example of its own: see curvature/jacobian.ts. */
function termFactors(f: Formulas, { factors, parameters }: FactorsProgram, outputs: number, terms: number): Factor[] {
  const index = (name: string | undefined): number => (name === undefined ? -1 : parameters.indexOf(name))
  /** (T C) x N x ... as C x (N T) x width. */
  const apart = (name: string, width: number): GraphRows => {
    if (terms === 1) return { name, width }
    const rows = f.transpose(f.reshape(name, [terms, outputs, -1, width]), [1, 2, 0, 3])
    return { name: f.reshape(rows, [outputs, -1, width]), width }
  }
  /** N x width, once for every position. */
  const repeated = (name: string, width: number): string => {
    if (terms === 1) return name
    const ones = f.matrix(new Float64Array(terms).fill(1), [terms, 1])
    return f.reshape(f.mul(f.reshape(name, [-1, 1, width]), ones), [-1, width])
  }
  return factors.map((factor): Factor => {
    if (factor.kind === 'direct') {
      return { kind: 'direct', parameter: index(factor.parameter), gradient: apart(factor.gradient, factor.size) }
    }
    const { kind, positions, out } = factor
    const [wide, back] = [positions * factor.in, positions * out]
    return { kind, positions, out, in: factor.in, weight: index(factor.weight), bias: index(factor.bias),
      a: rowsOf(f, repeated(factor.a, wide), [-1, positions, factor.in], terms),
      g: rowsOf(f, apart(factor.g, back).name, [outputs, -1, positions, out], terms) }
  })
}

/** A value with its positions apart again. */
function rowsOf(f: Formulas, name: string, shape: readonly number[], terms: number): GraphRows {
  return { name: terms === 1 ? name : f.reshape(name, shape), width: shape[shape.length - 1] }
}
