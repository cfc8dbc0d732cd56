/** @file Runs a prepared network batch by batch: outputs, last-layer features, factored Jacobians. */
import type { ChosenEngine } from '../engine/chosen-engine.js'
import type { DeferredInput, Engine, Program, RunOptions } from '../engine/engine.js'
import { estimateRun } from '../engine/estimate-memory.js'
import { InternalError } from '../errors/errors.js'
import { type Graph } from '../graph/graph.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import { termsOf } from '../likelihood/output-layout.js'
import type { PositionRange } from '../likelihood/position-seeds.js'
import type { Inputs } from '../network/input-rows.js'
import { lastLayerShape, lastLayerSlots, type LinearShape } from '../network/linear-shape.js'
import type { Network } from '../network/network.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { parameterSlots, parameterVector } from '../network/parameters.js'
import { numberAttribute } from '../ops/node-attributes.js'
import type { Subset } from '../options/words.js'
import { valueSizes } from '../passes/value-sizes.js'
import { type Precision, type Tensor, tensor } from '../tensor/tensor.js'
import type { FactoredJacobian } from './factored-jacobian.js'
import { factoredJacobian, type FactorsProgram, factorsProgram } from './factors-program.js'
import { type FeaturesProgram, featuresProgram } from './features-program.js'
import { forwardMultiplications } from './forward-cost.js'
import { type HessianMap, hessianMap } from './hessian-map.js'
import type { OperatorSums } from './operator-sums.js'
import { realData, realResult, release } from './results.js'

/** Outputs f (N x T x C) and, for the last layer, its inputs phi at the positions of the outputs ((N T) x D). */
export interface Features {
  readonly f: RealArray
  readonly features: RealArray
}

/** Outputs f (N x T x C) and the Jacobian of the seeds. */
export interface Linearisation {
  readonly f: RealArray
  readonly jacobian: FactoredJacobian
}

/**
 * Seeds K x N x (T C) made from the outputs of a batch. N x K x (T C) has the same size: each example's rows of the
 * Jacobian would be those of others.
 */
export interface Seeds {
  readonly count: number
  readonly from: (f: RealArray, examples: number) => RealArray
}

/**
 * A network with the parameters of a subset, ready to be evaluated. It is given tensors in the shapes of its inputs.
 */
export interface Evaluator {
  readonly network: Network
  readonly subset: Subset
  readonly precision: Precision
  readonly engine: ChosenEngine
  readonly slots: readonly ParameterSlot[]
  /** Linear operators that use parameters of the subset, one for each use. */
  readonly linears: readonly (LinearShape & { readonly positions: number })[]
  /** These, and convolutions in groups: what has Kronecker factors. */
  readonly layers: readonly LinearShape[]
  /** Weights of linear operators that the network uses in another way too (a tied table of tokens). */
  readonly alsoDirect: readonly string[]
  /** The network's own weights, made when they are asked for: who only sums needs none. */
  readonly theta: Float64Array
  /** Multiplications of a forward pass of one example. */
  readonly forwardCost: number
  /** Numbers of the network's widest value, of one example. */
  readonly widest: number
  /** Numbers of all values that the network's nodes compute, of one example. */
  readonly values: number
  /** Numbers of those that are there at once, at most. */
  readonly live: number
  /** Bytes of intermediate values of so many examples, where `seeds` travel back through the network, or none. */
  workingBytes(seeds: number, examples: number): number
  /** Multiplications of one example, counted in the same way. */
  work(seeds: number): number
  forward(x: Inputs): Promise<RealArray>
  /** For subset last_layer. */
  features(x: Inputs): Promise<Features>
  /** What `read` makes of them; they last until it returns. */
  readFeatures<R>(x: Inputs, read: (features: Features) => R): Promise<R>
  /**
   * With one-hot seeds: the Jacobian itself, K = T C; or that of the outputs at some positions, K = count C.
   */
  jacobian(x: Inputs, positions?: PositionRange): Promise<Linearisation>
  /** With seeds that depend on the outputs: a root of the likelihood's Hessian. */
  seeded(x: Inputs, seeds: Seeds): Promise<Linearisation>
  /** The same with the pairs of convolutions in groups, for Kronecker factors. */
  seededByGroup(x: Inputs, seeds: Seeds): Promise<Linearisation>
  /**
   * Kronecker factors without the Jacobian leaving the engine: adds a'a and g'g of every linear operator to its sums
   * (the a'a only with `inputs`, once a batch) and returns f. Undefined where a parameter is used in another way.
   */
  readonly kroneckerSums:
    | ((x: Inputs, seeds: Seeds, sums: readonly OperatorSums[], inputs: boolean) => Promise<RealArray>)
    | undefined
  /** The program whose results are the Jacobian of so many seeds in factored form. */
  factorsProgram(seeds: number): FactorsProgram
  /** What the Gauss-Newton matrix leaves out of the Hessian. @throws GraphError NOT_DIFFERENTIABLE */
  secondDerivatives(): HessianMap
  dispose(): void
}

