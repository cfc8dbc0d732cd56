/** @file The linear model of a regression: prior and noise of each output, sized by the errors of rows left out. */
import { shareReporter, type WorkOptions } from '../budget/progress.js'
import type { LowRankModel } from '../curvature/curvature.js'
import { restored } from '../curvature/scaled-jacobian.js'
import { watched } from '../kernels/interruption.js'
import type { LinearProblem } from '../linear-model/linear-problem.js'
import { type OutputFamily, outputFamily, type OutputModel } from '../linear-model/regression-model.js'
import { negativeLogNormal } from '../metrics/nll.js'
import { onePrecision } from '../options/hyperparameters.js'
import { givesNoise } from '../options/noise.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import type { Answer } from '../prediction/answer.js'
import { geometricMean } from '../tensor/means.js'
import { errorScale, excess, inUnitsOfExcess } from '../tuning/error-scale.js'
import { isGain } from '../tuning/gain.js'
import { targetScores, type TrainingScores } from '../tuning/training-scores.js'
import { chooseNoise, type FreeParameters, type NoisePrior, type ValidatedNoise } from '../tuning/validated-noise.js'
import { THRESHOLD } from './all-rows-fit.js'
import { modeWeights, type SampleFit } from './linear-fit-result.js'
import { type HeldOut, UNTRAINED, type WholeProblem } from './linearise.js'

/** The mean of an answer: half the network's, half the linear model's. */
const HALVES: Answer = { link: 'map', varianceScale: 1, networkWeight: 0.5, linearWeight: 0.5 }
const LINEAR_ALONE: Answer = { ...HALVES, networkWeight: 0, linearWeight: 1 }

/** With fewer effective parameters than this the linear model of an output is its prior. */
const LEAST_PARAMETERS = 0.1

/** The percentage of a fit that is done when all outputs are decomposed; the rest are posteriors in weight space. */
const DECOMPOSED = 60

/** The fit of a regression, an output at a time: prior and noise by the evidence, their size by the rows left out. */
export function regressionFit({ problem, theta, deviation, prior, held }: WholeProblem, options: ResolvedOptions,
  untrained: Float64Array | undefined, work: WorkOptions): SampleFit {
  const { outputs, examples } = problem
  const { outputNoise, settings: { priorPrecision, sigmaNoise } } = options
  const delta = priorPrecision === undefined ? undefined : onePrecision(priorPrecision)
  const begin = untrained === undefined ? 0 : UNTRAINED
  const [decomposed, placed] = [shareReporter(work, 'tune', begin, DECOMPOSED), shareReporter(work, 'tune', DECOMPOSED)]
  const families = Array.from({ length: outputs }, (_, c) =>
    watched(share => {
      decomposed((c + share) / outputs)
    }, () => outputFamily(problem, c, work, { delta, sigma: outputNoise?.[c] ?? sigmaNoise })))
  const scales = families.map((family, c) => scaleOf(problem, family, c, untrained))
  const tuned = families.map(({ tuned }, c) => scaled(tuned, scales[c]))
  const byTraining = families.map((family, c) => {
    placed(c / outputs)
    return family.modelAt(tuned[c], THRESHOLD)
  })
  const ratio = errorRatio(problem, byTraining)
  const own = ratio > 1 ? LINEAR_ALONE : HALVES
  const chosen = held === undefined
    ? undefined
    : validatedNoise(families, { outputs: tuned, linearWeight: own.linearWeight }, held,
      freeOf(delta === undefined, !givesNoise(options)))
  const models = chosen === undefined || !isGain(chosen.gain)
    ? byTraining
    : families.map((family, c) => family.modelAt(chosen.outputs[c], THRESHOLD))
  const answer = chosen === undefined
    ? own
    : { ...own, networkWeight: 1 - chosen.linearWeight, linearWeight: chosen.linearWeight }
  return {
    curvature: { structure: 'lowrank', size: theta.length, prior,
      models: models.map((model, c) =>
        asLowRank(model, c, outputs, change =>
          prior === undefined ? modeWeights(change, theta, deviation) : restored(change, prior))
      ) },
    answer,
    gain: chosen?.gain,
    posterior: regressionScores(problem, models, answer),
    sigmaNoise: Float64Array.from(models, ({ sigma }) => sigma),
    errorScale: scales,
    leftOutNoise: Float64Array.from(models, (model, c) => leftOutNoise(problem, model, c, scales[c])),
    effectiveParameters: models.reduce((sum, { effectiveParameters }) => sum + effectiveParameters, 0),
    scores: [{ scale: 1, nll: leaveOneOutGaussianNll(problem, models) }],
    networkNll: gaussianNllOf(problem, models),
    ratio,
    trainingVariances: relativeVariances(models, examples),
    leftOut: { kind: 'residuals', scores: models.map((model, c) => {
      const scores = leftOutScores(problem, model, c)
      return untrained === undefined || chosen !== undefined ? scores : inUnitsOfExcess(scores)
    }) },
    notes: models.flatMap(({ effectiveParameters }, c) => [
      ...(families[c].tuned.floored ? [floorNote(outputs, c)] : []),
      ...(effectiveParameters < LEAST_PARAMETERS ? [noiseNote(outputs, c)] : []),
    ]),
  }
}

