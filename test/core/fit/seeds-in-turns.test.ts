/** @file A backward pass whose seeds are taken in turns, as many as the memory allows: the numbers of one pass. */
import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { laplace } from '../../../index.js'

const random = randomGenerator(8)
const draw = (...shape: number[]) =>
  tensor('float64', shape, Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0.4 * random.normal()))

const CLASSES = 7
const ROWS = 12

/** Convolutions over a large image, whose values are many more than the weights, and a layer without positions. */
function network(): Graph {
  const b = new GraphBuilder('float64')
  const pads = [1, 1, 1, 1]
  const one = b.node('Conv', [b.input('x', [BATCH, 1, 24, 24]), b.parameter('a', draw(3, 1, 3, 3)),
    b.parameter('a_bias', draw(3))], { kernel_shape: [3, 3], pads })
  const two = b.node('Conv', [b.node('Tanh', [one]), b.parameter('b', draw(4, 3, 3, 3))], { kernel_shape: [3, 3], pads,
    strides: [2, 2] })
  const pooled = b.node('GlobalAveragePool', [b.node('Tanh', [two])])
  return b.build([
    b.node('Gemm', [b.node('Flatten', [pooled]), b.parameter('c', draw(CLASSES, 4)),
      b.parameter('c_bias', draw(CLASSES))], { transB: 1 }),
  ])
}

const graph = network()
const x = draw(ROWS, 1, 24, 24)
const y = Float64Array.from({ length: ROWS }, (_, i) => i % CLASSES)
const unseen = draw(3, 1, 24, 24)
const settings = { likelihood: 'classification', subset: 'all', priorPrecision: 2 } as const

/** The largest difference of two arrays over the largest number. */
function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const size = Array.from(b).reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  return Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0) / size
}

t.test('many turns are told, with what takes fewer', async t => {
  const wide = new GraphBuilder('float64')
  const hidden = wide.node('Tanh', [
    wide.node('Conv', [wide.input('x', [BATCH, 1, 24, 24]), wide.parameter('a', draw(3, 1, 3, 3))], {
      kernel_shape: [3, 3],
      pads: [1, 1, 1, 1],
    }),
  ])
  const flat = wide.node('Flatten', [wide.node('GlobalAveragePool', [hidden])])
  const many = wide.build([wide.node('Gemm', [flat, wide.parameter('c', draw(60, 3))], { transB: 1 })])
  const notesOf = async (own: object): Promise<string> =>
    (await laplace(many, { ...settings, structure: 'kron', memoryLimit: 1_000_000, ...own }).fit(x, y))
      .summary().notes.join(' ')
  t.match(await notesOf({}), /Each row takes 59 backward passes, .* 'mc_fisher' takes one for each label/)
  t.notMatch(await notesOf({ curvature: 'mc_fisher' }), /backward passes/)
})

for (const options of [{ structure: 'kron' }, { structure: 'diag' }, { structure: 'full' }, { structure: 'blockdiag' },
  { structure: 'kron', kfacApprox: 'reduce' }, { structure: 'full', curvature: 'hessian', priorPrecision: 50 }, {
  structure: 'kron',
  curvature: 'mc_fisher',
  draws: 5,
  seed: 1,
}] as const) {
  t.test(JSON.stringify(options), async t => {
    const whole = await laplace(graph, { ...settings, ...options }).fit(x, y)
    const cut = await laplace(graph, { ...settings, ...options, memoryLimit: 2_000_000 }).fit(x, y)
    t.ok(difference([cut.logMarginalLikelihood()], [whole.logMarginalLikelihood()]) < 1e-10)
    for (const link of ['probit', 'zero_sum'] as const) {
      const [a, b] = [await cut.predict(unseen, { link }), await whole.predict(unseen, { link })]
      t.ok(difference(a.variance.data, b.variance.data) < 1e-10, `${link}: variances`)
      t.ok(difference(a.probabilities?.data ?? [NaN], b.probabilities?.data ?? []) < 1e-10, `${link}: probabilities`)
    }
  })
}

t.test('with weights of the rows, and in threads', async t => {
  const sampleWeight = Float64Array.from({ length: ROWS }, (_, i) => i % 3)
  const whole = await laplace(graph, { ...settings, threads: 1 }).fit(x, y, { sampleWeight })
  const cut = await laplace(graph, { ...settings, threads: 2, memoryLimit: 2_000_000 }).fit(x, y, { sampleWeight })
  t.ok(difference([cut.logMarginalLikelihood()], [whole.logMarginalLikelihood()]) < 1e-10)
})
