/** @file Block-diagonal posteriors against full ones of each block alone, and where they are full or diagonal. */
import fc from 'fast-check'
import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { laplace, type LaplaceOptions, mergePartialFits } from '../../../core/index.js'
import type { LaplacePosterior } from '../../../core/laplace/laplace-posterior.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { readPartialFit, writePartialFit } from '../../../core/storage/partial-fit-file.js'
import { float64, rows, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, mixedNetworks, perceptron } from '../../support/random-network.js'

const N = 5

function labels(likelihood: string, n: number, outputs: number): Tensor {
  if (likelihood === 'regression') return drawer(8)(n, outputs)
  return likelihood === 'classification'
    ? float64([n], Array.from({ length: n }, (_, i) => (i * 7 + 3) % outputs))
    : float64([n, outputs], Array.from({ length: n * outputs }, (_, i) => (i * 5 + 1) % 3))
}

/** Names of the tensors of every block, as the networks of the tests are written. */
const LAYERS: Record<string, readonly (readonly string[])[]> = {
  'layers': [['0.weight', '0.bias'], ['2.weight', '2.bias']],
  'positions': [['w', 'b'], ['v', 'c']],
  'shared weight, bias and a scale': [['w', 'b'], ['scale'], ['v']],
}

const settings = fc.record({ kind: fc.constantFrom(...Object.keys(mixedNetworks)), seed: fc.nat(1000),
  blocks: fc.constantFrom('layer' as const, 'tensor' as const),
  curvature: fc.constantFrom('ggn' as const, 'empirical_fisher' as const, 'mc_fisher' as const),
  likelihood: fc.constantFrom('classification' as const, 'regression' as const, 'poisson' as const) })

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
const near = (a: number, b: number): boolean => Math.abs(a - b) < 1e-9 * (1 + Math.abs(b))

t.test('a block-diagonal posterior is the full posteriors of its blocks, one beside the other', async t => {
  await fc.assert(fc.asyncProperty(settings, async ({ kind, seed, blocks, curvature, likelihood }) => {
    const { graph, x, outputs } = mixedNetworks[kind](drawer(seed))
    const y = labels(likelihood, N, outputs)
    const options: LaplaceOptions = { likelihood, subset: 'all', structure: 'full', curvature, priorPrecision: 2,
      ...(likelihood === 'regression' ? { sigmaNoise: 0.7 } : {}) }
    const posterior = await laplace(graph, { ...options, structure: 'blockdiag', blocks }).fit(x, y)
    const names = blocks === 'layer' ? LAYERS[kind] : graph.parameters.map(({ name }) => [name])
    const parts = await Promise.all(
      names.map(subnetwork => laplace(graph, { ...options, subset: 'subnetwork', subnetwork }).fit(x, y)),
    )
    const { H } = posterior
    const theta = posterior.sample(3, { seed: 4 })
    const own = (values: ArrayLike<number>, b: number): number[] =>
      H.structure === 'blockdiag' ? Array.from(H.blocks[b].parameters, at => values[at]) : []
    const inBlocks = H.structure === 'blockdiag' && H.blocks.length === names.length &&
      H.blocks.every(({ names: members, matrix }, b) =>
        members.join() === names[b].join() && relativeDifference(matrix.data, parts[b].H.toDense()) < 1e-12
        && relativeDifference(own(posterior.posteriorVariance(), b), parts[b].posteriorVariance()) < 1e-10
      )
    const variances = await Promise.all(parts.map(part => part.functionalVariance(x)))
    const joint = await Promise.all(parts.map(part => part.functionalVariance(x, { joint: true })))
    const together = (all: readonly { covariance: Tensor }[]): Float64Array =>
      Float64Array.from(all[0].covariance.data, (_, i) => sum(all.map(({ covariance }) => Number(covariance.data[i]))))
    const density = sum(
      Array.from({ length: names.length },
        (_, b) => Number(parts[b].logProb(float64([1, parts[b].parameterCount], own(theta.data, b))).data[0])),
    )
    return inBlocks
      && near(posterior.logDetRatio, sum(parts.map(part => part.logDetRatio)))
      && near(Number(posterior.logProb(rows(theta, 0, 1)).data[0]), density)
      && relativeDifference((await posterior.functionalVariance(x)).covariance.data, together(variances)) < 1e-10
      && relativeDifference((await posterior.functionalVariance(x, { joint: true })).covariance.data, together(joint)) <
        1e-10
  }), { numRuns: 40, seed: 3 })
  t.pass()
})

