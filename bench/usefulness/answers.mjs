/** @file What is compared on one network: the network, temperature scaling, posteriors and an ensemble, each scored. */
import { laplace } from '../../dist/core/index.js'
import { calibrationReport, outlierScores } from '../../dist/core/metrics/index.js'
import { float64 } from '../../dist/core/tensor/tensor.js'
import { fitTemperature, scaledProbabilities } from '../../dist/core/tuning/temperature.js'
import { networkGraph } from './network-graph.mjs'

/** Options of the posteriors by the name of their column; `held`: with the held-out rows. */
const POSTERIORS = {
  'no option': { options: {} },
  'last layer': { options: { subset: 'last_layer' } },
  'held-out rows': { options: { tune: 'validated' }, held: true },
}
const PEER = "laplace-torch's default"
/** The same posterior computed here, where laplace-torch is not installed. */
const COMPUTED_PEER = { subset: 'last_layer', structure: 'kron', tune: 'marglik' }

/** For variances that hold the noise already: a report wants a positive one. */
const NO_NOISE = 1e-9

export const COLUMNS = ['temperature', ...Object.keys(POSTERIORS), PEER, 'ensemble of five']

/**
 * Scores of everything on one network: { name: scores }, with `error` in place of scores that there are not.
 * @param peer what laplace-torch answers; undefined where it is not installed
 */
export async function answersOf(cell, { members }, peer) {
  const { classes, data } = cell
  const outputs = members[0].layers.at(-1).bias.length
  const likelihood = classes === 0 ? 'regression' : outputs === 1 ? 'binary' : 'classification'
  const rows = name => ({ x: matrix(data[name][0]), y: labels(data[name][1], likelihood) })
  const problem = { likelihood, outputs, train: rows('train'), held: rows('held'), test: rows('test'),
    other: matrix(data.other) }
  const plain = await networkOutputs(members[0], problem)
  const results = likelihood === 'regression' ? networkNoises(plain, problem) : networkProbabilities(plain, problem)
  for (const [name, { options, held }] of Object.entries(POSTERIORS)) {
    const all = { likelihood, ...options, ...held ? { validation: problem.held } : {} }
    results[name] = await posteriorScores(members[0], problem, all)
  }
  results[PEER] = peer === undefined
    ? await posteriorScores(members[0], problem, { likelihood, ...COMPUTED_PEER })
    : peerScores(peer, problem)
  results['ensemble of five'] = await ensembleScores(members, problem)
  return results
}

/** Outputs of a network on all rows, without anything of ours but the forward pass. */
async function networkOutputs(member, { likelihood, train, held, test, other }) {
  const posterior = await laplace(networkGraph(member), { likelihood, subset: 'last_layer', structure: 'diag',
    tune: 'none' }).fit(train.x, train.y)
  const outputs = async x => (await posterior.predict(x, { uncertainty: false })).mean
  return { train: await outputs(train.x), held: await outputs(held.x), test: await outputs(test.x),
    other: await outputs(other) }
}

function networkProbabilities(plain, problem) {
  const { likelihood, held } = problem
  const { temperature } = fitTemperature(likelihood, plain.held, held.y)
  const scaled = by =>
    probabilityScores(scaledProbabilities(likelihood, plain.test, by), scaledProbabilities(likelihood, plain.other, by),
      problem)
  return { network: scaled(1), temperature: scaled(temperature) }
}

/** The network with the noise of its training residuals, and with that of held-out rows in place of a temperature. */
function networkNoises(plain, problem) {
  const scores = name => {
    const noise = squaresOf(plain[name], problem[name].y).map(Math.sqrt)
    return regressionScores({ mean: plain.test, variance: float64(plain.test.shape, plain.test.data.map(() => 0)) },
      noise, problem)
  }
  return { network: scores('train'), temperature: scores('held') }
}

