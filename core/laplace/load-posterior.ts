/** @file A posterior from its file. */
import { posteriorNetwork } from '../answer/posterior-network.js'
import { type LowRankModel, type PosteriorCurvature, structureOf } from '../curvature/curvature.js'
import { fitsSlots } from '../curvature/sizes.js'
import { demandBytes } from '../errors/demand.js'
import { OptionError, StateError, UntrustedInputError } from '../errors/errors.js'
import { knownOptions } from '../errors/suggest.js'
import { evaluatorFor } from '../fit/fit-task.js'
import { savedSubset, unscaledLastLayer } from '../fit/last-layer-network.js'
import { demandGraph, type Graph } from '../graph/graph.js'
import { noAgreement } from '../likelihood/agreement.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { graphDigest } from '../network/digest.js'
import { prepareNetwork } from '../network/network.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { hasNumbers } from '../options/likelihood-kinds.js'
import { type ResolvedOptions, resolveOptions } from '../options/resolved-options.js'
import type { Runtime } from '../parallel/runtime.js'
import { createWorkerPool } from '../parallel/worker-pool.js'
import { structuredPosterior } from '../posterior/structured.js'
import { readPosterior, type SavedPosterior } from '../storage/posterior-file.js'
import { LaplacePosterior } from './laplace-posterior.js'

/**
 * The posterior that `save` wrote.
 * @param options.network the network, for files that were saved without it
 * @throws UntrustedInputError when the bytes are not a posterior or hold impossible sizes; OptionError when the network
 * is needed; StateError DIGEST_MISMATCH when another one is given
 * @example
 * const again = loadPosterior(posterior.save())
 */
export function loadPosterior(bytes: Uint8Array, options: { readonly network?: Graph | undefined } = {},
  runtime: Runtime = {}): LaplacePosterior {
  knownOptions('loadPosterior', options, ['network'])
  demandBytes('The posterior', bytes)
  if (options.network !== undefined) demandGraph('Option network', options.network)
  const saved = readPosterior(bytes)
  const given = resolveOptions(saved.options)
  const graph = networkOf(saved, options.network, given)
  const network = prepareNetwork(graph, given.likelihood, given)
  const resolved = savedSubset(network, given)
  const evaluator = evaluatorFor(posteriorNetwork(network, saved.curvature), resolved, runtime)
  checkSizes(saved.curvature, evaluator.slots, evaluator.network.outputs)
  if (saved.mode !== undefined && saved.mode.weights.length !== evaluator.theta.length) {
    throw damaged('its linear mode does not have the size of its parameters')
  }
  if (saved.options.likelihood === 'heteroscedastic' && evaluator.network.outputs % 2 !== 0) {
    throw damaged('its outputs are no pairs of means and log variances')
  }
  checkScores(saved, evaluator.network.outputs)
  checkAgreement(saved, evaluator.network.outputs)
  if (resolved.outputNoise !== undefined && resolved.outputNoise.length !== evaluator.network.outputs) {
    throw damaged('its noises do not belong to its outputs')
  }
  return new LaplacePosterior({
    graph,
    evaluator,
    pool: createWorkerPool(evaluator, resolved.likelihood, runtime, resolved),
    runtime,
    options: resolved,
    examples: saved.examples,
    weighted: saved.weighted,
    loss: saved.loss,
    fitted: saved.mode !== undefined || saved.curvature.structure === 'lowrank' ? undefined : saved.curvature,
    structured: structuredPosterior(saved.curvature, evaluator.slots, evaluator.theta, saved.settings),
    mode: saved.mode,
    tuned: saved.tuned,
    effectiveParameters: saved.effectiveParameters,
    choice: saved.choice,
    trainingVariances: saved.trainingVariances,
    leftOut: saved.leftOut,
    conformal: saved.conformal,
    training: saved.training,
    notes: saved.notes,
  })
}

function networkOf({ graph, digest }: SavedPosterior, given: Graph | undefined, options: ResolvedOptions): Graph {
  const network = given ?? graph
  if (network === undefined) {
    throw new OptionError('BAD_OPTION',
      'This posterior was saved without its network; give the network (option network).', { option: 'network' })
  }
  if (graphDigest(network) !== digest) {
    const unscaled = given === undefined ? undefined : unscaledLastLayer(given, options)
    if (unscaled !== undefined && graphDigest(unscaled) === digest) return unscaled
    throw given === undefined ?
      damaged('its network is not the one that the posterior was fitted to')
      : new StateError('DIGEST_MISMATCH', 'The given network is not the one that this posterior was fitted to.', {
        expected: digest,
        actual: graphDigest(given),
      })
  }
  return network
}

function damaged(problem: string): UntrustedInputError {
  return new UntrustedInputError(`The posterior's file is damaged: ${problem}.`, { format: 'posterior' })
}

/** The curvature must be that of the parameters. */
function checkSizes(curvature: PosteriorCurvature, slots: readonly ParameterSlot[], outputs: number): void {
  const outputsKnown = curvature.structure !== 'lowrank' || eachOutputOnce(curvature.models, outputs)
  const processes = curvature.structure === 'process' ? curvature.parts.length : 1
  if (fitsSlots(curvature, slots) && outputsKnown && (processes === 1 || processes === outputs)) return
  throw damaged(`its curvature does not belong to ${slots.reduce((sum, slot) => sum + slot.size, 0)} parameters`)
}

/** Whether one model explains all outputs, or one after another has a model of its own. */
function eachOutputOnce(models: readonly LowRankModel[], outputs: number): boolean {
  const explained = models.flatMap(model => model.outputs)
  return (models.length === 1 || models.length === outputs) && explained.length === outputs
    && explained.every((output, c) => output === c)
}

/** Scores must be of the likelihood, and one list an output: an interval of a missing one would be NaN. */
function checkScores({ options, leftOut, conformal }: SavedPosterior, outputs: number): void {
  const regression = hasNumbers(options.likelihood)
  const targets = likelihoodModel(options.likelihood).targetWidth(outputs)
  const scores = conformal?.scores
  const lists = scores?.kind === 'split' || scores?.kind === 'jackknife' ? scores.scores.length : undefined
  const fits = scores === undefined || (regression ? lists === targets : lists === undefined)
  const keptFits = leftOut === undefined ||
    (leftOut.kind === 'residuals' ? regression && leftOut.scores.length === targets : !regression)
  if (!fits || !keptFits) throw damaged('its calibration does not belong to its outputs')
}

/** What the file says of its rows must be of its likelihood, and its curvature of its structure. */
function checkAgreement({ options, training, curvature }: SavedPosterior, outputs: number): void {
  if (options.structure !== structureOf(curvature) ||
    (curvature.structure === 'factored' && curvature.of === 'lowrank') !== (options.rank !== undefined)) {
    throw damaged('its curvature is of another structure than it says')
  }
  if (training === undefined) return
  const { agreement, posterior } = training
  const regression = posterior !== undefined && 'rmse' in posterior
  const own = noAgreement(options.likelihood, outputs)
  if (agreement.kind === own?.kind && agreement.outputs === own.outputs
    && (posterior === undefined || regression === hasNumbers(options.likelihood))) return
  throw damaged('its rows have labels of another kind than its likelihood')
}
