/** @file What a fit works with: the prepared network, its programs, its workers and its options. */
import { DENSE_LIMIT } from '../curvature/kron.js'
import { chosenEngine } from '../engine/chosen-engine.js'
import { LaplaceError, OptionError } from '../errors/errors.js'
import type { Graph, GraphInput } from '../graph/graph.js'
import { settleOpenAxes } from '../graph/open-axes.js'
import { axisByLabels, positionsNote } from '../network/class-axis.js'
import { graphDigest } from '../network/digest.js'
import { checkFiniteWeights } from '../network/finite-weights.js'
import { checkExamplesFirst } from '../network/input-rows.js'
import { linearNetwork } from '../network/linear-network.js'
import { matchInputs, withColumnNames } from '../network/match-inputs.js'
import { exampleShapes, type Network } from '../network/network.js'
import { chosenIndices } from '../network/subnetwork.js'
import { DEFAULT_SETTINGS } from '../options/hyperparameters.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import type { Runtime } from '../parallel/runtime.js'
import { createWorkerPool, type WorkerPool } from '../parallel/worker-pool.js'
import { plainLastLayer } from '../passes/head.js'
import { checkSettings } from '../posterior/posterior.js'
import { createEvaluator, type Evaluator } from '../programs/evaluator.js'
import type { InputColumns } from '../sums/input-columns.js'
import type { Examples } from '../tensor/examples.js'
import type { Tensor } from '../tensor/tensor.js'
import { fallbackNetwork, lastLayerNetwork } from './last-layer-network.js'
import { parameterOrderNotes } from './parameter-order-note.js'
import { planTuning, type TuningPlan } from './tuning-plan.js'

/** What a fit works with. */
export interface FitTask {
  readonly graph: Graph
  readonly network: Network
  readonly evaluator: Evaluator
  readonly pool: WorkerPool
  readonly options: ResolvedOptions
  readonly runtime: Runtime
  readonly plan: TuningPlan
  /** The task of the last linear layer alone, where all weights turn out too large and it is not f = W phi + b. */
  readonly fallback: () => FitTask | undefined
  /** All weights, for their linear model; or why there is none. */
  readonly linear: LinearTask | { readonly refusal: string }
}

/** What computes the Jacobian of all weights. */
export interface LinearTask {
  readonly evaluator: Evaluator
  readonly pool: WorkerPool
}

/** Prepares a network for a fit. @throws GraphError, OptionError, ResourceError */
export function taskFor(whole: Graph, given: ResolvedOptions, runtime: Runtime): FitTask {
  const { graph, network, options } = lastLayerNetwork(whole, given)
  checkOutputNoise(options, network.outputs)
  checkPositions(options, network)
  checkPairedOutputs(options, network)
  checkSubnetwork(options, network)
  const linear = linearTask(network, options, runtime)
  const plain = options.subset === 'all' || plainLastLayer(network.graph, network.output) !== undefined
  if (!plain && !('evaluator' in linear)) {
    const alone = fallbackNetwork(graph, network, options)
    if (alone !== undefined) return taskFor(alone.graph, alone.options, runtime)
  }
  const evaluator = evaluatorOrLinear(network, options, runtime, linear)
  checkSettings({ ...DEFAULT_SETTINGS, ...options.settings }, evaluator.slots, options.structure)
  const pool = createWorkerPool(evaluator, options.likelihood, runtime, options)
  const fallback = (): FitTask | undefined => {
    if (plain) return undefined
    const alone = fallbackNetwork(graph, network, options)
    return alone && taskFor(alone.graph, alone.options, runtime)
  }
  const notes = options.structure === 'kron'
    ? [...evaluator.alsoDirect.map(factorsOfLayersAlone), ...diagonalKernels(evaluator)]
    : []
  const order = parameterOrderNotes(network.graph, evaluator.slots, options)
  return { graph, network: { ...network, notes: [...network.notes, ...notes, ...order] }, evaluator, pool, options,
    runtime, plan: planTuning(options), fallback, linear }
}

function factorsOfLayersAlone(weight: string): string {
  return `The network uses '${weight}' as the weight of a linear layer and elsewhere too (a tied embedding). Its ` +
    "Kronecker factors are those of the layer alone; structures 'full', 'blockdiag' and 'diag' count every use."
}

/** A sentence about kernels of which Kronecker factors do not tell more than the diagonal: transposed convolutions. */
function diagonalKernels({ slots, linears }: Evaluator): string[] {
  const names = slots.filter(({ shape, size }, index) =>
    shape.length > 2 && size > DENSE_LIMIT && !linears.some(({ weight }) => weight === index)
  ).map(({ name }) => `'${name}'`)
  return names.length === 0 ? [] : [
    `Kronecker factors are those of linear layers and convolutions; of ${names.slice(0, 5).join(', ')}${
      names.length > 5 ? ` and ${names.length - 5} more` : ''
    } structure 'kron' keeps the diagonal alone. Structures 'full' and 'blockdiag' have all of it.`,
  ]
}

