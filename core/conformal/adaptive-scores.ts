/**
 * @file Scores of adaptive prediction sets, APS (Romano, Sesia and Candes 2020): larger sets for rows that are harder.
 */
import { randomGenerator } from '../tensor/random.js'
import type { AdaptiveScores } from './conformal-scores.js'

/**
 * Added for each place in the order. A network that is sure gives later classes a probability of 0 and thereby the
 * score of the first one, 1: without this their sets would hold every class.
 */
const PLACE = 1e-9

/**
 * For every class the probability of the classes before it, by falling probability (equal ones by number), and u times
 * its own.
 * @param u a uniform number for the randomised score, 1 for the deterministic one
 */
export function adaptiveScores(p: Float64Array, u: number): Float64Array {
  const order = Uint32Array.from(p, (_, c) => c).sort((a, b) => p[b] - p[a] || a - b)
  const scores = new Float64Array(p.length)
  let before = 0
  for (const c of order) {
    scores[c] = before + u * p[c]
    before += p[c] + PLACE
  }
  return scores
}

/**
 * Gives the u of one row after the other. New rows go on where the n rows of calibration stopped: the same numbers
 * again would tie the scores of new rows to those of calibration, and the guarantee would be lost.
 */
export function adaptiveDraws({ randomised, seed }: Pick<AdaptiveScores, 'randomised' | 'seed'>,
  skip: number): () => number {
  if (!randomised) return () => 1
  const random = randomGenerator(seed)
  for (let i = 0; i < skip; i++) random.uniform()
  return () => random.uniform()
}
