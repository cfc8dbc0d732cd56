/** @file Processes over the outputs, independent ones and those of Nystroem, against their definitions. */
import fc from 'fast-check'
import t from 'tap'
import { denseJacobian } from '../../../core/curvature/jacobian.js'
import { lastLayerJacobian } from '../../../core/curvature/last-layer.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { OptionError } from '../../../core/errors/errors.js'
import { laplace, type LaplaceOptions } from '../../../core/index.js'
import type { LaplacePosterior } from '../../../core/laplace/laplace-posterior.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { networkInputs } from '../../../core/network/input-rows.js'
import { sampledRows } from '../../../core/tensor/rows.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, mixedNetworks, perceptron } from '../../support/random-network.js'

type Matrix = number[][]

const times = (a: Matrix, b: Matrix): Matrix =>
  a.map(row => b[0].map((_, j) => row.reduce((sum, value, k) => sum + value * b[k][j], 0)))
const transposed = (a: Matrix): Matrix => a[0].map((_, j) => a.map(row => row[j]))

/** A^-1 B and log |A| by elimination with pivots. */
function solved(A: Matrix, B: Matrix): { x: Matrix, logDet: number } {
  const rows = A.map((row, i) => [...row, ...B[i]])
  let logDet = 0
  for (let k = 0; k < rows.length; k++) {
    const pivot = rows.findIndex((row, i) =>
      i >= k && rows.slice(k).every(other => Math.abs(row[k]) >= Math.abs(other[k]))
    )
    ;[rows[k], rows[pivot]] = [rows[pivot], rows[k]]
    logDet += Math.log(Math.abs(rows[k][k]))
    rows[k] = rows[k].map(value => value / rows[k][k])
    rows.forEach((row, i) => {
      if (i !== k) rows[i] = row.map((value, j) => value - row[k] * rows[k][j])
    })
  }
  return { x: rows.map(row => row.slice(A.length)), logDet }
}

/** Outputs, N x C, and their Jacobians, N of C x P. */
async function linearised(posterior: LaplacePosterior, x: Tensor): Promise<{ p: Matrix, J: Matrix[] }> {
  const { evaluator } = posterior.state
  const rows = networkInputs(x, evaluator.network, evaluator.precision, () => undefined)
  const [examples] = x.shape
  const { outputs } = evaluator.network
  const features = evaluator.subset === 'all' ? undefined : await evaluator.features(rows)
  const all = features === undefined ? await evaluator.jacobian(rows) : undefined
  const f = [...features?.f ?? all!.f].map(Number)
  const flat = denseJacobian(evaluator.slots,
    all?.jacobian ?? lastLayerJacobian(evaluator.slots, features!.features, examples))
  const size = flat.length / (examples * outputs)
  const p = Array.from({ length: examples }, (_, n) => {
    const own = f.slice(n * outputs, (n + 1) * outputs).map(Math.exp)
    const sum = own.reduce((a, b) => a + b)
    return own.map(value => value / sum)
  })
  return { p, J: p.map((_, n) =>
    Array.from({ length: outputs }, (_, c) => {
      const from = (n * outputs + c) * size
      return [...flat.slice(from, from + size)]
    })
  ) }
}

const labels = (n: number, outputs: number): Tensor =>
  float64([n], Array.from({ length: n }, (_, i) => (i * 7 + 3) % outputs))

const settings = fc.record({ kind: fc.constantFrom(...Object.keys(mixedNetworks)),
  subset: fc.constantFrom('all' as const, 'last_layer' as const, 'subnetwork' as const), seed: fc.nat(1000),
  delta: fc.double({ min: 0.1, max: 5, noNaN: true }), nSubset: fc.constantFrom(undefined, 3) })

