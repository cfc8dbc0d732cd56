/**
 * @file Weights that lie in files beside the model. The reader opens no file: it checks the names and the extents that
 * the model gives, and takes the bytes from the caller (node/external-data.ts reads them from a directory).
 */
import { UntrustedInputError } from '../../core/errors/errors.js'
import type { TensorMessage } from './messages.js'

/** The bytes of files beside the model, by their path in the model, with `/` between folders. */
export type ExternalData = ReadonlyMap<string, Uint8Array>

/** Where a tensor's bytes lie. */
export interface ExternalReference {
  readonly location: string
  readonly offset: number
  readonly length: number | undefined
}

const EXTERNAL = 1

/**
 * Whether a tensor's bytes lie in another file.
 * @throws UntrustedInputError for places that are neither inside nor in a file
 */
export function isExternal({ data_location: place = 0, name = '' }: TensorMessage): boolean {
  if (place !== 0 && place !== EXTERNAL) {
    throw new UntrustedInputError(`The tensor '${name}' lies at an unknown place (data_location ${place}).`, {
      format: 'ONNX',
      path: name,
      actual: place,
    })
  }
  return place === EXTERNAL
}

/**
 * The place of a tensor's bytes.
 * @throws UntrustedInputError when the path leaves the model's folder or the numbers are none
 */
export function externalReference({ external_data: entries = [], name = '' }: TensorMessage): ExternalReference {
  const values = new Map<string, string>()
  for (const { key, value } of entries) {
    if (values.has(key)) throw refuse(name, `gives '${key}' twice`)
    values.set(key, value)
  }
  const location = values.get('location')
  if (location === undefined) throw refuse(name, 'does not name the file')
  const length = values.get('length')
  return { location: checkedLocation(name, location), offset: count(name, 'offset', values.get('offset') ?? '0'),
    length: length === undefined ? undefined : count(name, 'length', length) }
}

function refuse(tensor: string, problem: string): UntrustedInputError {
  return new UntrustedInputError(`The external data of the tensor '${tensor}' cannot be used: the model ${problem}.`, {
    format: 'ONNX',
    path: tensor,
  })
}

function count(tensor: string, key: string, text: string): number {
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : NaN
  if (!Number.isSafeInteger(value)) {
    throw refuse(tensor, `gives the ${key} '${text.slice(0, 100)}', which is no number of bytes`)
  }
  return value
}

/**
 * A path below the model's folder. Windows' separators and drives are refused everywhere, so that a file means the same
 * on every system.
 */
function checkedLocation(tensor: string, location: string): string {
  const shown = JSON.stringify(location.slice(0, 200))
  if (location === '' || location.length > 4096) throw refuse(tensor, 'gives an empty or an overlong path')
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u001f\u007f]/.test(location)) throw refuse(tensor, `gives a path with control characters: ${shown}`)
  if (location.includes('_ORT_MEM_ADDR_')) throw refuse(tensor, `points into a program's memory: ${shown}`)
  if (/^[a-z][a-z0-9+.-]*:/i.test(location)) {
    throw refuse(tensor, `gives an address or a drive, ${shown}; expected a file beside the model`)
  }
  if (location.includes('\\')) throw refuse(tensor, `gives a path with a backslash: ${shown}`)
  if (location.startsWith('/')) {
    throw refuse(tensor, `gives an absolute path, ${shown}; expected a file beside the model`)
  }
  const parts = location.split('/').filter(part => part !== '' && part !== '.')
  if (parts.includes('..')) throw refuse(tensor, `gives a path that leaves its folder: ${shown}`)
  if (parts.length === 0) throw refuse(tensor, `gives the path ${shown}, which is no file`)
  return parts.join('/')
}

/**
 * The bytes of a tensor that lies in another file: `expected` of them.
 * @throws UntrustedInputError when the file has not been given, or does not hold them
 */
export function externalBytes(tensor: TensorMessage, expected: number, files: ExternalData): Uint8Array {
  const name = tensor.name ?? ''
  const { location, offset, length } = externalReference(tensor)
  const file = files.get(location)
  if (file === undefined) {
    const advice = 'pass its bytes with the option externalData, or give the path of the model instead of its bytes'
    throw new UntrustedInputError(
      `The weights of this network are in the file '${location}' beside it, which was not given; ${advice}.`,
      { format: 'ONNX', path: location },
    )
  }
  if (length !== undefined && length !== expected) {
    throw refuse(name, `gives it ${length} bytes where its shape needs ${expected}`)
  }
  if (offset + expected > file.length) {
    throw new UntrustedInputError(
      `The tensor '${name}' ends at byte ${
        offset + expected
      } of the file '${location}', which has ${file.length} bytes.`,
      { format: 'ONNX', path: location, offset, limit: file.length, actual: offset + expected },
    )
  }
  return new Uint8Array(file.buffer, file.byteOffset + offset, expected)
}