/** Leave-one-out variances over those of the noise, mean over the outputs, ascending: N. */
function relativeVariances(models: readonly OutputModel[], examples: number): Float64Array {
  const means = new Float64Array(examples)
  for (const { leftOut, sigma } of models) {
    for (let n = 0; n < examples; n++) means[n] += leftOut.variance[n] / (sigma * sigma) / models.length
  }
  return means.sort()
}

function noiseNote(outputs: number, c: number): string {
  return `The evidence takes all of ${outputs === 1 ? 'the targets' : `output ${c}`} for noise: no change of the ` +
    'weights explains more of these rows than chance would. So it is with a network whose outputs hardly depend on ' +
    'its inputs, with targets of other rows, and with few rows whose inputs have very different scales: standardise ' +
    'them before the training, or give held-out rows, which settle how much the network is worth.'
}

function floorNote(outputs: number, c: number): string {
  return `The training rows do not tell noise from weights${outputs === 1 ? '' : ` in output ${c}`}: the network can ` +
    'fit each of them without noise. The noise is held at a share of the leave-one-out errors; what it lacks is in ' +
    'the variance of the weights, so that the intervals have their size. Give sigmaNoise, or held-out rows.'
}

/** How many times larger the errors on new rows are than the evidence says; 1 where noise or prior are given. */
function scaleOf(problem: LinearProblem, { tuned, leftOutAt }: OutputFamily, c: number,
  untrained: Float64Array | undefined): number {
  if (untrained === undefined) return 1
  const { labels, outputs } = problem
  const { f, variance } = leftOutAt(tuned)
  const sd = variance.map(value => Math.sqrt(value + tuned.sigma ** 2))
  return errorScale(f.map((mean, n) => Math.abs(labels[n * outputs + c] - mean) / sd[n]),
    sd.map((value, n) => Math.abs(untrained[n * outputs + c]) / value))
}

/** All standard deviations times a factor: the mean, which depends on delta sigma^2, stays. */
function scaled({ delta, sigma }: NoisePrior, factor: number): NoisePrior {
  return { delta: delta / factor ** 2, sigma: sigma * factor }
}

/**
 * r: the network's error on rows that it has seen over the linear model's on rows that it has not, root mean squares,
 * geometric mean over the outputs. Above 1 the network underfits, and the linear model answers alone.
 */
function errorRatio({ labels, f, outputs, examples }: LinearProblem, models: readonly OutputModel[]): number {
  return geometricMean(models.map(({ leftOut }, c) => {
    let [seen, unseen] = [0, 0]
    for (let n = 0; n < examples; n++) {
      seen += (labels[n * outputs + c] - f[n * outputs + c]) ** 2
      unseen += (labels[n * outputs + c] - leftOut.f[n]) ** 2
    }
    return unseen > 0 ? Math.sqrt(seen / unseen) : 1
  }))
}

