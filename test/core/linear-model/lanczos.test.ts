/** @file Leading eigenpairs by products alone, against matrices with a known spectrum. */
import fc from 'fast-check'
import t from 'tap'
import { gemm } from '../../../core/kernels/linear-algebra.js'
import { lanczosVectors, leadingPairs } from '../../../core/linear-model/lanczos.js'
import { orthonormalRows } from '../../../core/linear-model/leading-eigenpairs.js'
import { randomGenerator } from '../../../core/tensor/random.js'

/** A matrix with given eigenvalues in a random basis, and its product. */
function withSpectrum(values: readonly number[], seed: number): (v: Float64Array) => Promise<Float64Array> {
  const n = values.length
  const Q = orthonormalRows(n, randomGenerator(seed).fillNormal(new Float64Array(n * n)))
  const scaled = Q.map((value, i) => value * values[Math.floor(i / n)])
  const matrix = new Float64Array(n * n)
  gemm(true, false, n, n, n, 1, Q, scaled, 0, matrix)
  return v => {
    const image = new Float64Array(n)
    gemm(false, false, 1, n, n, 1, v, matrix, 0, image)
    return Promise.resolve(image)
  }
}

const spectra: Record<string, (k: number, n: number) => number> = {
  falling: k => 10 * 0.7 ** k,
  slow: k => 1 / (1 + k),
  twice: k => 5 - Math.floor(Math.min(k, 8) / 2),
  few: k => k < 3 ? 3 - k : 0,
  zero: () => 0,
  one: () => 1,
  indefinite: (k, n) => (k % 2 === 0 ? 1 : -1) * (n - k) ** 2,
}

const settings = fc.record({ kind: fc.constantFrom(...Object.keys(spectra)), n: fc.integer({ min: 1, max: 60 }),
  wanted: fc.integer({ min: 1, max: 12 }), fewest: fc.boolean(), by: fc.constantFrom('value' as const, 'size' as const),
  seed: fc.nat(1000) })

t.test('eigenvalues and eigenvectors of matrices of every kind of spectrum', async t => {
  await fc.assert(fc.asyncProperty(settings, async ({ kind, n, wanted, fewest, by, seed }) => {
    const spectrum = Array.from({ length: n }, (_, k) => spectra[kind](k, n))
    const times = withSpectrum(spectrum, seed + 5000)
    const vectors = lanczosVectors(wanted, n)
    // Of few vectors hardly one is left to find an eigenvalue once more.
    const few = fewest && kind !== 'twice'
    const found = await leadingPairs({ size: n, wanted, held: few ? vectors.fewest : vectors.usual, by, noise: 1e-13,
      seed, signal: undefined }, times)
    const rank = by === 'value' ? (value: number) => value : Math.abs
    const expected = spectrum.toSorted((a, b) => rank(b) - rank(a)).slice(0, wanted)
    const scale = Math.max(...spectrum.map(Math.abs), 1e-300)
    if (!found.converged || found.values.length !== expected.length) return false
    for (const [k, value] of found.values.entries()) {
      if (Math.abs(value - expected[k]) > 1e-9 * scale) return false
      const vector = found.vectors.slice(k * n, (k + 1) * n)
      const image = await times(vector)
      if (image.some((entry, i) => Math.abs(entry - value * vector[i]) > 1e-8 * scale)) return false
    }
    const gram = new Float64Array(found.values.length ** 2)
    gemm(false, true, found.values.length, found.values.length, n, 1, found.vectors, found.vectors, 0, gram)
    return gram.every((entry, at) => Math.abs(entry - Number(at % (found.values.length + 1) === 0)) < 1e-10)
  }), { numRuns: 1000, seed: 5 })
  t.pass()
})

t.test('products with rounding of single precision settle at that, and few products are needed', async t => {
  const n = 400
  const exact = withSpectrum(Array.from({ length: n }, (_, k) => k < 6 ? 1 / (1 + k) : 0), 3)
  let products = 0
  const found = await leadingPairs({ size: n, wanted: 8, held: lanczosVectors(8, n).usual, by: 'value', noise: 1e-6,
    seed: 1, signal: undefined }, async v => {
    products++
    return Float64Array.from(Float32Array.from(await exact(v)))
  })
  t.ok(found.converged)
  t.ok(products <= 2 * lanczosVectors(8, n).usual, `${products} products`)
  found.values.forEach((value, k) => t.ok(Math.abs(value - (k < 6 ? 1 / (1 + k) : 0)) < 1e-6, `${k}: ${value}`))
})

t.test('a signal ends it', async t => {
  const signal = { aborted: true }
  await t.rejects(
    leadingPairs({ size: 5, wanted: 1, held: 3, by: 'value', noise: 0, seed: 1, signal }, v => Promise.resolve(v)),
    { code: 'CANCELLED' },
  )
})
