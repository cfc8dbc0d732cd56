/** @file The exact Hessian by structure: blocks, leading eigenvectors, and products of networks without a matrix. */
import fc from 'fast-check'
import t from 'tap'
import { NumericalError, OptionError } from '../../../core/errors/errors.js'
import { laplace, type LaplaceOptions } from '../../../core/index.js'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import { networkInputs } from '../../../core/network/input-rows.js'
import { placesOfBlock } from '../../../core/network/parameter-blocks.js'
import { withParameters } from '../../../core/network/parameters.js'
import { linearMap } from '../../../core/programs/linear-map.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { type Draw, drawer, mixedNetworks, perceptron } from '../../support/random-network.js'

const labels = (n: number, outputs: number): Tensor =>
  float64([n], Array.from({ length: n }, (_, i) => (i * 7 + 3) % outputs))

t.test('blocks and eigenvectors are those of the whole Hessian, of every subset', async t => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...Object.keys(mixedNetworks)),
      fc.constantFrom('all' as const, 'last_layer' as const, 'subnetwork' as const), fc.nat(1000),
      async (kind, subset, seed) => {
        const { graph, x, outputs } = mixedNetworks[kind](drawer(seed))
        const options: LaplaceOptions = { likelihood: 'classification', subset, priorPrecision: 1e4,
          curvature: 'hessian', subnetwork: subset === 'subnetwork' ? { count: 9, by: 'random', seed } : undefined }
        const y = labels(5, outputs)
        const full = await laplace(graph, { ...options, structure: 'full' }).fit(x, y)
        const H = full.H.toDense()
        const size = full.parameterCount
        const blocks = await laplace(graph, { ...options, structure: 'blockdiag' }).fit(x, y)
        const { curvature, slots } = blocks.state.structured
        if (curvature.structure !== 'blockdiag') return false
        const same = curvature.blocks.every(({ slots: own, matrix }) => {
          const places = [...placesOfBlock(slots, own)]
          return relativeDifference(matrix, places.flatMap(i => places.map(j => H[i * size + j]))) < 1e-12
        })
        const eigenvalues = eigenvaluesOf(H, size)
        const order = eigenvalues.sort((a, b) => Math.abs(b) - Math.abs(a))
        const first = order.findIndex(value => value < -1e-12 * Math.abs(order[0]))
        const rank = first < 0 ? 3 : Math.min(3, first)
        if (first >= 0) {
          const refused = await laplace(graph, { ...options, structure: 'lowrank', rank: first + 1 }).fit(x, y).then(
            () => false,
            (error: unknown) => error instanceof NumericalError && error.code === 'NOT_POSITIVE_DEFINITE',
          )
          if (!refused) return false
        }
        if (rank === 0) return same
        const low = await laplace(graph, { ...options, structure: 'lowrank', rank }).fit(x, y)
        const { values } = low.state.structured.spectrum()
        return same && relativeDifference(values[0].slice(0, rank), order.slice(0, rank)) < 1e-9
      }),
    { numRuns: 25, seed: 4 },
  )
  t.pass()
})

/** Eigenvalues of a small symmetric matrix by Jacobi's rotations. */
function eigenvaluesOf(matrix: ArrayLike<number>, n: number): number[] {
  const A = Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => matrix[i * n + j]))
  for (let sweep = 0; sweep < 60; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (Math.abs(A[p][q]) < 1e-300) continue
        const angle = 0.5 * Math.atan2(2 * A[p][q], A[q][q] - A[p][p])
        const [c, s] = [Math.cos(angle), Math.sin(angle)]
        for (let k = 0; k < n; k++) [A[k][p], A[k][q]] = [c * A[k][p] - s * A[k][q], s * A[k][p] + c * A[k][q]]
        for (let k = 0; k < n; k++) [A[p][k], A[q][k]] = [c * A[p][k] - s * A[q][k], s * A[p][k] + c * A[q][k]]
      }
    }
  }
  return A.map((row, i) => row[i])
}

t.test('products alone: H v = lambda v for each eigenvector, by differences of gradients', async t => {
  const draw: Draw = drawer(5)
  // P = 2,766, more than are summed as a matrix.
  const graph = perceptron(draw, 50, 52, 2, 'Tanh')
  const [x, y] = [draw(20, 50), labels(20, 2)]
  const options: LaplaceOptions = { likelihood: 'classification', subset: 'all', structure: 'lowrank', rank: 4,
    curvature: 'hessian', priorPrecision: 1 }
  const posterior = await laplace(graph, options).fit(x, y)
  const { evaluator, structured: { curvature } } = posterior.state
  if (curvature.structure !== 'factored') return t.fail('another structure')
  const { slots, theta, network, engine } = evaluator
  const likelihood = likelihoodModel('classification')
  const inputs = networkInputs(x, network, 'float64', () => undefined)
  const gradient = async (at: Float64Array): Promise<Float64Array> => {
    const moved = withParameters(network.graph, slots, at)
    const program = await engine.compile(moved, 'float64')
    const f = Float64Array.from((await program.run(inputs)).get(network.output)!.data as Float64Array)
    const map = linearMap({ ...network, graph: moved }, slots, engine, 'float64')
    return map.transposedTimes(likelihood.residual(f, y.data as Float64Array, 20, 2), inputs)
  }
  const { size, rows } = curvature
  for (let k = 0; k < 4; k++) {
    const row = rows.slice(k * size, (k + 1) * size)
    const lambda = row.reduce((sum, value) => sum + value * value, 0)
    const v = row.map(value => value / Math.sqrt(lambda))
    const [up, down] = await Promise.all(
      [1e-4, -1e-4].map(step => gradient(theta.map((value, i) => value + step * v[i]))),
    )
    const Hv = up.map((value, i) => (value - down[i]) / 2e-4)
    t.ok(relativeDifference(Hv, v.map(value => lambda * value)) < 1e-5, `eigenvector ${k} of ${lambda}`)
  }
  await t.rejects(laplace(graph, { ...options, rank: 0.9 }).fit(x, y), OptionError)
})
