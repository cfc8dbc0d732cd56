/** @file Outputs and Jacobian of training rows and held-out ones, which make the problem of the linear model. */
import { shareReporter, type WorkOptions } from '../budget/progress.js'
import { joinJacobians, selectExamples, termJacobian } from '../curvature/jacobian.js'
import { scaledJacobian, type WeightPrior } from '../curvature/scaled-jacobian.js'
import { NumericalError } from '../errors/errors.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { termsOf } from '../likelihood/output-layout.js'
import { labelledExamples, labelledTerms } from '../likelihood/position-labels.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { type LinearProblem, type OtherRows, outputsAtPrior } from '../linear-model/linear-problem.js'
import { type TermRows, termRows } from '../linear-model/term-rows.js'
import { shuffledParameters, untrainedErrors } from '../linear-model/untrained.js'
import { forEachBatch, sliceExamples } from '../network/batches.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { withParameters } from '../network/parameters.js'
import { givesNoise } from '../options/noise.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import { batchWithin } from '../programs/batch-size.js'
import { createEvaluator, type Evaluator } from '../programs/evaluator.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { sampledRows } from '../tensor/rows.js'
import type { HeldOutOutputs } from '../tuning/validated.js'
import type { TrainingRows } from './linear-fit-result.js'

/** The percentage of a fit that the network with shuffled weights takes (measured). */
export const UNTRAINED = 30

interface Linearised {
  /** Outputs of all rows, N x C. */
  readonly f: Float64Array
  /** The Jacobian of the chosen rows. */
  readonly jacobian: { readonly factored: FactoredJacobian, readonly rows: Int32Array }
}

/** Outputs of every row, and the factored Jacobian of the chosen ones. */
export async function linearise(evaluator: Evaluator, { x, examples }: TrainingRows, chosen: Int32Array,
  options: ResolvedOptions, work: WorkOptions): Promise<Linearised> {
  const { network } = evaluator
  const outputs = network.outputs * termsOf(network)
  const f = new Float64Array(examples * outputs)
  const parts: FactoredJacobian[] = []
  const size = batchWithin(evaluator, outputs, 'sums', options, examples)
  let at = 0
  await forEachBatch(examples, size, 'fit', work, async (from, to) => {
    const first = at
    while (at < chosen.length && chosen[at] < to) at++
    const batch = sliceExamples(x, network.inputs, from, to)
    if (at === first) {
      f.set(await evaluator.forward(batch), from * outputs)
      return
    }
    const result = await evaluator.jacobian(batch)
    f.set(result.f, from * outputs)
    const own = chosen.subarray(first, at).map(row => row - from)
    parts.push(own.length === to - from ? result.jacobian : selectExamples(result.jacobian, own))
  })
  return { f, jacobian: { factored: joinJacobians(parts), rows: chosen } }
}

/** Held-out rows, term by term, with the Jacobian of their examples. */
export interface HeldOut extends HeldOutOutputs, OtherRows {
  readonly there: TermRows
  /** The labels of all terms. */
  readonly all: Float64Array
}

/** Held-out rows with their outputs and Jacobian. @throws CancelledError */
export async function linearisedHeldOut(evaluator: Evaluator, rows: TrainingRows, deviation: Float64Array,
  prior: WeightPrior | undefined, options: ResolvedOptions, work: WorkOptions): Promise<HeldOut> {
  const { f, jacobian } = await linearise(evaluator, rows, sampledRows(rows.examples, rows.examples, 0), options, work)
  const likelihood = likelihoodModel(options.likelihood)
  const terms = termsOf(evaluator.network)
  const there = termRows(likelihood, terms, evaluator.network.outputs, rows.labels, rows.examples)
  const own = inUnits(evaluator.slots, jacobian.factored, prior)
  return { ...there.rows, f: there.values(f), there, jacobian: own, all: rows.labels,
    f0: outputsAtPrior(evaluator.slots, own, f, deviation) }
}

