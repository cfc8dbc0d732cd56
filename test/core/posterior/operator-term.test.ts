/** @file Variances of a weight that is used at several positions, beside J P^-1 J' by rows that are written out. */
import t from 'tap'
import type { KronBlock } from '../../../core/curvature/curvature.js'
import { denseJacobian } from '../../../core/curvature/jacobian.js'
import { gemm } from '../../../core/kernels/linear-algebra.js'
import type { ParameterSlot } from '../../../core/network/parameter-slot.js'
import { outputMoments, someVariances } from '../../../core/posterior/posterior-parts.js'
import { structuredPosterior } from '../../../core/posterior/structured.js'
import { narrowed } from '../../../core/posterior/variance-kind.js'
import type { FactoredJacobian } from '../../../core/programs/factored-jacobian.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { relativeDifference } from '../../support/compare.js'
import { randomGram } from '../../support/random-gram.js'

const [SEEDS, EXAMPLES] = [3, 2]
const random = randomGenerator(8)
const normals = (count: number): Float64Array => random.fillNormal(new Float64Array(count))

/** Fewer positions than inputs, as many as outputs, more than both; factors of full rank, of low rank, and none. */
const CASES = [
  { positions: 3, inputs: 9, out: 4, rows: 2 },
  { positions: 3, inputs: 9, out: 4, rows: 40 },
  { positions: 12, inputs: 9, out: 4, rows: 2 },
  { positions: 12, inputs: 9, out: 4, rows: 40 },
  { positions: 5, inputs: 90, out: 30, rows: 20 },
  { positions: 5, inputs: 90, out: 30, rows: 0 },
  { positions: 50, inputs: 20, out: 70, rows: 300 },
]

for (const { positions, inputs, out, rows } of CASES) {
  t.test(`${positions} positions of ${inputs} to ${out}, ${rows} rows`, async t => {
    const size = out * inputs + out
    const slots: ParameterSlot[] = [{ name: 'w', shape: [out, inputs], size: out * inputs, offset: 0 }, { name: 'b',
      shape: [out], size: out, offset: out * inputs }]
    const B = randomGram(random, out + 3, out)
    const blocks: KronBlock[] = [{ kind: 'weight', name: 'w', out, in: inputs, B, A: randomGram(random, rows, inputs),
      rows }, {
      kind: 'dense',
      name: 'b',
      out,
      B: B.slice(),
    }]
    const settings = { priorPrecision: Float64Array.of(0.3, 2), temperature: 0.7 }
    const posterior = structuredPosterior(rows === 0
      ? { structure: 'diag', size, diagonal: normals(size).map(value => value * value) }
      : { structure: 'kron', size, blocks }, slots, normals(size), settings)
    const jacobian: FactoredJacobian = { seeds: SEEDS, examples: EXAMPLES,
      factors: [{ kind: 'linear', weight: 0, bias: 1, in: inputs, out, positions,
        a: normals(EXAMPLES * positions * inputs), g: normals(SEEDS * EXAMPLES * positions * out) }] }
    const whole = denseJacobian(slots, jacobian)
    const images = posterior.covarianceTimes(whole, EXAMPLES * SEEDS)
    const covariance = new Float64Array(EXAMPLES * SEEDS * SEEDS)
    for (let n = 0; n < EXAMPLES; n++) {
      const at = n * SEEDS * size
      gemm(false, true, SEEDS, SEEDS, size, 1, whole.subarray(at, at + SEEDS * size),
        images.subarray(at, at + SEEDS * size), 0, covariance.subarray(n * SEEDS ** 2, (n + 1) * SEEDS ** 2))
    }
    for (const kind of ['diagonal', 'sums', 'covariance'] as const) {
      const own = outputMoments(posterior.parts(), slots, jacobian, kind).variance
      const expected = kind === 'covariance' ? covariance : narrowed(covariance, 'covariance', kind, SEEDS)
      t.ok(relativeDifference(own, expected) < 1e-10, kind)
      const factors = jacobian.factors.map(factor =>
        factor.kind === 'linear'
          ? { ...factor, a: Float32Array.from(factor.a), g: Float32Array.from(factor.g) } :
          factor
      )
      const single = outputMoments(posterior.parts(), slots, { ...jacobian, factors }, kind).variance
      t.ok(relativeDifference(single, expected) < 1e-5, `${kind}, float32`)
    }
    const parts = posterior.parts()
    if (parts.kind !== 'blocks') return
    // The last seed as the sum of what others are asked for with it.
    const sums = someVariances(parts, slots, jacobian, 'sums')
    for (let n = 0; n < EXAMPLES; n++) {
      for (let c = 0; c < SEEDS; c++) {
        const at = (n * SEEDS + c) * SEEDS
        t.ok(Math.abs(sums[n * 2 * SEEDS + SEEDS + c]! - covariance[at + SEEDS - 1]!) < 1e-9 * covariance[at + c]!)
      }
    }
  })
}
