/** @file Weights of classes and label smoothing against their definitions. */
import t, { type Test } from 'tap'
import { curvatureArrays } from '../../../core/curvature/accumulate.js'
import { isSum } from '../../../core/curvature/curvature.js'
import { OptionError } from '../../../core/errors/errors.js'
import { laplace, type LaplaceOptions, type LaplacePosterior } from '../../../core/index.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { balancedWeights } from '../../../core/likelihood/class-weights.js'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import type { Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, perceptron } from '../../support/random-network.js'

const N = 24
const draw = drawer(3)
const graph = perceptron(draw, 3, 4, 3, 'Tanh')
const single = perceptron(draw, 3, 4, 1, 'Tanh')
const x = draw(N, 3)
const labels = Float64Array.from({ length: N }, (_, n) => (n % 7 === 0 ? 2 : n % 2))
const y: Tensor = { dtype: 'int64', shape: [N], data: labels }
const zeroOne: Tensor = { dtype: 'float64', shape: [N, 1], data: labels.map(label => Number(label > 0)) }

const sumsOf = (posterior: LaplacePosterior): Float64Array[] => {
  const { fitted } = posterior.state
  return fitted !== undefined && isSum(fitted) ? curvatureArrays(fitted) : []
}

const fit = (options: Partial<LaplaceOptions>, sampleWeight?: Float64Array): Promise<LaplacePosterior> =>
  laplace(graph, { likelihood: 'classification', subset: 'all', structure: 'full', priorPrecision: 2, ...options })
    .fit(x, y, { sampleWeight })

t.test('weights of classes are weights of their rows', async (t: Test) => {
  for (const structure of ['full', 'diag', 'kron'] as const) {
    const own = await fit({ structure, classWeight: [1, 2.5, 0.5] })
    const rows = await fit({ structure }, labels.map(label => [1, 2.5, 0.5][label]))
    t.same(sumsOf(own), sumsOf(rows), structure)
    t.equal(own.logMarginalLikelihood(), rows.logMarginalLikelihood())
    const again = loadPosterior(own.save())
    t.equal(again.logMarginalLikelihood(), own.logMarginalLikelihood())
    // Rows that come later have the weights of their classes too.
    const more = await again.addRows(x, y)
    t.ok(relativeDifference(sumsOf(more)[0], sumsOf(own)[0].map(value => 2 * value)) < 1e-12 || structure === 'kron')
  }
  const halved = await fit({ classWeight: [1, 2.5, 0.5] }, new Float64Array(N).fill(0.5))
  t.ok(relativeDifference(sumsOf(halved)[0], sumsOf(await fit({ classWeight: [0.5, 1.25, 0.25] }))[0]) < 1e-12)
})

t.test('balanced classes count the same', async (t: Test) => {
  const counts = [0, 1, 2].map(label => labels.filter(own => own === label).length)
  const weights = counts.map(count => N / (3 * count))
  t.same(Array.from(balancedWeights(labels, 3)), weights)
  t.same(sumsOf(await fit({ classWeight: 'balanced' })), sumsOf(await fit({ classWeight: weights })))
  t.same(Array.from(balancedWeights([0, 0, 2], 4)), [0.75, 1, 1.5, 1], 'a class without rows is none')
  const binary = { likelihood: 'binary', subset: 'all', structure: 'full', priorPrecision: 2 } as const
  const own = await laplace(single, { ...binary, classWeight: [1, 3] }).fit(x, zeroOne)
  const rows = await laplace(single, binary).fit(x, zeroOne, { sampleWeight: zeroOne.data.map(v => 1 + 2 * v) })
  t.same(sumsOf(own), sumsOf(rows))
})

t.test('what weights of classes do not go with is refused', async (t: Test) => {
  for (const options of [{ structure: 'lowrank' }, { structure: 'ekfac' }, { structure: 'functional' }, {
    structure: 'kron',
    tune: 'auto',
    priorPrecision: undefined,
  }, { likelihood: 'regression' }, { likelihood: 'multilabel' }, { classWeight: [1, 2] }, {
    classWeight: [1, -1, 1],
  }] as Partial<LaplaceOptions>[]) {
    await t.rejects(async () => fit({ classWeight: [1, 1, 1], ...options }), OptionError, JSON.stringify(options))
  }
  await t.rejects(
    async () =>
      laplace(graph, { likelihood: 'classification', classWeight: 'balanced', structure: 'full', priorPrecision: 1 })
        .fit([{ x, y }]),
    { message: /come in parts/ },
  )
  const open = await laplace(graph, { likelihood: 'classification', classWeight: 'balanced' }).fit(x, y)
  t.equal(open.tuned, 'marglik')
  t.match(open.notes.join(' '), /weights of classes/)
})

