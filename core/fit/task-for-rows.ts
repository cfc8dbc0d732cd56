/** @file The task of a fit once its first rows are there, which settle and test what the network's file leaves open. */
import { breathe, throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { GraphError } from '../errors/errors.js'
import { networkInputs } from '../network/input-rows.js'
import { differencesTogether } from '../network/together.js'
import type { Examples } from '../tensor/examples.js'
import type { Tensor } from '../tensor/tensor.js'
import { type FitTask, settle } from './fit-task.js'
import { withLogits } from './probability-outputs.js'

/**
 * The task for rows, with the sizes, the axis of the classes and the logits that they show.
 * @throws GraphError BATCH_AXIS where the network gives rows other outputs together than alone
 * @throws ResourceError OUT_OF_MEMORY where that cannot be seen within the limit
 * @throws CancelledError
 */
export async function taskForRows(task: FitTask, x: Examples, y: Tensor, work: WorkOptions): Promise<FitTask> {
  const settled = settle(task, x, y)
  await checkKeptApart(settled, x, work)
  return withLogits(settled, x, y, work)
}

/** @throws GraphError BATCH_AXIS */
async function checkKeptApart({ graph, network, options }: FitTask, x: Examples,
  { signal }: WorkOptions): Promise<void> {
  if (graph.together === undefined) return
  const inputs = networkInputs(x, network, 'float64', () => undefined)
  for (const difference of differencesTogether(graph.together, graph, inputs, options.memoryLimit)) {
    if (difference > 0) throw mixesExamples(difference)
    await breathe()
    throwIfCancelled(signal)
  }
}

function mixesExamples(difference: number): GraphError {
  const share = Number.isFinite(difference) ? ` (by ${difference.toPrecision(2)} of the largest)` : ''
  return new GraphError('BATCH_AXIS',
    `The network gives the first rows other outputs together than alone${share}: it mixes the examples of a batch, and `
      + 'no row has an output of its own. Take out what mixes them (statistics of the batch, a sum or a maximum over '
      + 'it), or export the network for a batch of one example.', { difference })
}
