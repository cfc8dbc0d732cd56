/**
 * @file What a classifier decides: the confidence of each answer and whether it is right. Accuracy and calibration are
 * read off these.
 */

/** One entry for each point (classification) or for each label (binary, multilabel). */
export interface Decisions {
  /** Probability of the answer given. */
  readonly confidence: Float64Array
  /** 1 where the answer is right, else 0. */
  readonly correct: Uint8Array
}

/** The most probable class of every point; the first one of equals. */
export function categoricalDecisions(p: Float64Array, y: Float64Array, outputs: number): Decisions {
  const confidence = new Float64Array(y.length)
  const correct = new Uint8Array(y.length)
  for (let n = 0; n < y.length; n++) {
    const row = p.subarray(n * outputs, (n + 1) * outputs)
    const best = row.reduce((at, value, c) => (value > row[at] ? c : at), 0)
    confidence[n] = row[best]
    correct[n] = best === y[n] ? 1 : 0
  }
  return { confidence, correct }
}

/** Every label on its own: present where p > 1/2. */
export function bernoulliDecisions(p: Float64Array, y: Float64Array): Decisions {
  return {
    confidence: p.map(value => Math.max(value, 1 - value)),
    correct: Uint8Array.from(y, (label, i) => ((p[i] > 0.5) === (label === 1) ? 1 : 0)),
  }
}
