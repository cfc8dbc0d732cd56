/** @file What a file holds, for `inspect`: also where no network can be built from it. */
import { LaplaceError } from '../../core/errors/errors.js'
import { summarizeNetwork } from '../../core/laplace/network-summary.js'
import type { NetworkHints } from './hints.js'
import { formatOf, readNetwork } from './read-network.js'
import { type ListedLayer, type Listing, READERS } from './readers.js'
import { type Format, isOurs, recognise } from './recognise.js'

/** A file in words. */
export interface FileDescription {
  /** The format, or what the file is instead. */
  readonly format: Format | (string & {})
  /** Whether the format can be read at all. */
  readonly supported: boolean
  readonly tensors: readonly { readonly name: string, readonly dtype: string, readonly shape: readonly number[] }[]
  readonly layers: readonly ListedLayer[]
  readonly parameterCount: number | undefined
  readonly notes: readonly string[]
  /** Why no network can be built from the file as it is, with the way out. */
  readonly problem: { readonly code: string, readonly message: string } | undefined
}

/**
 * Describes a file: its format, every tensor, the layers where they are known, and why no network can be built where
 * that is so. Damaged files are described by their error; nothing is thrown for what a file holds.
 * @throws OptionError for hints that are not known
 */
export async function describeFile(bytes: Uint8Array, hints: NetworkHints = {}): Promise<FileDescription> {
  const empty = { tensors: [], layers: [], parameterCount: undefined, notes: [] }
  let format: Format
  try {
    format = formatOf(bytes, hints)
  } catch (error) {
    if (!isOurs(error) || error.name === 'OptionError') throw error
    return { ...empty, format: nameOf(bytes), supported: false, problem: problemOf(error) }
  }
  const { network, ...about } = await networkOrProblem(bytes, hints)
  const listing = await tensorsOrNone(bytes, hints, format)
  const tensors = [...listing.tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }))
  if (network === undefined) {
    return { format, supported: true, tensors, layers: listing.layers ?? [], parameterCount: undefined,
      notes: listing.notes, ...about }
  }
  const { layers, parameterCount, notes } = summarizeNetwork(network)
  return { format, supported: true, tensors, layers, parameterCount, notes: [...new Set([...notes, ...listing.notes])],
    ...about }
}

async function networkOrProblem(bytes: Uint8Array,
  hints: NetworkHints
): Promise<{ network: Awaited<ReturnType<typeof readNetwork>> | undefined, problem: FileDescription['problem'] }> {
  try {
    return { network: await readNetwork(bytes, hints), problem: undefined }
  } catch (error) {
    if (!isOurs(error)) throw error
    return { network: undefined, problem: problemOf(error) }
  }
}

/** The tensors, or none where they cannot be listed: the network's problem says why. */
async function tensorsOrNone(bytes: Uint8Array, hints: NetworkHints, format: Format): Promise<Listing> {
  try {
    return await (await READERS[format]()).tensors(bytes, hints)
  } catch (error) {
    if (!isOurs(error)) throw error
    return { tensors: new Map(), notes: [] }
  }
}

function nameOf(bytes: Uint8Array): string {
  try {
    const recognised = recognise(bytes)
    return recognised.format ?? recognised.name
  } catch (error) {
    if (error instanceof LaplaceError) return bytes.length === 0 ? 'an empty file' : 'a damaged zip archive'
    throw error
  }
}

function problemOf({ code, message }: LaplaceError): { code: string, message: string } {
  return { code, message }
}
