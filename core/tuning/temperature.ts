/**
 * @file Temperature scaling (Guo, Pleiss, Sun and Weinberger 2017): one number that divides all logits, fitted to
 * held-out labels. The simplest calibration, hence the baseline that a posterior has to beat.
 */
import { OptionError } from '../errors/errors.js'
import { shown } from '../errors/shown.js'
import { oneOf } from '../errors/suggest.js'
import { checkLabels } from '../likelihood/labels.js'
import { plainLayout } from '../likelihood/output-layout.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { sigmoid, sigmoidSlope, softplus } from '../likelihood/sigmoid.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import { type Likelihood, LIKELIHOODS, type LogitLikelihood } from '../options/words.js'
import { checkFinite } from '../tensor/finite.js'
import { float64, type Tensor, toFloat64 } from '../tensor/tensor.js'

/**
 * Where every answer is right the likelihood has no maximum: the temperature stops here, at logits a hundred times as
 * large.
 */
export const LOWEST_TEMPERATURE = 1e-2

/** Where the logits are worse than none, and for networks trained until their logits are in the thousands. */
export const HIGHEST_TEMPERATURE = 1e4

/** Newton's steps; then the bracket is halved, which always ends. */
const NEWTON_STEPS = 100
const MOST_STEPS = 200
const TOLERANCE = 1e-13

/** A fitted temperature. */
export interface TemperatureFit {
  /** T > 0: above 1 makes probabilities milder, below 1 bolder. */
  readonly temperature: number
  /** Mean negative log-likelihood over the points at T. */
  readonly nll: number
  /** What to know about it, for example that T is at a bound; else absent. */
  readonly note?: string
}

/** The mean negative log-likelihood and its first two derivatives by b = 1/T. */
interface Objective {
  readonly value: number
  readonly slope: number
  readonly curvature: number
}

/**
 * The T > 0 with the least held-out negative log-likelihood of softmax(f / T), or of sigmoid(f / T) for binary and
 * multilabel; relative error below 1e-10. The objective is convex in 1/T: Newton's method inside of a bracket finds its
 * only minimum.
 * @param logits N x C, of rows that the network was not trained on
 * @param y labels as in `fit`
 * @throws OptionError BAD_COMBINATION for regression, DataError, ShapeError
 */
export function fitTemperature(likelihood: Likelihood, logits: Tensor, y: Tensor): TemperatureFit {
  const name = withLogits(likelihood)
  const [examples = 0, outputs = 1] = logits.shape
  checkFinite(logits, 'logits', outputs)
  const labels = checkLabels(y, name, examples, plainLayout(outputs)).values
  const margins = name === 'classification'
    ? classMargins(toFloat64(logits), labels, outputs)
    : labelMargins(toFloat64(logits), labels)
  // Equal logits in every row stay equal: no temperature is better than another.
  if (margins.every(value => value === 0)) {
    const nll = objective(name, margins, examples, outputs, 1).value
    return { temperature: 1, nll,
      note: 'The logits of a row do not differ: the temperature changes nothing and stays 1.' }
  }
  return minimise(b => objective(name, margins, examples, outputs, b))
}

/**
 * Probabilities at a temperature: N x C of softmax(f / T) or sigmoid(f / T).
 * @throws OptionError BAD_COMBINATION for regression, BAD_OPTION when T is not positive
 */
export function scaledProbabilities(likelihood: Likelihood, logits: Tensor, temperature: number): Tensor {
  const name = withLogits(likelihood)
  if (!(temperature > 0)) {
    throw new OptionError('BAD_OPTION', `Option temperature must be a positive number; got ${shown(temperature)}.`, {
      option: 'temperature',
      value: temperature,
    })
  }
  const [examples = 0, outputs = 1] = logits.shape
  const scaled = Float64Array.from(logits.data, value => value / temperature)
  return float64(logits.shape, likelihoodModel(name).inverseLink(scaled, examples, outputs))
}

