/** @file Reads a network from a file of any supported format. */
import { demandBytes } from '../../core/errors/demand.js'
import { GraphError } from '../../core/errors/errors.js'
import { knownOptions, nearestWord, oneOf } from '../../core/errors/suggest.js'
import type { Graph } from '../../core/graph/graph.js'
import { withFiniteWeights } from '../../core/network/finite-weights.js'
import { selectParameters } from '../../core/network/select-parameters.js'
import { removeDead } from '../../core/passes/fold.js'
import { checkHints, type NetworkHints } from './hints.js'
import { READERS } from './readers.js'
import { type Format, FORMATS, recognise, unsupported } from './recognise.js'

const HINTS = ['format', 'architecture', 'activation', 'input', 'output', 'files', 'model', 'inputSize', 'dimensions',
  'parameters', 'freeze', 'inflate', 'crc32', 'hdf5'] as const

/**
 * Reads a network; the format is recognised by content. Nothing of the file is run, no other file is opened.
 * @throws UntrustedInputError UNSUPPORTED_FORMAT naming what the file is, UNTRUSTED_INPUT for damaged ones,
 * MISSING_ARCHITECTURE for weights alone
 * @throws GraphError, OptionError, ShapeError, ResourceError as the format's own reader
 * @example
 * const network = await readNetwork(bytes, { architecture })
 */
export async function readNetwork(bytes: Uint8Array, hints: NetworkHints = {}): Promise<Graph> {
  const format = formatOf(bytes, hints)
  const read = await (await READERS[format]()).network(bytes, hints)
  const graph = selectParameters(withFiniteWeights(read, format), hints)
  checkName('input', graph.inputs.map(({ name }) => name), hints.input)
  if (hints.output === undefined) return graph
  checkName('output', graph.outputs, hints.output)
  return removeDead({ ...graph, outputs: [hints.output] })
}

/**
 * The format of a file: the one of the hints, else by content.
 * @throws UntrustedInputError UNSUPPORTED_FORMAT naming what the file is; OptionError for a format or a hint that is
 * not known
 */
export function formatOf(bytes: Uint8Array, hints: NetworkHints = {}): Format {
  knownOptions('readNetwork', hints, HINTS)
  checkHints(hints)
  demandBytes('The file', bytes)
  if (hints.format !== undefined) return oneOf('format', hints.format, FORMATS)
  const recognised = recognise(bytes)
  if (recognised.format === undefined) throw unsupported(recognised)
  return recognised.format
}

function checkName(kind: 'input' | 'output', names: readonly string[], wanted: string | undefined): void {
  if (wanted === undefined || names.includes(wanted)) return
  const suggestion = nearestWord(wanted, names)
  throw new GraphError('AMBIGUOUS_NETWORK',
    `The network has no ${kind} '${wanted.slice(0, 100)}'; it has ${names.slice(0, 20).join(', ')}.${
      suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`
    }`, { kind, names: names.slice(0, 100) })
}