t.test('one block is the full posterior, in all that tuning makes of it', async t => {
  const draw = drawer(12)
  const graph = perceptron(draw, 3, 4, 2, 'Tanh')
  const x = draw(20, 3)
  const likelihoods = ['classification', 'regression'] as const
  for (const likelihood of likelihoods) {
    const y = labels(likelihood, 20, 2)
    const tunings: Partial<LaplaceOptions>[] = [{ tune: 'marglik' }, { tune: 'marglik', priorStructure: 'layerwise' }, {
      tune: 'marglik',
      priorStructure: 'diagonal',
    }, { tune: 'linearized' }, { tune: 'linearized', priorStructure: 'layerwise' }, { tune: 'auto' }, {
      tune: 'validated',
      validation: { x, y },
    }, { priorPrecision: [1, 3] }]
    for (const tuning of tunings) {
      const fit = async (structure: 'full' | 'blockdiag'): Promise<LaplacePosterior> =>
        laplace(graph, { likelihood, subset: 'last_layer', structure, ...tuning }).fit(x, y)
      const [full, block] = [await fit('full'), await fit('blockdiag')]
      const what = `${likelihood} ${JSON.stringify(tuning).slice(0, 60)}`
      t.equal(block.structure, 'blockdiag')
      t.ok(relativeDifference(block.priorPrecisionDiag, full.priorPrecisionDiag) < 1e-6, what)
      t.ok(near(block.logMarginalLikelihood(), full.logMarginalLikelihood()), what)
      const [a, b] = [await block.predict(x), await full.predict(x)]
      t.ok(relativeDifference(a.variance.data, b.variance.data) < 1e-6, what)
      t.ok(relativeDifference(a.mean.data, b.mean.data) < 1e-8, what)
    }
  }
})

t.test('blocks of one parameter are the diagonal', async t => {
  const b = new GraphBuilder('float64')
  const draw = drawer(2)
  const scaled = b.node('Mul', [b.input('x', [BATCH, 1]), b.parameter('u', draw(1))])
  const hidden = b.node('Tanh', [b.node('Add', [scaled, b.parameter('v', draw(1))])])
  const graph = b.build([b.node('Mul', [hidden, b.parameter('w', draw(1))])])
  const [x, y] = [draw(9, 1), draw(9, 1)]
  const options = { likelihood: 'regression', subset: 'all', tune: 'marglik', priorStructure: 'diagonal' } as const
  const block = await laplace(graph, { ...options, structure: 'blockdiag', blocks: 'tensor' }).fit(x, y)
  const diag = await laplace(graph, { ...options, structure: 'diag' }).fit(x, y)
  t.ok(relativeDifference(block.priorPrecisionDiag, diag.priorPrecisionDiag) < 1e-5)
  t.ok(near(block.logMarginalLikelihood(), diag.logMarginalLikelihood()))
  const same = block.withPrior({ priorPrecision: diag.priorPrecision })
  t.ok(relativeDifference(same.posteriorVariance(), diag.posteriorVariance()) < 1e-4)
})

t.test('marglik of several blocks is at the maximum of the evidence', async t => {
  const draw = drawer(5)
  const graph = perceptron(draw, 3, 4, 2, 'Tanh')
  const [x, y] = [draw(30, 3), drawer(6)(30, 2)]
  for (const blocks of ['layer', 'tensor'] as const) {
    for (const priorStructure of ['scalar', 'layerwise', 'diagonal'] as const) {
      const posterior = await laplace(graph, { likelihood: 'regression', subset: 'all', structure: 'blockdiag', blocks,
        tune: 'marglik', priorStructure }).fit(x, y)
      const best = posterior.logMarginalLikelihood()
      const { priorPrecision, sigmaNoise } = posterior
      const list = typeof priorPrecision === 'number' ? [priorPrecision] : Array.from(priorPrecision)
      for (const factor of [0.99, 1.01]) {
        for (let g = 0; g < Math.min(list.length, 6); g++) {
          const moved = list.map((value, i) => (i === g ? value * factor : value))
          t.ok(posterior.logMarginalLikelihood({ priorPrecision: moved }) <= best + 1e-9, `${priorStructure} ${g}`)
        }
        t.ok(posterior.logMarginalLikelihood({ sigmaNoise: Number(sigmaNoise) * factor }) <= best + 1e-9)
      }
    }
  }
})

