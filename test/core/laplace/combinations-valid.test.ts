/** @file What holds for every combination of options that go together, on random networks and rows. */
import fc from 'fast-check'
import t from 'tap'
import { NumericalError } from '../../../core/errors/errors.js'
import { laplace, type LaplaceOptions, type LaplacePosterior } from '../../../core/index.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { BLOCKS, type CurvatureKind, CURVATURES, KFAC_APPROXIMATIONS, ROW_LIKELIHOODS, type Structure, STRUCTURES,
  SUBSETS, SUM_STRUCTURES } from '../../../core/options/words.js'
import { takeRows } from '../../../core/tensor/rows.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, mixedNetworks, perceptron } from '../../support/random-network.js'

const N = 5
const TOLERANCE = 1e-7

/** Structures by curvature, as docs/combinations.md has them. */
const CURVATURE_STRUCTURES: Record<CurvatureKind, readonly Structure[]> = { ggn: STRUCTURES,
  empirical_fisher: SUM_STRUCTURES, mc_fisher: SUM_STRUCTURES, hessian: ['full', 'blockdiag', 'lowrank'] }

const combination = fc.record({
  likelihood: fc.constantFrom(...ROW_LIKELIHOODS),
  curvature: fc.constantFrom(...CURVATURES),
  subset: fc.constantFrom(...SUBSETS),
  structure: fc.nat(100),
  kind: fc.constantFrom(...Object.keys(mixedNetworks)),
  activation: fc.constantFrom('Tanh', 'Sigmoid', 'Softplus'),
  blocks: fc.constantFrom(...BLOCKS),
  kfacApprox: fc.constantFrom(...KFAC_APPROXIMATIONS),
  rank: fc.constantFrom(2, 0.9),
  priorPrecision: fc.constantFrom(0.5, 3),
  priorMean: fc.constantFrom(0, 0.3),
  temperature: fc.constantFrom(1, 0.6),
  sigmaNoise: fc.constantFrom(0.5, 1),
  labelSmoothing: fc.constantFrom(undefined, 0.1),
  prior: fc.constantFrom('one' as const, 'one a tensor' as const, 'one a parameter' as const),
  seed: fc.nat(1000),
})

type Drawn = typeof combination extends fc.Arbitrary<infer T> ? T : never

/** Options that go together, by what was drawn. */
function optionsOf(
  { likelihood, subset, blocks, kfacApprox, rank, sigmaNoise, labelSmoothing, seed, ...drawn }: Drawn,
): LaplaceOptions {
  const curvature = likelihood === 'heteroscedastic' && drawn.curvature === 'hessian' ? 'ggn' : drawn.curvature
  const structures = CURVATURE_STRUCTURES[curvature].filter(word =>
    subset !== 'subnetwork' || word !== 'kron' && word !== 'ekfac'
  )
  const structure = structures[drawn.structure % structures.length]
  const logits = likelihood === 'classification' || likelihood === 'binary' || likelihood === 'multilabel'
  return {
    likelihood,
    curvature,
    subset,
    structure,
    seed,
    kfacApprox,
    priorPrecision: drawn.priorPrecision,
    priorMean: drawn.priorMean,
    temperature: drawn.temperature,
    ...(subset === 'subnetwork' ? { subnetwork: { count: 7, by: 'random', seed } } : {}),
    ...(structure === 'blockdiag' ? { blocks } : {}),
    ...(structure === 'lowrank' ? { rank } : {}),
    ...(likelihood === 'regression' ? { sigmaNoise } : {}),
    ...(logits && labelSmoothing !== undefined ? { labelSmoothing } : {}),
  }
}

/** A network and rows that go with a likelihood. */
function dataOf({ likelihood, kind, activation, seed }: Drawn) {
  const draw = drawer(seed)
  const free = likelihood !== 'binary' && likelihood !== 'heteroscedastic'
  const outputs = likelihood === 'binary' ? 1 : 2
  const own = free ?
    mixedNetworks[kind](draw) :
    { graph: perceptron(draw, 3, 4, outputs, activation), x: draw(N, 3), outputs }
  const width = likelihood === 'classification' || likelihood === 'heteroscedastic' ? 1 : own.outputs
  const numbers = draw(N, width).data
  const label = (value: number, i: number): number => {
    if (likelihood === 'classification') return i % own.outputs
    return likelihood === 'regression' || likelihood === 'heteroscedastic' ? value : Number(value > 0)
  }
  return { ...own, y: float64(likelihood === 'classification' ? [N] : [N, width], Float64Array.from(numbers, label)) }
}

function rowsOf({ shape, data }: Tensor, rows: readonly number[]): Tensor {
  const width = data.length / shape[0]
  return float64([rows.length, ...shape.slice(1)], takeRows(Float64Array.from(data), Int32Array.from(rows), width))
}

/** What two posteriors that are one have in common. */
async function quantities(posterior: LaplacePosterior, x: Tensor): Promise<Float64Array> {
  const { covariance } = await posterior.functionalVariance(x)
  return Float64Array.of(posterior.logMarginalLikelihood(), ...posterior.posteriorVariance(),
    ...Float64Array.from(covariance.data))
}