/** @throws OptionError BAD_OPTION unless there is one noise an output */
function checkOutputNoise({ outputNoise: noise, noiseCovariance }: ResolvedOptions, outputs: number): void {
  if (noise === undefined || noise.length === outputs) return
  if (noiseCovariance !== undefined) {
    throw new OptionError('BAD_OPTION',
      `Option sigmaNoise is the covariance of ${noise.length} outputs; the network has ` +
        `${outputs}.`, { option: 'sigmaNoise', value: noise.length, allowed: [outputs] })
  }
  throw new OptionError('BAD_OPTION', `Option sigmaNoise takes one number, or one for each of the ${outputs} ` +
    `outputs of the network; got ${noise.length} numbers.`, { option: 'sigmaNoise', value: noise.length,
    allowed: [1, outputs] })
}

/** @throws OptionError BAD_COMBINATION for Kronecker factors of a part of a tensor */
function checkSubnetwork({ structure }: ResolvedOptions, { graph }: Network): void {
  const part = graph.parameters.find(({ elements }) => elements !== undefined && elements.length > 0)
  if (structure !== 'kron' || part === undefined) return
  throw new OptionError('BAD_COMBINATION',
    `Structure 'kron' has factors of whole tensors, and the subnetwork has only a part of '${part.name}'. Use `
      + "structure 'full', 'blockdiag' or 'diag', or name whole tensors.", { option: 'structure', value: structure })
}

/** @throws OptionError BAD_COMBINATION unless the outputs are means and log variances, one answer an example */
function checkPairedOutputs({ likelihood }: ResolvedOptions, { outputs, positions }: Network): void {
  if (likelihood !== 'heteroscedastic') return
  if (positions.length > 0) {
    throw new OptionError('BAD_COMBINATION',
      "Likelihood 'heteroscedastic' is for networks with one answer an example; this one answers at several positions. "
        + 'Let one of them answer (option positions).', { option: 'positions' })
  }
  if (outputs % 2 === 0) return
  throw new OptionError('BAD_COMBINATION',
    "Likelihood 'heteroscedastic' takes networks whose outputs are the means and then as many log variances; this one "
      + `has ${outputs}, which is odd. For a network of means alone use the likelihood 'regression'.`, {
    likelihood,
    outputs,
  })
}

/** @throws OptionError BAD_COMBINATION for gradients of single terms, of which an example has several */
function checkPositions({ curvature, factored, likelihood, tuneCovariance }: ResolvedOptions,
  { positions }: Network): void {
  if (positions.length === 0) return
  if (likelihood === 'custom') {
    throw new OptionError('BAD_COMBINATION',
      'A likelihood of your own is for networks with one answer an example; this one answers at several positions. Let '
        + 'one of them answer (option positions).', { option: 'positions' })
  }
  if (tuneCovariance) {
    throw new OptionError('BAD_COMBINATION',
      "A noise covariance is tuned (sigmaNoise 'full') for networks with one answer an example; this one answers at "
        + 'several positions. Give the covariance, or let one position answer (option positions).', {
      option: 'sigmaNoise',
    })
  }
  if (factored !== undefined) {
    throw new OptionError('BAD_COMBINATION',
      `Structure '${factored.of}' is for networks with one answer an example; this one answers at several positions. `
        + "Use structure 'kron', or let one position answer (option positions).", { option: 'structure' })
  }
  if (curvature === 'ggn') return
  throw new OptionError('BAD_COMBINATION',
    `Curvature '${curvature}' is for networks with one answer an example; this one answers at several positions. Use `
      + "curvature 'ggn', or let one position answer (option positions).", { option: 'curvature', value: curvature })
}

/** Whether only all weights can say the noise of a last layer's posterior. */
function needsNoise(options: ResolvedOptions): boolean {
  return options.likelihood === 'regression' && options.subset === 'last_layer' && options.tuneNoise
    && options.priorStructure === 'scalar' && planTuning(options).tune === 'auto'
}

/** The Jacobian of all weights where it is wanted and the network has derivatives. */
function linearTask(network: Network, options: ResolvedOptions, runtime: Runtime): FitTask['linear'] {
  if (options.linearModel === 'none' && !needsNoise(options)) {
    return { refusal: 'The options name another posterior.' }
  }
  try {
    const evaluator = evaluatorFor(linearNetwork(network), { ...options, subset: 'all' }, runtime)
    return { evaluator, pool: createWorkerPool(evaluator, options.likelihood, runtime, options) }
  } catch (error) {
    if (!(error instanceof LaplaceError) || options.linearModel === 'required') throw error
    return { refusal: error.message }
  }
}

