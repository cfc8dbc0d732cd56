/** @file Kronecker eigenbases with eigenvalues of their own, against definitions and the structures around them. */
import fc from 'fast-check'
import t from 'tap'
import { convertPrecision } from '../../../core/engine/precision.js'
import type { Graph } from '../../../core/graph/graph.js'
import { laplace, type LaplaceOptions } from '../../../core/index.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { rotateMatrices } from '../../../core/posterior/eigen-block.js'
import { eigenbases } from '../../../core/posterior/ekfac.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, mixedNetworks } from '../../support/random-network.js'

const labels = (n: number, outputs: number): Tensor =>
  float64([n], Array.from({ length: n }, (_, i) => (i * 7 + 3) % outputs))

const settings = fc.record({ kind: fc.constantFrom(...Object.keys(mixedNetworks)),
  subset: fc.constantFrom('all' as const, 'last_layer' as const), seed: fc.nat(1000) })

/** The block of H of each tensor. */
function blocksOf(H: Float64Array, sizes: readonly number[]): Float64Array[] {
  const size = Math.sqrt(H.length)
  let from = 0
  return sizes.map(own => {
    const block = Float64Array.from({ length: own * own },
      (_, at) => H[(from + Math.floor(at / own)) * size + from + at % own])
    from += own
    return block
  })
}

const trace = (matrix: Float64Array): number =>
  matrix.reduce((sum, value, at) => (at % (Math.sqrt(matrix.length) + 1) === 0 ? sum + value : sum), 0)
const squares = (matrix: Float64Array, other: Float64Array): number =>
  matrix.reduce((sum, value, at) => sum + (value - other[at]) ** 2, 0)

t.test('in the Kronecker basis the diagonal is that of H: trace, distance, every quantity', async t => {
  await fc.assert(fc.asyncProperty(settings, async ({ kind, subset, seed }) => {
    const { graph, x, outputs } = mixedNetworks[kind](drawer(seed))
    const y = labels(5, outputs)
    const options: LaplaceOptions = { likelihood: 'classification', subset, priorPrecision: 1 }
    const of = (structure: 'full' | 'kron' | 'ekfac') => laplace(graph, { ...options, structure }).fit(x, y)
    const [full, kron, ekfac] = [await of('full'), await of('kron'), await of('ekfac')]
    const sizes = full.state.structured.slots.map(slot => slot.size)
    const [F, K, E] = [full, kron, ekfac].map(posterior => blocksOf(posterior.H.toDense(), sizes))
    const posterior = ekfac.withPrior({ priorPrecision: 0.6, temperature: 2 })
    const again = loadPosterior(posterior.save())
    const P = posterior.posteriorPrecision.toDense()
    const size = posterior.parameterCount
    const covariance = posterior.posteriorCovariance().data
    const identity = new Float64Array(size * size)
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        for (let k = 0; k < size; k++) identity[i * size + j] += P[i * size + k] * covariance[k * size + j]
      }
    }
    const f = (await posterior.functionalVariance(x)).covariance.data
    return E.every((block, b) =>
      Math.abs(trace(block) - trace(F[b])) <= 1e-10 * (1 + trace(F[b]))
      // Of all matrices with these eigenvectors it is the nearest to H (George et al. 2018).
      && squares(block, F[b]) <= squares(K[b], F[b]) * (1 + 1e-10) + 1e-20
    )
      && identity.every((value, at) => Math.abs(value - Number(at % (size + 1) === 0)) < 1e-9)
      && relativeDifference((await again.functionalVariance(x)).covariance.data, f) < 1e-12
      && relativeDifference((await posterior.functionalVariance(x, { joint: true })).covariance.data.slice(0, outputs),
          f.slice(0, outputs)) < 1e-9
  }), { numRuns: 25, seed: 5 })
  t.pass()
})

t.test('the values are the diagonal of H in the bases, for every kind of parameter and in both precisions', async t => {
  for (const kind of Object.keys(mixedNetworks)) {
    const { graph, x, outputs } = mixedNetworks[kind](drawer(11))
    for (const [own, data, most] of [[graph, x, 1e-12], [single(graph), { ...x, dtype: 'float32' as const,
      data: Float32Array.from(x.data) }, 1e-4]] as const) {
      const fit = (structure: 'full' | 'ekfac') =>
        laplace(own, { likelihood: 'classification', subset: 'all', structure, priorPrecision: 1 }).fit(data,
          labels(5, outputs))
      const [full, ekfac] = [await fit('full'), await fit('ekfac')]
      const { curvature } = ekfac.state.structured
      if (curvature.structure !== 'ekfac') throw new Error('another structure')
      const sizes = full.state.structured.slots.map(slot => slot.size)
      const blocks = blocksOf(full.H.toDense(), sizes)
      const found = eigenbases(curvature.blocks).flatMap((tensor, b) => {
        const [size, [block]] = [sizes[b], tensor]
        const unit = Float64Array.from({ length: size * size }, (_, i) => Number(i % (size + 1) === 0))
        // Rows of the identity in the bases: column j is the vector of coordinate j.
        const Q = rotateMatrices(block, unit, size, false)
        return Array.from({ length: size }, (_, j) => {
          let sum = 0
          for (let a = 0; a < size; a++) {
            for (let c = 0; c < size; c++) sum += Q[a * size + j] * blocks[b][a * size + c] * Q[c * size + j]
          }
          return sum
        })
      })
      t.ok(relativeDifference(curvature.values, Float64Array.from(found)) < most, kind)
    }
  }
})

/** The same network in float32. */
function single(graph: Graph): Graph {
  const inputs = graph.inputs.map(input => ({ ...input, dtype: 'float32' as const }))
  return { ...convertPrecision(graph, 'float32'), inputs }
}

t.test('one example without positions: exact on the diagonal blocks that are Kronecker products', async t => {
  const { graph, x } = mixedNetworks['layers'](drawer(3))
  const first = { ...x, shape: [1, 4], data: x.data.slice(0, 4) }
  const of = (structure: 'kron' | 'ekfac') =>
    laplace(graph, { likelihood: 'classification', subset: 'all', structure, priorPrecision: 1 }).fit(first,
      labels(1, 3))
  t.ok(relativeDifference((await of('ekfac')).H.toDense(), (await of('kron')).H.toDense()) < 1e-10)
})

t.test('tuned by evidence over one precision or one a tensor; refused where it does not go', async t => {
  const { graph, x } = mixedNetworks['layers'](drawer(3))
  const y = labels(5, 3)
  const options: LaplaceOptions = { likelihood: 'classification', subset: 'all', structure: 'ekfac' }
  const tuned = await laplace(graph, options).fit(x, y)
  t.equal(tuned.tuned, 'marglik')
  t.equal(tuned.structure, 'ekfac')
  const layers = await tuned.tune({ tune: 'marglik', priorStructure: 'layerwise' })
  t.ok(layers.logMarginalLikelihood() >= tuned.logMarginalLikelihood() - 1e-9)
  t.throws(() => laplace(graph, { ...options, priorStructure: 'diagonal' }), { code: 'BAD_COMBINATION' })
  t.throws(() => laplace(graph, { ...options, tune: 'linearized' }), { code: 'BAD_COMBINATION' })
  t.throws(() => laplace(graph, { ...options, curvature: 'empirical_fisher' }), { code: 'BAD_COMBINATION' })
  await t.rejects(laplace(graph, options).fitPartial(x, y), { code: 'BAD_COMBINATION' })
})
