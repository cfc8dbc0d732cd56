/**
 * @file What a fit, its predictions, draws and its file will take in bytes and seconds, from shapes alone.
 *
 * Bytes are counted as they are held: sums and their factorisation, the values of a batch in every thread (twice: a
 * first run finds no room in the arena), what is handed over, arrays that the collector has not taken yet. Seconds are
 * counted multiplications over the measured rate of a product.
 */
import { CALLING_BYTES, type Forecast, forecastOf, type Need, OTHER_THREAD_BYTES, type StageForecast,
  uncollected } from '../budget/forecast.js'
import { decompositionBytes, decompositionCost, inputFactors } from '../curvature/factor-shape.js'
import { posteriorBytes, restingBytes, sumBytes } from '../curvature/posterior-bytes.js'
import { knownOptions } from '../errors/suggest.js'
import { termsOf } from '../likelihood/output-layout.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { parameterCount } from '../network/parameter-slot.js'
import { whole } from '../options/option-values.js'
import { SMALL_DECOMPOSITIONS } from '../parallel/decompositions.js'
import { threadsFor } from '../parallel/worker-pool.js'
import { batchHeld, denseSizes } from '../programs/batch-memory.js'
import { batchWithin, positionsAtOnce, predictedAtOnce, seedsAtOnce } from '../programs/batch-size.js'
import { EIGEN_WORK, multiplicationsPerExample, sumsWork, varianceWork } from '../programs/work.js'
import { curvatureSeeds, shardCount } from '../sums/accumulation.js'
import { KEPT_NUMBERS } from '../sums/row-reservoir.js'
import { factoredNeed } from './factored-forecast.js'
import type { FitTask } from './fit-task.js'
import { forecastLinearModel, forecastWholeFit } from './linear-fit-cost.js'
import { both, copiesOf, type Load, NONE, overThreads, seconds, secondsOfValues, sessionOf,
  usesLibrary } from './stage-load.js'

/** What is to be forecast. */
export interface ForecastRequest {
  /** Rows of the fit. */
  readonly rows: number
  /** Rows that are given at a time, where they come in batches. */
  readonly batch?: number | undefined
  /** Rows of one prediction. */
  readonly predict?: number | undefined
  /** Draws of the outputs of these rows. */
  readonly samples?: number | undefined
}

const KNOWN: readonly (keyof ForecastRequest)[] = ['rows', 'batch', 'predict', 'samples']

/** Bytes that tuning by the linear model of a last layer holds for each number that is kept of the rows. */
const TUNED_BYTES = 30
/** What is held beside what is counted: pages that the allocator keeps, tables of the collector. */
const NOT_COUNTED = 1.05
/** Of a linear model of classes, measured: what of its matrices is held twice for a while, and its programs. */
const LINEAR_PART = 1.12
const LINEAR_ONCE = 6 << 20
/** Rounds of the fixed point for the prior, each with a few Newton steps, as a rule. */
const ROUNDS = 40
/** Bytes a second of a digest and a file. */
const FILE_RATE = 2e8

/** The forecast of a task. @throws OptionError BAD_OPTION for counts that are none */
export function forecastTask(task: FitTask, request: ForecastRequest): Forecast {
  knownOptions('forecast', request, KNOWN)
  const rows = countOf('rows', request.rows as number | undefined ?? NaN) ?? 1
  const batch = Math.min(rows, countOf('batch', request.batch) ?? rows)
  const predicted = countOf('predict', request.predict) ?? Math.min(rows, 1000)
  const draws = countOf('samples', request.samples)
  const linear = linearNeed(task, rows)
  const rowsNeed = factoredNeed(task, rows)
  const held = linear === undefined ? posteriorOf(task, rows) + rowsNeed.held : linear.bytes / 2
  const decomposed = linear === undefined ? decompositionLoad(task, rows) : NONE
  const stages: (readonly [StageForecast['stage'], Load])[] = [['fit',
    withRows(fitLoad(task, rows, batch, linear), rowsNeed.fit, rowsNeed.multiplications)]]
  if (linear === undefined && task.plan.tune !== 'none') {
    stages.push(['tune', withRows(both(tuneLoad(task, rows), decomposed), rowsNeed.held, 0)])
  } else if (task.options.subset === 'all' && decomposed.seconds > seconds(SMALL_DECOMPOSITIONS)) {
    // With a given prior the factors of all weights are decomposed at the end of the fit.
    stages.push(['tune', both({ ...NONE, calling: held }, decomposed)])
  }
  const prediction = predictLoad(task, { fitted: rows, rows: predicted, held, use: 'variances' })
  stages.push(['predict',
    both(withRows(prediction, 0, rowsNeed.solved + predicted * rowsNeed.predicted),
      stages.length > 1 ? NONE : decomposed)])
  if (draws !== undefined) {
    stages.push(['sample', sampleLoad(task, { fitted: rows, rows: predicted, held, use: 'covariances' }, draws)])
  }
  stages.push(['save', saveLoad(task, held, linear)])
  return forecastOf(inTurn(stages))
}

