/**
 * @file Tuning on rows that the last layer fits exactly, or nearly so: against Bayesian linear regression with the
 * tuned sigma and delta in extended precision, in which no prior is lost beside H / sigma^2.
 */
import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { laplace, type LaplaceOptions, type LaplacePosterior } from '../../../core/index.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { float64, type Precision, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { dot, extended, type Factors, factors, solve, times, toNumber } from '../../support/extended.js'

type Features = 'plain' | 'constant' | 'duplicate'

interface Draw {
  readonly rows: number
  readonly units: number
  readonly outputs: number
  readonly residual: number
  readonly precision?: Precision
  readonly features?: Features
  /** Factor of the targets. */
  readonly scale?: number
}

interface Problem {
  readonly graph: Graph
  readonly x: Tensor
  readonly y: Tensor
  readonly xTest: Tensor
  readonly outputs: number
  /** The weights of each output, the bias last. */
  readonly weights: readonly (readonly number[])[]
}

/** One linear layer on features tanh(A u + a) of three numbers u; the layer fits the targets up to the residual. */
function problem(
  { rows, units, outputs, residual, precision = 'float64', features = 'plain', scale = 1 }: Draw,
): Problem {
  const random = randomGenerator(7)
  const normals = (count: number): number[] => Array.from({ length: count }, () => random.normal())
  const round = precision === 'float32' ? Math.fround : Number
  const hidden = Array.from({ length: units }, () => normals(4))
  const row = (): number[] => {
    const u = [...normals(3), 1]
    const phi = hidden.map(a => round(Math.tanh(a.reduce((sum, value, i) => sum + value * u[i]!, 0))))
    if (features === 'constant') phi[1] = 0.5
    if (features === 'duplicate') phi[1] = phi[0]!
    return phi
  }
  const x = Array.from({ length: rows }, row)
  const xTest = Array.from({ length: 4 }, row)
  const weights = Array.from({ length: outputs }, () => normals(units + 1).map(value => round(scale * value)))
  const y = x.flatMap(phi =>
    weights.map(w => [...phi, 1].reduce((sum, value, i) => sum + value * w[i]!, 0) + scale * residual * random.normal())
  )
  const b = new GraphBuilder(precision)
  const graph = b.build([
    b.node('Gemm', [b.input('x', [BATCH, units]),
      b.parameter('weight', tensor(precision, [outputs, units], weights.flatMap(w => w.slice(0, units)))),
      b.parameter('bias', tensor(precision, [outputs], weights.map(w => w[units]!)))], { transB: 1 }),
  ])
  return { graph, x: float64([rows, units], x.flat()), y: float64([rows, outputs], y),
    xTest: float64([4, units], xTest.flat()), outputs, weights }
}

function rowsOf({ shape, data }: Tensor): bigint[][] {
  return Array.from({ length: shape[0]! }, (_, n) => [
    ...Array.from(data.slice(n * shape[1]!, (n + 1) * shape[1]!), value => extended(Number(value))),
    extended(1),
  ])
}

/** phi1'phi1 with the entries that a structure keeps. */
function gram(rows: readonly bigint[][], structure: string): bigint[][] {
  const width = rows[0]!.length
  const keeps = (i: number, j: number): boolean =>
    i === j || structure === 'full' || (structure === 'kron' && i < width - 1 && j < width - 1)
  return Array.from({ length: width },
    (_, i) =>
      Array.from({ length: width }, (_, j) =>
        keeps(i, j) ? rows.reduce((sum, row) => sum + times(row[i]!, row[j]!), 0n) : 0n))
}

/** sigma^2 P = H + sigma^2 diag(delta) of one output. */
function scaledPrecision(h: bigint[][], { sigmaNoise, priorPrecision }: Hyper): Factors {
  const variance = times(extended(sigmaNoise), extended(sigmaNoise))
  const width = h.length
  const delta = (i: number): number =>
    priorPrecision.length === 1 ? priorPrecision[0]! : priorPrecision[i === width - 1 ? 1 : 0]!
  return factors(
    h.map((row, i) => row.map((value, j) => i === j ? value + times(variance, extended(delta(i))) : value)),
  )
}

interface Hyper {
  readonly sigmaNoise: number
  readonly priorPrecision: ArrayLike<number>
}

/** The variance of the outputs at the test rows. */
function variances({ x, xTest, outputs }: Problem, structure: string, hyper: Hyper): number[] {
  const p = scaledPrecision(gram(rowsOf(x), structure), hyper)
  const variance = times(extended(Number(hyper.sigmaNoise)), extended(Number(hyper.sigmaNoise)))
  return rowsOf(xTest).flatMap(phi => {
    const own = toNumber(times(variance, dot(phi, solve(p, phi))))
    return Array.from({ length: outputs }, () => own)
  })
}

