/**
 * @file The schedule by which laplace-torch tunes, for comparison: Adam (Kingma and Ba 2015) for a fixed number of
 * steps.
 */
import type { EvidenceFunction } from './evidence.js'

/** How many steps, how long, and from where. */
export interface AdamSchedule {
  /** 100 in laplace-torch. */
  readonly steps: number
  /** 0.1 in laplace-torch. */
  readonly learningRate: number
  /** Where log delta starts; 1 in laplace-torch. */
  readonly initialPriorPrecision: number
}

const [BETA1, BETA2, EPSILON] = [0.9, 0.999, 1e-8]

/** The last iterate of gradient ascent by Adam. */
export function adam(target: EvidenceFunction, start: Float64Array,
  { steps, learningRate }: AdamSchedule): Float64Array {
  const point = start.slice()
  const first = new Float64Array(point.length)
  const second = new Float64Array(point.length)
  for (let step = 1; step <= steps; step++) {
    const { gradient } = target.at(point, false)
    for (let i = 0; i < point.length; i++) {
      first[i] = BETA1 * first[i] + (1 - BETA1) * gradient[i]
      second[i] = BETA2 * second[i] + (1 - BETA2) * gradient[i] ** 2
      const next = point[i] + learningRate * (first[i] / (1 - BETA1 ** step)) /
          (Math.sqrt(second[i] / (1 - BETA2 ** step)) + EPSILON)
      point[i] = Math.max(target.lowest[i], next)
    }
  }
  return point
}
