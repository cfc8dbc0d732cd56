/** @file Precisions that are singular within rounding: regularised, and said, whatever the processor's rounding. */
import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { jitteredCholesky } from '../../../core/kernels/jittered-cholesky.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { float64 } from '../../../core/tensor/tensor.js'

const WIDTH = 12
const random = randomGenerator(3)

/** Rows whose last columns repeat the first ones in other units: H has half of its eigenvalues at 0. */
function rows(count: number): number[] {
  return Array.from({ length: count }, () => {
    const half = Array.from({ length: WIDTH / 2 }, () => random.normal())
    return [...half, ...half.map((value, i) => value * 10 ** (i - 3))]
  }).flat()
}

function line(): Graph {
  const builder = new GraphBuilder('float64')
  return builder.build([
    builder.node('Gemm', [builder.input('x', [BATCH, WIDTH]),
      builder.parameter('w', float64([1, WIDTH], Array.from({ length: WIDTH }, () => random.normal()))),
      builder.parameter('b', float64([1], [0.5]))], { transB: 1 }, 'line'),
  ])
}

const x = float64([40, WIDTH], rows(40))
const y = float64([40, 1], Array.from({ length: 40 }, () => random.normal()))

const said = (note: string): boolean => /singular within rounding: \S+ of its diagonal/.test(note)

t.test('a Hessian that is singular within rounding is regularised, and a note says by how much', async t => {
  for (const priorPrecision of [1e-8, 1e-14, 1e-16, 1e-30, 1e-90]) {
    for (const threads of [1, 2]) {
      const posterior = await laplace(line(), { likelihood: 'regression', subset: 'all', structure: 'full',
        tune: 'none', priorPrecision, threads }).fit(x, y)
      const { variance } = await posterior.predict(x)
      t.ok(variance.data.every(value => Number.isFinite(value) && value > 0), `${priorPrecision}, ${threads} threads`)
      // What the rows determine is not moved: tr(J P^-1 J') is the number of directions that they see.
      const sum = Array.from(variance.data).reduce((total, value) => total + value, 0)
      t.ok(Math.abs(sum - (WIDTH / 2 + 1)) < 1e-4, `${priorPrecision}: ${sum}`)
      t.equal(posterior.notes.some(said), priorPrecision < 1e-11, `${priorPrecision}`)
      t.equal(posterior.withPrior({ priorPrecision: 1 }).notes.some(said), false,
        'the note is of the prior, not of the fit')
    }
  }
})

t.test('kron and diag count eigenvalues below 0 as 0', async t => {
  for (const structure of ['kron', 'diag'] as const) {
    const posterior = await laplace(line(), { likelihood: 'regression', subset: 'all', structure, tune: 'none',
      priorPrecision: 1e-30 }).fit(x, y)
    t.ok((await posterior.predict(x)).variance.data.every(value => Number.isFinite(value) && value >= 0))
  }
})

t.test('no more is added than rounding asks for', t => {
  const matrix = (smallest: number) => () => Float64Array.of(1, 1, 1, 1 + smallest)
  t.match(jitteredCholesky(2, matrix(1e-12)), { jitter: 0 })
  for (const rounded of [0, 1e-16, -1e-16, -3e-16]) {
    t.match(jitteredCholesky(2, matrix(rounded)), { jitter: 32 * Number.EPSILON }, `${rounded}`)
  }
  t.match(jitteredCholesky(2, matrix(-1e-9)), { jitter: 32 * Number.EPSILON * 1e5 })
  t.same(jitteredCholesky(2, matrix(-1e-6)), { pivot: 1, diagonal: 1 - 1e-6 })
  t.same(jitteredCholesky(2, () => Float64Array.of(1, 0, 0, -1)), { pivot: 1, diagonal: -1 })
  t.match(jitteredCholesky(1, () => Float64Array.of(NaN)), { pivot: 0 })
  t.end()
})
