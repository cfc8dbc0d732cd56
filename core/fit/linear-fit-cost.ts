/** @file What the linear model over all weights costs, from shapes alone, and how many rows are affordable. */
import { type Need, OTHER_THREAD_BYTES } from '../budget/forecast.js'
import { formatBytes } from '../budget/memory.js'
import { ResourceError } from '../errors/errors.js'
import { termsOf } from '../likelihood/output-layout.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { parameterCount } from '../network/parameter-slot.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import type { Likelihood } from '../options/words.js'
import type { Evaluator } from '../programs/evaluator.js'
import { EIGEN_WORK } from '../programs/work.js'
import { largestRank } from './linear-fit-result.js'
import { planLinearFit } from './linear-fit.js'

/** What the linear model of some rows needs. */
export interface LinearForecast {
  /** Rows that prior, noise and leave-one-out scores come from: all, or as many as are affordable. */
  readonly sample: number
  readonly seconds: number
  readonly bytes: number
  /** Matrices of the Newton steps that came and went and are not collected yet, and the helping thread. */
  readonly passing: number
}

/**
 * Unknowns of one Newton system, the smaller of P and N rank(Lambda), up to which the linear model is solved exactly.
 */
const MOST_UNKNOWNS = 5000
/** Seconds that are not worth waiting for without being asked. */
const MOST_SECONDS = 60
/** Multiplications a second of the matrix kernels on one core, with the copies around them. */
const SPEED = 1e10
/** Newton systems that are factored on the way to the prior precision; the rest are solved with a factor nearby. */
const SYSTEMS = 14
/** Products with the Jacobian or its Gram matrix on the way. */
const PRODUCTS = 400
/** Multiplications a second of those, which read a matrix once for every product. */
const PRODUCT_SPEED = 1.6e9
/** Fewer rows than this say too little of the whole. */
const FEWEST_ROWS = 100

/** Examples of several positions are several rows each, though not independent ones. */
function fewestRows({ network }: Evaluator): number {
  return Math.max(20, Math.ceil(FEWEST_ROWS / termsOf(network)))
}

/** The sizes that the cost of the linear model on some rows follows from. */
interface Sizes {
  readonly linears: Evaluator['linears']
  readonly rows: number
  /** Positions of an example with an answer of their own. */
  readonly terms: number
  /** Outputs of an example, and unknowns that it adds to a Newton system. */
  readonly each: number
  readonly rank: number
  /** The number of weights P. */
  readonly size: number
  /** Whether P is the smaller of P and N rank(Lambda), and the smaller of them. */
  readonly inWeights: boolean
  readonly unknowns: number
  /** The rank that the posterior keeps, at most. */
  readonly kept: number
  /** Whether no layer has several positions. */
  readonly plain: boolean
}

function sizesOf(evaluator: Evaluator, { likelihood, memoryLimit }: ResolvedOptions, rows: number): Sizes {
  const { slots, linears, network } = evaluator
  const rank = rankOfExample(evaluator, likelihood)
  const size = parameterCount(slots)
  return {
    linears,
    rows,
    terms: termsOf(network),
    each: outputsOfExample(evaluator),
    rank,
    size,
    inWeights: size < rows * rank,
    unknowns: Math.min(size, rows * rank),
    kept: mostRank(evaluator, likelihood, memoryLimit),
    plain: linears.every(({ positions }) => positions === 1),
  }
}

/** The work and memory of the linear model on `rows` rows. */
function costOf(evaluator: Evaluator, options: ResolvedOptions, rows: number): Omit<LinearForecast, 'sample'> {
  const sizes = sizesOf(evaluator, options, rows)
  return { seconds: secondsOf(sizes), bytes: bytesOf(sizes), passing: passingBytes(options.likelihood, sizes) }
}

function secondsOf(sizes: Sizes): number {
  const { linears, rows, terms, each, rank, size, inWeights, unknowns, kept, plain } = sizes
  const outputs = rows * each
  const systems = SYSTEMS * unknowns ** 3 / 2
  const eigen = EIGEN_WORK * unknowns ** 3
  const covariances = (plain && inWeights ? unknowns ** 3 : 0)
    + (inWeights ? rows * size * size * (plain ? 0.5 : each) : outputs * unknowns ** 2 / 2)
  const factor = Math.min(unknowns, kept) * rows * (size + each * size / 10)
  // The positions of an example are left out together.
  const together = terms === 1 ? 0 : rows * each * each * (each + rank)
  const products = PRODUCTS * (inWeights ?
    2 * rows * factorsOf(linears, each) + size * size
    : 2 * outputs * outputs + unknowns ** 2)
  return ((inWeights ? SYSTEMS + 1 : 1) * gramWork(sizes) + systems + eigen + covariances + factor + together) / SPEED
    + (products + (terms === 1 ? 0 : PRODUCTS * rows * each * rank)) / PRODUCT_SPEED
}

/** Multiplications of J' Lambda J in the space of the weights, of J J' in that of the rows. */
function gramWork({ linears, rows, each, rank, size, inWeights, plain }: Sizes): number {
  if (inWeights) return rows * size * size / 2 * (plain ? 1 : rank)
  const outputs = rows * each
  return linears.reduce((sum, { in: inputs, out, positions }) =>
    sum + (positions === 1
      ? rows * rows * inputs + outputs * outputs * out
      : outputs * outputs * inputs * out + outputs * positions * inputs * out), 0)
}

