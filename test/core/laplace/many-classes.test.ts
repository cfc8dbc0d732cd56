/** @file Predictions of many classes cost what variances cost, and are those of the whole covariances. */
import t from 'tap'
import { BATCH, GraphBuilder, laplace, tensor } from '../../../core/index.js'
import { semidefiniteRoot } from '../../../core/prediction/monte-carlo.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { relativeDifference } from '../../support/compare.js'
import { stopwatch } from '../../support/time-limits.js'

const random = randomGenerator(2)
const normals = (count: number): Float64Array => random.fillNormal(new Float64Array(count))

async function posteriorOf(classes: number, width: number, rows: number, tune: 'auto' | 'none') {
  const b = new GraphBuilder('float64')
  const graph = b.build([
    b.node('Gemm', [b.input('x', [BATCH, width]),
      b.parameter('w', tensor('float64', [classes, width], normals(classes * width))),
      b.parameter('b', tensor('float64', [classes], normals(classes)))], { transB: 1 }),
  ])
  const x = tensor('float64', [rows, width], normals(rows * width))
  const y = Float64Array.from({ length: rows }, (_, n) => (7 * n) % classes)
  const posterior = await laplace(graph, { likelihood: 'classification', subset: 'last_layer', structure: 'kron',
    tune }).fit(x, tensor('int64', [rows], y))
  return { posterior, x }
}

t.test('the links that compare outputs with their mean need variances and row sums only', async t => {
  const { posterior, x } = await posteriorOf(210, 4, 60, 'auto')
  for (const link of [undefined, 'zero_sum', 'bridge', 'bridge_norm', 'probit'] as const) {
    const own = link === undefined ? {} : { link }
    const [quick, whole] = await Promise.all([posterior.predict(x, own),
      posterior.predict(x, { ...own, covariance: true })])
    t.ok(
      relativeDifference(quick.probabilities!.data as Float64Array, whole.probabilities!.data as Float64Array) < 1e-9,
      link ?? 'the answer',
    )
    t.ok(relativeDifference(quick.variance.data as Float64Array, whole.variance.data as Float64Array) < 1e-12)
    t.notOk('epistemic' in quick, 'its parts need covariances')
    t.ok('epistemic' in whole)
  }
})

t.test('a thousand classes are predicted in milliseconds a row', async t => {
  const { posterior, x } = await posteriorOf(1000, 8, 1000, 'none')
  await posterior.predict(x, { link: 'zero_sum' })
  const elapsed = stopwatch()
  await posterior.predict(x, { link: 'zero_sum' })
  const took = elapsed()
  // The covariance of a single row takes longer than a hundred milliseconds.
  t.ok(took < 10_000, `${took} ms for 1000 rows`)
})

t.test('the root of a covariance of many outputs is that of Cholesky, also where it is singular', t => {
  const size = 80
  for (const rank of [size, size - 1]) {
    const half = normals(size * rank)
    const matrix = new Float64Array(size * size)
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        for (let k = 0; k < rank; k++) matrix[i * size + j] += half[i * rank + k] * half[j * rank + k]
      }
    }
    const root = semidefiniteRoot(matrix, size)
    const product = matrix.map((_, at) => {
      const [i, j] = [Math.floor(at / size), at % size]
      let sum = 0
      for (let k = 0; k < size; k++) sum += root[i * size + k] * root[j * size + k]
      return sum
    })
    t.ok(relativeDifference(product, matrix) < 1e-7, `rank ${rank}`)
    t.ok(root.every((value, at) => at % size <= Math.floor(at / size) || value === 0), 'lower triangular')
  }
  t.end()
})
