/** @file Intervals, sets of classes and novelty as nodes, with the calibration as constants. */
import type { Calibration } from '../conformal/calibration.js'
import type { SetScores } from '../conformal/conformal-scores.js'
import { conformalQuantile } from '../conformal/quantile.js'
import { OptionError } from '../errors/errors.js'
import { centralHalfWidth } from '../kernels/normal-quantile.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { elementTypeOf } from '../ops/element-types.js'
import { joined } from '../tensor/joined.js'
import { tensor } from '../tensor/tensor.js'
import type { Formulas } from './formulas.js'
import type { ObservationValues } from './observation.js'

/**
 * mean -+ q sd of a new observation, N x K, with the quantile q of each target: of the calibration, or of the normal
 * distribution. Counts are not negative.
 */
export function intervalValues(f: Formulas, { name }: LikelihoodModel, { mean, variance }: ObservationValues,
  calibration: Calibration | undefined, level: number): { readonly lower: string, readonly upper: string } {
  const scores = calibration?.scores
  const factors = scores?.kind === 'split' || scores?.kind === 'jackknife'
    ? scores.scores.map(own => conformalQuantile(own, level))
    : [centralHalfWidth(level)]
  const half = f.mul(f.apply('Sqrt', variance()), f.matrix(factors, [factors.length]))
  const lower = f.sub(mean(), half)
  return { lower: name === 'poisson' ? f.max(lower, 0) : lower, upper: f.add(mean(), half) }
}

/** Added for each place in the order of classes: see conformal/adaptive-scores.ts. */
const PLACE = 1e-9

/**
 * The classes in the set of every row, N x C of truth values; of one probability N x 2.
 * @throws OptionError BAD_COMBINATION for randomised scores, which depend on the number of the row
 */
export function setValues(f: Formulas, probabilities: string, outputs: number, scores: SetScores,
  level: number): string {
  const { builder } = f
  const threshold = conformalQuantile(scores.scores, level)
  const p = outputs > 1 ? probabilities : f.concat([f.sub(1, probabilities), probabilities], 1)
  const classes = Math.max(2, outputs)
  if (scores.kind === 'adaptive' && scores.randomised) {
    throw new OptionError('BAD_COMBINATION',
      'The sets of this posterior are randomised: they depend on the number of the row, which a graph does not know. ' +
        'Conformalize it without randomised, or leave sets out.', { option: 'outputs', value: 'sets' })
  }
  const [sorted, order] = builder.nodeOutputs('TopK', [p, builder.integers([classes])], 2, { axis: 1 })
  const places = f.matrix(Array.from({ length: classes }, (_, place) => PLACE * place), [classes])
  const before = f.add(builder.node('CumSum', [sorted, builder.constant(tensor('int64', [], [1]))], { exclusive: 1 }),
    places)
  const own = scores.kind === 'threshold' ? f.sub(1, sorted) : f.add(before, sorted)
  // The most probable class is in every set: no other one can be in it alone.
  const first = f.matrix(Array.from({ length: classes }, (_, place) => Number(place === 0)), [classes])
  const inSet = f.max(f.indicator('LessOrEqual', own, threshold), first)
  const scattered = builder.node('ScatterElements', [f.mul(p, 0), order, inSet], { axis: 1 })
  return builder.node('Greater', [scattered, builder.scalar(0, f.precision)])
}

/** The mean variance of the outputs (over sigma^2), N x 1, and its p-value among the training rows' own, N. */
export function noveltyValues(f: Formulas, variance: string, training: Float64Array,
  sigma: Float64Array | undefined): { readonly score: string, readonly pValue: string } {
  const scaled = sigma === undefined ? variance : f.div(variance, f.matrix(sigma.map(s => s * s), [sigma.length]))
  const score = f.reduce('ReduceMean', scaled, [1], true)
  return { score, pValue: shareAtLeast(f, training, score) }
}

/** More numbers than this are compared in two steps. */
const COMPARED_AT_ONCE = 1024

/**
 * (1 + how many of n ascending variances are at least as large as each of N x 1 values) / (n + 1), N. Of many first
 * how many of the list's blocks have no smaller number: a row compares with 2 sqrt(n) of n numbers.
 */
function shareAtLeast(f: Formulas, list: Float64Array, values: string): string {
  const count = list.length + 1
  const atLeast = (numbers: string): string => f.indicator('GreaterOrEqual', numbers, values)
  // The one that is counted beside the list is not below any value.
  if (count <= COMPARED_AT_ONCE) return f.reduce('ReduceMean', atLeast(f.matrix([...list, Infinity], [1, count])), [1])
  const size = Math.ceil(Math.sqrt(count))
  const blocks = Math.ceil(count / size)
  // What fills the first block is below every value.
  const filled = new Float64Array(blocks * size).fill(-Infinity)
  filled.set([...list, Infinity], blocks * size - count)
  const block = (k: number): Float64Array => filled.subarray((blocks - 1 - k) * size, (blocks - k) * size)
  const numbers = Array.from({ length: blocks }, (_, k) => block(k))
  const before = f.reduce('ReduceSum', atLeast(f.matrix(numbers.slice(0, -1).map(([least]) => least), [1, blocks - 1])),
    [1])
  const next = f.builder.node('Gather', [f.matrix(joined(numbers), [blocks, size]),
    f.builder.node('Cast', [before], { to: elementTypeOf('int64') })], { axis: 0 })
  return f.mul(f.add(before, f.reduce('ReduceMean', atLeast(next), [1])), size / count)
}