/** gamma = trace of H (sigma^2 P)^-1, over the outputs, and by tensor. */
function effective({ x, outputs }: Problem, structure: string, hyper: Hyper): number[] {
  const h = gram(rowsOf(x), structure)
  const p = scaledPrecision(h, hyper)
  const shares = h.map((row, i) => outputs * toNumber(solve(p, row)[i]!))
  return hyper.priorPrecision.length === 1
    ? [shares.reduce((a, b) => a + b, 0)]
    : [shares.slice(0, -1).reduce((a, b) => a + b, 0), shares.at(-1)!]
}

/** The mode of the linear model: its squared weights by tensor (or together) and its residual sum of squares. */
function mode({ x, y, outputs }: Problem, hyper: Hyper): { squares: number[], residuals: number } {
  const rows = rowsOf(x)
  const p = scaledPrecision(gram(rows, 'full'), hyper)
  let [ofWeights, ofBias, residuals] = [0, 0, 0n]
  for (let c = 0; c < outputs; c++) {
    const target = rows.map((_, n) => extended(Number(y.data[n * outputs + c])))
    const w = solve(p, rows[0]!.map((_, i) => dot(rows.map(row => row[i]!), target)))
    ofWeights += w.slice(0, -1).reduce((sum, value) => sum + toNumber(value) ** 2, 0)
    ofBias += toNumber(w.at(-1)!) ** 2
    rows.forEach((row, n) => {
      const r = dot(row, w) - target[n]!
      residuals += times(r, r)
    })
  }
  return { squares: hyper.priorPrecision.length === 1 ? [ofWeights + ofBias] : [ofWeights, ofBias],
    residuals: toNumber(residuals) }
}

function hyperOf(posterior: LaplacePosterior): Hyper {
  const { sigmaNoise, priorPrecision } = posterior.summary()
  return { sigmaNoise: Number(sigmaNoise), priorPrecision }
}

const fit = (data: Problem, options: Partial<LaplaceOptions>): Promise<LaplacePosterior> =>
  laplace(data.graph, { likelihood: 'regression', threads: 1, ...options }).fit(data.x, data.y)
const floored = (posterior: LaplacePosterior): boolean =>
  posterior.notes.some(note => /noise is (at its floor|held)/.test(note))

interface Checks {
  ok(value: unknown, message: string): unknown
}

function close(t: Checks, what: string, actual: ArrayLike<number>, expected: ArrayLike<number>,
  tolerance: number): void {
  const difference = relativeDifference(actual, expected)
  t.ok(difference <= tolerance, `${what} (${difference.toExponential(1)})`)
}

/** Everything that tuning by the linear model claims, in extended precision. */
async function checkLinearized(t: Checks, data: Problem, options: Partial<LaplaceOptions>): Promise<LaplacePosterior> {
  const posterior = await fit(data, { tune: 'linearized', ...options })
  const hyper = hyperOf(posterior)
  const structure = options.structure ?? 'kron'
  const gamma = effective(data, structure, hyper)
  const { squares, residuals } = mode(data, hyper)
  const all = gamma.reduce((a, b) => a + b, 0)
  const freedom = Math.max(1, data.y.data.length - all)
  close(t, 'f_var', (await posterior.predict(data.xTest)).variance.data, variances(data, structure, hyper), 2e-3)
  close(t, 'effective parameters', [posterior.effectiveParameters!], [all], 1e-3)
  const noise = Math.sqrt(residuals / freedom)
  if (floored(posterior)) {
    t.ok(noise <= Number(hyper.sigmaNoise) * (1 + 1e-3), `residuals (${noise}) no more than sigma`)
    t.ok(posterior.notes.some(note => note.includes('interpolates its training rows')), 'and a note says so')
  } else close(t, 'sigma', [Number(hyper.sigmaNoise)], [noise], 1e-3)
  if (posterior.notes.every(note => !/stopped|edge/.test(note))) {
    close(t, 'delta', hyper.priorPrecision, gamma.map((value, g) => value / squares[g]!), 2e-3)
  }
  t.ok(Number.isFinite(posterior.logMarginalLikelihood()), 'evidence')
  return posterior
}

for (const structure of ['kron', 'full', 'diag'] as const) {
  for (const features of ['plain', 'constant', 'duplicate'] as const) {
    t.test(`10 rows, 11 columns, ${features} features, ${structure}`, async t => {
      for (const residual of [1e-6, 1e-9, 1e-12, 0]) {
        const single = problem({ rows: 10, units: 10, outputs: 1, residual, features })
        const posterior = await checkLinearized(t, single, { structure })
        if (features !== 'plain' && structure !== 'diag') {
          t.ok(floored(posterior), 'no row is left to determine the noise')
        }
        await checkLinearized(t, single, { structure, priorStructure: 'layerwise' })
        await checkLinearized(t, problem({ rows: 10, units: 10, outputs: 2, residual, features, precision: 'float32' }),
          { structure })
      }
    })
  }
}

