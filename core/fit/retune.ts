/** @file From the options of `tune` to a tuned posterior. */
import { hasTunedNoises } from '../answer/output-noise.js'
import { TUNE_OPTIONS, type TuneOptions } from '../answer/posterior-options.js'
import { type PosteriorState, withoutScores } from '../answer/posterior-state.js'
import type { WorkOptions } from '../budget/progress.js'
import { OptionError, StateError } from '../errors/errors.js'
import { flag, knownOptions, oneOf } from '../errors/suggest.js'
import { checkCurvature, checkCustom, checkLikelihood, hasLinearModel } from '../options/combinations.js'
import { word } from '../options/option-values.js'
import { checkTuning } from '../options/tuning-options.js'
import { PRIOR_STRUCTURES, TUNE_METHODS } from '../options/words.js'
import { withSharedProducts } from '../parallel/runtime.js'
import { exampleCount } from '../tensor/examples.js'
import { demandWeightsAgain, inFull } from '../tensor/sample-weights.js'
import { choicesOf } from './reward-fit.js'
import { type TuneData, tunePosterior } from './tune.js'

/**
 * The state with the prior (and noise) tuned; the given state itself where the method is `none`.
 * @throws OptionError BAD_COMBINATION; StateError when the posterior is the linear model over all
 * weights, or was tuned by `linearized` and loaded from a file
 */
export async function retune(state: PosteriorState, options: TuneOptions, data: TuneData,
  work: WorkOptions): Promise<PosteriorState> {
  knownOptions('tune', options, TUNE_OPTIONS)
  const { likelihood, subset, structure, curvature, factored } = state.options
  const tune = options.tune === undefined
    ? (data.data !== undefined && subset === 'last_layer' && curvature === 'ggn' && factored === undefined
        && hasLinearModel(state.options)
      ? 'linearized'
      : 'marglik')
    : oneOf('tune', options.tune, TUNE_METHODS)
  flag('sigmaNoise', options.sigmaNoise, false)
  const priorStructure = word('priorStructure', options.priorStructure, PRIOR_STRUCTURES)
  checkTuning({ tune, priorStructure, structure: factored?.of ?? structure, linearModel: 'none', subset,
    hasValidation: data.validation !== undefined })
  checkLikelihood(state.options, { tune })
  checkCustom(likelihood, { tune })
  checkCurvature(curvature, { structure: factored?.of ?? structure, subset: state.options.subsetName }, tune)
  if (tune === 'none') return state
  if (likelihood === 'reward_modeling' && data.validation !== undefined) {
    const { choices, pairs, single } = choicesOf(state)
    const validation = { ...data.validation, x: pairs(data.validation.x) }
    return single(await retune(choices, options, { validation }, work))
  }
  // Rows that were repeated by their weights are as many as the weights' sum.
  const once = data.data !== undefined && exampleCount(data.data.x) !== state.examples
  if (once) demandWeightsAgain(state.weighted, data.data?.sampleWeight)
  if (state.fitted === undefined && tune !== 'linearized') {
    const ofLinearModel = state.structured.curvature.structure === 'lowrank'
    const elsewhere = ofLinearModel && (tune === 'marglik' || tune === 'grid') ? ' and another structure' : ''
    const why = ofLinearModel
      ? 'This posterior is the linear model over all weights at the mode of its own prior'
      : "This posterior was tuned by 'linearized' and saved"
    throw new StateError('DIGEST_MISMATCH',
      `${why}; curvature at the network's own weights, which '${tune}' needs, was not kept. ` +
        `Fit again with tune: '${tune}'${elsewhere}.`, { tune })
  }
  if (state.options.outputNoise !== undefined && !hasTunedNoises(state) && options.sigmaNoise === true) {
    throw new OptionError('BAD_COMBINATION',
      'The noises of the outputs were given and are part of the curvature; to tune the noise fit without sigmaNoise.', {
      option: 'sigmaNoise',
    })
  }
  const request = { tune, priorStructure,
    tuneNoise: likelihood === 'regression' && (options.sigmaNoise ?? (tune === 'auto' && state.options.tuneNoise)),
    schedule: options.schedule }
  return withSharedProducts(state.runtime, state.options.threads,
    () => tunePosterior(withoutScores(state), request, rowsInFull(data), work))
}

function rowsInFull({ data, validation }: TuneData): TuneData {
  return { ...(data === undefined ? {} : { data: inFull(data, 'data') }),
    ...(validation === undefined ? {} : { validation: inFull(validation, 'validation') }) }
}
