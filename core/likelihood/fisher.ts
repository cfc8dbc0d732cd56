/**
 * @file Fisher matrices in place of the Hessian: Lambda_n becomes a sum of outer products of gradients with respect to
 * the outputs, so that H = sum_n J' Lambda J is one of gradients with respect to the weights (Kunstner, Hennig and
 * Balles 2019).
 */
import type { RealArray } from '../kernels/linear-algebra.js'
import { randomGenerator } from '../tensor/random.js'
import type { LikelihoodModel } from './likelihood.js'

/**
 * The likelihood of these N rows with Lambda_n = g_n g_n', g_n the gradient of the row's loss at its label: the
 * empirical Fisher.
 */
export function empiricalFisher(term: LikelihoodModel, labels: Float64Array): LikelihoodModel {
  return withSeeds(term, () => 1, (f, examples, outputs) => term.residual(f, labels, examples, outputs))
}

/**
 * The likelihood with Lambda_n = 1/S sum_s g_ns g_ns', g_ns the gradient at a label drawn from the model (sigma = 1):
 * the Monte Carlo Fisher, whose expectation is the GGN. A row's draws come from the seed and its place in the data, so
 * that they do not depend on the batches.
 * @param first the place of the first row
 */
export function sampledFisher(term: LikelihoodModel, draws: number, seed: number, first: number): LikelihoodModel {
  return withSeeds(term, () => draws, (f, examples, outputs) => {
    const seeds = new Float64Array(draws * examples * outputs)
    const scale = 1 / Math.sqrt(draws)
    for (let n = 0; n < examples; n++) {
      const random = randomGenerator(seedOfRow(seed, first + n))
      const row = Float64Array.from(f.subarray(n * outputs, (n + 1) * outputs))
      for (let s = 0; s < draws; s++) {
        const gradient = (term.ofDrawn ?? term).residual(row, term.draw(row, 1, outputs, random), 1, outputs)
        seeds.set(gradient.map(value => scale * value), (s * examples + n) * outputs)
      }
    }
    return seeds
  })
}

/** Seeds of different rows must not be neighbours: the generator's state is mixed from them alone. */
function seedOfRow(seed: number, row: number): number {
  return (seed * 0x9e3779b1 + row * 0x85ebca77 + 0x165667b1) % Number.MAX_SAFE_INTEGER
}

/**
 * The likelihood whose Lambda_n is sum_k q_kn q_kn'.
 * @param seedsOf q, K x N x C
 */
export function withSeeds(term: LikelihoodModel, seedCount: (outputs: number) => number,
  seedsOf: (f: RealArray, examples: number, outputs: number) => Float64Array): LikelihoodModel {
  return {
    ...term,
    hessianPattern: 'dense',
    seedCount,
    hessianSeeds: (f, examples, outputs) => {
      const seeds = seedsOf(f, examples, outputs)
      return f instanceof Float32Array ? Float32Array.from(seeds) : seeds
    },
    hessianPairs: (f, examples, outputs) => {
      const pairs: number[] = []
      for (let c = 0; c < outputs; c++) for (let d = c; d < outputs; d++) pairs.push(c, d)
      const width = pairs.length / 2
      return sumOverSeeds(seedsOf(f, examples, outputs), examples, outputs, width,
        (q, k) => q[pairs[2 * k]] * q[pairs[2 * k + 1]])
    },
    hessianDiagonal: (f, examples, outputs) =>
      sumOverSeeds(seedsOf(f, examples, outputs), examples, outputs, outputs, (q, c) => q[c] * q[c]),
    sumHessian: (f, examples, outputs) => {
      const rows = sumOverSeeds(seedsOf(f, examples, outputs), examples, outputs, outputs * outputs,
        (q, k) => q[Math.floor(k / outputs)] * q[k % outputs])
      return rows.slice(0, outputs * outputs).map((_, k) => {
        let sum = 0
        for (let at = k; at < rows.length; at += outputs * outputs) sum += rows[at]
        return sum
      })
    },
  }
}

/** Numbers of every row, summed over its seeds: N x width. */
function sumOverSeeds(seeds: Float64Array, examples: number, outputs: number, width: number,
  term: (q: Float64Array, k: number) => number): Float64Array {
  const result = new Float64Array(examples * width)
  for (let at = 0, row = 0; at < seeds.length; at += outputs, row++) {
    const q = seeds.subarray(at, at + outputs)
    const to = row % examples * width
    for (let k = 0; k < width; k++) result[to + k] += term(q, k)
  }
  return result
}
