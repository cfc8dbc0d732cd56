/** @file Classifiers whose outputs turn out to be probabilities: what the graph does not show, the training rows do. */
import { breathe, type CancelSignal, throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import type { Graph } from '../graph/graph.js'
import { sliceExamples } from '../network/batches.js'
import { networkInputs } from '../network/input-rows.js'
import { hasLogits } from '../options/likelihood-kinds.js'
import type { Likelihood } from '../options/words.js'
import { threadsFor } from '../parallel/worker-pool.js'
import { logarithmOf } from '../passes/link-function.js'
import { batchWithin } from '../programs/batch-size.js'
import { engineShare, multiplicationsPerExample } from '../programs/work.js'
import { exampleCount, exampleRange, type Examples } from '../tensor/examples.js'
import type { Tensor } from '../tensor/tensor.js'
import { type FitTask, taskFor } from './fit-task.js'

/** Rows that are looked at, of which the first nearly always tells, and how far from 1 the sum of each may be. */
const ROWS = 256
const FIRST_ROWS = 4
const TOLERANCE = 1e-4
/** So many nats must tell whether numbers between 0 and 1 are probabilities of labels, or logits. */
const CLEAR = 3

/**
 * A task whose network's output is the logarithm of what it was; the logit, for independent labels.
 * @param sum of the probabilities of a row, 100 where they are per cent, which the softmax of their logarithms is not
 * changed by
 */
export function withLogarithm(task: FitTask, sum = 1): FitTask {
  const { graph, options } = task
  const independent = options.likelihood !== 'classification'
  const why = independent
    ? 'lies between 0 and 1 in the training rows and explains their labels better so, so that it is taken for'
    : sum === 1
    ? 'sums to 1 and lies between 0 and 1 in the training rows, so that it is taken for'
    : `sums to ${Number(sum.toPrecision(4))} and is never negative in the training rows, so that it is taken for`
  const { graph: logits, note } = logarithmOf(graph, options.output ?? graph.outputs[0], independent, why)
  return withGraph(task, logits, note)
}

function withGraph({ options, runtime }: FitTask, graph: Graph, note: string | undefined): FitTask {
  return taskFor({ ...graph, notes: note === undefined ? graph.notes : [...graph.notes, note] }, options, runtime)
}

/**
 * The task with logits: where a classifier's outputs sum to 1 (100) in every row, and none is negative, they are
 * probabilities (per cent), and a softmax of them would be another answer than the network's. Of labels of two each
 * output is the probability, where all lie between 0 and 1 and the labels are clearly more probable so than by the
 * sigmoid.
 * @throws ResourceError OUT_OF_MEMORY where the values of one row are beyond the limit
 * @throws CancelledError
 * @param x the first training rows
 * @param y their labels
 */
export async function withLogits(task: FitTask, x: Examples, y: Tensor, { signal }: WorkOptions): Promise<FitTask> {
  const { evaluator, evaluator: { network }, runtime, options, options: { likelihood, ofPairs } } = task
  if (!hasLogits(likelihood) || ofPairs === true) return task
  const products = exampleCount(x) * multiplicationsPerExample(evaluator, 0)
  // Where other threads do the work, a second engine in this one would only hold the weights once more.
  if (evaluator.subset === 'last_layer' && threadsFor(products, options, runtime) === 1) {
    await evaluator.engine.expectWork(engineShare(evaluator) * products)
  }
  const ofClasses = likelihood === 'classification'
  let sum = 1
  // A clearly negative number in the first row tells most often, and costs a quarter of four rows.
  for await (const f of firstOutputs(task, x, 1, signal)) if (hasNegative(f)) return task
  for await (const f of firstOutputs(task, x, FIRST_ROWS, signal)) {
    if (ofClasses) sum = sumOfRow(f, network.outputs)
    if (cannotBe(f, network.outputs, sum, likelihood)) return task
  }
  let [gain, at] = [0, 0]
  for await (const f of firstOutputs(task, x, ROWS, signal)) {
    if (cannotBe(f, network.outputs, sum, likelihood)) return task
    if (!ofClasses) gain += gainAsProbabilities(f, y.data.subarray(at, at + f.length))
    at += f.length
  }
  if (ofClasses || gain > CLEAR) return withLogarithm(task, sum)
  return gain < -CLEAR ?
    task :
    withGraph(task, task.graph,
      "The network's outputs lie between 0 and 1 in the training rows and are taken for logits. Where they are " +
        'probabilities, give the network without what makes them so, or more rows, which tell.')
}

/**
 * Outputs of the first `rows` rows, in batches that hold no more than those of a fit.
 * @throws ResourceError OUT_OF_MEMORY where the values of one row are beyond the limit
 */
async function* firstOutputs({ evaluator, options: { memoryLimit } }: FitTask, x: Examples, rows: number,
  signal: CancelSignal | undefined): AsyncGenerator<ArrayLike<number>> {
  const { network, precision, subset } = evaluator
  const count = Math.min(rows, exampleCount(x))
  const size = batchWithin(evaluator, 0, 'outputs', { batchSize: undefined, memoryLimit }, count)
  const inputs = networkInputs(exampleRange(x, 0, count), network, precision, () => undefined)
  for (let from = 0; from < count; from += size) {
    await breathe()
    throwIfCancelled(signal)
    const batch = sliceExamples(inputs, network.inputs, from, Math.min(count, from + size))
    // The program that the fit runs anyway.
    yield subset === 'last_layer' ? (await evaluator.features(batch)).f : await evaluator.forward(batch)
  }
}

/** Whether one row shows already that the outputs are no probabilities. */
function cannotBe(f: ArrayLike<number>, outputs: number, sum: number, likelihood: Likelihood): boolean {
  return likelihood === 'classification'
    ? !areProbabilities(f, outputs, sum)
    : Array.from(f).some(value => !(value >= -TOLERANCE && value <= 1 + TOLERANCE))
}

/** Whether a number of one row is below 0 by more than probabilities, or per cent, that sum to as much may be. */
function hasNegative(f: ArrayLike<number>): boolean {
  const sum = Array.from(f).reduce((a, b) => a + Math.abs(b), 0)
  return Array.from(f).some(value => value < -TOLERANCE * Math.max(1, sum))
}

/** The sum that the rows' outputs have where they are probabilities: 1, or that of the first row where rows differ. */
function sumOfRow(f: ArrayLike<number>, outputs: number): number {
  const sum = Array.from({ length: outputs }, (_, c) => f[c]).reduce((a, b) => a + b, 0)
  const differ = Array.from(f).some((value, i) => Math.abs(value - f[i % outputs]) > TOLERANCE * Math.abs(sum))
  return differ && sum > TOLERANCE && Math.abs(sum - 1) > TOLERANCE ? sum : 1
}

function areProbabilities(f: ArrayLike<number>, outputs: number, whole: number): boolean {
  const tolerance = TOLERANCE * whole
  for (let from = 0; from < f.length; from += outputs) {
    let sum = 0
    for (let c = from; c < from + outputs; c++) {
      if (!(f[c] >= -tolerance && f[c] <= whole + tolerance)) return false
      sum += f[c]
    }
    if (Math.abs(sum - whole) > tolerance) return false
  }
  return true
}

/** log p(y) of labels of two if the outputs are probabilities, less that if they are logits. */
function gainAsProbabilities(f: ArrayLike<number>, y: ArrayLike<number>): number {
  let gain = 0
  for (let i = 0; i < f.length; i++) {
    if (y[i] !== 0 && y[i] !== 1) continue
    const p = Math.min(1 - TOLERANCE, Math.max(TOLERANCE, f[i]))
    gain += Math.log(y[i] === 1 ? p : 1 - p) + Math.log1p(Math.exp(y[i] === 1 ? -f[i] : f[i]))
  }
  return gain
}
