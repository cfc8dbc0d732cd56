import t from 'tap'
import { symmetricEigen, symmetricEigenvalues } from '../../../core/kernels/eigen.js'
import { useKernelBuild } from '../../../core/kernels/kernel-module.js'
import * as plain from '../../../core/kernels/plain.js'
import { gemm } from '../../../core/kernels/product.js'
import { allBuilds } from './builds.js'
import { differenceOf, filled, generator } from './random-matrix.js'

type Element = (i: number, j: number) => number

/** Matrices of one size, from harmless to those that divide and conquer must deflate. */
function matrices(n: number): { name: string, matrix: Float64Array }[] {
  const random = generator(n)
  const symmetric = (element: Element): Float64Array => {
    const matrix = new Float64Array(n * n)
    for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) matrix[i * n + j] = matrix[j * n + i] = element(i, j)
    return matrix
  }
  const rotated = (spectrum: (i: number) => number): Float64Array => {
    const { vectors } = plain.symmetricEigen(n, symmetric(() => random() - 0.5))
    const scaled = vectors.map((value, at) => value * spectrum(at % n))
    const matrix = new Float64Array(n * n)
    gemm(false, true, n, n, n, 1, scaled, vectors, 0, matrix)
    for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) matrix[j * n + i] = matrix[i * n + j]
    return matrix
  }
  const root = filled(new Float64Array(n * 3), random)
  return [
    { name: 'random', matrix: symmetric(() => random() - 0.5) },
    { name: 'zero', matrix: symmetric(() => 0) },
    { name: 'identity', matrix: symmetric((i, j) => i === j ? 1 : 0) },
    { name: 'ones', matrix: symmetric(() => 1) },
    { name: 'diagonal with repeats', matrix: symmetric((i, j) => i === j ? i % 3 : 0) },
    { name: 'second difference', matrix: symmetric((i, j) => i === j ? 2 : i === j + 1 ? -1 : 0) },
    { name: 'Wilkinson', matrix: symmetric((i, j) => i === j ? Math.abs(i - (n - 1) / 2) : i === j + 1 ? 1 : 0) },
    { name: 'glued blocks',
      matrix: symmetric((i, j) => i === j ? Math.abs(i % 11 - 5) : i === j + 1 ? (i % 11 === 0 ? 1e-8 : 1) : 0) },
    { name: 'rank three',
      matrix: symmetric((i, j) =>
        root[3 * i] * root[3 * j] + root[3 * i + 1] * root[3 * j + 1] + root[3 * i + 2] * root[3 * j + 2]
      ) },
    { name: 'three distinct values', matrix: rotated(i => [1, 2, 5][i % 3]!) },
    { name: 'clustered values', matrix: rotated(i => 1 + 1e-13 * i) },
    { name: 'graded values', matrix: rotated(i => 10 ** (-16 * i / Math.max(1, n - 1))) },
    { name: 'graded numbers', matrix: symmetric((i, j) => 10 ** (-(i + j) / 10) * (random() - 0.5)) },
    { name: 'huge', matrix: symmetric(() => 1e300 * (random() - 0.5)) },
    { name: 'tiny', matrix: symmetric(() => 1e-300 * (random() - 0.5)) },
  ]
}

/** Largest of |A V - V diag(values)| / |A| and |Vᵀ V - I|, in numbers. */
function errorOf(n: number, matrix: Float64Array, values: Float64Array, vectors: Float64Array): number {
  const norm = Math.max(Math.abs(values[0] ?? 0), Math.abs(values[n - 1] ?? 0)) || 1
  const product = new Float64Array(n * n)
  gemm(false, false, n, n, n, 1, matrix.map(value => value / norm), vectors, 0, product)
  const residual = differenceOf(product, vectors.map((value, at) => value * values[at % n]! / norm))
  gemm(true, false, n, n, n, 1, vectors, vectors, 0, product)
  for (let i = 0; i < n; i++) product[i * n + i]! -= 1
  return Math.max(residual, differenceOf(product, new Float64Array(n * n)))
}

for (const build of allBuilds()) {
  for (const n of [0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 65, 130]) {
    t.test(`n = ${n}, ${build}`, async t => {
      for (const { name, matrix } of matrices(n)) {
        useKernelBuild(build)
        const before = matrix.slice()
        const { values, vectors } = symmetricEigen(n, matrix)
        const error = errorOf(n, matrix, values, vectors)
        t.ok(error < 1e-14 * (n + 1), `${name}: error ${error}`)
        t.ok(values.every((value, i) => i === 0 || value >= values[i - 1]!), `${name}: ascending`)
        const alone = symmetricEigenvalues(n, matrix)
        const largest = Math.max(Math.abs(values[0] ?? 0), Math.abs(values[n - 1] ?? 0)) || 1
        t.ok(differenceOf(alone, values) <= 1e-14 * (n + 1) * largest, `${name}: the values alone`)
        t.equal(differenceOf(matrix, before), 0, `${name}: the argument is left alone`)
      }
    })
  }

  t.test(`known values, ${build}`, async t => {
    useKernelBuild(build)
    const n = 150
    const matrix = new Float64Array(n * n)
    for (let i = 0; i < n; i++) {
      matrix[i * n + i] = 2
      if (i > 0) matrix[i * n + i - 1] = matrix[(i - 1) * n + i] = -1
    }
    const expected = Float64Array.from({ length: n }, (_, i) => 2 - 2 * Math.cos((i + 1) * Math.PI / (n + 1)))
    t.ok(differenceOf(symmetricEigen(n, matrix).values, expected) < 1e-14 * 8)
  })

  t.test(`the values agree with the plain twin's, ${build}`, async t => {
    for (const n of [40, 120]) {
      for (const { name, matrix } of matrices(n)) {
        if (name === 'huge' || name === 'tiny') continue
        useKernelBuild(build)
        const { values } = symmetricEigen(n, matrix)
        t.ok(
          differenceOf(values, plain.symmetricEigen(n, matrix).values) <
            1e-14 * n * Math.max(1, Math.abs(values[0]!), Math.abs(values[n - 1]!)),
          name,
        )
      }
    }
  })

  t.test(`numbers that are not finite are an error, ${build}`, async t => {
    useKernelBuild(build)
    for (const n of [1, 2, 20, 80]) {
      for (const bad of [NaN, Infinity, -Infinity]) {
        const matrix = filled(new Float64Array(n * n), generator(n))
        matrix[(n - 1) * n] = bad
        t.throws(() => symmetricEigen(n, matrix), { code: 'NO_CONVERGENCE' }, `${bad} in ${n} x ${n}`)
        t.throws(() => symmetricEigenvalues(n, matrix), { code: 'NO_CONVERGENCE' },
          `${bad} in ${n} x ${n}, values alone`)
      }
    }
  })

  t.test(`only the lower triangle is read, and the same call gives the same bytes, ${build}`, async t => {
    useKernelBuild(build)
    const n = 90
    const matrix = filled(new Float64Array(n * n), generator(7))
    const half = matrix.slice()
    for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) half[i * n + j] = NaN
    t.strictSame(symmetricEigen(n, half), symmetricEigen(n, matrix))
  })
}

t.test('the plain twin ends on numbers that are not finite', async t => {
  t.throws(() => plain.symmetricEigen(30, new Float64Array(900).fill(NaN)), { code: 'NO_CONVERGENCE' })
})
