/** @file Says in which order numbers of single parameters are read, where a file has another one. */
import { isList } from '../errors/demand.js'
import type { Graph } from '../graph/graph.js'
import type { ResolvedOptions } from '../options/resolved-options.js'

/** Names that are written out. */
const NAMED = 3

/**
 * What is to be said where numbers of single parameters are given and the network multiplies by some of its matrices
 * from the right: such a matrix stands in theta as out x in, and in the file as in x out.
 * @param slots the tensors that the posterior is over, with the number of their parameters
 */
export function parameterOrderNotes({ parameters }: Graph,
  slots: readonly { readonly name: string, readonly size: number }[],
  { settings, subnetwork }: ResolvedOptions): string[] {
  const size = slots.reduce((sum, slot) => sum + slot.size, 0)
  const ofParameters = (value: number | Float64Array | undefined): boolean =>
    typeof value === 'object' && value.length === size && size > slots.length
  const given = [...(ofParameters(settings.priorPrecision) ? ['priorPrecision'] : []),
    ...(ofParameters(settings.priorMean) ? ['priorMean'] : []),
    ...(subnetwork !== undefined && isList(subnetwork) && typeof subnetwork[0] === 'number' ? ['subnetwork'] : [])]
  const own = new Set(slots.map(({ name }) => name))
  const turned = parameters.filter(({ name, transposed }) => transposed && own.has(name)).map(({ name }) => `'${name}'`)
  if (given.length === 0 || turned.length === 0) return []
  const named = turned.slice(0, NAMED).join(', ') + (turned.length > NAMED ? ` and ${turned.length - NAMED} more` : '')
  return [
    `Numbers of single parameters (${given.join(', ')}) are read with ${named} as out x in, row by row; the network `
    + 'multiplies by them from the right, and has them as in x out.',
  ]
}