t.test('the linear model of a last layer by tensors: delta is gamma over the squared weights', async t => {
  const draw = drawer(7)
  const graph = perceptron(draw, 3, 4, 2, 'Tanh')
  const [x, y] = [draw(25, 3), labels('classification', 25, 2)]
  const posterior = await laplace(graph, { likelihood: 'classification', subset: 'last_layer', structure: 'blockdiag',
    blocks: 'tensor', tune: 'linearized' }).fit(x, y)
  const trace = posterior.posteriorVariance().reduce((a, b) => a + b, 0)
  const delta = Number(posterior.priorPrecision)
  t.ok(Math.abs(posterior.effectiveParameters! - (posterior.parameterCount - delta * trace)) < 1e-6)
})

t.test('draws have the covariance P^-1', async t => {
  const { graph, x, outputs } = mixedNetworks['layers'](drawer(3))
  const posterior = await laplace(graph, { likelihood: 'classification', subset: 'all', structure: 'blockdiag',
    priorPrecision: 1 }).fit(x, labels('classification', N, outputs))
  const [count, size] = [20_000, posterior.parameterCount]
  const { data } = posterior.sample(count, { seed: 1 })
  const covariance = posterior.posteriorCovariance().data
  for (const [i, j] of [[0, 0], [0, 21], [3, 4], [24, 1], [size - 1, size - 1], [0, size - 1], [27, 30]]) {
    let product = 0
    for (let n = 0; n < count; n++) {
      product += (data[n * size + i] - posterior.mean[i]) * (data[n * size + j] - posterior.mean[j]) / count
    }
    const spread = Math.sqrt(covariance[i * size + i] * covariance[j * size + j])
    t.ok(Math.abs(product - covariance[i * size + j]) < 5 * spread / Math.sqrt(count), `${i} ${j}`)
  }
  t.equal(covariance[size - 1], 0)
})

t.test('files, partial fits and exported graphs', async t => {
  const draw = drawer(9)
  const graph = perceptron(draw, 3, 4, 2, 'Tanh')
  const [x, y] = [draw(12, 3), labels('classification', 12, 2)]
  for (const subset of ['all', 'last_layer'] as const) {
    for (const blocks of ['layer', 'tensor'] as const) {
      const options = { likelihood: 'classification', subset, structure: 'blockdiag', blocks,
        priorPrecision: 1 } as const
      const prepared = laplace(graph, options)
      const whole = await prepared.fit(x, y)
      const again = loadPosterior(whole.save())
      t.equal(again.structure, 'blockdiag')
      t.strictSame(again.save(), whole.save())
      const parts = await Promise.all(
        [[0, 5], [5, 12]].map(async ([from, to]) =>
          readPartialFit(writePartialFit(await prepared.fitPartial(rows(x, from, to), rows(y, from, to))))
        ),
      )
      const merged = await prepared.fitMerged(mergePartialFits(parts[1], parts[0]))
      t.ok(near(merged.logMarginalLikelihood(), whole.logMarginalLikelihood()))
      const other = laplace(graph, { ...options, blocks: blocks === 'layer' ? 'tensor' : 'layer' })
      await t.rejects(other.fitMerged(parts[0]), { code: 'DIGEST_MISMATCH' })
      const added = await (await prepared.fit(rows(x, 0, 5), rows(y, 0, 5))).addRows(rows(x, 5, 12), rows(y, 5, 12))
      t.ok(near(added.logMarginalLikelihood(), whole.logMarginalLikelihood()))
      const exported: { graph: Graph } = whole.exportGraph({ outputs: ['variance'] })
      const [name] = exported.graph.outputs
      const { variance } = await whole.predict(x)
      t.ok(
        relativeDifference(runGraph(exported.graph, new Map([['x', x]]), 'float64').get(name)!.data, variance.data) <
          1e-10,
        'exported',
      )
    }
  }
  t.throws(() => laplace(graph, { likelihood: 'classification', structure: 'kron', blocks: 'tensor' } as never), {
    code: 'BAD_COMBINATION',
    message: /blockdiag/,
  })
  t.throws(() => laplace(graph, { likelihood: 'classification', structure: 'blockdiag', blocks: 'layers' } as never), {
    code: 'BAD_OPTION',
  })
})
