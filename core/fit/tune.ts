/** @file Tunes the hyper-parameters of a fitted posterior. */
import { labelled } from '../answer/labelled-terms.js'
import { outputGaussian } from '../answer/output-gaussian.js'
import { hasTunedNoises, withoutOutputNoise, withOutputNoise } from '../answer/output-noise.js'
import { noiseOf, type PosteriorState, termCount } from '../answer/posterior-state.js'
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { scaledCurvature } from '../curvature/accumulate.js'
import { isSum } from '../curvature/curvature.js'
import { overOutputs, scaledByOutput } from '../curvature/output-scale.js'
import { GraphError, OptionError } from '../errors/errors.js'
import { checkLabels } from '../likelihood/labels.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { networkInputs } from '../network/input-rows.js'
import { linearNetwork } from '../network/linear-network.js'
import { onePrecision, type PosteriorSettings } from '../options/hyperparameters.js'
import type { PriorStructure, TuneMethod } from '../options/words.js'
import { decomposeAhead } from '../parallel/decompositions.js'
import type { DataFit } from '../posterior/evidence.js'
import { structuredPosterior } from '../posterior/structured.js'
import { startAccumulation } from '../sums/accumulation.js'
import type { LinearData } from '../sums/linear-data.js'
import type { Batch } from '../tensor/batch.js'
import { exampleCount } from '../tensor/examples.js'
import type { AdamSchedule } from '../tuning/adam.js'
import { GRID, type GridResult, tuneByGrid, tuneNoiseByGrid } from '../tuning/grid.js'
import { linearModel } from '../tuning/linear-model.js'
import { tuneLinearized } from '../tuning/linearized.js'
import { tuneByMarginalLikelihood } from '../tuning/marginal-likelihood.js'
import type { BeyondFeatures } from './beyond-features.js'
import { evaluatorFor } from './fit-task.js'
import { answerByGate, withWholeCovariance } from './gate-fit.js'
import { heldOutRows } from './held-out-rows.js'
import { regressionNoise } from './last-layer-noise.js'
import type { TrainingRows } from './linear-fit-result.js'
import { priorFromLinearModel } from './prior-from-linear-model.js'
import { seenRows } from './seen-rows.js'
import { untrainedError } from './untrained-error.js'
import { answerByHeldOutRows } from './validated-last-layer.js'

/** How the hyper-parameters are to be tuned. */
export interface TuneRequest {
  readonly tune: Exclude<TuneMethod, 'none'>
  readonly priorStructure: PriorStructure
  readonly tuneNoise: boolean
  readonly schedule?: AdamSchedule | undefined
}

/** The state with tuned hyper-parameters; the given one is left as it is. */
export async function tunePosterior(state: PosteriorState, request: TuneRequest, data: TuneData,
  work: WorkOptions): Promise<PosteriorState> {
  throwIfCancelled(work.signal)
  work.onProgress?.({ stage: 'tune', done: 0 })
  switch (request.tune) {
    case 'linearized':
      return tuneWithLinearModel(state, request, await linearDataFrom(state, data, work), work)
    case 'marglik':
      return byMarginalLikelihood(state, request, work)
    case 'grid':
      return byGrid(state, request, data, work)
    case 'auto':
      return byTrainingRows(state, request, data, work)
    case 'validated':
      return byHeldOutRows(state, request, data, work)
  }
}

/** Features and labels of the training data. */
async function linearDataFrom(state: PosteriorState, { data }: TuneData, work: WorkOptions): Promise<LinearData> {
  if (data === undefined) {
    throw new OptionError('BAD_COMBINATION',
      "Tuning 'linearized', 'auto' or 'validated' goes over the training data once more: " +
        "give them ({ data: { x, y } }), or tune by 'marglik'.", { option: 'tune' })
  }
  const accumulation = startAccumulation(state.evaluator, state.pool, { ...state.options, structure: 'diag',
    curvature: 'ggn' }, true, () => undefined)
  await accumulation.add(data.x, data.y, work)
  return await accumulation.linearData() ?? { features: new Float64Array(0), labels: new Float64Array(0), examples: 0 }
}

