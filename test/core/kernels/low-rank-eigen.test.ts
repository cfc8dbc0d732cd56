import t from 'tap'
import { symmetricEigen } from '../../../core/kernels/eigen.js'
import { lowRankEigen } from '../../../core/kernels/low-rank-eigen.js'
import { gemm } from '../../../core/kernels/product.js'
import { differenceOf, filled, generator } from './random-matrix.js'

/** A = R' diag(scale) R for `rank` random rows R of n numbers. */
function lowRank(n: number, rank: number, scale: (i: number) => number): Float64Array {
  const random = generator(n + rank)
  const rows = filled(new Float64Array(rank * n), random)
  const scaled = rows.map((value, at) => value * scale(Math.floor(at / n)))
  const matrix = new Float64Array(n * n)
  gemm(true, false, n, n, rank, 1, rows, scaled, 0, matrix)
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) matrix[j * n + i] = matrix[i * n + j]!
  return matrix
}

const SPECTRA: Readonly<Record<string, (i: number) => number>> = {
  'equal': () => 1,
  'over ten powers of ten': i => 10 ** -(i % 11),
  'huge': () => 1e150,
  'tiny': () => 1e-150,
}

for (const [n, rank] of [[1, 1], [5, 2], [70, 3], [150, 70], [300, 140]] as const) {
  for (const [name, scale] of Object.entries(SPECTRA)) {
    t.test(`rank ${rank} of ${n}, ${name}: the eigenpairs of the whole decomposition`, async t => {
      const matrix = lowRank(n, rank, scale)
      const before = matrix.slice()
      // More rows than the rank are allowed for, as where rows depend on each other.
      const { values, vectors } = lowRankEigen(n, matrix, Math.min(n, rank + 2))!
      t.equal(differenceOf(matrix, before), 0, 'the argument is left alone')
      const whole = symmetricEigen(n, matrix).values
      const k = values.length
      const norm = whole[n - 1]!
      t.ok(k <= rank, `${k} values`)
      t.ok(differenceOf(values, whole.slice(n - k)) <= 1e-13 * norm)
      t.ok(whole.slice(0, n - k).every(value => Math.abs(value) <= 1e-11 * norm), 'what is left out is rounding')
      const gram = new Float64Array(k * k)
      gemm(true, false, k, k, n, 1, vectors, vectors, 0, gram)
      for (let i = 0; i < k; i++) gram[i * k + i]! -= 1
      t.ok(differenceOf(gram, new Float64Array(k * k)) < 1e-12, 'orthonormal')
      const back = new Float64Array(n * n)
      gemm(false, true, n, n, k, 1, vectors.map((value, at) => value * values[at % k]! / norm), vectors, 0, back)
      t.ok(differenceOf(back, matrix.map(value => value / norm)) < 1e-12, "A = U diag(values) U'")
    })
  }
}

t.test('a matrix of zeros has no eigenpair that is more than rounding', async t => {
  t.equal(lowRankEigen(20, new Float64Array(400), 5)?.values.length, 0)
})

t.test('sums that are right to single precision alone give the same but for their rounding', async t => {
  const [n, rank] = [300, 60]
  const random = generator(9)
  const matrix = lowRank(n, rank, () => 1)
  const rounded = matrix.map((value, at) => {
    const [i, j] = [Math.floor(at / n), at % n]
    return value + (i <= j ? 1e-7 * 5 * (random() - 0.5) : 0)
  })
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) rounded[i * n + j] = rounded[j * n + i]!
  const { values, vectors } = lowRankEigen(n, rounded, n / 2)!
  const k = values.length
  const back = new Float64Array(n * n)
  gemm(false, true, n, n, k, 1, vectors.map((value, at) => value * values[at % k]!), vectors, 0, back)
  t.ok(differenceOf(back, matrix) < 1e-4, `${k} values`)
})

t.test('a matrix of a higher rank than was said is left to the whole decomposition', async t => {
  t.equal(lowRankEigen(20, lowRank(20, 6, () => 1), 5), undefined)
})
