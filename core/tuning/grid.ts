/**
 * @file Tunes the prior precision by held-out likelihood on a grid: the safest choice where there are held-out
 * examples.
 */
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { bernoulliNll, categoricalNll, gaussianNll } from '../metrics/nll.js'
import { predictiveProbabilities } from '../prediction/link.js'

/** 100 prior precisions from 10^-4 to 10^4, evenly spaced in the logarithm. */
export const GRID: readonly number[] = Array.from({ length: 100 }, (_, i) => 10 ** (-4 + 8 * i / 99))

/** The best point of the grid. */
export interface GridResult {
  readonly priorPrecision: number
  readonly index: number
  /** Held-out negative log-likelihood of every point of the grid. */
  readonly nll: Float64Array
  readonly note?: string
}

/** Rows that the prior is chosen by. */
export interface HeldOutOutputs {
  readonly likelihood: LikelihoodModel
  /** The network's outputs, N x C. */
  readonly f: Float64Array
  readonly labels: Float64Array
  readonly examples: number
  readonly outputs: number
  /** Of every output, C. */
  readonly sigmaNoise: Float64Array
}

/**
 * The point of the grid with the smallest held-out negative log-likelihood of the probit predictive (numbers: of a new
 * observation, noise included).
 * @param variance f_var's diagonal (N x C) for a prior precision
 */
export async function tuneByGrid(rows: HeldOutOutputs,
  variance: (priorPrecision: number, index: number) => Promise<Float64Array>): Promise<GridResult> {
  const nll = new Float64Array(GRID.length)
  for (const [i, delta] of GRID.entries()) nll[i] = heldOutNll(rows, await variance(delta, i))
  return atBest(nll)
}

/**
 * Prior precision delta and noise sigma together: f_var is sigma^2 v(delta sigma^2), with v the variance without noise,
 * so that for every point of the grid of delta sigma^2 the best sigma^2 is the mean of r^2 / (v + 1). One sigma for all
 * outputs.
 * @param variance v of a point of the grid, N x C
 */
export async function tuneNoiseByGrid(f: Float64Array, labels: Float64Array,
  variance: (product: number, index: number) => Promise<Float64Array>): Promise<GridResult & { sigmaNoise: number }> {
  const nll = new Float64Array(GRID.length)
  const squares = new Float64Array(GRID.length)
  // Rows that the network hits exactly say of the noise only that it is small.
  const least = 1e-12 * labels.reduce((sum, y) => sum + y * y / labels.length, 1e-12)
  for (const [i, product] of GRID.entries()) {
    const total = (await variance(product, i)).map(v => v + 1)
    squares[i] = Math.max(least, total.reduce((sum, v, n) => sum + (labels[n] - f[n]) ** 2 / v, 0) / f.length)
    nll[i] = gaussianNll(f, total.map(v => v * squares[i]), labels)
  }
  const result = atBest(nll)
  return { ...result, priorPrecision: result.priorPrecision / squares[result.index],
    sigmaNoise: Math.sqrt(squares[result.index]) }
}

/** The best point of the grid, with a note at its edges. */
function atBest(nll: Float64Array): GridResult {
  const index = nll.indexOf(Math.min(...nll))
  const result = { priorPrecision: GRID[index], index, nll }
  if (index > 0 && index < GRID.length - 1) return result
  return { ...result,
    note: `The best prior precision, ${GRID[index]}, is at the edge of the grid (10^-4 to 10^4): the held-out ` +
      "examples do not determine it. Give more of them, or tune by the training rows ('auto')." }
}

function heldOutNll({ likelihood, f, labels, examples, outputs, sigmaNoise }: HeldOutOutputs,
  variance: Float64Array): number {
  if (likelihood.name === 'regression') {
    return gaussianNll(f, variance.map((v, i) => v + sigmaNoise[i % outputs] ** 2), labels)
  }
  if (likelihood.observation !== undefined) return likelihood.observation.nll(f, variance, labels, examples, outputs)
  const p = predictiveProbabilities('probit', likelihood, { f, variance, examples, outputs })
  return likelihood.name === 'classification' ? categoricalNll(p, labels, outputs) : bernoulliNll(p, labels, outputs)
}
