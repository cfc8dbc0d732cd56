/**
 * @file 51 of the list of attacks: settings and data from 1e-300 to 1e300, alone and together, end in finite answers or
 * in typed errors. What is asked for afterwards does too.
 */
import fc from 'fast-check'
import t from 'tap'
import { LaplaceError } from '../../../core/errors/errors.js'
import { laplace, type LaplaceOptions, type LaplacePosterior } from '../../../core/index.js'
import { CURVATURES, ROW_LIKELIHOODS, STRUCTURES, TUNE_METHODS } from '../../../core/options/words.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { drawer, perceptron } from '../../support/random-network.js'

const RUNS = Number(process.env.POLYLAPLACE_EXTREMES ?? 150)
const ROWS = 24

/** An exponent of ten: 0 mostly, so that not everything is refused at once. */
const exponent = fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, { weight: 1,
  arbitrary: fc.integer({ min: -300, max: 300 }) }, { weight: 1, arbitrary: fc.integer({ min: -45, max: 45 }) })

const scenario = fc.record({
  likelihood: fc.constantFrom(...ROW_LIKELIHOODS),
  structure: fc.constantFrom(...STRUCTURES),
  subset: fc.constantFrom('auto' as const, 'all' as const, 'last_layer' as const, 'subnetwork' as const),
  curvature: fc.oneof({ weight: 4, arbitrary: fc.constant('ggn' as const) }, { weight: 1,
    arbitrary: fc.constantFrom(...CURVATURES) }),
  tune: fc.constantFrom(undefined, ...TUNE_METHODS),
  precision: fc.constantFrom('float64' as const, 'float32' as const),
  activation: fc.constantFrom('Tanh', 'Relu', 'Sigmoid'),
  prior: exponent,
  noise: exponent,
  temperature: exponent,
  x: exponent,
  y: exponent,
  parameters: exponent,
  // Rows whose weights are whole numbers are read so often: millions of them are honest work, and none of a test.
  weight: exponent.filter(power => power <= 2 || power >= 12),
  elsewhere: fc.integer({ min: -300, max: 300 }),
  seed: fc.nat(1000),
})
type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never

const isOfNumbers = (likelihood: string): boolean => ['regression', 'heteroscedastic', 'poisson'].includes(likelihood)

function scaled({ shape, data }: Tensor, power: number): Tensor {
  return float64(shape, Float64Array.from(data, value => power === 0 ? value : value * 10 ** power))
}

function labels({ likelihood, y, seed }: Scenario): Tensor {
  if (likelihood === 'classification') return float64([ROWS], Float64Array.from({ length: ROWS }, (_, i) => i % 3))
  const drawn = drawer(seed)(ROWS, likelihood === 'heteroscedastic' ? 1 : 3)
  if (!isOfNumbers(likelihood)) return float64(drawn.shape, drawn.data.map(value => Number(value > 0)))
  const far = scaled(drawn, y)
  return likelihood === 'poisson' ? float64(far.shape, far.data.map(value => Math.round(Math.abs(value)))) : far
}

function optionsOf(given: Scenario, x: Tensor, y: Tensor): LaplaceOptions {
  const { likelihood, subset, tune, precision, seed } = given
  const structure = subset === 'subnetwork' && given.structure !== 'diag' ? 'full' : given.structure
  return { likelihood, subset, precision, seed, threads: 1,
    ...(subset === 'auto' ? {} : { structure, curvature: given.curvature }),
    ...(subset === 'subnetwork' ? { subnetwork: { count: 7, by: 'random', seed } } : {}),
    ...(tune === undefined ? {} : { tune }),
    ...(tune === 'grid' || tune === 'validated' ? { validation: { x, y } } : {}),
    ...(given.prior === 0 ? {} : { priorPrecision: 10 ** given.prior }),
    ...(given.noise === 0 || likelihood !== 'regression' ? {} : { sigmaNoise: 10 ** given.noise }),
    ...(given.temperature === 0 ? {} : { temperature: 10 ** given.temperature }) }
}

