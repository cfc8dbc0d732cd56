/**
 * @file Features and labels of the rows of a fit, up to a limit: beyond it a seeded sample of the rows, each kept
 * with the same probability, whatever the batches (Vitter 1985 with keys: a row stays while its random key is below a
 * bound that is halved when there is no more room).
 */
import type { RealArray } from '../kernels/plain.js'
import { randomGenerator } from '../tensor/random.js'
import type { LinearData } from './linear-data.js'

/**
 * Numbers that are kept, with what the outputs will need: tuning has some 60 bytes for each, half a gigabyte in all.
 */
export const KEPT_NUMBERS = 1 << 23

interface Part {
  readonly features: RealArray
  readonly labels: Float64Array
  /** One an example. */
  readonly keys: Float64Array
  /** Rows of each example. */
  readonly sizes: Int32Array
}

/** Keeps rows, or a sample of them. */
export interface RowReservoir {
  /** @param sizes rows of each example; they stay together */
  add(features: RealArray, labels: Float64Array, sizes: Int32Array): void
  /** The rows in the order in which they came. */
  data(): LinearData
}

/**
 * Starts empty.
 * @param outputs numbers that a row will need beside its features: as many again for its gradients are counted
 */
export function rowReservoir(seed: number, outputs: number, most = KEPT_NUMBERS): RowReservoir {
  const random = randomGenerator(seed)
  let parts: Part[] = []
  let [bound, numbers, seen] = [1, 0, 0]
  const sizeOf = ({ features, sizes }: Part): number => features.length + 2 * outputs * sum(sizes)
  return {
    add(features, labels, sizes) {
      const keys = Float64Array.from(sizes, () => random.uniform())
      const part = below({ features, labels, keys, sizes }, bound)
      parts.push(part)
      numbers += sizeOf(part)
      seen += sum(sizes)
      while (numbers > most) {
        bound /= 2
        parts = parts.map(own => below(own, bound))
        numbers = parts.reduce((total, own) => total + sizeOf(own), 0)
      }
    },
    data: () => joined(parts, seen),
  }
}

/** The examples of a part whose key is below a bound; the part itself where that is all of them. */
function below(part: Part, bound: number): Part {
  const { features, labels, keys, sizes } = part
  const examples = Array.from(keys.keys()).filter(n => keys[n] < bound)
  if (examples.length === keys.length) return part
  const rows = Math.max(1, sum(sizes))
  const starts = new Int32Array(sizes.length)
  for (let n = 1; n < sizes.length; n++) starts[n] = starts[n - 1] + sizes[n - 1]
  const kept = Int32Array.from(examples, n => sizes[n])
  const take = <A extends RealArray>(values: A): A => {
    const width = values.length / rows
    const result = values.slice(0, sum(kept) * width) as A
    let at = 0
    for (const n of examples) {
      result.set(values.subarray(starts[n] * width, (starts[n] + sizes[n]) * width), at)
      at += sizes[n] * width
    }
    return result
  }
  return { features: take(features), labels: take(labels), keys: Float64Array.from(examples, n => keys[n]),
    sizes: kept }
}

function sum(values: ArrayLike<number>): number {
  let total = 0
  for (let i = 0; i < values.length; i++) total += values[i]
  return total
}

function joined(parts: readonly Part[], seen: number): LinearData {
  const examples = parts.reduce((total, { sizes }) => total + sum(sizes), 0)
  const positions = parts.some(({ sizes }) => sizes.some(size => size !== 1))
    ? { sizes: Int32Array.from(parts.flatMap(({ sizes }) => Array.from(sizes))) }
    : {}
  if (parts.length === 1) return { features: parts[0].features, labels: parts[0].labels, examples, seen, ...positions }
  const length = parts.reduce((total, part) => total + part.features.length, 0)
  const single = parts.every(part => part.features instanceof Float32Array)
  const features = single ? new Float32Array(length) : new Float64Array(length)
  const labels = new Float64Array(parts.reduce((total, part) => total + part.labels.length, 0))
  let [at, label] = [0, 0]
  for (const part of parts) {
    features.set(part.features, at)
    labels.set(part.labels, label)
    at += part.features.length
    label += part.labels.length
  }
  return { features, labels, examples, seen, ...positions }
}
