/** @file A posterior from its file, with the labels of its classes. */
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { loadPosterior } from '../../core/laplace/load-posterior.js'
import { labelsIn } from '../../core/storage/posterior-labels.js'
import { nodeRuntime } from '../../node/runtime/runtime.js'
import type { Arguments } from '../arguments/arguments.js'
import { MODEL_OPTIONS } from '../arguments/network-options.js'
import type { OptionTable } from '../arguments/option-table.js'
import { readBytes, withFileName } from './files.js'
import { readNetworkFile } from './network-file.js'

/** The option that names the network of a posterior that was saved without it. */
export const NETWORK_OPTION: OptionTable = {
  network: { type: 'string', value: 'MODEL', help: 'the network, when the posterior was saved without it' },
}

/** A posterior, and the labels of its classes where they were text. */
export interface LabelledPosterior {
  readonly posterior: LaplacePosterior
  readonly labels: readonly string[] | undefined
}

/** Reads a posterior's file. @throws FileError, UntrustedInputError, their messages beginning with the file's name */
export async function readPosteriorFile(path: string, args: Arguments): Promise<LabelledPosterior> {
  const bytes = await readBytes(path)
  const network = args.text('network')
  if (network === undefined) args.refuse(MODEL_OPTIONS, 'says how the network (--network) is to be read')
  const graph = network === undefined ? undefined : (await readNetworkFile(network, args)).graph
  return withFileName(path,
    () => ({ posterior: loadPosterior(bytes, graph === undefined ? {} : { network: graph }, nodeRuntime),
      labels: labelsIn(bytes) }))
}