/**
 * By the evidence of the linear model at its own mode. The network's weights stay the mean; H and the evidence are
 * those of the mode.
 */
export async function tuneWithLinearModel(state: PosteriorState, request: TuneRequest, data: LinearData,
  work: WorkOptions): Promise<PosteriorState> {
  const { structured, options } = state
  const model = linearModel(likelihoodModel(options.likelihood, options), structured.slots, data)
  const share = (data.seen ?? data.examples) / Math.max(1, data.examples)
  const fit = await tuneLinearized(model, {
    shape: options,
    priorStructure: request.priorStructure,
    tuneNoise: request.tuneNoise,
    settings: structured.settings,
    start: structured.mean,
    sampled: share !== 1,
    work,
  })
  const notes = [
    ...fit.notes,
    ...(share === 1
      ? []
      : [`Prior and curvature come from ${data.examples} of the ${data.seen} rows, drawn by the seed.`]),
  ]
  return {
    ...state,
    structured: structuredPosterior(scaledCurvature(fit.curvature, share), structured.slots, structured.mean,
      fit.settings),
    mode: { weights: fit.mode, loss: fit.loss * share },
    choice: undefined,
    trainingVariances: undefined,
    tuned: 'linearized',
    effectiveParameters: fit.effectiveParameters,
    notes: notes.length === 0 ? state.notes : [...state.notes, ...notes],
  }
}

/**
 * As `tuneWithLinearModel`, for an answer: the outputs of a regression are brought to one scale, that of their targets
 * or of the noises that were given, and each gets its own prior precision (and noise) of it.
 */
export async function tuneForAnswer(state: PosteriorState, request: TuneRequest, data: LinearData,
  work: WorkOptions): Promise<PosteriorState> {
  const { structured, options, evaluator: { network: { outputs } } } = state
  const { likelihood, outputNoise, noiseCovariance } = options
  const { slots, mean, settings } = structured
  const apart = likelihood === 'regression' && outputs > 1 && request.tuneNoise === (outputNoise === undefined)
    && noiseCovariance === undefined && request.priorStructure === 'scalar' && settings.priorMean === 0
  if (!apart) return tuneWithLinearModel(state, request, data, work)
  const scales = outputNoise === undefined ? deviationsOf(data.labels, outputs) : Array.from(outputNoise)
  const own = overOutputs(slots, scales)
  const standardised = structuredPosterior(structured.curvature, slots, mean.map((value, i) => value / own[i]),
    settings)
  const tuned = await tuneWithLinearModel(
    { ...state, options: { ...options, outputNoise: undefined }, structured: standardised },
    request,
    { ...data, labels: data.labels.map((value, i) => value / scales[i % outputs]) },
    work,
  )
  const { settings: { priorPrecision, sigmaNoise }, curvature } = tuned.structured
  const delta = onePrecision(priorPrecision)
  const deltas = scales.map(scale => delta / scale ** 2)
  const back: PosteriorState = { ...tuned, options, structured: structuredPosterior(curvature, slots, mean, settings),
    mode: tuned.mode === undefined
      ? undefined
      : { ...tuned.mode, weights: tuned.mode.weights.map((value, i) => value * own[i]) } }
  if (outputNoise === undefined) {
    return withOutputNoise(back, data, { sigma: scales.map(scale => sigmaNoise * scale), delta: deltas })
  }
  const noisy = isSum(curvature) ? scaledByOutput(curvature, slots, scales.map(scale => scale ** -2)) : curvature
  return { ...back,
    structured: structuredPosterior(noisy, slots, mean, { ...settings, priorPrecision: overOutputs(slots, deltas) }) }
}