/** What a structure needs beside the sums, in the calling thread. */
function withRows(load: Load, bytes: number, multiplications: number): Load {
  return { ...load, calling: load.calling + bytes, seconds: load.seconds + seconds(multiplications) }
}

/** The need of the linear model over all weights; undefined where it is not fitted. */
function linearNeed({ linear, options }: FitTask, rows: number): Need | undefined {
  if (!('evaluator' in linear) || options.linearModel === 'none') return undefined
  const forecast = forecastLinearModel(linear.evaluator, options, rows)
  if (forecast === undefined) return undefined
  const { bytes, seconds } = forecastWholeFit(linear.evaluator, options, rows, forecast)
  const own = bytes + forecast.passing
  return { bytes: options.likelihood === 'regression' ? own : LINEAR_PART * own + LINEAR_ONCE, seconds }
}

/** The eigenvectors of Kronecker factors, which threads make ahead where they take long. */
function decompositionLoad({ evaluator: { layers }, options, runtime }: FitTask, rows: number): Load {
  if (options.structure !== 'kron') return NONE
  const factors = inputFactors(layers, rows).flatMap(factor => [factor, { size: factor.out, rank: factor.out }])
    .sort((a, b) => decompositionBytes(b) - decompositionBytes(a))
  const work = factors.reduce((sum, factor) => sum + decompositionCost(factor), 0)
  const threads = work < SMALL_DECOMPOSITIONS ? 1 : threadsFor(work, options, runtime)
  const bytes = factors.slice(0, threads).reduce((sum, factor) => sum + decompositionBytes(factor), 0)
  return threads > 1
    ? { ...NONE, others: threads * OTHER_THREAD_BYTES + bytes, seconds: seconds(work, threads) }
    : { ...NONE, seconds: seconds(work) }
}

/** What a stage leaves behind is there in the next ones: threads that have nothing to do do not collect it. */
function inTurn(stages: readonly (readonly [StageForecast['stage'], Load])[]): StageForecast[] {
  let [others, passing, kept] = [0, 0, 0]
  return stages.map(([stage, load]) => {
    others = Math.max(others, load.others)
    passing += load.passing
    const calling = load.calling + kept
    kept += load.kept ?? 0
    const bytes = Math.ceil(NOT_COUNTED * (CALLING_BYTES + calling + others + uncollected(passing, load.piece)))
    return { stage, bytes, seconds: load.seconds }
  })
}

function countOf(option: string, value: number | undefined): number | undefined {
  return value === undefined ? undefined : whole(option, value, 1)
}

/** The posterior at its peak. */
function posteriorOf({ evaluator, options }: FitTask, rows: number): number {
  return posteriorBytes(options, evaluator.slots, evaluator.layers, rows)
}

/** Bytes of one row of the inputs. */
function rowBytes({ network }: FitTask): number {
  return network.inputs.reduce(
    (sum, { dtype, shape }) =>
      sum +
      (dtype === 'float32' ? 4 : 8) *
        shape.reduce<number>((size, dim) => size * (typeof dim === 'number' ? dim : 1), 1),
    0,
  )
}

function fitLoad(task: FitTask, rows: number, batch: number, linear: Need | undefined): Load {
  const { evaluator, options, runtime } = task
  if (linear !== undefined) {
    return { ...NONE, calling: linear.bytes + rows * rowBytes(task), seconds: linear.seconds }
  }
  const { layers, slots, network } = evaluator
  const terms = termsOf(network)
  const seedsOfTerm = curvatureSeeds(likelihoodModel(options.likelihood), network.outputs, options)
  const seeds = seedsAtOnce(evaluator, seedsOfTerm, 'sums', options)
  const size = batchWithin(evaluator, seeds, 'sums', options, batch)
  const sums = sumBytes(options, slots, layers)
  const shards = Math.min(shardCount(sums, options.memoryLimit), Math.ceil(rows / size))
  const library = usesLibrary(task, rows * multiplicationsPerExample(evaluator, seedsOfTerm * terms))
  const spread = {
    threads: threadsFor(rows * multiplicationsPerExample(evaluator, seedsOfTerm * terms), options, runtime),
    rows,
    size,
    rowBytes: rowBytes(task),
    held: batchHeld(evaluator, seeds, 'sums', options, size),
    library,
    session: sessionOf(task),
    copies: copiesOf(task, library),
    nodes: network.graph.nodes.length,
    grams: library && options.structure === 'kron' && evaluator.subset === 'all' ? GRAM_PART * sums : 0,
  }
  const { calling, others, ...passing } = overThreads(spread, Math.min(shards, spread.threads), 0)
  // Threads hand their sums over; what is left of merging them stays until it is collected.
  const merged = others > 0 ? Math.min(shards * sums, MERGED_BYTES) : 0
  return { calling: calling + shards * sums + 8 * keptNumbers(task, rows), others: others + merged, ...passing,
    kept: others > 0 ? 0 : spread.grams, seconds: seconds(rows * Math.ceil(terms * seedsOfTerm / seeds)
      * (evaluator.work(seeds) + sumsWork(evaluator, options, seeds)), spread.threads) + secondsOfValues(spread) }
}