/** What sums; a network without a last layer is left to the linear model over all weights. */
function evaluatorOrLinear(network: Network, options: ResolvedOptions, runtime: Runtime,
  linear: FitTask['linear']): Evaluator {
  try {
    return evaluatorFor(network, options, runtime)
  } catch (error) {
    if (error instanceof LaplaceError && 'evaluator' in linear) return linear.evaluator
    throw error
  }
}

/**
/**
 * The task for data: sizes of the inputs that the file leaves open become those of the data, columns without names get
 * those that the data have, and labels of positions say which axis holds the classes.
 * @throws GraphError AMBIGUOUS_NETWORK where the labels fit several; ShapeError for sequences with the times first
 */
export function settle(task: FitTask, x: Examples, y?: Tensor): FitTask {
  const [first, ...others] = task.network.inputs
  if (y !== undefined && 'data' in x && others.length === 0) checkExamplesFirst(x, y, first)
  const matched = matchInputs(x, task.network)
  const settled = settleOpenAxes(task.graph, exampleShapes(matched))
  const opened = withInputs(task, settled, withColumnNames(settled.inputs, matched))
  return y === undefined || opened.network.positions.length === 0 ? opened : withClassAxis(opened, y)
}

/** The task with the names that the rows of partial fits had for their columns. */
export function withColumns(task: FitTask, columns: readonly InputColumns[]): FitTask {
  const byInput = new Map(columns.map(input => [input.name, input]))
  return withInputs(task, task.graph, withColumnNames(task.graph.inputs, byInput))
}

function withInputs(task: FitTask, graph: Graph, inputs: readonly GraphInput[]): FitTask {
  const same = inputs.every((input, i) => input === task.graph.inputs[i])
  return same ? task : taskFor({ ...graph, inputs }, task.options, task.runtime)
}

/** The task with its class axis settled, said in a note. */
function withClassAxis({ options, ...task }: FitTask, { shape }: Tensor): FitTask {
  const { axes, classAxis } = task.network
  const own = options.classAxis ?? axisByLabels(axes, options.likelihood, shape.slice(1), classAxis)
  const settled = { ...options, classAxis: own }
  const { network, ...rest } = own === classAxis || options.classAxis !== undefined
    ? { ...task, options: settled }
    : taskFor(task.graph, settled, task.runtime)
  const note = positionsNote(network, axes.shape, options.likelihood)
  return { ...rest, network: { ...network, notes: [...network.notes, note] } }
}

/** @throws GraphError, ResourceError */
export function evaluatorFor(network: Network, options: ResolvedOptions, runtime: Runtime): Evaluator {
  const precision = options.precision ?? network.precision
  checkFiniteWeights(network.graph, precision)
  return createEvaluator(network, options.subset,
    chosenEngine({ name: options.engine, threads: options.threads }, precision, runtime), precision)
}

/** Names what a partial fit belongs to. */
export function partialKey({ graph, evaluator, options }: FitTask): string {
  const { likelihood, subset, structure, blocks, curvature, draws, seed, kfacApprox, outputNoise, positions = 'each',
    labelSmoothing, classWeight, noiseCovariance } = options
  const { network } = evaluator
  return [graphDigest(graph), likelihood, subset, structure, curvature, kfacApprox, evaluator.precision, network.output,
    ...(network.positions.length === 0 ? [] : [`axis ${network.classAxis ?? 'none'}`]),
    ...(options.subnetwork === undefined ? [] : [`of ${ranges(chosenIndices(network.graph))}`]),
    ...(structure === 'blockdiag' && blocks === 'tensor' ? ['by tensor'] : []),
    ...(curvature === 'mc_fisher' ? [`draws ${draws} ${seed}`] : []), ...(positions === 'each' ? [] : [positions]),
    ...(outputNoise === undefined ? [] : [`noise ${outputNoise.join()}`]),
    ...(noiseCovariance === undefined ? [] : [`covariance ${noiseCovariance.join()}`]),
    ...(labelSmoothing === undefined ? [] : [`smoothing ${labelSmoothing}`]),
    ...(classWeight === undefined ? [] : [`classes ${String(classWeight)}`])]
    .join(' ')
}

/** Ascending numbers as ranges, for example 0-5,9. */
function ranges(numbers: Int32Array): string {
  const parts: string[] = []
  for (let i = 0; i < numbers.length;) {
    let j = i
    while (j + 1 < numbers.length && numbers[j + 1] === numbers[j] + 1) j++
    parts.push(i === j ? `${numbers[i]}` : `${numbers[i]}-${numbers[j]}`)
    i = j + 1
  }
  return parts.join()
}

/** The task that a partial fit belongs to: its class axis may have been that of the labels. */
export function taskOfKey(task: FitTask, key: string): FitTask {
  const { network: { positions, axes }, options } = task
  if (positions.length === 0 || options.classAxis !== undefined || partialKey(task) === key) return task
  const others = axes.shape.map((_, axis) => taskFor(task.graph, { ...options, classAxis: axis + 1 }, task.runtime))
  return others.find(other => partialKey(other) === key) ?? task
}
