/** @file Network files, read as the options say. */
import { readFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { describeFile, type FileDescription, filesBeside, formatOf, FORMATS, type NetworkHints,
  readNetwork } from '../../adapters/network/index.js'
import { onnxClasses } from '../../adapters/onnx/index.js'
import { LaplaceError } from '../../core/errors/errors.js'
import { oneOf } from '../../core/errors/suggest.js'
import type { Graph } from '../../core/graph/graph.js'
import { readFilesBeside } from '../../node/files/external-data.js'
import { READING_FUNCTIONS } from '../../node/files/reading-functions.js'
import { type Arguments, UsageError } from '../arguments/arguments.js'
import { readBytes, withFileName } from './files.js'

/** A network and the kind of file it came from. */
export interface NetworkFile {
  readonly graph: Graph
  readonly format: string
  /** Reads its classes' names, in the order of its outputs, where the file or a config.json beside it has them. */
  readonly classes: () => Promise<readonly string[] | undefined>
}

/**
 * Reads a network.
 * @throws FileError, UsageError, and the readers' typed errors, their messages beginning with the file's name
 */
export async function readNetworkFile(path: string, args: Arguments): Promise<NetworkFile> {
  const bytes = await readBytes(path)
  const hints = await hintsOf(path, bytes, args)
  return withFileName(path, async () => {
    const format = formatOf(bytes, hints)
    const graph = await readNetwork(bytes, hints)
    return { graph, format,
      classes: async () => (format === 'onnx' ? onnxClasses(bytes) : undefined) ?? await configured(path) }
  })
}

/** The classes of a Hugging Face model, whose configuration lies beside it. */
async function configured(path: string): Promise<readonly string[] | undefined> {
  try {
    const config: unknown = JSON.parse(await readFile(join(dirname(path), 'config.json'), 'utf8'))
    const names = typeof config === 'object' && config !== null && 'id2label' in config ? config.id2label : undefined
    if (typeof names !== 'object' || names === null) return undefined
    const list = Object.entries(names).sort(([a], [b]) => Number(a) - Number(b)).map(([, name]) => String(name))
    // What stands there where nobody has named them.
    return list.every((name, i) => name === `LABEL_${i}`) ? undefined : list
  } catch {
    return undefined
  }
}

/** What a file holds, also where no network can be built from it. @throws FileError, UsageError */
export async function describeNetworkFile(path: string, args: Arguments): Promise<FileDescription> {
  const bytes = await readBytes(path)
  return describeFile(bytes, await hintsOf(path, bytes, args))
}

async function hintsOf(path: string, bytes: Uint8Array, args: Arguments): Promise<NetworkHints> {
  const [architecture, activation, inputSize, dimensions, format, model, files, external] = ['architecture',
    'activation', 'input-size', 'dimensions', 'format', 'model', 'files', 'external-data'].map(args.text)
  const beside = files === undefined
    ? readFilesBeside(external ?? dirname(path), await locationsOf(bytes))
    : new Map(await readFiles(files.split(',')))
  return {
    ...READING_FUNCTIONS,
    ...(architecture === undefined ? {} : { architecture: await readArchitecture(architecture) }),
    ...(activation === undefined ? {} : { activation }),
    ...(inputSize === undefined ? {} : { inputSize: shapeOf(inputSize) }),
    ...(dimensions === undefined ? {} : { dimensions: lengthsOf(dimensions) }),
    ...(format === undefined ? {} : { format: oneOf('format', format, FORMATS) }),
    ...(model === undefined ? {} : { model }),
    ...tensorChoice('parameters', args),
    ...tensorChoice('freeze', args),
    ...(beside.size === 0 ? {} : { files: beside }),
  }
}

/** Names, globs and indices of tensors, separated by commas. */
function tensorChoice(option: 'parameters' | 'freeze', args: Arguments): Pick<NetworkHints, 'parameters' | 'freeze'> {
  const text = args.text(option)
  return text === undefined
    ? {}
    : { [option]: text.split(',').map(part => (/^[0-9]+$/.test(part) ? Number(part) : part)) }
}

/** The files that a network's file names; none where it cannot be read, which its reader says better. */
async function locationsOf(bytes: Uint8Array): Promise<string[]> {
  try {
    return await filesBeside(bytes)
  } catch (error) {
    if (error instanceof LaplaceError) return []
    throw error
  }
}

async function readArchitecture(path: string): Promise<NonNullable<NetworkHints['architecture']>> {
  const text = new TextDecoder().decode(await readBytes(path))
  try {
    return JSON.parse(text) as NonNullable<NetworkHints['architecture']>
  } catch (error) {
    throw new UsageError(
      `--architecture: ${path} is not JSON: ${error instanceof Error ? error.message : String(error)}.`,
    )
  }
}

/** `NAME=LENGTH`, separated by commas; the reader checks the lengths. */
function lengthsOf(text: string): Record<string, number> {
  return Object.fromEntries(text.split(',').map(part => {
    const end = part.lastIndexOf('=')
    if (end < 1) throw new UsageError(`--dimensions must be lengths by name, such as time=8; got '${text}'.`)
    return [part.slice(0, end), Number(part.slice(end + 1))]
  }))
}

function shapeOf(text: string): number[] {
  const shape = text.split(/[x,]/).map(Number)
  if (shape.every(extent => Number.isSafeInteger(extent) && extent > 0)) return shape
  throw new UsageError(`--input-size must be numbers such as 1x28x28; got '${text}'.`)
}

function readFiles(paths: readonly string[]): Promise<(readonly [string, Uint8Array])[]> {
  return Promise.all(paths.map(async path => [basename(path), await readBytes(path)] as const))
}
