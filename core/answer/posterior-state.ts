/** @file All that a fitted posterior is made of. */
import type { NetworkCurvature } from '../curvature/curvature.js'
import { OptionError } from '../errors/errors.js'
import type { Graph } from '../graph/graph.js'
import { chosenIndices } from '../network/subnetwork.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import type { Runtime } from '../parallel/runtime.js'
import type { WorkerPool } from '../parallel/worker-pool.js'
import type { StructuredPosterior } from '../posterior/posterior.js'
import type { Evaluator } from '../programs/evaluator.js'
import type { FitRecord, SavedPosterior } from '../storage/posterior-file.js'
import { float64, type Tensor } from '../tensor/tensor.js'
import type { TrainingScores } from '../tuning/training-scores.js'

/** All that a posterior is made of. */
export interface PosteriorState extends FitRecord {
  /** The network as it was read. */
  readonly graph: Graph
  readonly evaluator: Evaluator
  readonly pool: WorkerPool
  readonly options: ResolvedOptions
  readonly runtime: Runtime
  /** Curvature at the network's weights; undefined for a loaded posterior whose curvature is at a linear mode. */
  readonly fitted: NetworkCurvature | undefined
  readonly structured: StructuredPosterior
}

/** What a file keeps of a posterior. */
export function recordOf(state: PosteriorState, digest: string, network: boolean): SavedPosterior {
  const { graph, options, evaluator, structured, examples, weighted, loss, mode, tuned, effectiveParameters, choice,
    trainingVariances, leftOut, conformal, training, notes } = state
  const { likelihood, subsetName: subset, curvature, kfacApprox, seed, positions, classAxis } = options
  const { axes } = evaluator.network
  return {
    options: {
      ...(options.outputNoise === undefined ? {} : { sigmaNoise: savedNoise(options, options.outputNoise) }),
      ...(options.roots === undefined ? {} : { roots: options.roots }),
      ...(options.labelSmoothing === undefined ? {} : { labelSmoothing: options.labelSmoothing }),
      ...(options.classWeight instanceof Float64Array ? { classWeight: options.classWeight } : {}),
      likelihood,
      subset,
      structure: structured.structure,
      curvature,
      kfacApprox,
      seed,
      precision: evaluator.precision,
      input: options.input,
      output: options.output ?? graph.outputs[0] ?? '',
      ...(structured.structure === 'blockdiag' ? { blocks: options.blocks } : {}),
      ...(options.factored?.of === 'lowrank' ? { rank: options.factored.rank } : {}),
      ...(subset === 'subnetwork' ? { subnetwork: Float64Array.from(chosenIndices(evaluator.network.graph)) } : {}),
      ...(positions === undefined ? {} : { positions }),
      ...(classAxis === undefined ? {} : { classAxis: classAxis < 0 ? classAxis + axes.shape.length + 1 : classAxis }),
    },
    graph: network ? graph : undefined,
    digest,
    curvature: structured.curvature,
    settings: structured.settings,
    examples,
    weighted,
    loss,
    mode,
    tuned,
    effectiveParameters,
    choice,
    trainingVariances,
    leftOut,
    conformal,
    training,
    notes,
  }
}

/** One noise an output, or the rows of their covariance. */
function savedNoise({ noiseCovariance }: ResolvedOptions, outputNoise: Float64Array):
  | Float64Array
  | readonly Float64Array[] {
  const size = outputNoise.length
  return noiseCovariance === undefined
    ? outputNoise
    : Array.from(outputNoise, (_, c) => noiseCovariance.slice(c * size, (c + 1) * size))
}

/** Terms of the likelihood in the data: examples, times their positions with a label. */
export function termCount({ training, examples }: PosteriorState): number {
  return training?.agreement.examples ?? examples
}

/** sigma of every output, C. */
export function noiseOf({ structured, evaluator, choice, options }: PosteriorState): Float64Array {
  const { outputs } = evaluator.network
  if (options.outputNoise !== undefined) return options.outputNoise.slice()
  const { curvature } = structured
  if (curvature.structure === 'lowrank' && curvature.models.length > 1) {
    return Float64Array.from(curvature.models, ({ sigma }) => sigma)
  }
  return outputs > 1 && choice?.sigmaNoise?.length === outputs
    ? Float64Array.from(choice.sigmaNoise)
    : new Float64Array(outputs).fill(structured.settings.sigmaNoise)
}

/**
 * Refuses a new noise for a posterior whose outputs have noises of their own: they are part of H, or of each output's
 * model, and one number would leave them as they are.
 * @throws OptionError BAD_COMBINATION, BAD_OPTION for several numbers
 */
export function checkNoiseChange({ options, choice, evaluator }: PosteriorState,
  { sigmaNoise }: { readonly sigmaNoise?: unknown }): void {
  if (sigmaNoise === undefined) return
  if (typeof sigmaNoise !== 'number') {
    throw new OptionError('BAD_OPTION',
      'The noise of a fitted posterior can be changed to one number; for one an output fit again with sigmaNoise.', {
      option: 'sigmaNoise',
    })
  }
  const { outputs } = evaluator.network
  if (options.outputNoise === undefined && (outputs === 1 || choice?.sigmaNoise === undefined)) return
  throw new OptionError('BAD_COMBINATION',
    `Each of the ${outputs} outputs of this posterior has a noise of its own; fit again with sigmaNoise, one number ` +
      'or one an output.', { option: 'sigmaNoise', outputs })
}

/** sigma as one number where all outputs have the same, else one an output. */
export function sigmaOf(state: PosteriorState): number | Float64Array {
  const noise = noiseOf(state)
  return noise.every(sigma => sigma === noise[0]) ? noise[0] : noise
}

/** Sigma, C x C, of a regression whose outputs have correlated noises. */
export function noiseCovarianceOf({ options: { noiseCovariance }, evaluator }: PosteriorState): Tensor | undefined {
  const { outputs } = evaluator.network
  return noiseCovariance && float64([outputs, outputs], noiseCovariance.slice())
}

/** A state whose prior is about to change: what the old one says of rows neither scores nor calibrates the new one. */
export function withoutScores(state: PosteriorState): PosteriorState {
  const { training, conformal } = state
  const notes = conformal === undefined
    ? state.notes
    : [...state.notes, 'The calibration of intervals and sets belonged to the old prior; conformalize again.']
  return { ...state, training: training === undefined ? undefined : { ...training, posterior: undefined },
    leftOut: undefined, conformal: undefined, notes }
}

/** The state with the posterior's scores on its rows. */
export function withScores(state: PosteriorState, posterior: TrainingScores | undefined): PosteriorState {
  return state.training === undefined ? state : { ...state, training: { ...state.training, posterior } }
}