t.test('150 rows determine even a small noise of 11 columns', async t => {
  for (const residual of [1e-3, 1e-6, 1e-9]) {
    const posterior = await checkLinearized(t, problem({ rows: 150, units: 10, outputs: 1, residual }), {
      structure: 'full',
    })
    t.notOk(floored(posterior), 'there is no floor')
    t.ok(Math.abs(Math.log(Number(posterior.summary().sigmaNoise) / residual)) < 0.3, 'the noise of the targets')
  }
  const exact = await checkLinearized(t, problem({ rows: 150, units: 10, outputs: 1, residual: 0 }), {
    structure: 'full',
  })
  t.ok(Number(exact.summary().sigmaNoise) < 1e-11 && floored(exact),
    'and of exact targets nothing is left but rounding')
})

t.test('200 units and 150 rows', async t => {
  const data = problem({ rows: 150, units: 200, outputs: 1, residual: 0 })
  const posterior = await fit(data, { structure: 'full', tune: 'linearized' })
  close(t, 'f_var', (await posterior.predict(data.xTest)).variance.data, variances(data, 'full', hyperOf(posterior)),
    2e-3)
  t.ok(floored(posterior), 'no row is left to determine the noise')
})

t.test('the floor follows the scale of the targets', async t => {
  const sigma = async (scale: number): Promise<number> =>
    Number((await fit(problem({ rows: 10, units: 10, outputs: 1, residual: 0, scale, features: 'duplicate' }), {
      structure: 'full',
      tune: 'linearized',
    })).summary().sigmaNoise)
  const one = await sigma(1)
  t.ok(one > 1e-7 && one < 1e-4, `${one}`)
  for (const scale of [1e-3, 1e3]) close(t, `times ${scale}`, [await sigma(scale)], [scale * one], 1e-2)
})

t.test('targets that are all 0', async t => {
  const data = problem({ rows: 10, units: 10, outputs: 1, residual: 0 })
  const zero = { ...data, y: float64([10, 1], new Float64Array(10)) }
  for (const tune of ['linearized', 'marglik'] as const) {
    for (const structure of ['kron', 'full', 'diag'] as const) {
      const posterior = await fit(zero, { structure, tune })
      close(t, `${tune} ${structure}: f_var`, (await posterior.predict(data.xTest)).variance.data,
        variances(data, structure, hyperOf(posterior)), 2e-3)
    }
  }
})

t.test("the marginal likelihood at the network's weights", async t => {
  for (const rows of [6, 10, 40]) {
    for (const structure of ['kron', 'full', 'diag'] as const) {
      for (const residual of [1e-6, 1e-9, 0]) {
        const data = problem({ rows, units: 10, outputs: 1, residual })
        const posterior = await fit(data, { structure, tune: 'marglik' })
        const hyper = hyperOf(posterior)
        const gamma = effective(data, structure, hyper)[0]!
        const name = `${rows} rows, ${structure}, ${residual}`
        close(t, `${name}: f_var`, (await posterior.predict(data.xTest)).variance.data,
          variances(data, structure, hyper), 2e-3)
        const theta = data.weights[0]!.reduce((sum, value) => sum + value * value, 0)
        close(t, `${name}: delta`, hyper.priorPrecision, [gamma / theta], 2e-3)
        t.ok(Number(hyper.sigmaNoise) > 1e-7, `${name}: sigma ${Number(hyper.sigmaNoise)}`)
        if (residual === 0 && (structure === 'full' || rows === 40)) {
          t.ok(floored(posterior), `${name}: a note says that it is at its floor`)
        }
      }
    }
  }
})

t.test('the marginal likelihood of a network in float32, one precision for each tensor', async t => {
  for (const features of ['plain', 'constant', 'duplicate'] as const) {
    for (const residual of [1e-6, 0]) {
      const data = problem({ rows: 10, units: 10, outputs: 2, residual, features, precision: 'float32' })
      const posterior = await fit(data, { structure: 'full', tune: 'marglik', priorStructure: 'layerwise' })
      const largest = variances(data, 'full', { ...hyperOf(posterior), sigmaNoise: 1e3 })
      const { data: variance } = (await posterior.predict(data.xTest)).variance
      t.ok(variance.every((value, i) => value > 0 && value <= 3 * largest[i]!), `${features}: no more than the prior's`)
    }
  }
})

t.test('one prior precision for each parameter', async t => {
  for (const residual of [1e-6, 1e-9, 0]) {
    const data = problem({ rows: 10, units: 10, outputs: 1, residual })
    const posterior = await fit(data, { structure: 'diag', tune: 'marglik', priorStructure: 'diagonal' })
    const { priorPrecision } = posterior.summary()
    const sigmaNoise = Number(posterior.summary().sigmaNoise)
    const h = gram(rowsOf(data.x), 'diag').map((row, i) => toNumber(row[i]!) / sigmaNoise ** 2)
    // The evidence of each: delta / (h + delta) + delta theta^2 = 1.
    const slopes = Array.from(priorPrecision, (delta, i) => delta / (h[i]! + delta) + delta * data.weights[0]![i]! ** 2)
    close(t, `${residual}: slopes`, slopes, slopes.map(() => 1), 1e-9)
    t.ok(sigmaNoise > 1e-7 && (floored(posterior) || residual === 1e-6), `${residual}: sigma ${sigmaNoise}`)
  }
})