/** The Jacobian by the weights in units of their prior. */
export function inUnits(slots: readonly ParameterSlot[], jacobian: FactoredJacobian,
  prior: WeightPrior | undefined): FactoredJacobian {
  return prior === undefined ? jacobian : scaledJacobian(slots, jacobian, prior.scale)
}

/** The linear model with what it was made of. */
export interface WholeProblem {
  readonly problem: LinearProblem
  /** The likelihood of one term, and how many of them an example has. */
  readonly likelihood: LikelihoodModel
  readonly terms: number
  readonly theta: Float64Array
  /** theta - mu, standardised where the prior has units of its own. */
  readonly deviation: Float64Array
  readonly prior: WeightPrior | undefined
  readonly held: HeldOut | undefined
}

/** Every term of some examples as an example of its own, those without a label left out. */
function termsAlone(jacobian: FactoredJacobian, labels: Float64Array, terms: number,
  outputs: number): { jacobian: FactoredJacobian, labels: Float64Array, sizes: Int32Array | undefined } {
  if (terms === 1) return { jacobian, labels, sizes: undefined }
  const alone = termJacobian(jacobian, terms)
  const kept = labelledTerms(labels, outputs)
  const there = labelledExamples(labels, outputs, terms)
  return { jacobian: kept === undefined ? alone : selectExamples(alone, kept), ...there }
}

/** A regression's problem term by term: each output of a term has a model of its own. */
export function termByTerm(pieces: WholeProblem): WholeProblem {
  const { problem, likelihood, terms, held } = pieces
  if (terms === 1) return pieces
  const outputs = problem.outputs / terms
  const own = termsAlone(problem.jacobian, problem.labels, terms, outputs)
  const { values } = termRows(likelihood, terms, outputs, problem.labels, problem.examples)
  const other = held === undefined ? undefined : termsAlone(held.jacobian, held.all, terms, outputs)
  return {
    ...pieces,
    problem: { ...problem, likelihood, outputs, examples: own.jacobian.examples, labels: own.labels,
      jacobian: own.jacobian, f: values(problem.f), f0: values(problem.f0), sizes: own.sizes },
    held: held === undefined || other === undefined
      ? undefined
      : { ...held, jacobian: other.jacobian, f0: held.there.values(held.f0) },
  }
}

/** Rows, the labels of those that are chosen, and in which units their linear model is. */
interface ChosenRows {
  readonly rows: TrainingRows
  readonly labels: Float64Array
  readonly chosen: Int32Array
  readonly prior: WeightPrior | undefined
}

/**
 * y - f_-n of the chosen rows by the linear model of the network with shuffled weights, N x C; undefined where noise
 * or prior precision is given, which it would scale, and where such a network has no finite features.
 */
export async function errorsBeforeTraining(evaluator: Evaluator, { rows, labels, chosen, prior }: ChosenRows,
  options: ResolvedOptions, work: WorkOptions): Promise<Float64Array | undefined> {
  if (givesNoise(options) || options.settings.priorPrecision !== undefined) return undefined
  const { network, slots, theta, engine, precision } = evaluator
  const graph = withParameters(network.graph, slots, shuffledParameters(theta, slots, options.seed, network.outputs))
  const untrained = createEvaluator({ ...network, graph }, 'all', engine, precision)
  const quiet = work.signal === undefined ? {} : { signal: work.signal }
  try {
    const { jacobian } = await linearise(untrained, rows, chosen, options, quiet)
    const own = termsAlone(inUnits(slots, jacobian.factored, prior), labels, termsOf(network), network.outputs)
    return untrainedErrors(slots, own.jacobian, own.labels, quiet, own.sizes, shareReporter(work, 'tune', 0, UNTRAINED))
  } catch (error) {
    if (error instanceof NumericalError) return undefined
    throw error
  } finally {
    untrained.dispose()
  }
}

/** theta - mu: how far the network lies from the mean of its prior. */
export function deviationFrom(theta: Float64Array, priorMean: number | Float64Array | undefined): Float64Array {
  if (priorMean === undefined) return theta
  return theta.map((value, i) => value - (typeof priorMean === 'number' ? priorMean : priorMean[i]))
}
