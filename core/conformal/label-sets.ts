/** @file Sets of classes that hold the true one with a probability that is guaranteed, whatever the network. */
import { OptionError } from '../errors/errors.js'
import { oneOf } from '../errors/suggest.js'
import { checkLabels } from '../likelihood/labels.js'
import { plainLayout } from '../likelihood/output-layout.js'
import { type Tensor, tensor } from '../tensor/tensor.js'
import { adaptiveDraws, adaptiveScores } from './adaptive-scores.js'
import type { SetScores } from './conformal-scores.js'
import { conformalQuantile, shortageNote } from './quantile.js'
import { type RowMatrix, rowMatrix } from './row-matrix.js'

/** Probabilities of float32 may sum to a little more than 1. */
const ROUNDING = 1e-6

const SCORES = ['adaptive', 'threshold'] as const

/** How classes are scored. */
export interface SetOptions {
  /** `adaptive` (APS, the default): sets grow where rows are hard; `threshold` (LAC): the smallest sets on average. */
  readonly score?: (typeof SCORES)[number]
  /** Adaptive only: count a random part of the true class's probability, which makes sets smaller. Default false. */
  readonly randomised?: boolean
  /** Seed of the randomised score. Default 0. */
  readonly seed?: number
}

/** A set of classes for every row. */
export interface LabelSets {
  readonly level: number
  /** N x C of 0 and 1: the classes in the set. One column of probabilities gives two classes, 0 and 1. */
  readonly members: Tensor
  /** The bound that the scores of the members keep. */
  readonly threshold: number
  /** The probability that the set of a new row holds its class, if it comes from where the rows came from. */
  readonly guarantee: number
  /** What to know about them, for example that they hold everything as there are too few rows; else absent. */
  readonly note?: string
}

/**
 * Scores of held-out rows: 1 - p_y (Sadinle, Lei and Wasserman 2019) or, adaptive, the probability of the classes
 * before y and all or a random part of its own (Romano, Sesia and Candes 2020).
 * @param probabilities N x C, or N x 1 for binary, of rows that neither training nor fit has seen
 * @param y class numbers; 0 and 1 for binary
 * @throws OptionError, ShapeError, DataError
 */
export function calibrateSets(probabilities: Tensor, y: Tensor, options: SetOptions = {}): SetScores {
  const kind = oneOf('score', options.score ?? 'adaptive', SCORES)
  const { randomised = false, seed = 0 } = options
  const p = classProbabilities(probabilities)
  const likelihood = p.outputs === 2 && probabilities.shape[1] !== 2 ? 'binary' : 'classification'
  const labels = checkLabels(y, likelihood, p.rows, plainLayout(likelihood === 'binary' ? 1 : p.outputs)).values
  const scoresOf = scorer(kind, p, adaptiveDraws({ randomised, seed }, 0))
  const scores = labels.map((label, row) => scoresOf(row)[label]).sort()
  return kind === 'threshold'
    ? { kind, n: p.rows, scores }
    : { kind, n: p.rows, scores, randomised, seed }
}

/**
 * For every new row the classes whose score is at most the conformal quantile: they hold the true one with probability
 * `level` at least.
 * @param probabilities N x C, or N x 1 for binary
 * @param level between 0 and 1
 * @param neverEmpty puts the most probable class into a set without one, which can only add to the coverage. Default
 *   true
 * @throws OptionError BAD_OPTION for the level, ShapeError, DataError
 */
export function labelSets(calibrated: SetScores, probabilities: Tensor, level: number, neverEmpty = true): LabelSets {
  const p = classProbabilities(probabilities)
  const threshold = conformalQuantile(calibrated.scores, level)
  const draws = calibrated.kind === 'adaptive' ? adaptiveDraws(calibrated, calibrated.n) : () => 1
  const scoresOf = scorer(calibrated.kind, p, draws)
  const members = new Uint8Array(p.rows * p.outputs)
  for (let row = 0; row < p.rows; row++) {
    const scores = scoresOf(row)
    const inSet = Uint8Array.from(scores, score => (score <= threshold ? 1 : 0))
    if (neverEmpty && !inSet.includes(1)) inSet[lowest(scores)] = 1
    members.set(inSet, row * p.outputs)
  }
  const note = shortageNote(calibrated.n, level)
  return { level, members: tensor('bool', [p.rows, p.outputs], members), threshold, guarantee: level,
    ...(note === undefined ? {} : { note }) }
}

/** The scores of all classes of a row; rows in their order, as each may take a random number. */
function scorer(kind: SetScores['kind'], { values, outputs }: RowMatrix,
  draw: () => number): (row: number) => Float64Array {
  return row => {
    const p = values.subarray(row * outputs, (row + 1) * outputs)
    return kind === 'threshold' ? p.map(value => 1 - value) : adaptiveScores(p, draw())
  }
}

function lowest(scores: Float64Array): number {
  return scores.reduce((at, score, c) => (score < scores[at] ? c : at), 0)
}

/** One column is the probability of class 1: two columns then. */
function classProbabilities(probabilities: Tensor): RowMatrix {
  const given = rowMatrix(probabilities, 'probabilities')
  const wrong = given.values.findIndex(value => value < 0 || value > 1 + ROUNDING)
  if (wrong >= 0) {
    throw new OptionError('BAD_OPTION', `probabilities must lie between 0 and 1; found ${given.values[wrong]} in row ` +
      `${Math.floor(wrong / given.outputs)}. Are these logits?`, { option: 'probabilities',
      value: given.values[wrong] })
  }
  if (given.outputs > 1) return given
  const values = new Float64Array(2 * given.rows)
  given.values.forEach((value, row) => values.set([1 - value, value], 2 * row))
  return { values, rows: given.rows, outputs: 2 }
}