/** Blocks of lower triangles in the network's precision, those of a first run too, over what is summed: measured. */
const GRAM_PART = 0.8

/** Of sums that were merged so many bytes stay until they are collected. */
const MERGED_BYTES = 24 << 20

/** Numbers of the last layer that are kept for tuning. */
function keptNumbers({ evaluator, options, plan }: FitTask, rows: number): number {
  if (options.subset !== 'last_layer' || plan.tune === 'none' || plan.tune === 'marglik' || plan.tune === 'grid') {
    return 0
  }
  const [{ in: inputs, out }] = evaluator.linears
  return Math.min(KEPT_NUMBERS, rows * termsOf(evaluator.network) * (inputs + 2 * out))
}

function tuneLoad(task: FitTask, rows: number): Load {
  const { evaluator, options } = task
  const kept = keptNumbers(task, rows)
  const size = parameterCount(evaluator.slots)
  const decomposition = EIGEN_WORK * denseSizes(evaluator, options).reduce((sum, own) => sum + own ** 3, 0)
  return { calling: posteriorOf(task, rows) + TUNED_BYTES * kept, others: 0, passing: 0, piece: 0,
    seconds: seconds(decomposition + ROUNDS * (8 * size + kept * (evaluator.linears[0]?.out ?? 1))) }
}

/** A prediction after a fit. */
interface PredictionRequest {
  /** Rows of the fit, by which the engine is chosen. */
  readonly fitted: number
  readonly rows: number
  /** Bytes of the posterior. */
  readonly held: number
  readonly use: 'variances' | 'covariances'
}

/** Of a posterior at rest, what threads share of it, and what each makes of that. */
const [SHARED_PART, OWN_PART] = [0.6, 0.3]

/** Structures whose variances take each layer's pairs in eigenbases of its own. */
const EIGENBASES: ReadonlySet<string> = new Set(['kron', 'diag'])

function predictLoad(task: FitTask, { fitted, rows, held, use }: PredictionRequest): Load {
  const { evaluator, options, runtime } = task
  const { network, subset } = evaluator
  const terms = termsOf(network)
  const { outputs } = network
  const seeds = use === 'variances' ?
    seedsAtOnce(evaluator, outputs, use, options)
    : outputs * positionsAtOnce(evaluator, outputs)
  const together = batchWithin(evaluator, seeds, 'variances', options, rows)
  const size = EIGENBASES.has(options.structure)
    ? predictedAtOnce(evaluator, seeds, options.batchSize, together)
    : together
  const threads = subset === 'last_layer'
    ? 1
    : threadsFor(rows * multiplicationsPerExample(evaluator, outputs * terms), options, runtime)
  const library = usesLibrary(task, fitted * multiplicationsPerExample(evaluator, outputs * terms))
  const spread = { threads, rows, size, rowBytes: rowBytes(task), library, session: sessionOf(task),
    copies: copiesOf(task, library), nodes: network.graph.nodes.length, grams: 0,
    held: batchHeld(evaluator, seeds, use, options, size) }
  // Threads share a copy of a posterior, and make of it what they need in the network's precision.
  const resting = restingBytes(options, evaluator.slots, evaluator.layers, fitted)
  const used = Math.min(threads, Math.ceil(rows / size))
  const { calling, others, ...passing } = overThreads(spread, used,
    threads > 1 ? (SHARED_PART / used + OWN_PART) * resting : 0)
  const numbers = use === 'covariances' ? 3 * outputs * outputs : 8 * outputs
  return { calling: calling + held + rows * terms * 8 * numbers, others, ...passing,
    seconds: seconds(rows * Math.ceil(outputs * terms / seeds)
      * (evaluator.work(seeds) + varianceWork(evaluator, options, seeds)), threads) + secondsOfValues(spread) }
}

function sampleLoad(task: FitTask, request: PredictionRequest, draws: number): Load {
  const { rows } = request
  const { outputs } = task.evaluator.network
  const drawn = draws * rows * termsOf(task.evaluator.network) * outputs
  const own = predictLoad(task, request)
  return { ...own, calling: own.calling + 16 * drawn,
    seconds: own.seconds + seconds(rows * outputs ** 3 + drawn * outputs) }
}

function saveLoad({ evaluator, network, options }: FitTask, held: number, linear: Need | undefined): Load {
  const weights = network.graph.parameters.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0)
  const { slots, layers } = evaluator
  const curvature = linear === undefined ? sumBytes(options, slots, layers) : linear.bytes / 4
  const file = curvature + weights + 8 * parameterCount(slots)
  return { ...NONE, calling: held + 2 * file, seconds: file / FILE_RATE }
}