t.test("independent outputs: (J_c (delta + J_c' diag(Lambda)_c J_c)^-1 J_c', one output after another", async t => {
  await fc.assert(fc.asyncProperty(settings, async ({ kind, subset, seed, delta, nSubset }) => {
    const { graph, x, outputs } = mixedNetworks[kind](drawer(seed))
    const options: LaplaceOptions = { likelihood: 'classification', subset, priorPrecision: 1, seed, nSubset,
      structure: 'gp', independentOutputs: true,
      subnetwork: subset === 'subnetwork' ? { count: 9, by: 'random', seed } : undefined }
    const fitted = await laplace(graph, options).fit(x, labels(5, outputs))
    const posterior = loadPosterior(fitted.withPrior({ priorPrecision: delta, temperature: 2 }).save())
    const { p, J } = await linearised(posterior, x)
    const rows = [...sampledRows(5, nSubset ?? 5, seed)]
    const size = posterior.parameterCount
    let ratio = 0
    const blocks = Array.from({ length: outputs }, (_, c) => {
      const P = Array.from({ length: size },
        (_, i) =>
          Array.from({ length: size }, (_, j) =>
            rows.reduce((sum, n) =>
              sum + p[n][c] * (1 - p[n][c]) * J[n][c][i] * J[n][c][j] / 2, i === j ? delta : 0)))
      const own = J.map(each => each[c])
      const { x: inverse, logDet } = solved(P, transposed(own))
      ratio += logDet - size * Math.log(delta)
      return times(own, inverse)
    })
    const one = (await posterior.functionalVariance(x)).covariance.data
    const joint = (await posterior.functionalVariance(x, { joint: true })).covariance.data
    const wanted = new Float64Array((5 * outputs) ** 2)
    blocks.forEach((block, c) => {
      block.forEach((row, n) => {
        row.forEach((value, m) => {
          wanted[(n * outputs + c) * 5 * outputs + m * outputs + c] = value
        })
      })
    })
    const variances = Array.from({ length: 5 * outputs ** 2 }, (_, i) => {
      const [n, c, d] = [Math.floor(i / outputs ** 2), Math.floor(i / outputs) % outputs, i % outputs]
      return c === d ? blocks[c][n][n] : 0
    })
    const { mean, variance } = await posterior.predict(x)
    const draws = await posterior.functionalSamples(x, 2, { seed: 1 })
    return posterior.structure === 'functional' && relativeDifference(one, variances) < 1e-8
      && relativeDifference(joint, wanted) < 1e-8
      && relativeDifference([posterior.logDetRatio], [ratio]) < 1e-9
      && relativeDifference(variance.data, variances.filter((_, i) =>
          Math.floor(i / outputs) % outputs === i % outputs
        )) < 1e-8
      && draws.data.length === 10 * outputs && mean.data.every(Number.isFinite)
      && posterior.marginals().variances.length === outputs * size
  }), { numRuns: 30, seed: 5 })
  t.pass()
})

t.test("Nystroem: phi (delta + phi' Lambda phi)^-1 phi' in the span of the landmarks; all rows are the full posterior",
  async t => {
    await fc.assert(fc.asyncProperty(settings, async ({ kind, subset, seed, delta, nSubset }) => {
      const { graph, x, outputs } = mixedNetworks[kind](drawer(seed))
      const shared: LaplaceOptions = { likelihood: 'classification', subset, priorPrecision: 1, seed,
        subnetwork: subset === 'subnetwork' ? { count: 9, by: 'random', seed } : undefined }
      const y = labels(5, outputs)
      const fitted = await laplace(graph, { ...shared, structure: 'functional', nystroem: true, nSubset }).fit(x, y)
      const posterior = loadPosterior(fitted.withPrior({ priorPrecision: delta, temperature: 2 }).save())
      const other = drawer(seed + 1)(...x.shape)
      const variance = async (own: LaplacePosterior, at: Tensor) => (await own.functionalVariance(at)).covariance.data
      const { p, J } = await linearised(posterior, x)
      const there = await linearised(posterior, other)
      // Gram-Schmidt, twice, of the landmarks' rows.
      const basis: Matrix = []
      for (const n of sampledRows(5, nSubset ?? 5, seed)) {
        for (const row of J[n]) {
          let left = row
          for (let pass = 0; pass < 2; pass++) {
            for (const b of basis) {
              const along = left.reduce((sum, value, i) => sum + value * b[i], 0)
              left = left.map((value, i) => value - along * b[i])
            }
          }
          const norm = Math.hypot(...left)
          if (norm > 1e-7 * Math.hypot(...row)) basis.push(left.map(value => value / norm))
        }
      }
      const inner = basis.map((_, i) => basis.map((_, j) => (i === j ? delta : 0)))
      J.forEach((own, n) => {
        const phi = times(own, transposed(basis))
        const Lambda = p[n].map((value, c) => p[n].map((with_, d) => (c === d ? value : 0) - value * with_))
        times(transposed(phi), times(Lambda, phi)).forEach((row, i) => {
          row.forEach((value, j) => {
            inner[i][j] += value / 2
          })
        })
      })
      const wanted = there.J.flatMap(own => {
        const phi = times(own, transposed(basis))
        return times(phi, solved(inner, transposed(phi)).x).flat()
      })
      if (relativeDifference(await variance(posterior, other), wanted) > 1e-7) return false
      if (posterior.sample(3, { seed: 1 }).data.length !== 3 * posterior.parameterCount) return false
      if (nSubset !== undefined) return true
      const full = (await laplace(graph, { ...shared, structure: 'full' }).fit(x, y)).withPrior({
        priorPrecision: delta,
        temperature: 2,
      })
      return relativeDifference(await variance(posterior, x), await variance(full, x)) < 1e-8
        && relativeDifference([posterior.logMarginalLikelihood()], [full.logMarginalLikelihood()]) < 1e-10
        && (5 * outputs < full.parameterCount
          || relativeDifference(await variance(posterior, other), await variance(full, other)) < 1e-7)
    }), { numRuns: 30, seed: 6 })
    t.pass()
  })

