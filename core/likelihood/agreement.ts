/**
 * @file How a network agrees with labelled rows: counts (classes, labels) or moments (targets), which add up over
 * batches, threads and machines. They tell labels in another order, targets on another scale and the like from a
 * network that is merely good or bad.
 */
import { InternalError } from '../errors/errors.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import type { Likelihood } from '../options/words.js'

/** Of classes: how many rows of which class were taken for which. */
export interface ClassAgreement {
  readonly kind: 'classes'
  readonly outputs: number
  readonly examples: number
  /** Rows whose most probable class is theirs. */
  readonly right: number
  /** Rows whose least probable class is theirs, as where the outputs are negated. */
  readonly least: number
  /** Rows of each class, C. */
  readonly counts: Float64Array
  /** Rows by class and most probable class, C x C; empty where there are more than 256 classes. */
  readonly confusion: Float64Array
}

/** Of labels of two, one an output. */
export interface LabelAgreement {
  readonly kind: 'labels'
  readonly outputs: number
  readonly examples: number
  /** Of each output the rows with (label, answer) = (0, 0), (0, 1), (1, 0), (1, 1): C x 4. */
  readonly counts: Float64Array
}

/** Of real-valued targets: moments about the means, so that targets far from zero keep their digits. */
export interface TargetAgreement {
  readonly kind: 'targets'
  readonly outputs: number
  readonly examples: number
  /** Means of the targets y and of the outputs f, C. */
  readonly meanY: Float64Array
  readonly meanF: Float64Array
  /** Sums of (y - mean)^2 and (f - mean)^2, C. */
  readonly squaresY: Float64Array
  readonly squaresF: Float64Array
  /** Sums of (f_c - mean)(y_d - mean), C x C; only those of c = d, C, where there are more than 32 outputs. */
  readonly products: Float64Array
  /** Sums of (y - f)^2, C. */
  readonly residuals: Float64Array
}

/** The agreement of a network with the rows that a fit has seen. */
export type Agreement = ClassAgreement | LabelAgreement | TargetAgreement

/** A confusion matrix of more classes than this is not worth its memory. */
const MOST_CLASSES = 256
/** Products of all pairs of more outputs than this would take longer than the fit. */
const MOST_PAIRED_OUTPUTS = 32

/** Number of entries of `confusion`. */
export function confusionSize(outputs: number): number {
  return outputs <= MOST_CLASSES ? outputs * outputs : 0
}

/** Number of entries of `products`. */
export function productsSize(outputs: number): number {
  return outputs <= MOST_PAIRED_OUTPUTS ? outputs * outputs : outputs
}

/** No rows yet; undefined where nothing is known of what the outputs should be. */
export function noAgreement(likelihood: Likelihood, outputs: number): Agreement | undefined {
  return likelihood === 'custom' ? undefined : zeroAgreement(likelihood, outputs)
}

/** No rows yet. */
export function zeroAgreement(likelihood: Likelihood, outputs: number): Agreement {
  const zeros = (): Float64Array => new Float64Array(outputs)
  switch (likelihood) {
    case 'classification':
      return { kind: 'classes', outputs, examples: 0, right: 0, least: 0, counts: zeros(),
        confusion: new Float64Array(confusionSize(outputs)) }
    case 'binary':
    case 'multilabel':
    case 'reward_modeling':
      return { kind: 'labels', outputs, examples: 0, counts: new Float64Array(4 * outputs) }
    case 'regression':
    case 'poisson':
      return zeroTargets(outputs)
    case 'heteroscedastic':
      return zeroTargets(outputs / 2)
    case 'custom':
      throw new InternalError("Outputs agree with nothing of a likelihood of one's own.")
  }
}

function zeroTargets(outputs: number): TargetAgreement {
  const zeros = (): Float64Array => new Float64Array(outputs)
  return { kind: 'targets', outputs, examples: 0, meanY: zeros(), meanF: zeros(), squaresY: zeros(), squaresF: zeros(),
    products: new Float64Array(productsSize(outputs)), residuals: zeros() }
}

/**
 * The agreement with more rows.
 * @param f outputs, N x C; of targets what is expected of them, N x K
 * @param y labels as the likelihood takes them
 * @param weights how often each row counts; once by default
 */
export function addAgreement(agreement: Agreement, f: RealArray, y: Float64Array, examples: number,
  weights: Float64Array = new Float64Array(examples).fill(1)): Agreement {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  if (total === 0) return agreement
  switch (agreement.kind) {
    case 'classes':
      return addClasses(agreement, f, y, weights, total)
    case 'labels':
      return addLabels(agreement, f, y, weights, total)
    case 'targets':
      return mergeTargets(agreement, targetsOf(agreement.outputs, f, y, weights, total))
  }
}

/**
 * The agreement with the rows of both. Associative and commutative up to rounding.
 * @returns undefined where one is not known: partial fits of version 0.1.0 do not have it
 */
