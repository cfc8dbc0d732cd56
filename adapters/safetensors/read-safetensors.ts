/** @file Reads safetensors files: tensors by name, and with layers a network. */
import { OptionError, UntrustedInputError } from '../../core/errors/errors.js'
import { oneOf } from '../../core/errors/suggest.js'
import type { Graph } from '../../core/graph/graph.js'
import { type LayerSpec, networkFromLayers } from '../layers/index.js'
import type { FileTensor, NamedTensors } from '../tensors/file-tensor.js'
import { readHeader } from './header.js'
import { type JsonCursor, malformed, readObject, readString, skipSpace, skipValue } from './json-cursor.js'

/** What can be said about reading the file. */
export interface SafetensorsOptions {
  /**
   * `r-torch` accepts what `torch_save` of R's torch writes: metadata that are not texts, bytes behind the tensors, an
   * R object.
   */
  readonly tolerate?: 'r-torch' | undefined
}

/** What can be said to `readSafetensors` beyond the file. */
export interface SafetensorsNetworkOptions extends SafetensorsOptions {
  /** The layers in order; absent for a plain chain of Linear layers. */
  readonly architecture?: readonly LayerSpec[] | undefined
  /** The activation between Linear layers when there is no architecture. */
  readonly activation?: string | undefined
  /** Shape of one example where layers and tensors leave it open. */
  readonly inputSize?: number | readonly number[] | undefined
}

/** The tensor in which R's torch keeps a serialised R object. */
const R_OBJECT = '__robj__'

/**
 * Reads the tensors of a safetensors file, as views of its bytes, in the order of its header.
 * @throws UntrustedInputError UNTRUSTED_INPUT for anything that the format does not allow; UNSUPPORTED_FORMAT for other
 * element types
 */
export function readSafetensorsTensors(bytes: Uint8Array, options: SafetensorsOptions = {}): Map<string, FileTensor> {
  const tolerant = options.tolerate !== undefined && oneOf('tolerate', options.tolerate, ['r-torch']) === 'r-torch'
  const { entries, dataOffset } = readHeader(bytes, tolerant)
  const tensors = new Map<string, FileTensor>()
  for (const { name, dtype, shape, begin, end } of entries) {
    if (tolerant && name === R_OBJECT) continue
    tensors.set(name, { dtype, shape, bytes: bytes.subarray(dataOffset + begin, dataOffset + end) })
  }
  return tensors
}

/** The texts of `__metadata__`. @throws UntrustedInputError as `readSafetensorsTensors` */
export function readSafetensorsMetadata(bytes: Uint8Array,
  options: SafetensorsOptions = {}): ReadonlyMap<string, string> {
  return readHeader(bytes, options.tolerate === 'r-torch').metadata
}

/**
 * Reads a network from a safetensors file and its layers. The layers decide the order of the parameters: tensors of
 * such files are sorted by size and name.
 * @throws UntrustedInputError MISSING_ARCHITECTURE without layers, unless the tensors are a plain chain of Linear
 * layers with `activation`
 * @throws OptionError, ShapeError, GraphError as `networkFromLayers`
 * @example
 * const network = readSafetensors(bytes, { activation: 'tanh' })
 */
export function readSafetensors(bytes: Uint8Array, options: SafetensorsNetworkOptions = {}): Graph {
  return networkFromLayers(options.architecture, readSafetensorsTensors(bytes, options), options)
}

/**
 * Reads the tensors of a file in several parts.
 * @param index the bytes of `model.safetensors.index.json`, whose `weight_map` names the part of every tensor
 * @param files the parts by name
 * @throws OptionError BAD_OPTION when a part is not given; UntrustedInputError when index and parts disagree
 */
export function readShardedSafetensors(index: Uint8Array, files: ReadonlyMap<string, Uint8Array>,
  options: SafetensorsOptions = {}): NamedTensors {
  const places = readIndex(index)
  const parts = [...new Set(places.values())]
  const missing = parts.filter(part => !files.has(part))
  if (missing.length > 0) {
    throw new OptionError('BAD_OPTION', `The index names the parts ${
      missing.slice(0, 10).map(part => `'${part.slice(0, 100)}'`).join(', ')
    }, which were not given in files.`, { option: 'files', missing: missing.slice(0, 100) })
  }
  const tensors = new Map<string, FileTensor>()
  for (const part of parts) {
    for (const [name, value] of readSafetensorsTensors(files.get(part) ?? new Uint8Array(), options)) {
      if (tensors.has(name)) {
        throw new UntrustedInputError(
          `The tensor '${name.slice(0, 100)}' is in several parts, '${part.slice(0, 100)}' the last of them.`,
          { format: INDEX, path: name.slice(0, 200) },
        )
      }
      if (places.has(name) && places.get(name) !== part) {
        throw new UntrustedInputError(
          `The tensor '${name.slice(0, 100)}' is in '${part.slice(0, 100)}'; the index says '${
            places.get(name)?.slice(0, 100)
          }'.`,
          { format: INDEX, path: name.slice(0, 200) },
        )
      }
      tensors.set(name, value)
    }
  }
  const lost = [...places.keys()].find(name => !tensors.has(name))
  if (lost !== undefined) {
    throw new UntrustedInputError(
      `The index has the tensor '${lost.slice(0, 100)}' in '${
        places.get(lost)?.slice(0, 100)
      }', which does not hold it.`,
      { format: INDEX, path: lost.slice(0, 200) },
    )
  }
  return tensors
}

/** The names of the parts that an index names. @throws UntrustedInputError */
export function safetensorsParts(index: Uint8Array): string[] {
  return [...new Set(readIndex(index).values())]
}

/** Whether a file carries the marks of `torch_save` of R's torch: its `__r__` or its R object. */
export function writtenByRTorch(bytes: Uint8Array): boolean {
  const header = new TextDecoder('latin1').decode(bytes.subarray(8, 8 + (1 << 20)))
  return header.includes(`"${R_OBJECT}"`) || /"__metadata__"\s*:\s*\{[^]*"__r__"/.test(header)
}

const INDEX = 'safetensors index'

/** Whether bytes are the index of a file in several parts. */
export function looksLikeSafetensorsIndex(bytes: Uint8Array): boolean {
  const start = new TextDecoder('latin1').decode(bytes.subarray(0, 1 << 16)).trimStart()
  return start.startsWith('{') && /"(weight_map|total_size)"\s*:/.test(start)
}

/** `weight_map`: the part of every tensor. */
function readIndex(bytes: Uint8Array): Map<string, string> {
  const cursor: JsonCursor = { bytes, offset: 0, end: bytes.length, format: INDEX }
  const places = new Map<string, string>()
  readObject(cursor, 'The index', key => {
    if (key !== 'weight_map') {
      skipValue(cursor)
      return
    }
    readObject(cursor, 'weight_map', name => {
      const part = readString(cursor, 'the name of a part')
      // Names are looked up among the given files only; a path in one is a sign of mischief all the same.
      if (!/^[^/\\\0]+$/.test(part) || part === '..') {
        throw malformed(cursor, `The index names the part '${part.slice(0, 100)}', which is not a plain file name`,
          name)
      }
      places.set(name, part)
    })
  })
  skipSpace(cursor)
  if (cursor.offset !== cursor.end) throw malformed(cursor, 'The index has something behind its end')
  if (places.size === 0) throw new UntrustedInputError('The index has no weight_map.', { format: INDEX })
  return places
}
