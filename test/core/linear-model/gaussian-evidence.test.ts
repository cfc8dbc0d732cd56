/** @file Prior and noise of a regression: no point of a fine net has a larger evidence than the one that is found. */
import t from 'tap'
import { gaussianEvidence, type GaussianSpectrum, tuneGaussian } from '../../../core/linear-model/gaussian-evidence.js'
import { randomGenerator } from '../../../core/tensor/random.js'

const random = randomGenerator(5)

/** Coordinates of one draw from the model, whose eigenvalues lie `decades` apart. */
function drawn(size: number, others: number, decades: number, delta: number, sigma: number): GaussianSpectrum {
  const normals = random.fillNormal(new Float64Array(size + others))
  const values = Float64Array.from({ length: size }, (_, i) => 10 ** (decades * (i / size - 0.5)))
  return { values, coordinates: values.map((l, i) => normals[i] * Math.sqrt(l / delta + sigma * sigma)), others,
    otherSquares: normals.subarray(size).reduce((sum, z) => sum + (sigma * z) ** 2, 0) }
}

/** The largest evidence of a net over log delta and log sigma, in what is not given. */
function largest(spectrum: GaussianSpectrum, lowest: number, given: { delta?: number, sigma?: number }): number {
  const at = gaussianEvidence(spectrum)
  const net = (from: number, to: number): number[] =>
    Array.from({ length: Math.round((to - from) * 4) + 1 }, (_, i) => from + i / 4)
  let most = -Infinity
  for (const p of given.delta === undefined ? net(-30, 30) : [Math.log(given.delta)]) {
    for (const q of given.sigma === undefined ? net(-20, 20) : [2 * Math.log(given.sigma)]) {
      if (given.sigma === undefined && q < lowest) continue
      most = Math.max(most, at.at(Float64Array.of(p, q)).value)
    }
  }
  return most
}

for (const decades of [1, 6, 14]) {
  for (const [delta, sigma] of [[1, 1], [1e-3, 2], [50, 0.1], [1e4, 3]] as const) {
    t.test(`eigenvalues over ${decades} decades, delta ${delta}, sigma ${sigma}`, async t => {
      for (const [size, others] of [[30, 0], [12, 40], [3, 1]]) {
        const spectrum = drawn(size, others, decades, delta, sigma)
        const lowest = 2 * Math.log(1e-3)
        for (const given of [{}, { delta }, { sigma }, { delta, sigma }]) {
          const found = tuneGaussian(spectrum, 1, given)
          t.ok(found.evidence >= largest(spectrum, lowest, given) - 1e-9, JSON.stringify(given))
        }
      }
    })
  }
}

t.test('no eigenvalue, and nothing to explain', async t => {
  const none = { values: new Float64Array(0), coordinates: new Float64Array(0), others: 4, otherSquares: 8 }
  t.ok(Math.abs(tuneGaussian(none, 1).sigma - Math.SQRT2) < 1e-9)
  const zero = tuneGaussian({ ...none, otherSquares: 0 }, 0)
  t.ok(zero.sigma > 0 && zero.delta > 0 && zero.floored)
})