function bytesOf({ linears, rows, terms, each, rank, size, inWeights, unknowns, kept }: Sizes): number {
  const outputs = rows * each
  const factors = linears.reduce((sum, layer) => sum + layer.positions * (layer.in + each * layer.out), 0)
  // Of several positions an example's roots and covariances are matrices of all of them.
  return 8 * (2 * rows * factors + (terms === 1 ? 0 : 2 * rows * each * (each + rank))
    + (inWeights ? 5 * size * size : 2 * outputs * outputs + 5 * unknowns ** 2)
    + 2 * Math.min(unknowns, kept) * size)
}

/** Bytes of matrices that are collected when so many have come together, measured. */
const PASSING_BYTES = 120 << 20
/** Matrices of that size that a fit makes. */
const PASSING_MATRICES = 20

/** A regression solves the network with shuffled weights as well, and for each output; measured. */
const SHUFFLED_TOO = 1.3

function passingBytes(likelihood: Likelihood, { unknowns, rows, size, inWeights }: Sizes): number {
  const matrix = 8 * unknowns ** 2
  // Numbers of a matrix with a row of weights for every example.
  const ofRows = rows * size
  const passing = (each: number): number =>
    OTHER_THREAD_BYTES + matrix + Math.min(PASSING_BYTES, PASSING_MATRICES * each)
  if (likelihood === 'regression') return SHUFFLED_TOO * passing(2 * Math.max(matrix, 8 * ofRows))
  return inWeights ? passing(Math.max(matrix, 2 * ofRows)) : OTHER_THREAD_BYTES
}

/** Outputs of one example, at all of its positions. */
function outputsOfExample({ network }: Evaluator): number {
  return network.outputs * termsOf(network)
}

/** Unknowns that one example adds to a Newton system; a regression has one for each output, apart. */
function rankOfExample({ network }: Evaluator, likelihood: Likelihood): number {
  const rank = likelihood === 'regression' ? 1 : likelihoodModel(likelihood).seedCount(network.outputs)
  return rank * termsOf(network)
}

/** A posterior's rank is rarely larger. */
const MOST_RANK = 1000

/** The rank that is kept: of a regression every output keeps what its rows say. */
function mostRank({ slots }: Evaluator, likelihood: Likelihood, memoryLimit: number): number {
  const most = likelihood === 'regression' ? Infinity : largestRank(parameterCount(slots), memoryLimit)
  return Math.min(MOST_RANK, most)
}

/** Multiplications of one product with a factored Jacobian, one example. */
function factorsOf(linears: Evaluator['linears'], outputs: number): number {
  return linears.reduce((sum, { in: inputs, out, positions }) => sum + positions * out * (inputs + outputs), 0)
}

/** The most rows that are affordable, and what they cost; undefined when too few are. */
export function forecastLinearModel(evaluator: Evaluator, options: ResolvedOptions, examples: number):
  | LinearForecast
  | undefined {
  const { likelihood, memoryLimit } = options
  const rank = rankOfExample(evaluator, likelihood)
  const size = parameterCount(evaluator.slots)
  let sample = size <= MOST_UNKNOWNS ? examples : Math.min(examples, Math.floor(MOST_UNKNOWNS / rank))
  while (sample >= Math.min(examples, fewestRows(evaluator))) {
    const cost = costOf(evaluator, options, sample)
    if (cost.seconds <= MOST_SECONDS && cost.bytes <= memoryLimit / 2) return { sample, ...cost }
    sample = Math.floor(sample * 0.7)
  }
  return undefined
}

/** What the whole fit costs: of the rows that are solved exactly, and of all rows after them. */
export function forecastWholeFit(evaluator: Evaluator, options: ResolvedOptions, examples: number,
  forecast: LinearForecast): Need {
  const { rows, allRows } = planLinearFit(evaluator, options, examples, forecast.sample)
  if (allRows === undefined) return forecast
  const exact = costOf(evaluator, options, rows)
  return { seconds: exact.seconds + allRows.seconds, bytes: exact.bytes + allRows.bytes }
}

/** Whether the linear model is too large for the fewest rows that it is fitted to, and so for all that may come. */
export function alwaysTooLarge(evaluator: Evaluator, options: ResolvedOptions, examples: number): boolean {
  const fewest = fewestRows(evaluator)
  return examples >= fewest && forecastLinearModel(evaluator, options, fewest) === undefined
}

/**
 * Why the linear model is left.
 * @throws ResourceError OUT_OF_MEMORY where it was demanded
 */
export function tooLarge(evaluator: Evaluator, options: ResolvedOptions, examples: number): string {
  const least = Math.min(examples, fewestRows(evaluator))
  const { seconds, bytes } = costOf(evaluator, options, least)
  const needs = `already for ${least} rows about ${formatBytes(bytes)} and `
    + `${Math.ceil(seconds)} seconds`
  if (options.linearModel === 'required') {
    throw new ResourceError('OUT_OF_MEMORY',
      `The linear model over all weights would need ${needs}, more than is allowed. Use subset 'last_layer', or `
        + "structure 'kron' or 'diag'.", { needed: bytes, limit: options.memoryLimit })
  }
  return `The linear model over all weights would be too large: ${needs}.`
}
