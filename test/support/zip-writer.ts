/** @file Writes zip archives entry by entry, and wrong in any way that is asked for. */
import { crc32 } from '../../adapters/zip/index.js'
import { ascii, join, little, type Part } from './pickle-writer.js'

/** An entry; fields that are given replace the honest ones, `local` those of the local header alone. */
export interface ZipItem {
  name: string | Uint8Array
  data: Part
  method?: number
  flags?: number
  size?: number
  packedSize?: number
  crc?: number
  mode?: number
  dos?: number
  disk?: number
  offset?: number
  extra?: Part
  descriptor?: Part | 'none'
  local?: { name?: string, size?: number, packedSize?: number, crc?: number, method?: number, flags?: number,
    extra?: Part }
}

export interface ZipEnd {
  before?: Part
  behind?: Part
  comment?: Part
  entries?: number
  entriesHere?: number
  disk?: number
  start?: number
  size?: number
  between?: Part
  gap?: Part
}

/** Writes entries in order, stored unless they say otherwise. */
export function zip(items: readonly ZipItem[], end: ZipEnd = {}): Uint8Array {
  const body: Part[] = [end.before ?? []]
  const directory: Part[] = []
  let at = body[0].length
  for (const item of items) {
    const written = entry(item)
    body.push(written, end.gap ?? [])
    directory.push(centralHeader(item, item.offset ?? at))
    at += written.length + (end.gap ?? []).length
  }
  const records = join(...directory)
  const comment = end.comment ?? []
  const tail = join(ascii('PK\x05\x06'), little(end.disk ?? 0, 2), little(end.disk ?? 0, 2),
    little(end.entriesHere ?? end.entries ?? items.length, 2), little(end.entries ?? items.length, 2),
    little(end.size ?? records.length, 4), little(end.start ?? at, 4), little(comment.length, 2), comment,
    end.behind ?? [])
  return join(...body, records, end.between ?? [], tail)
}

const nameOf = (name: string | Uint8Array): Uint8Array => (typeof name === 'string' ? ascii(name) : name)
const flagsOf = (item: ZipItem): number => item.flags ?? 0x0800

function entry(item: ZipItem): Uint8Array {
  const { data, local = {} } = item
  const later = (flagsOf(item) & 8) !== 0
  const [crc, packed, size] = later
    ? [0, 0, 0]
    : [item.crc ?? crc32(Uint8Array.from(data)), item.packedSize ?? data.length, item.size ?? data.length]
  const name = nameOf(local.name ?? item.name)
  const extra = local.extra ?? []
  const descriptor = item.descriptor === 'none'
    ? []
    : item.descriptor ?? (later
      ? join(ascii('PK\x07\x08'), little(item.crc ?? crc32(Uint8Array.from(data)), 4),
        little(item.packedSize ?? data.length, 4), little(item.size ?? data.length, 4))
      : [])
  return join(ascii('PK\x03\x04'), little(20, 2), little(local.flags ?? flagsOf(item), 2),
    little(local.method ?? item.method ?? 0, 2), little(0, 4), little(local.crc ?? crc, 4),
    little(local.packedSize ?? packed, 4), little(local.size ?? size, 4), little(name.length, 2),
    little(extra.length, 2), name, extra, data, descriptor)
}

function centralHeader(item: ZipItem, offset: number): Uint8Array {
  const name = nameOf(item.name)
  const extra = item.extra ?? []
  return join(ascii('PK\x01\x02'), little(20, 2), little(20, 2), little(flagsOf(item), 2), little(item.method ?? 0, 2),
    little(0, 4), little(item.crc ?? crc32(Uint8Array.from(item.data)), 4),
    little(item.packedSize ?? item.data.length, 4), little(item.size ?? item.data.length, 4), little(name.length, 2),
    little(extra.length, 2), little(0, 2), little(item.disk ?? 0, 2), little(0, 2),
    little((item.mode ?? 0) * 65536 + (item.dos ?? 0), 4), little(offset, 4), name, extra)
}