/**
 * Prepares a network.
 * @throws GraphError NO_LAST_LAYER, NOT_DIFFERENTIABLE, UNSUPPORTED_OPERATOR, BATCH_AXIS
 */
export function createEvaluator(network: Network, subset: Subset, engine: ChosenEngine,
  precision: Precision): Evaluator {
  const { graph, output } = network
  const lastLayer = subset === 'last_layer' ? featuresProgram(graph, output) : undefined
  // The file's order, be the bias first: in another one than theta's, saved curvatures and priors by tensor would be
  // cut at wrong offsets.
  const slots = lastLayer === undefined
    ? parameterSlots(graph, graph.parameters.flatMap(({ name, elements }) => (elements?.length === 0 ? [] : [name])))
    : lastLayerSlots(graph, lastLayer)
  const names = slots.map(slot => slot.name)
  const programs = programCache(engine, precision)
  const factors = memoised((seeds: number) => factorsProgram(graph, output, names, seeds))
  const inGroups = subset === 'all' &&
    graph.nodes.some(node => node.op === 'Conv' && numberAttribute(node, 'group', 1) !== 1)
  const byGroup = inGroups ? memoised((seeds: number) => factorsProgram(graph, output, names, seeds, true)) : factors
  const graphOf = (seeds: number): Graph => lastLayer?.graph ?? (seeds === 0 ? graph : factors(seeds).graph)
  let secondOrder: HessianMap | undefined
  let theta: Float64Array | undefined
  return {
    network,
    subset,
    precision,
    engine,
    slots,
    linears: subset === 'all' ? linearShapes(factors(network.outputs)) : [{ ...lastLayerShape(slots), positions: 1 }],
    layers: subset === 'all' ? layerShapes(byGroup(network.outputs)) : [lastLayerShape(slots)],
    alsoDirect: subset === 'all' ? alsoDirect(byGroup(network.outputs)) : [],
    get theta() {
      return (theta ??= parameterVector(graph, slots))
    },
    forwardCost: forwardMultiplications(graph),
    ...valueSizes(graph),
    workingBytes: (seeds, examples) => estimateRun(graphOf(seeds), examples, precision).bytes,
    work: seeds => estimateRun(graphOf(seeds), 1, precision).multiplications,
    forward: async x => realResult(await programs.run(graph, x), output),
    ...lastLayerFeatures(programs, lastLayer),
    ...linearisations(network, programs, { factors, byGroup }, precision),
    kroneckerSums: subset === 'all' && factors(network.outputs).factors.every(factor => factor.kind === 'linear')
      ? kroneckerSums(programs, factors, precision)
      : undefined,
    factorsProgram: factors,
    secondDerivatives: () => (secondOrder ??= hessianMap(network, slots, engine, precision)),
    dispose: () => {
      programs.dispose()
      secondOrder?.dispose()
    },
  }
}

function lastLayerFeatures(programs: ProgramCache,
  lastLayer: FeaturesProgram | undefined): Pick<Evaluator, 'features' | 'readFeatures'> {
  const program = (): FeaturesProgram => {
    if (lastLayer === undefined) throw new InternalError('Features are for subset last_layer.')
    return lastLayer
  }
  const featuresIn = (results: ReadonlyMap<string, Tensor>, { output, features }: FeaturesProgram): Features => ({
    f: realResult(results, output),
    features: realResult(results, features),
  })
  return {
    features: async x => featuresIn(await programs.run(program().graph, x), program()),
    readFeatures: async <R>(x: Inputs, read: (features: Features) => R) => {
      const made: R[] = []
      await programs.run(program().graph, x, { read: results => made.push(read(featuresIn(results, program()))) })
      return made[0]
    },
  }
}

/** The program of a number of seeds. */
type FactorsPrograms = (seeds: number) => FactorsProgram

/** The Jacobian of outputs, and of seeds that depend on them. */
function linearisations(network: Network, programs: ProgramCache,
  { factors, byGroup }: { readonly factors: FactorsPrograms, readonly byGroup: FactorsPrograms },
  precision: Precision): Pick<Evaluator, 'jacobian' | 'seeded' | 'seededByGroup'> {
  const linearise = async (x: Inputs, program: FactorsProgram, seeds: DeferredInput): Promise<Linearisation> => {
    const results = await programs.run(program.graph, x, { deferred: seeds })
    return { f: realResult(results, program.output), jacobian: factoredJacobian(program, results) }
  }
  const ofSeeds = async (x: Inputs, seeds: Seeds, program: FactorsProgram): Promise<Linearisation> =>
    linearise(x, program, deferredSeeds(program, seeds, precision))
  return {
    jacobian: async (x, { from, count } = everyPosition(network)) => {
      const program = factors(count * network.outputs)
      return linearise(x, program, oneHotSeeds(program, from * network.outputs, precision))
    },
    seeded: (x, seeds) => ofSeeds(x, seeds, factors(seeds.count)),
    seededByGroup: (x, seeds) => ofSeeds(x, seeds, byGroup(seeds.count)),
  }
}

