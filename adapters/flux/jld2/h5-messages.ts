/** @file Object headers of an HDF5 file: lists of messages, continued in further blocks. */
import { address, type Cursor, type Jld2File, MOST_ENTRIES, refuse, take, u16, u8, unsigned } from './h5-cursor.js'

/** A message of an object header: its type, its flags and where its content lies. */
export interface Message {
  readonly type: number
  readonly flags: number
  readonly start: number
  readonly end: number
}

/** The messages of an object header, with those of its continuation blocks. */
export function messagesAt(file: Jld2File, at: number): Message[] {
  const cursor: Cursor = { file, offset: at, end: file.bytes.length }
  if (String.fromCharCode(...file.bytes.subarray(at, at + 4)) !== 'OHDR') refuse('An object header was expected', at)
  take(cursor, 4)
  const version = u8(cursor)
  if (version !== 2) refuse(`An object header has version ${version}; JLD2 writes 2`, at + 4)
  const flags = u8(cursor)
  if (flags & 32) take(cursor, 16)
  if (flags & 16) take(cursor, 4)
  const size = unsigned(cursor, 1 << (flags & 3))
  const start = take(cursor, size)
  const messages: Message[] = []
  const blocks = [{ start, end: start + size }]
  for (let i = 0; i < blocks.length; i++) {
    if (i > 1000) refuse('An object header has more than 1000 blocks', at)
    readMessages(file, blocks[i], (flags & 4) !== 0, messages, blocks)
  }
  return messages
}

function readMessages(file: Jld2File, block: { start: number, end: number }, ordered: boolean, messages: Message[],
  blocks: { start: number, end: number }[]): void {
  const cursor: Cursor = { file, offset: block.start, end: block.end }
  const head = ordered ? 6 : 4
  // Fewer bytes than a message's head are a gap.
  while (cursor.end - cursor.offset >= head) {
    const type = u8(cursor)
    const size = u16(cursor)
    const flags = u8(cursor)
    if (ordered) take(cursor, 2)
    const start = take(cursor, size)
    if (messages.length > MOST_ENTRIES) refuse(`An object has more than ${MOST_ENTRIES} messages`, start)
    if (type !== 0x10) {
      messages.push({ type, flags, start, end: start + size })
      continue
    }
    const inner: Cursor = { file, offset: start, end: start + size }
    const to = address(inner)
    const length = unsigned(inner, 8)
    if (to === undefined || length < 8 || to + length > file.bytes.length ||
      String.fromCharCode(...file.bytes.subarray(to, to + 4)) !== 'OCHK') {
      refuse('A continuation of an object header is not where it should be', start)
    }
    blocks.push({ start: to + 4, end: to + length - 4 })
  }
}
