/** @file The rows that a fit has kept, batch by batch. */
import { checkLabels } from '../likelihood/labels.js'
import { joinExamples } from '../network/batches.js'
import { networkInputs } from '../network/input-rows.js'
import type { Likelihood } from '../options/words.js'
import type { Batch } from '../tensor/batch.js'
import { exampleCount } from '../tensor/examples.js'
import type { LinearTask } from './fit-task.js'
import type { TrainingRows } from './linear-fit-result.js'

/** All kept rows together, as the network takes them. */
export function rowsOf(kept: readonly Batch[], { evaluator }: Pick<LinearTask, 'evaluator'>,
  likelihood: Likelihood): TrainingRows {
  const { network, precision } = evaluator
  const parts = kept.map(({ x, y }) => ({
    x: networkInputs(x, network, precision, () => undefined),
    labels: checkLabels(y, likelihood, exampleCount(x), network).values,
    examples: exampleCount(x),
  }))
  if (parts.length === 1) return parts[0]
  const examples = parts.reduce((sum, part) => sum + part.examples, 0)
  const labels = new Float64Array(parts.reduce((sum, part) => sum + part.labels.length, 0))
  let at = 0
  for (const part of parts) {
    labels.set(part.labels, at)
    at += part.labels.length
  }
  return { x: joinExamples(parts.map(({ x }) => x), network.inputs), labels, examples }
}
