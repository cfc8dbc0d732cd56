/** @file Writes safetensors files, good and bad ones. */

export interface Entry {
  dtype: string
  shape: number[]
  data_offsets: [number, number]
}

/** A file with this text as its header and these bytes of data; `length` lies about the header's length. */
export function raw(header: string | Uint8Array, data: Uint8Array = new Uint8Array(), length?: bigint): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header
  const bytes = new Uint8Array(8 + text.length + data.length)
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.length), true)
  bytes.set(text, 8)
  bytes.set(data, 8 + text.length)
  return bytes
}

/** A well-formed file of float64 tensors. */
export function file(tensors: Record<string, { shape: number[], data: number[] }>, metadata?: unknown): Uint8Array {
  const header: Record<string, unknown> = metadata === undefined ? {} : { __metadata__: metadata }
  let offset = 0
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype: 'F64', shape, data_offsets: [offset, offset += data.length * 8] }
  }
  const data = Float64Array.from(Object.values(tensors).flatMap(each => each.data))
  return raw(JSON.stringify(header), new Uint8Array(data.buffer))
}