function withLogits(likelihood: Likelihood): LogitLikelihood {
  const name = oneOf('likelihood', likelihood, LIKELIHOODS)
  if (hasLogits(name)) return name
  throw new OptionError('BAD_COMBINATION',
    `Temperature scaling divides logits; the likelihood ${name} has none.${
      name === 'regression' ? ' Tune sigmaNoise instead.' : ''
    }`, { likelihood })
}

/** f_c - f_y, N x C: the loss of a row is log sum_c exp(b (f_c - f_y)), in which nothing large cancels. */
function classMargins(f: Float64Array, y: Float64Array, outputs: number): Float64Array {
  return f.map((value, i) => {
    const row = Math.floor(i / outputs)
    return value - f[row * outputs + y[row]]
  })
}

/** -f where the label is 1, f where it is 0: the loss of a label is softplus(b times this). */
function labelMargins(f: Float64Array, y: Float64Array): Float64Array {
  return f.map((value, i) => (y[i] === 1 ? -value : value))
}

function objective(likelihood: LogitLikelihood, margins: Float64Array, examples: number, outputs: number,
  b: number): Objective {
  let [value, slope, curvature] = [0, 0, 0]
  const step = likelihood === 'classification' ? outputs : 1
  for (let at = 0; at < margins.length; at += step) {
    const one = likelihood === 'classification'
      ? classLoss(margins.subarray(at, at + outputs), b)
      : labelLoss(margins[at], b)
    value += one.value
    slope += one.slope
    curvature += one.curvature
  }
  return { value: value / examples, slope: slope / examples, curvature: curvature / examples }
}

/** log sum exp(b d), its slope E[d] and its curvature Var[d] under the softmax of b d. */
function classLoss(d: Float64Array, b: number): Objective {
  const largest = d.reduce((most, value) => Math.max(most, value), 0)
  const weights = d.map(value => Math.exp(b * (value - largest)))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const slope = weights.reduce((sum, weight, c) => sum + weight * d[c], 0) / total
  const curvature = weights.reduce((sum, weight, c) => sum + weight * (d[c] - slope) ** 2, 0) / total
  return { value: b * largest + Math.log(total), slope, curvature }
}

function labelLoss(margin: number, b: number): Objective {
  return { value: softplus(b * margin), slope: margin * sigmoid(b * margin),
    curvature: margin * margin * sigmoidSlope(b * margin) }
}

/**
 * The zero of the slope, which rises with b: Newton's step where it stays inside of the bracket, else its geometric
 * mean.
 */
function minimise(at: (b: number) => Objective): TemperatureFit {
  let [low, high] = [1 / HIGHEST_TEMPERATURE, 1 / LOWEST_TEMPERATURE]
  const [first, last] = [at(low), at(high)]
  if (last.slope <= 0) return { temperature: LOWEST_TEMPERATURE, nll: last.value, note: lowestNote }
  if (first.slope >= 0) return { temperature: HIGHEST_TEMPERATURE, nll: first.value, note: highestNote }
  let b = 1
  for (let i = 0; i < MOST_STEPS; i++) {
    const { slope, curvature } = at(b)
    if (slope < 0) low = b
    else high = b
    const newton = b - slope / curvature
    const next = i < NEWTON_STEPS && newton > low && newton < high ? newton : Math.sqrt(low * high)
    const moved = Math.abs(next - b)
    b = next
    if (moved <= TOLERANCE * b) break
  }
  return { temperature: 1 / b, nll: at(b).value }
}

const lowestNote =
  `The temperature is at its lower bound, ${LOWEST_TEMPERATURE}: the held-out answers are right with room, ` +
  'or the logits are tiny, and bolder is always better. Use more held-out rows.'

const highestNote =
  `The temperature is at its upper bound, ${HIGHEST_TEMPERATURE}: the logits say less than nothing about ` +
  'the held-out labels. Are the classes in the order of the outputs?'