t.test('label smoothing: cross entropy to smoothed labels, by differences', (t: Test) => {
  const [eps, C, n] = [0.2, 3, 4]
  const f = drawer(8)(n, C).data as Float64Array
  const classes = Float64Array.of(0, 2, 1, 2)
  const logP = (z: Float64Array, row: number, c: number): number => {
    const own = z.subarray(row * C, (row + 1) * C)
    return own[c] - Math.log(own.reduce((sum, value) => sum + Math.exp(value), 0))
  }
  const own = likelihoodModel('classification', { labelSmoothing: eps })
  const loss = (z: Float64Array): number =>
    Array.from({ length: n * C }, (_, i) => [Math.floor(i / C), i % C])
      .reduce((sum, [row, c]) => sum - ((1 - eps) * Number(classes[row] === c) + eps / C) * logP(z, row, c), 0)
  t.ok(Math.abs(own.loss(f, classes, n, C) - loss(f)) < 1e-12)
  const differences = f.map((_, i) => {
    const [up, down] = [f.slice(), f.slice()]
    up[i] += 1e-6
    down[i] -= 1e-6
    return (loss(up) - loss(down)) / 2e-6
  })
  t.ok(relativeDifference(own.residual(f, classes, n, C), differences) < 1e-6)
  const labels = Float64Array.from(f, value => Number(value > 0))
  const bernoulli = likelihoodModel('multilabel', { labelSmoothing: eps })
  const soft = labels.map(label => (1 - eps) * label + eps / 2)
  const expected = f.reduce((sum, z, i) => sum + Math.log1p(Math.exp(z)) - soft[i] * z, 0)
  t.ok(Math.abs(bernoulli.loss(f, labels, n, C) - expected) < 1e-12)
  t.end()
})

t.test('label smoothing leaves the curvature, and changes loss, evidence and the linear model', async (t: Test) => {
  const [plain, smooth] = [await fit({}), await fit({ labelSmoothing: 0.1 })]
  t.same(sumsOf(plain), sumsOf(smooth))
  const drawn = { curvature: 'mc_fisher', draws: 3, seed: 5 } as const
  t.same(sumsOf(await fit(drawn)), sumsOf(await fit({ ...drawn, labelSmoothing: 0.1 })), 'drawn labels are the model')
  t.not(plain.loss, smooth.loss)
  t.ok(Math.abs((plain.logMarginalLikelihood() - smooth.logMarginalLikelihood()) - (smooth.loss - plain.loss)) < 1e-9)
  t.equal(loadPosterior(smooth.save()).logMarginalLikelihood(), smooth.logMarginalLikelihood())
  t.same(sumsOf(await loadPosterior(smooth.save()).addRows(x, y))[0].length, sumsOf(smooth)[0].length)
  t.equal((await loadPosterior(smooth.save()).addRows(x, y)).loss, 2 * smooth.loss)
  const fisher = { curvature: 'empirical_fisher' } as const
  t.not(relativeDifference(sumsOf(await fit(fisher))[0], sumsOf(await fit({ ...fisher, labelSmoothing: 0.1 }))[0]), 0)
  const [byDefault, bySmoothed] = await Promise.all(
    [0, 0.3].map(labelSmoothing => laplace(graph, { likelihood: 'classification', labelSmoothing }).fit(x, y)),
  )
  t.equal(bySmoothed.structure, 'lowrank')
  t.not(byDefault.choice?.delta[0], bySmoothed.choice?.delta[0])
  await t.rejects(async () => fit({ labelSmoothing: 1 }), OptionError)
  await t.rejects(async () => fit({ likelihood: 'poisson', labelSmoothing: 0.1 }), OptionError)
})
