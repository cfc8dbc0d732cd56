/** @file Classifiers whose outputs turn out to be probabilities: what the graph does not show, the training rows do. */
import { networkInputs } from '../network/input-rows.js'
import { logarithmOf } from '../passes/link-function.js'
import { exampleCount, exampleRange, type Examples } from '../tensor/examples.js'
import { type FitTask, taskFor } from './fit-task.js'

/** Rows that are looked at, and how far their probabilities may be from a sum of 1. */
const ROWS = 256
const TOLERANCE = 1e-4

/** A task whose network's output is the logarithm of what it was. */
export function withLogarithm(task: FitTask): FitTask {
  const { graph, options, runtime } = task
  const output = options.output ?? graph.outputs[0]
  const { graph: logits, note } = logarithmOf(graph, output, false,
    'sums to 1 and lies between 0 and 1 in the training rows, so that it is taken for')
  return taskFor({ ...logits, notes: note === undefined ? logits.notes : [...logits.notes, note] }, options, runtime)
}

/**
 * The task with logits: where a classifier's outputs sum to 1 in every row, and none is negative, they are
 * probabilities, and a softmax of them would be another answer than the network's.
 * @param x the first training rows
 */
export async function withLogits(task: FitTask, x: Examples): Promise<FitTask> {
  const { evaluator, options } = task
  const { network, precision } = evaluator
  if (options.likelihood !== 'classification') return task
  const batch = networkInputs(exampleCount(x) > ROWS ? exampleRange(x, 0, ROWS) : x, network, precision,
    () => undefined)
  const f = await evaluator.forward(batch)
  return areProbabilities(f, network.outputs) ? withLogarithm(task) : task
}

function areProbabilities(f: ArrayLike<number>, outputs: number): boolean {
  for (let from = 0; from < f.length; from += outputs) {
    let sum = 0
    for (let c = from; c < from + outputs; c++) {
      if (!(f[c] >= -TOLERANCE && f[c] <= 1 + TOLERANCE)) return false
      sum += f[c]
    }
    if (Math.abs(sum - 1) > TOLERANCE) return false
  }
  return true
}
