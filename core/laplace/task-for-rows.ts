/** @file The task of a fit once its first rows are there, which settle and test what the network's file leaves open. */
import { GraphError } from '../errors/errors.js'
import { networkInputs } from '../network/input-rows.js'
import { differenceTogether } from '../network/together.js'
import type { Examples } from '../tensor/examples.js'
import type { Tensor } from '../tensor/tensor.js'
import { type FitTask, settle } from './fit-task.js'
import { withLogits } from './probability-outputs.js'

/**
 * The task for rows, with the sizes, the axis of the classes and the logits that they show.
 * @throws GraphError BATCH_AXIS where the network gives rows other outputs together than alone
 */
export async function taskForRows(task: FitTask, x: Examples, y: Tensor): Promise<FitTask> {
  const settled = settle(task, x, y)
  checkKeptApart(settled, x)
  return withLogits(settled, x, y)
}

/** @throws GraphError BATCH_AXIS */
function checkKeptApart({ graph, network }: FitTask, x: Examples): void {
  if (graph.together === undefined) return
  const difference = differenceTogether(graph.together, graph, networkInputs(x, network, 'float64', () => undefined))
  if (difference === 0) return
  const share = Number.isFinite(difference) ? ` (by ${difference.toPrecision(2)} of the largest)` : ''
  throw new GraphError('BATCH_AXIS',
    `The network gives the first rows other outputs together than alone${share}: it mixes the examples of a batch, and `
      + 'no row has an output of its own. Take out what mixes them (statistics of the batch, a sum or a maximum over '
      + 'it), or export the network for a batch of one example.', { difference })
}
