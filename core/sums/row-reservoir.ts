/**
 * @file Features and labels of the rows of a fit, up to a limit: beyond it a seeded sample of the rows, each kept
 * with the same probability, whatever the batches (Vitter 1985 with keys: a row stays while its random key is below a
 * bound that is halved when there is no more room).
 */
import type { RealArray } from '../kernels/plain.js'
import { randomGenerator } from '../tensor/random.js'
import type { LinearData } from './linear-data.js'

/** Numbers of features that are kept: 256 MB of float64. */
export const KEPT_NUMBERS = 1 << 25

interface Part {
  readonly features: RealArray
  readonly labels: Float64Array
  readonly keys: Float64Array
}

/** Keeps rows, or a sample of them. */
export interface RowReservoir {
  add(features: RealArray, labels: Float64Array, examples: number): void
  /** The rows in the order in which they came. */
  data(): LinearData
}

/** Starts empty. */
export function rowReservoir(seed: number, most = KEPT_NUMBERS): RowReservoir {
  const random = randomGenerator(seed)
  let parts: Part[] = []
  let [bound, numbers, seen] = [1, 0, 0]
  return {
    add(features, labels, examples) {
      const keys = Float64Array.from({ length: examples }, () => random.uniform())
      const part = below({ features, labels, keys }, bound)
      parts.push(part)
      numbers += part.features.length
      seen += examples
      while (numbers > most) {
        bound /= 2
        parts = parts.map(own => below(own, bound))
        numbers = parts.reduce((sum, own) => sum + own.features.length, 0)
      }
    },
    data: () => joined(parts, seen),
  }
}

/** The rows of a part whose key is below a bound; the part itself where that is all of them. */
function below(part: Part, bound: number): Part {
  const { features, labels, keys } = part
  const rows = Array.from(keys.keys()).filter(n => keys[n] < bound)
  if (rows.length === keys.length) return part
  const take = <A extends RealArray>(values: A): A => {
    const width = values.length / Math.max(1, keys.length)
    const result = values.slice(0, rows.length * width) as A
    rows.forEach((n, i) => {
      result.set(values.subarray(n * width, (n + 1) * width), i * width)
    })
    return result
  }
  return { features: take(features), labels: take(labels), keys: take(keys) }
}

function joined(parts: readonly Part[], seen: number): LinearData {
  const examples = parts.reduce((sum, { keys }) => sum + keys.length, 0)
  if (parts.length === 1) return { features: parts[0].features, labels: parts[0].labels, examples, seen }
  const length = parts.reduce((sum, part) => sum + part.features.length, 0)
  const single = parts.every(part => part.features instanceof Float32Array)
  const features = single ? new Float32Array(length) : new Float64Array(length)
  const labels = new Float64Array(parts.reduce((sum, part) => sum + part.labels.length, 0))
  let [at, label] = [0, 0]
  for (const part of parts) {
    features.set(part.features, at)
    labels.set(part.labels, label)
    at += part.features.length
    label += part.labels.length
  }
  return { features, labels, examples, seen }
}