/** The mean square of the residuals, one an output. */
function squaresOf({ data, shape: [examples, outputs] }, y) {
  const squares = new Float64Array(outputs)
  data.forEach((value, i) => {
    squares[i % outputs] += (y.data[i] - value) ** 2 / examples
  })
  return squares
}

async function posteriorScores(member, problem, options) {
  const start = performance.now()
  try {
    const posterior = await laplace(networkGraph(member), options).fit(problem.train.x, problem.train.y)
    const seconds = (performance.now() - start) / 1000
    const predict = x => posterior.predict(x, { uncertainty: false })
    const [test, other] = [await predict(problem.test.x), await predict(problem.other)]
    const scores = problem.likelihood === 'regression'
      ? regressionScores({ mean: test.mean, variance: test.predictiveVariance }, NO_NOISE, problem)
      : probabilityScores(test.probabilities, other.probabilities, problem)
    const novelty = test.noveltyScore === undefined
      ? {}
      : { novelty: outlierScores(test.noveltyScore.data, other.noveltyScore.data).auroc }
    return { ...scores, ...novelty, seconds }
  } catch (error) {
    return { error: `${error.code ?? error.name}: ${error.message}` }
  }
}

/** Scores of the answers that laplace-torch gave. */
function peerScores({ probabilities, mean, variance, error }, problem) {
  if (error !== undefined) return { error }
  return problem.likelihood === 'regression'
    ? regressionScores({ mean: matrix(mean), variance: matrix(variance) }, NO_NOISE, problem)
    : probabilityScores(matrix(probabilities[0]), matrix(probabilities[1]), problem)
}

/** The mean of the members' probabilities; of regression mean and spread, with the noise of training residuals. */
async function ensembleScores(members, problem) {
  const { likelihood, train } = problem
  const all = []
  for (const member of members) all.push(await networkOutputs(member, problem))
  const average = values =>
    float64(values[0].shape, values[0].data.map((_, i) =>
      values.reduce((sum, { data }) => sum + data[i] / values.length, 0)
    ))
  if (likelihood !== 'regression') {
    const p = name => average(all.map(each => scaledProbabilities(likelihood, each[name], 1)))
    return probabilityScores(p('test'), p('other'), problem)
  }
  const mean = average(all.map(({ test }) => test))
  const variance = average(all.map(({ test, train: fitted }) => {
    const noise = squaresOf(fitted, train.y)
    return { ...test, data: Float64Array.from(test.data, (f, i) => (f - mean.data[i]) ** 2 + noise[i % noise.length]) }
  }))
  return regressionScores({ mean, variance }, NO_NOISE, problem)
}

function probabilityScores(p, ofOthers, { likelihood, test }) {
  const { nll, accuracy, ece, brier } = calibrationReport(likelihood, test.y, { probabilities: p })
  return { nll, accuracy, ece, brier, auroc: outlierScores(surprise(p), surprise(ofOthers)).auroc }
}

/** 1 - the largest probability of every row. */
function surprise({ data, shape: [examples, outputs] }) {
  return Float64Array.from({ length: examples }, (_, n) => {
    const row = data.slice(n * outputs, (n + 1) * outputs)
    return 1 - (outputs === 1 ? Math.max(row[0], 1 - row[0]) : Math.max(...row))
  })
}

function regressionScores(prediction, sigmaNoise, { test }) {
  const { nll, crps, rmse, intervals } = calibrationReport('regression', test.y, prediction, { sigmaNoise })
  const at = level => intervals.find(interval => interval.level === level)
  return { nll, crps, rmse, coverage50: at(0.5).coverage, coverage90: at(0.9).coverage, coverage95: at(0.95).coverage,
    width90: at(0.9).width }
}

function matrix(rows) {
  return float64([rows.length, rows[0].length], Float64Array.from(rows.flat()))
}

function labels(values, likelihood) {
  if (likelihood === 'regression') return matrix(values)
  return float64(likelihood === 'classification' ? [values.length] : [values.length, 1], Float64Array.from(values))
}
