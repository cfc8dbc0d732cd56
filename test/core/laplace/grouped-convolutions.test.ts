/** @file A convolution in groups has the Kronecker factors of the convolutions that it is, one a group. */
import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { laplace, type LaplaceOptions, mergePartialFits } from '../../../core/index.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { exampleRange } from '../../../core/tensor/examples.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer } from '../../support/random-network.js'

const N = 6
const CHANNELS = 4

/** Rows `from` to `to` of a tensor. */
function rows(values: Tensor, from: number, to: number): Tensor {
  return exampleRange(values, from, to) as Tensor
}

/** A convolution of `groups` in one node, or in as many with a weight and a bias each. */
function convolution(b: GraphBuilder, x: string, name: string, weight: Tensor, bias: Tensor, groups: number,
  apart: boolean): string {
  if (!apart) {
    return b.node('Conv', [x, b.parameter(`${name}.weight`, weight), b.parameter(`${name}.bias`, bias)], {
      group: groups,
    })
  }
  const width = CHANNELS / groups
  const out = bias.shape[0] / groups
  const weights = Array.from({ length: groups },
    (_, g) => b.parameter(`${name}${g}.weight`, rows(weight, g * out, (g + 1) * out)))
  const biases = Array.from({ length: groups },
    (_, g) => b.parameter(`${name}${g}.bias`, rows(bias, g * out, (g + 1) * out)))
  return b.node('Concat', weights.map((own, g) => {
    const part = b.node('Slice', [x, b.integers([g * width]), b.integers([(g + 1) * width]), b.integers([1])])
    return b.node('Conv', [part, own, biases[g]])
  }), { axis: 1 })
}

/** A depthwise convolution and one in two groups, in the nodes that `apart` says; parameters have the same order. */
function network(apart: boolean): Graph {
  const draw = drawer(2)
  const b = new GraphBuilder('float64')
  const x = b.input('x', [BATCH, CHANNELS, 5, 4])
  const first = b.node('Tanh', [
    convolution(b, x, 'depthwise', draw(CHANNELS, 1, 2, 2), draw(CHANNELS), CHANNELS, apart),
  ])
  const second = b.node('Relu', [convolution(b, first, 'grouped', draw(6, 2, 2, 2), draw(6), 2, apart)])
  const pooled = b.node('Flatten', [b.node('GlobalAveragePool', [second])])
  return b.build([b.node('Gemm', [pooled, b.parameter('head', draw(3, 6))], { transB: 1 })])
}

const x = drawer(3)(N, CHANNELS, 5, 4)
const y = float64([N], Array.from({ length: N }, (_, i) => i % 3))
const [grouped, apart] = [network(false), network(true)]
const near = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => relativeDifference(a, b) < 1e-9

for (const options of [{ structure: 'kron' }, { structure: 'kron', kfacApprox: 'reduce' }, {
  structure: 'ekfac',
}] as const) {
  t.test(`${JSON.stringify(options)}: every quantity is that of a convolution a group`, async t => {
    const all: LaplaceOptions = { likelihood: 'classification', subset: 'all', priorPrecision: 0.7, ...options }
    const [one, other] = [await laplace(grouped, all).fit(x, y), await laplace(apart, all).fit(x, y)]
    t.equal(one.parameterCount, other.parameterCount)
    t.ok(near(one.H.toDense(), other.H.toDense()), 'H')
    t.ok(near(one.posteriorPrecision.toDense(), other.posteriorPrecision.toDense()), 'P')
    t.ok(near(one.posteriorVariance(), other.posteriorVariance()), 'diag P^-1')
    t.ok(near([one.logMarginalLikelihood()], [other.logMarginalLikelihood()]), 'evidence')
    t.ok(near(one.sample(3, { seed: 1 }).data, other.sample(3, { seed: 1 }).data), 'draws')
    const theta = float64([1, one.parameterCount], one.sample(1, { seed: 2 }).data)
    t.ok(near(one.logProb(theta).data, other.logProb(theta).data), 'density')
    const joint = async (posterior: typeof one): Promise<ArrayLike<number>> =>
      (await posterior.functionalVariance(x, { joint: true })).covariance.data
    t.ok(near(await joint(one), await joint(other)), 'joint variance')
    const variance = (await other.functionalVariance(x)).covariance.data
    t.ok(near((await one.functionalVariance(x)).covariance.data, variance), 'variance')
    t.ok(near((await loadPosterior(one.save()).functionalVariance(x)).covariance.data, variance), 'stored')
    const { graph } = one.exportGraph({ outputs: ['variance'] })
    const [written] = runGraph(graph, new Map([['x', x]]), 'float64').values()
    t.ok(near(written.data as Float64Array, (await other.predict(x)).variance.data), 'exported')
  })
}

t.test('rows are added, merged and forgotten group by group', async t => {
  const prepared = laplace(grouped, { likelihood: 'classification', subset: 'all', structure: 'kron',
    priorPrecision: 0.7 })
  const [whole, first] = [await prepared.fit(x, y), await prepared.fit(rows(x, 0, 4), rows(y, 0, 4))]
  const added = await first.addRows(rows(x, 4, N), rows(y, 4, N))
  t.ok(near(added.posteriorVariance(), whole.posteriorVariance()))
  const left = await added.forget(rows(x, 4, N), rows(y, 4, N))
  t.ok(near(left.posteriorVariance(), first.posteriorVariance()))
  const merged = await prepared.fitMerged(
    mergePartialFits(await prepared.fitPartial(rows(x, 0, 2), rows(y, 0, 2)),
      await prepared.fitPartial(rows(x, 2, N), rows(y, 2, N))),
  )
  t.ok(near(merged.posteriorVariance(), whole.posteriorVariance()))
})
