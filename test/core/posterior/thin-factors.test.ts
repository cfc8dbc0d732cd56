/** @file Kronecker factors of low rank, of which the range alone is decomposed, beside the dense matrix P. */
import t from 'tap'
import type { KronBlock } from '../../../core/curvature/curvature.js'
import { cholesky, choleskyInverse, gemm } from '../../../core/kernels/linear-algebra.js'
import type { ParameterSlot } from '../../../core/network/parameter-slot.js'
import { isThin } from '../../../core/posterior/eigenbasis.js'
import { structuredPosterior } from '../../../core/posterior/structured.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { relativeDifference } from '../../support/compare.js'
import { randomGram } from '../../support/random-gram.js'

const [OUT, IN, ROWS] = [3, 9, 2]
const SIZE = OUT * IN + OUT
const random = randomGenerator(4)
const normals = (count: number): Float64Array => random.fillNormal(new Float64Array(count))

const slots: ParameterSlot[] = [{ name: 'w', shape: [OUT, IN], size: OUT * IN, offset: 0 }, { name: 'b', shape: [OUT],
  size: OUT, offset: OUT * IN }]
const B = randomGram(random, 5, OUT)
const A = randomGram(random, ROWS, IN)
const blocks: KronBlock[] = [{ kind: 'weight', name: 'w', out: OUT, in: IN, B, A, rows: ROWS }, { kind: 'dense',
  name: 'b', out: OUT, B: B.slice() }]
const mean = normals(SIZE)
const settings = { priorPrecision: Float64Array.of(0.3, 2), temperature: 0.7 }
const posterior = structuredPosterior({ structure: 'kron', size: SIZE, blocks }, slots, mean, settings)

/** P by its definition: (B kron A / rows) / T + delta, and B / T + delta. */
const precision = new Float64Array(SIZE * SIZE)
for (let i = 0; i < SIZE; i++) {
  for (let j = 0; j < SIZE; j++) {
    const [o, p] = [i, j].map(at => at < OUT * IN ? Math.floor(at / IN) : at - OUT * IN)
    const weight = [i, j].map(at => at < OUT * IN)
    if (weight[0] !== weight[1]) continue
    const a = weight[0] ? A[(i % IN) * IN + j % IN]! / ROWS : 1
    precision[i * SIZE + j] = B[o! * OUT + p!]! * a / 0.7 + (i === j ? weight[0] ? 0.3 : 2 : 0)
  }
}
const factor = precision.slice()
cholesky(SIZE, factor)
const covariance = choleskyInverse(SIZE, factor)
const logDet = 2 * Array.from({ length: SIZE }, (_, i) => Math.log(factor[i * SIZE + i]!)).reduce((a, b) => a + b)
const near = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => relativeDifference(a, b) < 1e-12

t.test('the range alone is kept', async t => {
  const parts = posterior.parts()
  const basis = parts.kind === 'blocks' ? parts.blocks[0]?.[0]?.right : undefined
  t.ok(basis !== undefined && isThin(basis))
  t.equal(basis?.rank, ROWS)
})

t.test('every quantity is that of the dense matrix', async t => {
  t.ok(near([posterior.logDetPrecision()], [logDet]), 'log |P|')
  t.ok(near(posterior.precisionMatrix(), precision), 'P')
  t.ok(near(posterior.posteriorVariance(), Array.from({ length: SIZE }, (_, i) => covariance[i * SIZE + i]!)), 'diag')
  const vectors = normals(4 * SIZE)
  const images = new Float64Array(4 * SIZE)
  gemm(false, false, 4, SIZE, SIZE, 1, vectors, covariance, 0, images)
  t.ok(near(posterior.covarianceTimes(vectors, 4), images), 'P^-1 v')
  const products = new Float64Array(16)
  gemm(false, true, 4, 4, SIZE, 1, vectors, images, 0, products)
  const root = posterior.whiten(vectors, 4)
  const squares = new Float64Array(16)
  gemm(false, true, 4, 4, SIZE, 1, root, root, 0, squares)
  t.ok(near(squares, products), "R R' = V P^-1 V'")
  const distance = vectors.subarray(0, SIZE)
  const image = new Float64Array(SIZE)
  gemm(false, false, 1, SIZE, SIZE, 1, distance, precision, 0, image)
  const quadratic = distance.reduce((sum, value, i) => sum + value * image[i]!, 0)
  t.ok(
    near([posterior.logProb(distance.map((value, i) => value + mean[i]!))], [
      -0.5 * (SIZE * Math.log(2 * Math.PI) - logDet + quadratic),
    ]),
    'log density',
  )
  const values = posterior.spectrum().values[0]!
  t.equal(values.length, OUT * IN, 'an eigenvalue for each parameter')
  t.equal(values.filter(value => value === 0).length, OUT * (IN - ROWS), 'of which those off the range are 0')
})

t.test('draws have the covariance', async t => {
  const count = 40_000
  const draws = posterior.sample(count, randomGenerator(1))
  const moments = new Float64Array(SIZE * SIZE)
  for (let at = 0; at < draws.length; at++) draws[at]! -= mean[at % SIZE]!
  gemm(true, false, SIZE, SIZE, count, 1 / count, draws, draws, 0, moments)
  // Five standard errors.
  t.ok(moments.every((value, at) => {
    const [i, j] = [Math.floor(at / SIZE), at % SIZE]
    const error = Math.sqrt((covariance[i * SIZE + i]! * covariance[j * SIZE + j]! + covariance[at]! ** 2) / count)
    return Math.abs(value - covariance[at]!) < 5 * error
  }))
})