export function mergeAgreements(a: Agreement | undefined, b: Agreement | undefined): Agreement | undefined {
  if (a?.kind === 'classes' && b?.kind === 'classes') {
    return { ...a, examples: a.examples + b.examples, right: a.right + b.right, least: a.least + b.least,
      counts: sum(a.counts, b.counts), confusion: sum(a.confusion, b.confusion) }
  }
  if (a?.kind === 'labels' && b?.kind === 'labels') {
    return { ...a, examples: a.examples + b.examples, counts: sum(a.counts, b.counts) }
  }
  return a?.kind === 'targets' && b?.kind === 'targets' ? mergeTargets(a, b) : undefined
}

function sum(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i])
}

function addClasses(agreement: ClassAgreement, f: RealArray, y: Float64Array, weights: Float64Array,
  total: number): ClassAgreement {
  const { outputs } = agreement
  const counts = agreement.counts.slice()
  const confusion = agreement.confusion.slice()
  let { right, least } = agreement
  for (let n = 0; n < weights.length; n++) {
    let [best, worst] = [0, 0]
    for (let c = 1; c < outputs; c++) {
      if (f[n * outputs + c] > f[n * outputs + best]) best = c
      if (f[n * outputs + c] < f[n * outputs + worst]) worst = c
    }
    counts[y[n]] += weights[n]
    if (best === y[n]) right += weights[n]
    if (worst === y[n]) least += weights[n]
    if (confusion.length > 0) confusion[y[n] * outputs + best] += weights[n]
  }
  return { ...agreement, examples: agreement.examples + total, right, least, counts, confusion }
}

function addLabels(agreement: LabelAgreement, f: RealArray, y: Float64Array, weights: Float64Array,
  total: number): LabelAgreement {
  const { outputs } = agreement
  const counts = agreement.counts.slice()
  for (let i = 0; i < f.length; i++) {
    counts[4 * (i % outputs) + 2 * y[i] + (f[i] > 0 ? 1 : 0)] += weights[Math.floor(i / outputs)]
  }
  return { ...agreement, examples: agreement.examples + total, counts }
}

/** Moments of one batch in two passes: means first, as sums of squares of large numbers cancel. */
function targetsOf(outputs: number, f: RealArray, y: Float64Array, weights: Float64Array,
  examples: number): TargetAgreement {
  const meanY = columnMeans(y, outputs, weights, examples)
  const meanF = columnMeans(f, outputs, weights, examples)
  const [squaresY, squaresF, residuals] = [0, 1, 2].map(() => new Float64Array(outputs))
  const products = new Float64Array(productsSize(outputs))
  const paired = products.length > outputs
  for (let n = 0; n < weights.length; n++) {
    const row = n * outputs
    for (let c = 0; c < outputs; c++) {
      const change = weights[n] * (f[row + c] - meanF[c])
      squaresY[c] += weights[n] * (y[row + c] - meanY[c]) ** 2
      squaresF[c] += change * (f[row + c] - meanF[c])
      residuals[c] += weights[n] * (y[row + c] - f[row + c]) ** 2
      if (!paired) products[c] += change * (y[row + c] - meanY[c])
      else for (let d = 0; d < outputs; d++) products[c * outputs + d] += change * (y[row + d] - meanY[d])
    }
  }
  return { kind: 'targets', outputs, examples, meanY, meanF, squaresY, squaresF, products, residuals }
}

function columnMeans(values: ArrayLike<number>, outputs: number, weights: Float64Array, total: number): Float64Array {
  const means = new Float64Array(outputs)
  for (let i = 0; i < weights.length * outputs; i++) {
    means[i % outputs] += values[i] * weights[Math.floor(i / outputs)] / total
  }
  return means
}

/** Means and moments of two sets of rows together (Chan, Golub and LeVeque 1983). */
function mergeTargets(a: TargetAgreement, b: TargetAgreement): TargetAgreement {
  if (a.examples === 0 || b.examples === 0) return a.examples === 0 ? b : a
  const { outputs } = a
  const examples = a.examples + b.examples
  const share = b.examples / examples
  const weight = a.examples * share
  const y = b.meanY.map((mean, c) => mean - a.meanY[c])
  const f = b.meanF.map((mean, c) => mean - a.meanF[c])
  const between = a.products.length > outputs
    ? (_: number, i: number): number => f[Math.floor(i / outputs)] * y[i % outputs]
    : (_: number, c: number): number => f[c] * y[c]
  return {
    kind: 'targets',
    outputs,
    examples,
    meanY: a.meanY.map((mean, c) => mean + share * y[c]),
    meanF: a.meanF.map((mean, c) => mean + share * f[c]),
    squaresY: a.squaresY.map((value, c) => value + b.squaresY[c] + weight * y[c] * y[c]),
    squaresF: a.squaresF.map((value, c) => value + b.squaresF[c] + weight * f[c] * f[c]),
    products: a.products.map((value, i) => value + b.products[i] + weight * between(value, i)),
    residuals: sum(a.residuals, b.residuals),
  }
}
