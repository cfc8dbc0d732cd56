/**
 * @file Arrays of numbers by name from a JLD2 file: `Flux.state(model)` saved with `jldsave`, or arrays of one's own.
 */
import { UntrustedInputError } from '../../../core/errors/errors.js'
import type { Tensor } from '../../../core/tensor/tensor.js'
import { halfToNumber } from '../../tensors/half-precision.js'
import type { JuliaArray } from '../julia/arrays.js'
import { rowMajor } from '../julia/row-major.js'
import { torchTensors } from '../julia/torch-layout.js'
import { type Jld2File, referenceTarget } from './h5-cursor.js'
import { objectAt } from './h5-objects.js'
import type { H5Dataset, H5Object, H5Type } from './h5-values.js'
import { openJld2 } from './superblock.js'

const DEEPEST = 60
/** Objects entered, each time one is referred to. */
const MOST_OBJECTS = 100_000

interface Walk {
  readonly file: Jld2File
  readonly found: Map<string, JuliaArray>
  readonly open: Set<number>
  readonly read: Map<number, H5Object>
  objects: number
}

/**
 * Reads every array of numbers of a JLD2 file, as JLD2 holds it: column-major.
 * @returns arrays by path: the variable, then field names and positions from 1 (`model_state.layers.1.weight`)
 */
function jld2Arrays(bytes: Uint8Array): Map<string, JuliaArray> {
  const file = openJld2(bytes)
  const walk: Walk = { file, found: new Map(), open: new Set(), read: new Map(), objects: 0 }
  for (const [name, at] of objectAt(file, file.root).links) if (name !== '_types') visit(walk, at, name, 0)
  return walk.found
}

/**
 * Reads the arrays of numbers of a JLD2 file.
 * @returns tensors by path, indexed as in Julia: a Dense weight is out x in
 * @throws UntrustedInputError UNTRUSTED_INPUT for damaged files; UNSUPPORTED_FORMAT for compressed arrays and other
 * kinds of HDF5
 */
export function readJld2Tensors(bytes: Uint8Array): Map<string, Tensor> {
  return new Map([...jld2Arrays(bytes)].map(([path, array]) => [path, rowMajor(array)]))
}

/** Reads an object and everything it refers to; an object that refers to itself is entered once. */
function visit(walk: Walk, at: number, path: string, depth: number): void {
  if (depth > DEEPEST || walk.open.has(at)) return
  if (++walk.objects > MOST_OBJECTS) {
    throw new UntrustedInputError(`The JLD2 file refers to more than ${MOST_OBJECTS} objects.`, { format: 'JLD2',
      limit: MOST_OBJECTS })
  }
  walk.open.add(at)
  const object = walk.read.get(at) ?? objectAt(walk.file, at)
  walk.read.set(at, object)
  const { links, dataset } = object
  for (const [name, to] of links) visit(walk, to, `${path}.${name}`, depth + 1)
  if (dataset !== undefined) visitDataset(walk, dataset, path, depth)
  walk.open.delete(at)
}

function visitDataset(walk: Walk, dataset: H5Dataset, path: string, depth: number): void {
  const { type, extents, bytes } = dataset
  if (type.kind === 'integer' || type.kind === 'float') {
    if (extents.length > 0) walk.found.set(path, numbersOf(dataset, type))
    return
  }
  if (type.kind === 'other') return
  const count = extents.reduce((a, b) => a * b, 1)
  if (count > MOST_OBJECTS) return
  for (let i = 0; i < count; i++) {
    visitValue(walk, type, bytes.subarray(i * type.size, (i + 1) * type.size),
      extents.length === 0 ? path : `${path}.${i + 1}`, depth + 1)
  }
}

function visitValue(walk: Walk, type: H5Type, bytes: Uint8Array, path: string, depth: number): void {
  if (depth > DEEPEST) return
  switch (type.kind) {
    case 'reference': {
      const target = referenceTarget(walk.file, bytes)
      if (target !== undefined) visit(walk, target, path, depth + 1)
      return
    }
    case 'compound':
      for (const member of type.members) {
        visitValue(walk, member.type, bytes.subarray(member.offset, member.offset + member.type.size),
          `${path}.${member.name}`, depth + 1)
      }
      return
    case 'array': {
      // Tuples of equal numbers (strides, sizes) are arrays without being weights.
      const count = type.extents.reduce((a, b) => a * b, 1)
      if (type.element.kind === 'integer' || type.element.kind === 'float' || type.element.kind === 'other' ||
        count > MOST_OBJECTS) return
      const { size } = type.element
      for (let i = 0; i < count; i++) {
        visitValue(walk, type.element, bytes.subarray(i * size, (i + 1) * size), `${path}.${i + 1}`, depth + 1)
      }
      return
    }
    case 'integer':
    case 'float':
    case 'other':
  }
}

function numbersOf(dataset: H5Dataset, type: H5Type & { kind: 'integer' | 'float' }): JuliaArray {
  const { bytes, extents } = dataset
  const count = bytes.length / type.size
  const size = [...extents].reverse()
  const aligned = bytes.byteOffset % type.size === 0 ? bytes : Uint8Array.from(bytes)
  const eltype = type.kind === 'float'
    ? (type.bfloat ? 'BFloat16' : `Float${8 * type.size}`)
    : `${type.signed ? 'Int' : 'UInt'}${8 * type.size}`
  if (eltype === 'Float32') {
    return { eltype, size, data: new Float32Array(aligned.buffer, aligned.byteOffset, count), identity: bytes }
  }
  if (eltype === 'Float64') {
    return { eltype, size, data: new Float64Array(aligned.buffer, aligned.byteOffset, count), identity: bytes }
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const data = type.kind === 'float' ? new Float32Array(count) : new Float64Array(count)
  for (let i = 0; i < count; i++) data[i] = readNumber(view, i * type.size, type)
  return { eltype, size, data, identity: bytes }
}

function readNumber(view: DataView, at: number, type: H5Type & { kind: 'integer' | 'float' }): number {
  if (type.kind === 'float') {
    if (type.size !== 2) {
      throw new UntrustedInputError(`Numbers of ${8 * type.size} bits are not supported.`, { format: 'JLD2' },
        'UNSUPPORTED_FORMAT')
    }
    return type.bfloat ? bfloat(view.getUint16(at, true)) : halfToNumber(view.getUint16(at, true))
  }
  switch (type.size) {
    case 1:
      return type.signed ? view.getInt8(at) : view.getUint8(at)
    case 2:
      return type.signed ? view.getInt16(at, true) : view.getUint16(at, true)
    case 4:
      return type.signed ? view.getInt32(at, true) : view.getUint32(at, true)
    case 8:
      return Number(type.signed ? view.getBigInt64(at, true) : view.getBigUint64(at, true))
    default:
      throw new UntrustedInputError(`Integers of ${type.size} bytes are not supported.`, { format: 'JLD2' },
        'UNSUPPORTED_FORMAT')
  }
}

function bfloat(bits: number): number {
  return new Float32Array(Uint32Array.of(bits << 16).buffer)[0]
}

/**
 * The arrays of a JLD2 file named and laid out as PyTorch does, for use with an architecture.
 * @throws UntrustedInputError as `readJld2Tensors`
 */
export function readJld2TorchTensors(bytes: Uint8Array): Map<string, Tensor> {
  return torchTensors([...jld2Arrays(bytes)].map(([path, array]) => ({ path, array })))
}