/** Standard deviation of every output's targets; 1 where they are all the same. */
function deviationsOf(labels: Float64Array, outputs: number): number[] {
  const examples = labels.length / outputs
  return Array.from({ length: outputs }, (_, c) => {
    let [mean, squares] = [0, 0]
    for (let n = 0; n < examples; n++) mean += labels[n * outputs + c] / examples
    for (let n = 0; n < examples; n++) squares += (labels[n * outputs + c] - mean) ** 2 / examples
    return squares > 0 ? Math.sqrt(squares) : 1
  })
}

/** The posterior with the curvature at the network's weights. */
function atWeights(state: PosteriorState): PosteriorState['structured'] {
  const { fitted, structured } = state
  return fitted === undefined || fitted === structured.curvature
    ? structured
    : structuredPosterior(fitted, structured.slots, structured.mean, structured.settings)
}

async function byMarginalLikelihood(state: PosteriorState, { priorStructure, tuneNoise, schedule }: TuneRequest,
  work: WorkOptions): Promise<PosteriorState> {
  const posterior = atWeights(state)
  const { pool, options: { memoryLimit } } = state
  await decomposeAhead(posterior, { pool, memoryLimit, stage: 'tune' }, work)
  const data: DataFit = { likelihood: likelihoodModel(state.options.likelihood, state.options), loss: state.loss,
    examples: termCount(state), outputs: state.evaluator.network.outputs }
  const { settings, note } = tuneByMarginalLikelihood(posterior, data, { priorStructure, tuneNoise, schedule,
    solver: state.runtime.solver })
  return {
    ...state,
    structured: posterior.withSettings(settings),
    mode: undefined,
    choice: undefined,
    trainingVariances: undefined,
    tuned: 'marglik',
    effectiveParameters: undefined,
    notes: note === undefined ? state.notes : [...state.notes, note],
  }
}

async function byGrid(state: PosteriorState, { tuneNoise }: TuneRequest, { validation }: TuneData,
  work: WorkOptions): Promise<PosteriorState> {
  if (validation === undefined) {
    throw new OptionError('BAD_COMBINATION',
      "Tuning 'grid' chooses the prior precision by held-out examples: give validation: { x, y }.", {
      option: 'validation',
    })
  }
  const posterior = atWeights(state)
  const { evaluator, pool, options } = state
  const { outputs } = evaluator.network
  const likelihood = likelihoodModel(options.likelihood)
  const terms = labelled(validation.y, options.likelihood, exampleCount(validation.x), evaluator.network)
  const quiet = work.signal === undefined ? {} : { signal: work.signal }
  const context = (settings: Partial<PosteriorSettings>) => ({ evaluator, pool,
    posterior: posterior.withSettings(settings), batchSize: options.batchSize, memoryLimit: options.memoryLimit,
    note: () => undefined })
  const { f } = await outputGaussian(context({ priorPrecision: 1 }), validation.x, 'none', quiet)
  const own = terms.of(f, outputs)
  const variance = async (settings: Partial<PosteriorSettings>, index: number): Promise<Float64Array> => {
    work.onProgress?.({ stage: 'tune', done: index, total: GRID.length })
    return terms.of((await outputGaussian(context(settings), validation.x, 'diagonal', quiet)).variance, outputs)
  }
  const result: GridResult & { readonly sigmaNoise?: number } = tuneNoise
    ? await tuneNoiseByGrid(own, terms.labels, (priorPrecision, i) => variance({ priorPrecision, sigmaNoise: 1 }, i))
    : await tuneByGrid({ likelihood, f: own, labels: terms.labels, examples: terms.count, outputs,
      sigmaNoise: noiseOf({ ...state, structured: posterior }) },
      (priorPrecision, i) => variance({ priorPrecision }, i))
  const { priorPrecision, sigmaNoise } = result
  return {
    ...state,
    structured: posterior.withSettings({ priorPrecision, ...(sigmaNoise === undefined ? {} : { sigmaNoise }) }),
    mode: undefined,
    choice: undefined,
    trainingVariances: undefined,
    tuned: 'grid',
    effectiveParameters: undefined,
    notes: result.note === undefined ? state.notes : [...state.notes, result.note],
  }
}

