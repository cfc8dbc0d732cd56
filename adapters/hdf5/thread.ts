/** @file What a thread does that reads one HDF5 file, under a bound on the library's memory. */
import { type ErrorCode, type ErrorData, LaplaceError } from '../../core/errors/errors.js'
import { loadHdf5, readHdf5, unpackedLimit } from './read-hdf5.js'
import type { Hdf5Tree } from './tree.js'

/** What the thread says: that the library is loaded, and how it ended. */
export interface FromHdf5Thread {
  readonly ready?: true
  readonly tree?: Hdf5Tree
  readonly error?: { readonly code?: ErrorCode, readonly message: string, readonly data?: ErrorData }
}

/** What the library takes before it reads anything, and while it reads. */
const LIBRARY_BYTES = 64 << 20
const PAGE = 65_536

/** A memory of WebAssembly, as far as it is needed here. */
interface Memory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
}

/** Reads the file, and says what came of it; the thread is of no use for another one. */
export async function answerInThread(bytes: Uint8Array,
  say: (message: FromHdf5Thread, transfer: ArrayBuffer[]) => void): Promise<void> {
  boundMemory(LIBRARY_BYTES + 2 * unpackedLimit(bytes.length))
  try {
    await loadHdf5()
    say({ ready: true }, [])
  } catch { /* `read` says why. */ }
  const answer = await read(bytes)
  say(answer, answer.tree === undefined ? [] : buffersOf(answer.tree))
}

/** A file must not make the library take more than its arrays can need: the library is told that none is left. */
function boundMemory(most: number): void {
  const { prototype } = (globalThis as unknown as { WebAssembly: { Memory: { prototype: Memory } } }).WebAssembly.Memory
  const own = Object.getOwnPropertyDescriptor(prototype, 'grow')?.value as Memory['grow']
  prototype.grow = function(this: Memory, pages: number): number {
    if (this.buffer.byteLength + pages * PAGE > most) throw new RangeError('beyond the bound of the file')
    return own.call(this, pages)
  }
}

async function read(bytes: Uint8Array): Promise<FromHdf5Thread> {
  try {
    return { tree: await readHdf5(bytes) }
  } catch (error) {
    if (error instanceof LaplaceError) {
      return { error: { code: error.code, message: error.message, data: error.data } }
    }
    return { error: { message: error instanceof Error ? error.message : String(error) } }
  }
}

/** The arrays of numbers are handed over, not copied. */
function buffersOf({ members }: Hdf5Tree): ArrayBuffer[] {
  return [...members.values()].flatMap(member =>
    'members' in member ? buffersOf(member) : 'tensor' in member ? [member.tensor.data.buffer as ArrayBuffer] : []
  )
}