/** Everything that a posterior can be asked. */
function questions(posterior: LaplacePosterior, x: Tensor, y: Tensor, far: Tensor): (() => unknown)[] {
  const [draws, interval] = [{ seed: 1 }, isOfNumbers(posterior.likelihood) ? { level: 0.9, quantiles: [0.1] } : {}]
  return [() => posterior.summary(), () => posterior.logMarginalLikelihood(), () => posterior.predict(x, interval),
    () => posterior.predict(far), () => posterior.predict(far, { predictive: 'nn', samples: 5, ...draws }),
    () => posterior.predict(far, { link: 'mc', ...draws }), () => posterior.predict(far, { joint: true }),
    () => posterior.functionalVariance(far), () => posterior.functionalSamples(far, 3, draws),
    () => posterior.predictiveSamples(far, 3, draws), () => posterior.sample(3, draws), () => posterior.marginals(),
    () => posterior.inputGradients(far), () => posterior.influence(x, y), () => posterior.compare(x, y),
    () => posterior.figures(x, y), async () => (await posterior.conformalize(x, y)).predict(far),
    () => [posterior.logDetRatio, posterior.scatter, posterior.logLikelihood],
    async () => (await posterior.addRows(x, y)).summary()]
}

/** Where a value holds a number that is none. Losses, log scores and ends of intervals may be infinite. */
function wrongNumber(value: unknown, path = ''): string | undefined {
  const wrong = (number: number): boolean =>
    /loss|nll|score|lower|upper|quantiles/i.test(path) ? Number.isNaN(number) : !Number.isFinite(number)
  if (typeof value === 'number') return wrong(value) ? `${path} is ${value}` : undefined
  if (ArrayBuffer.isView(value)) {
    const bad = Array.from(value as unknown as ArrayLike<number>).find(wrong)
    return bad === undefined ? undefined : `${path} holds ${bad}`
  }
  if (typeof value !== 'object' || value === null) return undefined
  for (const [key, part] of Object.entries(value)) {
    const found = wrongNumber(part, `${path}.${key}`)
    if (found !== undefined) return found
  }
  return undefined
}

async function finiteOrTyped(question: () => unknown, given: Scenario): Promise<boolean> {
  try {
    const wrong = wrongNumber(await question())
    if (wrong !== undefined) throw new Error(`${wrong} for ${question.toString()} of ${JSON.stringify(given)}`)
    return true
  } catch (error) {
    if (!(error instanceof LaplaceError) || error.code === 'INTERNAL') throw error
    return false
  }
}

t.test('51 settings and data from 1e-300 to 1e300 end in finite numbers or in typed errors', async t => {
  let answered = 0
  await fc.assert(fc.asyncProperty(scenario, async given => {
    const draw = drawer(given.seed)
    const outputs = given.likelihood === 'heteroscedastic' ? 2 : 3
    const network = perceptron(draw, 4, 5, outputs, given.activation)
    const layer = given.seed % 2 === 0 ? '0.weight' : '2.weight'
    const graph = { ...network, initializers: new Map(
      Array.from(network.initializers,
        ([name, value]) => [name, name === layer ? scaled(value, given.parameters) : value]),
    ) }
    const [x, y, far] = [scaled(draw(ROWS, 4), given.x), labels(given), scaled(draw(5, 4), given.elsewhere)]
    const sampleWeight = Float64Array.from({ length: ROWS }, (_, i) => (i % 3 === 0 ? 10 ** given.weight : 1))
    let posterior: LaplacePosterior | undefined
    await finiteOrTyped(async () => {
      posterior = await laplace(graph, optionsOf(given, x, y)).fit(x, y, given.weight === 0 ? {} : { sampleWeight })
    }, given)
    if (posterior === undefined) return
    for (const question of questions(posterior, x, y, far)) {
      if (await finiteOrTyped(question, given)) answered++
    }
  }), { numRuns: RUNS, seed: 51 })
  t.ok(answered > RUNS, `${answered} questions were answered`)
})
