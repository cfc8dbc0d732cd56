/** @file Networks from files of this machine. */
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { filesBeside, type NetworkHints, readNetwork as readBytes } from '../adapters/network/index.js'
import { demand } from '../core/errors/demand.js'
import { optionsObject } from '../core/errors/suggest.js'
import type { Graph } from '../core/graph/graph.js'
import { type ExternalDataOptions, readFilesBeside } from './files/external-data.js'
import { READING_FUNCTIONS } from './files/reading-functions.js'

/** What can be said about a network's file, and which files beside it may be read. */
export type ReadOptions = NetworkHints & ExternalDataOptions

/**
 * Reads a network from the path of its file, or from its bytes; the format is recognised by content. The files beside
 * it that it names are read too (ONNX's external data, parts of safetensors), from its own folder alone.
 * @throws UntrustedInputError, GraphError, OptionError as the format's reader; the errors of Node for files that cannot
 * be read
 * @example
 * const network = await readNetwork('model.onnx')
 */
export async function readNetwork(source: string | URL | Uint8Array, options: ReadOptions = {}): Promise<Graph> {
  const { root, maxBytes, ...hints } = optionsObject('readNetwork', options)
  demand(root === undefined || typeof root === 'string', 'root', 'a folder', root)
  demand(maxBytes === undefined || Number.isSafeInteger(maxBytes) && maxBytes >= 0, 'maxBytes',
    'a whole number of bytes', maxBytes)
  const complete = { ...READING_FUNCTIONS, ...hints }
  if (source instanceof Uint8Array) return readBytes(source, complete)
  demand(typeof source === 'string' || source instanceof URL, 'The source of readNetwork', 'a path, a URL or bytes',
    source)
  const path = source instanceof URL ? fileURLToPath(source) : source
  const bytes = await readFile(path)
  if (hints.files !== undefined) return readBytes(bytes, complete)
  const allowed = { ...(root === undefined ? {} : { root }), ...(maxBytes === undefined ? {} : { maxBytes }) }
  return readBytes(bytes, { ...complete,
    files: readFilesBeside(dirname(path), await filesBeside(bytes, complete), allowed) })
}