/** |y - f_-n| / sqrt(variance_-n + sigma^2) of one output, rising: the scores of the jackknife. */
function leftOutScores({ labels, outputs }: LinearProblem, { leftOut, sigma }: OutputModel, c: number): Float64Array {
  return leftOut.f.map((mean, n) =>
    Math.abs(labels[n * outputs + c] - mean) / Math.sqrt(leftOut.variance[n] + sigma * sigma)
  ).sort()
}

/** The posterior's own predictions of its rows. */
function regressionScores({ labels, f, outputs }: LinearProblem, models: readonly OutputModel[],
  { networkWeight, linearWeight }: Answer): TrainingScores {
  const mean = f.map((value, i) =>
    networkWeight * value + linearWeight * models[i % outputs].f[Math.floor(i / outputs)]
  )
  const variance = f.map((_, i) => {
    const { variance: own, sigma } = models[i % outputs]
    return own[Math.floor(i / outputs)] + sigma * sigma
  })
  return targetScores(mean, variance, labels, outputs)
}

/** Prior, noise and mean by held-out rows, in what was not given. */
function validatedNoise(families: readonly OutputFamily[], byTraining: Omit<ValidatedNoise, 'gain'>, held: HeldOut,
  free: FreeParameters): ValidatedNoise {
  const elsewhere = families.map(family => family.elsewhere(held))
  return chooseNoise(held, byTraining, (c, hyper) => elsewhere[c](hyper), free)
}

function freeOf(prior: boolean, noise: boolean): FreeParameters {
  return prior && noise ? 'both' : prior ? 'prior' : noise ? 'noise' : 'none'
}

function asLowRank({ delta, sigma, weights, rank, rows, effectiveParameters, evidence }: OutputModel, c: number,
  outputs: number, weightsAt: (change: Float64Array) => Float64Array): LowRankModel {
  const size = weights.length
  let logDetRatio = 0
  for (let k = 0; k < rank; k++) {
    let share = 0
    for (let i = k * size; i < (k + 1) * size; i++) share += rows[i] * rows[i]
    logDetRatio -= Math.log1p(-Math.min(share, 1 - 1e-15))
  }
  return { outputs: outputs === 1 ? [0] : [c], delta, sigma, weights: weightsAt(weights), rank, rows, logDetRatio,
    effectiveParameters, evidence }
}

/**
 * The noise of one output for a posterior that has hardly a variance of its own: the 90 % quantile of |y - f_-n| over
 * that of the normal distribution, corrected as the posterior's own standard deviations are; at least sigma.
 */
function leftOutNoise({ labels, outputs }: LinearProblem, { leftOut, sigma }: OutputModel, c: number,
  scale: number): number {
  const errors = leftOut.f.map((mean, n) => Math.abs(labels[n * outputs + c] - mean))
  const own = excess(errors.map((error, n) => error / Math.sqrt(leftOut.variance[n] + sigma * sigma) * scale))
  const noise = excess(errors) * (own > 0 ? scale / own : 1)
  return Number.isFinite(noise) ? Math.max(sigma, noise) : sigma
}

/** Mean of -log N(y; f_-n, variance_-n + sigma^2) over rows and outputs. */
function leaveOneOutGaussianNll({ labels, examples, outputs }: LinearProblem, models: readonly OutputModel[]): number {
  let sum = 0
  models.forEach(({ leftOut, sigma }, c) => {
    for (let n = 0; n < examples; n++) {
      sum += negativeLogNormal((labels[n * outputs + c] - leftOut.f[n]) ** 2, leftOut.variance[n] + sigma * sigma)
    }
  })
  return sum / (examples * outputs)
}

/** The network alone on its training rows, with the tuned noise. */
function gaussianNllOf({ labels, f, outputs }: LinearProblem, models: readonly OutputModel[]): number {
  let sum = 0
  for (let i = 0; i < f.length; i++) sum += negativeLogNormal((labels[i] - f[i]) ** 2, models[i % outputs].sigma ** 2)
  return sum / f.length
}
