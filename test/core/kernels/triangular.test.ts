import t from 'tap'
import { watched } from '../../../core/kernels/interruption.js'
import { useKernelBuild } from '../../../core/kernels/kernel-module.js'
import * as plain from '../../../core/kernels/plain.js'
import { cholesky, choleskyInverse, triangularInverse, triangularSolve,
  triangularSolveRight } from '../../../core/kernels/triangular.js'
import { allBuilds } from './builds.js'
import { differenceOf, filled, generator } from './random-matrix.js'

const SIZES = [0, 1, 2, 3, 15, 16, 17, 23, 24, 25, 32, 33, 48, 63, 64, 65, 100, 129, 200, 257]
const COLUMNS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 64, 131]

/** A Aᵀ / n + I for random A: positive definite and well conditioned. */
function positiveDefinite(n: number, random: () => number): Float64Array {
  const root = filled(new Float64Array(n * n), random)
  const matrix = new Float64Array(n * n)
  plain.gemm(false, true, n, n, n, 1 / Math.max(n, 1), root, root, 0, matrix)
  for (let i = 0; i < n; i++) matrix[i * n + i]! += 1
  return matrix
}

for (const build of allBuilds()) {
  t.test(`cholesky, ${build}`, async t => {
    useKernelBuild(build)
    const random = generator(1)
    for (const n of SIZES) {
      const expected = positiveDefinite(n, random)
      const actual = expected.slice()
      for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) actual[i * n + j] = NaN
      t.equal(plain.cholesky(n, expected), -1)
      t.equal(cholesky(n, actual), -1)
      t.ok(differenceOf(actual, expected) < 1e-14 * (n + 1), `n = ${n}`)
    }
  })

  t.test(`cholesky finds the pivot that is not positive, ${build}`, async t => {
    useKernelBuild(build)
    const random = generator(2)
    for (const [n, pivot, value] of [[5, 3, -1], [40, 0, 0], [40, 17, -1], [130, 129, -3], [130, 64, NaN], [200, 31,
      -Infinity]] as const) {
      const matrix = positiveDefinite(n, random)
      matrix[pivot * n + pivot] = value
      t.equal(cholesky(n, matrix), pivot, `n = ${n}, pivot ${pivot}`)
    }
  })

  t.test(`triangular solve, ${build}`, async t => {
    useKernelBuild(build)
    const random = generator(3)
    for (const n of SIZES) {
      const l = positiveDefinite(n, random)
      plain.cholesky(n, l)
      for (let i = 0; i < n; i++) for (let j = i + 1; j < n; j++) l[i * n + j] = NaN
      for (const m of COLUMNS) {
        for (const transposed of [false, true]) {
          const expected = filled(new Float64Array(n * m), random)
          const actual = expected.slice()
          plain.triangularSolve(transposed, n, m, l, expected)
          triangularSolve(transposed, n, m, l, actual)
          const error = differenceOf(actual, expected)
          if (!(error < 1e-13 * (n + 1))) t.fail('differs from plain substitution', { n, m, transposed, error })
        }
        const expected = filled(new Float64Array(m * n), random)
        const actual = expected.slice()
        plain.triangularSolveRight(n, m, l, expected)
        triangularSolveRight(n, m, l, actual)
        const error = differenceOf(actual, expected)
        if (!(error < 1e-13 * (n + 1))) t.fail('differs from plain substitution on the right', { n, m, error })
      }
      t.pass(`n = ${n}`)
    }
  })

  t.test(`inverses, ${build}`, async t => {
    useKernelBuild(build)
    const random = generator(4)
    for (const n of [1, 5, 30, 150]) {
      const matrix = positiveDefinite(n, random)
      const l = matrix.slice()
      cholesky(n, l)
      const identity = new Float64Array(n * n)
      for (let i = 0; i < n; i++) identity[i * n + i] = 1
      const product = new Float64Array(n * n)
      plain.gemm(false, false, n, n, n, 1, triangularInverse(n, l), l, 0, product)
      t.ok(differenceOf(product, identity) < 1e-13 * n)
      plain.gemm(false, false, n, n, n, 1, choleskyInverse(n, l), matrix, 0, product)
      t.ok(differenceOf(product, identity) < 1e-13 * n)
    }
  })
}

t.test('factorisations and solutions that follow each other are looked at in between', async t => {
  const [n, m] = [48, 64]
  const a = Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 2 : 0))
  const b = new Float64Array(n * m)
  const looksOf = (work: () => void): number => {
    let looks = 0
    watched(() => looks++, () => {
      for (let i = 0; i < 1000; i++) work()
    })
    return looks
  }
  t.ok(looksOf(() => cholesky(n, a.slice())) >= 1)
  t.ok(looksOf(() => {
    triangularSolve(false, n, m, a, b)
  }) >= 1)
  t.ok(looksOf(() => {
    triangularSolveRight(n, m, a, b)
  }) >= 1)
})