function kroneckerSums(programs: ProgramCache, factors: FactorsPrograms,
  precision: Precision): Evaluator['kroneckerSums'] {
  return async (x, seeds, sums, inputs) => {
    const program = factors(seeds.count)
    // `sums` follows the operators in the order of every such program: in another, layers of one size would get
    // each other's factors.
    const grams = program.factors.flatMap((factor, i) => (factor.kind === 'linear'
      ? [...(inputs ? [{ output: factor.a, sum: sums[i].A }] : []), { output: factor.g, sum: sums[i].B }]
      : [])
    )
    const results = await programs.run(program.graph, x, {
      deferred: deferredSeeds(program, seeds, precision),
      grams,
    })
    return realResult(results, program.output)
  }
}

/** A function that computes each of its values once. */
function memoised<T>(compute: (key: number) => T): (key: number) => T {
  const values = new Map<number, T>()
  return key => {
    const value = values.get(key) ?? compute(key)
    values.set(key, value)
    return value
  }
}

/** Programs of graphs, each compiled once. */
interface ProgramCache {
  run(graph: Graph, x: Inputs, options?: RunOptions): Promise<ReadonlyMap<string, Tensor>>
  dispose(): void
}

function programCache(engine: Engine, precision: Precision): ProgramCache {
  const compiled = new Map<Graph, Promise<Program>>()
  return {
    async run(graph, x, options) {
      const program = compiled.get(graph) ?? engine.compile(graph, precision)
      compiled.set(graph, program)
      return (await program).run(x, options)
    },
    dispose() {
      for (const program of compiled.values()) release(program)
      compiled.clear()
    },
  }
}

function deferredSeeds(program: FactorsProgram, seeds: Seeds, precision: Precision): DeferredInput {
  return { name: program.seed, from: program.output,
    compute: f => seedTensor(program, seeds.from(realData(f), f.shape[0]), precision, f.shape[0]) }
}

/** The linear operators of a program with its parameters numbered. */
function linearShapes({ parameters, factors }: FactorsProgram): Evaluator['linears'] {
  const index = (name: string | undefined): number => (name === undefined ? -1 : parameters.indexOf(name))
  return factors.flatMap(
    factor => (factor.kind === 'linear'
      ? [{ weight: index(factor.weight), bias: index(factor.bias), in: factor.in, out: factor.out,
        positions: factor.positions }]
      : []),
  )
}

/** The layers of a program whose weights have Kronecker factors, with its parameters numbered. */
export function layerShapes(program: FactorsProgram): LinearShape[] {
  const index = (name: string | undefined): number => (name === undefined ? -1 : program.parameters.indexOf(name))
  return [...linearShapes(program),
    ...program.grouped.map(({ weight, bias, groups, in: inputs, out }) => ({ weight: index(weight), bias: index(bias),
      in: inputs, out, groups })
    )]
}

function alsoDirect({ factors, grouped }: FactorsProgram): string[] {
  const direct = new Set(factors.flatMap(factor => (factor.kind === 'direct' ? [factor.parameter] : [])))
  const weights = [...factors.flatMap(factor => (factor.kind === 'linear' ? [factor.weight ?? ''] : [])),
    ...grouped.map(({ weight }) => weight ?? '')]
  return [...new Set(weights.filter(name => direct.has(name)))]
}

/** All positions of an example. */
function everyPosition(network: Network): PositionRange {
  const terms = termsOf(network)
  return { terms, from: 0, count: terms }
}

/** The seeds of the outputs from `from` on; beyond the last one they are zero. */
function oneHotSeeds(program: FactorsProgram, from: number, precision: Precision): DeferredInput {
  const { outputs, seeds: count } = program
  return {
    name: program.seed,
    from: program.output,
    compute: f => {
      const examples = f.shape[0]
      const seeds = precision === 'float32'
        ? new Float32Array(count * examples * outputs)
        : new Float64Array(count * examples * outputs)
      for (let k = 0; k < Math.min(count, outputs - from); k++) {
        for (let n = 0; n < examples; n++) seeds[(k * examples + n) * outputs + from + k] = 1
      }
      return seedTensor(program, seeds, precision, examples)
    },
  }
}

function seedTensor({ seeds, outputs }: FactorsProgram, data: RealArray, precision: Precision,
  examples: number): Tensor {
  return tensor(precision, [seeds, examples, outputs], data)
}