t.test('where the rows span the weights, Nystroem is full everywhere', async t => {
  const draw = drawer(3)
  const [graph, x] = [perceptron(draw, 3, 4, 2, 'Tanh'), draw(40, 3)]
  const options: LaplaceOptions = { likelihood: 'regression', subset: 'all', sigmaNoise: 0.3, priorPrecision: 0.7 }
  const y = draw(40, 2)
  const full = await laplace(graph, { ...options, structure: 'full' }).fit(x, y)
  const own = await laplace(graph, { ...options, structure: 'functional', nystroem: true }).fit(x, y)
  const other = drawer(4)(6, 3)
  const [a, b] = await Promise.all(
    [own, full].map(async each => (await each.functionalVariance(other)).covariance.data),
  )
  t.ok(relativeDifference(a, b) < 1e-8)
  t.ok(relativeDifference(own.posteriorVariance(), full.posteriorVariance()) < 1e-6)
  const [g, h] = await Promise.all([own, full].map(each => each.inputGradients(other)))
  t.ok(relativeDifference(g.variance.data, h.variance.data) < 1e-6)
})

t.test('the prior is tuned to a maximum of the evidence, also with more directions than weights', async t => {
  const draw = drawer(8)
  const [graph, x] = [perceptron(draw, 3, 2, 4, 'Tanh'), draw(30, 3)]
  for (const extra of [{ independentOutputs: true }, { nystroem: true, nSubset: 9 }, { nystroem: true,
    independentOutputs: true, nSubset: 9 }]) {
    const posterior = await laplace(graph, { likelihood: 'classification', structure: 'gp', subset: 'all',
      tune: 'marglik', ...extra }).fit(x, labels(30, 4))
    const best = posterior.logMarginalLikelihood()
    const delta = Number(posterior.priorPrecision)
    for (const factor of [0.99, 1.01]) {
      t.ok(posterior.logMarginalLikelihood({ priorPrecision: factor * delta }) < best,
        `${JSON.stringify(extra)} ${factor}`)
    }
    t.ok((await posterior.predict(x)).variance.data.every(value => value >= 0))
    t.ok((await posterior.compare(x, labels(30, 4))).posterior)
  }
})

t.test('exported, they give the same variances', async t => {
  const draw = drawer(11)
  const { graph, x, outputs } = mixedNetworks['shared weight, bias and a scale'](draw)
  for (const subset of ['all', 'last_layer'] as const) {
    for (const extra of [{}, { independentOutputs: true }, { nystroem: true, nSubset: 3 }, { nystroem: true,
      independentOutputs: true }]) {
      const posterior = await laplace(graph, { likelihood: 'classification', structure: 'functional', subset,
        priorPrecision: 0.8, ...extra }).fit(x, labels(5, outputs))
      const { variance } = await posterior.predict(x, { link: 'probit' })
      let exported
      try {
        exported = posterior.exportGraph({ outputs: ['variance', 'probabilities'], link: 'probit' }).graph
      } catch (error) {
        t.ok(error instanceof OptionError && subset === 'last_layer' && 'independentOutputs' in extra, String(error))
        continue
      }
      const values = runGraph(exported, new Map([[exported.inputs[0].name, x]]), 'float64')
      t.ok(relativeDifference(values.get(exported.outputs[0])!.data, variance.data) < 1e-9,
        `${subset} ${JSON.stringify(extra)}`)
    }
  }
})

t.test('what such a process does not have is refused with a way out', async t => {
  const draw = drawer(9)
  const [graph, x] = [perceptron(draw, 3, 4, 2, 'Tanh'), draw(6, 3)]
  const options: LaplaceOptions = { likelihood: 'classification', structure: 'functional', priorPrecision: 1 }
  const y = labels(6, 2)
  const independent = await laplace(graph, { ...options, independentOutputs: true }).fit(x, y)
  const nystroem = await laplace(graph, { ...options, nystroem: true, nSubset: 2 }).fit(x, y)
  const point = float64([nystroem.parameterCount], nystroem.mean)
  for (const call of [
    () => independent.sample(2),
    () => independent.posteriorVariance(),
    () => independent.H.toDense(),
    () => independent.posteriorPrecision.toDense(),
    () => nystroem.posteriorPrecision.toDense(),
    () => nystroem.logProb(point),
    () => nystroem.withPrior({ priorPrecision: [1, 2, 3, 4] }),
    () => laplace(graph, { likelihood: 'classification', structure: 'kron', nystroem: true }),
    () => laplace(graph, { likelihood: 'classification', independentOutputs: true }),
  ]) t.throws(call, OptionError)
  await t.rejects(nystroem.influence(x, y), OptionError)
  await t.rejects(independent.influence(x, y), OptionError)
})
