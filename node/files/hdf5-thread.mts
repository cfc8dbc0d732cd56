/** @file The module of a thread that reads one HDF5 file, under a bound on the library's memory. */
import { parentPort, workerData } from 'node:worker_threads'
import { loadHdf5, readHdf5, unpackedLimit } from '../../adapters/hdf5/read-hdf5.js'
import type { Hdf5Tree } from '../../adapters/hdf5/tree.js'
import { LaplaceError } from '../../core/errors/errors.js'
import type { FromHdf5Thread } from './hdf5-apart.js'

/** What the library takes before it reads anything, and while it reads. */
const LIBRARY_BYTES = 64 << 20
const PAGE = 65_536

/** A memory of WebAssembly, as far as it is needed here. */
interface Memory {
  readonly buffer: ArrayBuffer
  grow(pages: number): number
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

const port = parentPort
if (port !== null) {
  const bytes = workerData as Uint8Array
  boundMemory(LIBRARY_BYTES + 2 * unpackedLimit(bytes.length))
  try {
    await loadHdf5()
    port.postMessage({ ready: true })
  } catch { /* `read` says why. */ }
  const answer = await read(bytes)
  port.postMessage(answer, answer.tree === undefined ? [] : buffersOf(answer.tree))
}
