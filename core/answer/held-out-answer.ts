/** @file What held-out rows say of an answer: its scores beside the network's, and temperature scaling in its place. */
import type { WorkOptions } from '../budget/progress.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { gaussianNll } from '../metrics/nll.js'
import type { Batch } from '../tensor/batch.js'
import { exampleCount } from '../tensor/examples.js'
import { type Tensor, toFloat64 } from '../tensor/tensor.js'
import type { Choice, HeldOutScores } from '../tuning/choice.js'
import { explainHeldOut } from '../tuning/explain.js'
import { type Gain, isGain } from '../tuning/gain.js'
import { meanNll } from '../tuning/gate.js'
import { fitTemperature, scaledProbabilities } from '../tuning/temperature.js'
import { networkOutputs } from './functional-variance.js'
import { labelled } from './labelled-terms.js'
import { noiseOf, type PosteriorState } from './posterior-state.js'
import { predictTerms } from './predict.js'
import { programsByInput } from './programs-by-input.js'

/**
 * The state with the scores of its answer on held-out rows; with `calibrate`, with temperature scaling as its answer.
 * @param gain of the best answer that they allow over the one of the training rows alone
 */
export async function withHeldOutScores(state: PosteriorState, { x, y }: Batch, gain: Gain | undefined,
  work: WorkOptions): Promise<PosteriorState> {
  const { options, evaluator, choice } = state
  if (choice === undefined) return state
  const programs = programsByInput(state)
  const { outputs } = evaluator.network
  const rows = exampleCount(x)
  const terms = labelled(y, options.likelihood, rows, programs(x).evaluator.network)
  const { labels: values } = terms
  const f = terms.rows(await networkOutputs(state, programs, x, work))
  const scaled = options.likelihood === 'regression' ? undefined : fitTemperature(options.likelihood, f, terms.y)
  const answer: Choice = options.calibrate === undefined || scaled === undefined
    ? choice
    : byTemperature(choice, scaled.temperature, rows)
  const answered = { ...state, choice: answer }
  const prediction = await predictTerms(answered, programs, x, { uncertainty: false }, work)
  const own = (value: Tensor | undefined): Tensor | undefined => (value === undefined ? undefined : terms.rows(value))
  const score = (mean: Tensor | undefined, variance?: Tensor): number => {
    if (mean === undefined) return NaN
    if (options.likelihood !== 'regression') {
      return meanNll(likelihoodModel(options.likelihood), toFloat64(mean), values, outputs)
    }
    const sigma = noiseOf(state)
    const total = Float64Array.from(mean.data, (_, i) => sigma[i % outputs] ** 2 + (variance?.data[i] ?? 0))
    return gaussianNll(toFloat64(mean), total, values)
  }
  const plain = (temperature: number): Tensor => scaledProbabilities(options.likelihood, f, temperature)
  const regression = options.likelihood === 'regression'
  const nll = regression ? score(own(prediction.mean), own(prediction.variance)) : score(own(prediction.probabilities))
  const heldOut: HeldOutScores = {
    rows,
    nll,
    networkNll: score(regression ? f : plain(1)),
    trainingNll: gain === undefined ? undefined : nll + (isGain(gain) ? gain.mean : 0),
    gain: gain?.mean,
    gainError: gain?.error,
    temperature: scaled?.temperature,
    temperatureNll: scaled === undefined ? undefined : score(plain(scaled.temperature)),
    noiseNll: regression ? bestNoiseNll(toFloat64(f), values, outputs) : undefined,
  }
  const explanation = options.calibrate === undefined ? explainHeldOut(heldOut, answer) : answer.explanation
  return { ...answered, tuned: 'validated', choice: { ...answer, explanation, heldOut },
    notes: scaled?.note === undefined || options.calibrate === undefined ? state.notes : [...state.notes, scaled.note] }
}

/** NLL of the means f with the noise of every output that fits the targets best, their root mean square residual. */
function bestNoiseNll(f: Float64Array, targets: Float64Array, outputs: number): number {
  const squares = new Float64Array(outputs)
  f.forEach((mean, i) => {
    squares[i % outputs] += (targets[i] - mean) ** 2 * outputs / f.length
  })
  return squares.reduce((sum, square) => sum + 0.5 * (Math.log(2 * Math.PI * square) + 1) / outputs, 0)
}

/** Temperature scaling as the answer. */
function byTemperature(choice: Choice, temperature: number, rows: number): Choice {
  return {
    ...choice,
    link: 'map',
    varianceScale: 0,
    s: 0,
    networkWeight: 1,
    linearWeight: 0,
    halfwayWeight: undefined,
    halfwayScale: undefined,
    networkTemperature: temperature,
    explanation: `The answer is temperature scaling, the baseline, as the options say: the network's logits divided by `
      + `${
        temperature.toPrecision(3)
      }, which fits the ${rows} held-out rows best. Error bars and novelty are the posterior's.`,
  }
}
