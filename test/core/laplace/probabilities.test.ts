/** @file Classifiers that give probabilities have the posterior of the same classifier that gives logits. */
import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { laplace, type LaplaceOptions, loadPosterior } from '../../../core/index.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { float64 } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'

const random = randomGenerator(3)
const draws = (...shape: number[]) =>
  float64(shape, Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()))
const [w1, w2] = [draws(4, 3), draws(2, 4)]
const x = draws(20, 3)
const classes = float64([20], Float64Array.from({ length: 20 }, (_, i) => i % 2))

function network(end: (b: GraphBuilder, z: string) => string, outputs = 2): Graph {
  const b = new GraphBuilder('float64')
  const h = b.node('Tanh', [b.node('Gemm', [b.input('x', [BATCH, 3]), b.parameter('w1', w1)], { transB: 1 })])
  const top = outputs === 2 ? w2 : float64([1, 4], w2.data.slice(0, 4))
  return b.build([end(b, b.node('Gemm', [h, b.parameter('w2', top)], { transB: 1 }))])
}

const options = { subset: 'all', structure: 'full', tune: 'none' } as const
async function fitted(graph: Graph, likelihood: LaplaceOptions['likelihood'], most: Partial<LaplaceOptions> = {}) {
  const posterior = await laplace(graph, { likelihood, ...options, ...most } as LaplaceOptions).fit(x, classes)
  const { probabilities } = await posterior.predict(x, { link: 'map' })
  return { posterior, probabilities: probabilities!.data, H: posterior.H.toDense() }
}

const logits = (_b: GraphBuilder, z: string): string => z
const mixed = (b: GraphBuilder, z: string): string => {
  // A product with a matrix whose rows sum to 1: only the values show that these are probabilities.
  const stirred = b.constant(float64([2, 2], [1 - 1e-12, 1e-12, 1e-12, 1 - 1e-12]))
  return b.node('MatMul', [b.node('Softmax', [z]), stirred])
}

t.test('the same curvature and the same probabilities as from logits', async t => {
  const plain = await fitted(network(logits), 'classification')
  const ends = { clamped: (b: GraphBuilder, z: string) => b.node('Clip', [b.node('Softmax', [z]), b.scalar(1e-9)]),
    mixed, percent: (b: GraphBuilder, z: string) => b.node('Mul', [b.node('Softmax', [z]), b.scalar(100)]) }
  for (const [name, end] of Object.entries(ends)) {
    const own = await fitted(network(end), 'classification')
    t.ok(relativeDifference(own.H, plain.H) < 1e-9, `${name}: H`)
    t.ok(relativeDifference(own.probabilities, plain.probabilities) < 1e-9, `${name}: probabilities`)
    t.match(own.posterior.notes.join(), /probabilities of the classes/, name)
    const again = await loadPosterior(own.posterior.save()).predict(x, { link: 'map' })
    t.ok(relativeDifference(again.probabilities!.data, plain.probabilities) < 1e-9, `${name}: saved and loaded`)
  }
})

t.test('the logit of one probability', async t => {
  const plain = await fitted(network(logits, 1), 'binary')
  const spelled = await fitted(
    network((b, z) => b.node('Reciprocal', [b.node('Add', [b.node('Exp', [b.node('Neg', [z])]), b.scalar(1)])]), 1),
    'binary',
  )
  t.ok(relativeDifference(spelled.H, plain.H) < 1e-9)
  t.ok(relativeDifference(spelled.probabilities, plain.probabilities) < 1e-9)
})

t.test('the logarithm of one probability', async t => {
  const plain = await fitted(network(logits, 1), 'binary')
  const logarithm = await fitted(
    network((b, z) => b.node('Neg', [b.node('Softplus', [b.node('Neg', [z])])]), 1),
    'binary',
  )
  t.ok(relativeDifference(logarithm.H, plain.H) < 1e-9)
  t.ok(relativeDifference(logarithm.probabilities, plain.probabilities) < 1e-9)
  t.match(logarithm.posterior.notes.join(), /never positive.*logarithm of the probability/)
})

t.test('equal outputs for every row are no probabilities, whatever their sum', async t => {
  const flat = await fitted(
    network((b, z) => b.node('Add', [b.node('Mul', [z, b.scalar(0)]), b.constant(float64([2], [3, 1]))])),
    'classification',
  )
  t.ok(Math.abs(flat.probabilities[0] - 1 / (1 + Math.exp(-2))) < 1e-12)
})

t.test('partial fits of what only the rows show', async t => {
  const prepared = laplace(network(mixed), { likelihood: 'classification', ...options })
  const merged = await prepared.fitMerged(await prepared.fitPartial(x, classes))
  const plain = await fitted(network(logits), 'classification')
  t.ok(relativeDifference(merged.H.toDense(), plain.H) < 1e-9)
})

/** A product with 1 - 1e-12: only the values show that it is a probability. */
const scaled = (b: GraphBuilder, z: string): string =>
  b.node('MatMul', [b.node('Sigmoid', [z]), b.constant(float64([1, 1], [1 - 1e-12]))])

t.test('one probability that only the rows show', async t => {
  const plain = await fitted(network(logits, 1), 'binary')
  const labels = float64([20], plain.probabilities.map(p => Number(p > 0.5)))
  const prepared = (graph: Graph) => laplace(graph, { likelihood: 'binary', ...options })
  const [own, expected] = await Promise.all(
    [network(scaled, 1), network(logits, 1)].map(graph => prepared(graph).fit(x, labels)),
  )
  t.ok(relativeDifference(own.H.toDense(), expected.H.toDense()) < 1e-9)
  t.match(own.notes.join(), /between 0 and 1 in the training rows and explains their labels better so/)
  const merged = await prepared(network(scaled, 1)).fitMerged(await prepared(network(scaled, 1)).fitPartial(x, labels))
  t.ok(relativeDifference(merged.H.toDense(), expected.H.toDense()) < 1e-9, 'partial fits')
})

t.test('logits that happen to lie between 0 and 1 stay logits, and it is said where the rows do not tell', async t => {
  const small = (factor: number, b: GraphBuilder, z: string): string =>
    b.node('Abs', [b.node('Mul', [z, b.scalar(factor)])])
  const few = await fitted(network((b, z) => small(0.01, b, z), 1), 'binary')
  t.notMatch(few.posterior.notes.join(), /between 0 and 1/)
  t.ok(few.probabilities.every(p => Math.abs(p - 0.5) < 0.05))
  const two = float64([2], [0, 1])
  const rows = float64([2, 3], x.data.slice(0, 6))
  const unsure = await laplace(network((b, z) => b.node('Add', [small(0.01, b, z), b.scalar(0.5)]), 1), {
    likelihood: 'binary',
    ...options,
  }).fit(rows, two)
  t.match(unsure.notes.join(), /are taken for logits. Where they are probabilities/)
})

t.test('a clamp to integers shows probabilities', async t => {
  const clamp = (b: GraphBuilder, z: string): string =>
    b.node('Clip', [z, ...[0, 1].map(end => b.node('Cast', [b.integers([end])], { to: 11 }))])
  const { posterior } = await fitted(network(clamp, 1), 'binary')
  t.match(posterior.notes.join(), /between 0 and 1 whatever the input/)
})
