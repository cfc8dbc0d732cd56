/** @file Intervals, sets of classes and novelty as nodes, with the calibration as constants. */
import type { Calibration } from '../conformal/calibration.js'
import type { SetScores } from '../conformal/conformal-scores.js'
import { conformalQuantile } from '../conformal/quantile.js'
import { OptionError } from '../errors/errors.js'
import { centralHalfWidth } from '../kernels/normal-quantile.js'
import { tensor } from '../tensor/tensor.js'
import type { Formulas } from './formulas.js'

/** mean -+ q sd, N x C, with the quantile q of each output: of the calibration, or of the normal distribution. */
export function intervalValues(f: Formulas, mean: string, variance: string, outputs: number,
  calibration: Calibration | undefined, level: number): { readonly lower: string, readonly upper: string } {
  const scores = calibration?.scores
  const factors = scores?.kind === 'split' || scores?.kind === 'jackknife'
    ? scores.scores.map(own => conformalQuantile(own, level))
    : new Array<number>(outputs).fill(centralHalfWidth(level))
  const half = f.mul(f.apply('Sqrt', variance), f.matrix(factors, [outputs]))
  return { lower: f.sub(mean, half), upper: f.add(mean, half) }
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

/** The mean variance of the outputs (over sigma^2), N, and its p-value among the training rows' own, N. */
export function noveltyValues(f: Formulas, variance: string, training: Float64Array,
  sigma: Float64Array | undefined): { readonly score: string, readonly pValue: string } {
  const scaled = sigma === undefined ? variance : f.div(variance, f.matrix(sigma.map(s => s * s), [sigma.length]))
  const score = f.reduce('ReduceMean', scaled, [1])
  const atLeast = f.indicator('GreaterOrEqual', f.matrix(training, [1, training.length]), f.unsqueeze(score, [1]))
  const count = f.reduce('ReduceSum', atLeast, [1])
  return { score, pValue: f.div(f.add(count, 1), training.length + 1) }
}