async function same(a: LaplacePosterior | Promise<LaplacePosterior>, b: LaplacePosterior | Promise<LaplacePosterior>,
  x: Tensor): Promise<boolean> {
  // Together: what fails beside the other must be heard.
  const [first, second] = await Promise.all([a, b])
  const [own, other] = [await quantities(first, x), await quantities(second, x)]
  // Each number by its own size: variances are small beside the evidence.
  return own.length === other.length && Math.abs(own[0] - other[0]) <= TOLERANCE * (1 + Math.abs(other[0]))
    && relativeDifference(own.subarray(1), other.subarray(1)) <= TOLERANCE
}

/** A prior of the kind that was drawn, for the parameters that a posterior has. */
function priorOf({ prior, seed }: Drawn, { parameters, parameterCount, structure }: LaplacePosterior):
  | number
  | Float64Array {
  const byFactors = structure === 'kron' || structure === 'ekfac'
  const count = prior === 'one a parameter' && !byFactors ? parameterCount : parameters.length
  return prior === 'one' ? 1.7 : Float64Array.from(drawer(seed + 1)(count).data, value => 0.5 + value ** 2)
}

/** The identities that do not hold, by name. */
async function broken(drawn: Drawn): Promise<string[]> {
  const options = optionsOf(drawn)
  const { graph, x, y } = dataOf(drawn)
  const prepared = laplace(graph, options)
  const own = await prepared.fit(x, y)
  const drawsLabels = options.curvature === 'mc_fisher'
  const sum = SUM_STRUCTURES.some(word => word === options.structure)
  const priorPrecision = priorOf(drawn, own)
  const repeats = [0, 0, 1, 3, 4, 4, 4]
  const batches = [[0, 1, 2], [3, 4]].map(rows => ({ x: rowsOf(x, rows), y: rowsOf(y, rows) }))
  const checks: Record<string, () => Promise<boolean>> = {
    'a file': () => same(loadPosterior(own.save()), own, x),
    'batches': () => same(prepared.fit(batches), own, x),
  }
  // Draws of the weights belong to the prior of their fit.
  const draws = options.structure === 'samples'
  if (!draws) {
    checks['another prior is that of another fit'] = () =>
      same(own.withPrior({ priorPrecision }), laplace(graph, { ...options, priorPrecision }).fit(x, y), x)
  }
  if (!drawsLabels && !draws) {
    checks['weights are rows'] = () =>
      same(prepared.fit(x, y, { sampleWeight: [2, 1, 0, 1, 3] }), prepared.fit(rowsOf(x, repeats), rowsOf(y, repeats)),
        x)
  }
  if (sum && !drawsLabels) {
    const [first, second] = batches
    checks['forgotten rows'] = () => same(own.forget(second.x, second.y), prepared.fit(first.x, first.y), x)
    checks['added rows'] = async () => same((await prepared.fit(first.x, first.y)).addRows(second.x, second.y), own, x)
  }
  if (options.structure === 'functional') {
    checks['all rows are all weights'] = () => same(own, laplace(graph, { ...options, structure: 'full' }).fit(x, y), x)
  }
  const names: string[] = []
  for (const [name, holds] of Object.entries(checks)) if (!await holds()) names.push(name)
  return names
}

t.test('identities of every combination', async t => {
  let [worked, indefinite] = [0, 0]
  await fc.assert(fc.asyncProperty(combination, async drawn => {
    try {
      const names = await broken(drawn)
      worked++
      if (names.length > 0) throw new Error(`${names.join(', ')}: ${JSON.stringify(optionsOf(drawn))}`)
    } catch (error) {
      if (!(error instanceof NumericalError) || drawn.curvature !== 'hessian') throw error
      indefinite++
    }
  }), { numRuns: 150, seed: 5, endOnFailure: true })
  t.ok(worked > 110, `${worked} worked, ${indefinite} of an indefinite Hessian`)
})

t.test('draws have the covariance P^-1, for every structure and subset', async t => {
  const draw = drawer(2)
  const graph = perceptron(draw, 2, 2, 2, 'Tanh')
  const [x, y] = [draw(N, 2), draw(N, 2)]
  const count = 40_000
  for (const structure of STRUCTURES) {
    for (const subset of SUBSETS) {
      if (subset === 'subnetwork' && (structure === 'kron' || structure === 'ekfac')) continue
      const posterior = await laplace(graph, { likelihood: 'regression', structure, subset, priorPrecision: 0.5,
        sigmaNoise: 0.7, ...(subset === 'subnetwork' ? { subnetwork: [0, 3, 5, 7] } : {}),
        ...(structure === 'lowrank' ? { rank: 3 } : {}) }).fit(x, y)
      const P = posterior.parameterCount
      const theta = posterior.sample(count, { seed: 4 }).data
      const { data: S } = posterior.posteriorCovariance()
      let worst = 0
      for (let i = 0; i < P; i++) {
        for (let j = 0; j <= i; j++) {
          let sum = 0
          for (let k = 0; k < count * P; k += P) {
            sum += (Number(theta[k + i]) - posterior.mean[i]) * (Number(theta[k + j]) - posterior.mean[j])
          }
          const scale = Math.sqrt(Number(S[i * P + i]) * Number(S[j * P + j]))
          worst = Math.max(worst, Math.abs(sum / count - Number(S[i * P + j])) / scale)
        }
      }
      t.ok(worst < 0.04, `${structure} of ${subset}: ${worst}`)
    }
  }
})