/** Data for tuning: `linearized` needs the training data, `grid` held-out examples. */
export interface TuneData {
  readonly data?: Batch | undefined
  readonly validation?: Batch | undefined
}

/** By what the training rows say: the gate of the last layer, or the prior of all weights from their linear model. */
async function byTrainingRows(state: PosteriorState, request: TuneRequest, data: TuneData,
  work: WorkOptions): Promise<PosteriorState> {
  if (state.options.subset === 'last_layer') {
    const linear = await linearDataFrom(state, data, work)
    const untuned = hasTunedNoises(state) ? withoutOutputNoise(state, linear) : state
    const tuned = await tuneForAnswer(withWholeCovariance(untuned, linear), { ...request, tune: 'linearized' }, linear,
      work)
    return answerByGate(tuned, linear, 'The last layer, as the options say.', work,
      await beyondFeatures(untuned, data, request, work))
  }
  return priorFromLinearModel(state, trainingRows(state, data), work)
}

function trainingRows({ evaluator, options }: PosteriorState, { data: rows }: TuneData): TrainingRows {
  if (rows === undefined) throw needsData('auto')
  const { values } = checkLabels(rows.y, options.likelihood, exampleCount(rows.x), evaluator.network)
  const x = networkInputs(rows.x, evaluator.network, evaluator.precision, () => undefined)
  return { x, labels: values, examples: exampleCount(rows.x) }
}

/** What the rows say of the last layer that its features cannot: nothing of a noise that is given. */
async function beyondFeatures(state: PosteriorState, data: TuneData, { priorStructure, tuneNoise }: TuneRequest,
  work: WorkOptions): Promise<BeyondFeatures> {
  const { evaluator, options } = state
  const asked = untrainedError(state)
  if (asked !== undefined && data.data !== undefined) {
    asked.watch(data.data)
    return { errorRate: await asked.rate(work) }
  }
  if (options.likelihood !== 'regression' || !tuneNoise || priorStructure !== 'scalar') return {}
  let whole
  try {
    whole = evaluatorFor(linearNetwork(evaluator.network), { ...options, subset: 'all' }, state.runtime)
    return { noise: await regressionNoise(whole, options, trainingRows(state, data), work) }
  } catch (error) {
    // A network without derivatives.
    if (error instanceof GraphError) return {}
    throw error
  } finally {
    whole?.dispose()
  }
}

/** The last layer's linear models by held-out rows; over all weights the prior alone, on the grid. */
async function byHeldOutRows(state: PosteriorState, request: TuneRequest, data: TuneData,
  work: WorkOptions): Promise<PosteriorState> {
  const { validation } = data
  if (state.options.subset === 'all' || validation === undefined) {
    return { ...await byGrid(state, request, data, work), tuned: 'validated' }
  }
  heldOutRows(validation, state.evaluator, state.options.likelihood)
  const linear = await linearDataFrom(state, data, work)
  const seen = seenRows(state.options.likelihood, validation)
  if (data.data !== undefined) seen.watch(data.data)
  const untuned = hasTunedNoises(state) ? withoutOutputNoise(state, linear) : state
  const noted = { ...untuned, notes: [...seen.notes(validation), ...untuned.notes] }
  const tuned = await tuneForAnswer(withWholeCovariance(noted, linear), { ...request, tune: 'linearized' }, linear,
    work)
  const answered = await answerByGate(tuned, linear, 'The last layer, as the options say.', work,
    state.options.likelihood === 'regression' ? {} : await beyondFeatures(untuned, data, request, work))
  return answerByHeldOutRows(answered, linear, validation, work)
}

function needsData(tune: string): OptionError {
  return new OptionError('BAD_COMBINATION',
    `Tuning '${tune}' goes over the training data once more: give them ({ data: { x, y } }), or tune by 'marglik'.`, {
    option: 'tune',
  })
}
