/** @file Reads HDF5 files for the page's worker in a worker of its own, which is ended with the file. */
import { readIn, type StartHdf5Thread } from '../../adapters/hdf5/apart.js'
import type { Hdf5Reader } from '../../adapters/hdf5/read-hdf5.js'
import type { FromHdf5Thread } from '../../adapters/hdf5/thread.js'

/** A worker, as far as it is needed here. */
declare class Worker {
  constructor(url: string)
  onmessage: (event: { readonly data: FromHdf5Thread }) => void
  onerror: (event: { readonly message: string }) => void
  postMessage(message: Uint8Array): void
  terminate(): void
}

/** @param program the thread's program: gzip, base64; it is unpacked when a file asks for it */
export function hdf5Reader(program: string): Hdf5Reader {
  return async bytes => {
    const url = URL.createObjectURL(await unpacked(program))
    try {
      return await readIn(threadOf(url), bytes)
    } finally {
      URL.revokeObjectURL(url)
    }
  }
}

function unpacked(program: string): Promise<Blob> {
  const packed = Uint8Array.from(atob(program), character => character.charCodeAt(0))
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'))).blob()
}

const threadOf = (program: string): StartHdf5Thread => (bytes, { message, failure }) => {
  const thread = new Worker(program)
  thread.onmessage = ({ data }) => message(data)
  thread.onerror = event => failure(event.message)
  thread.postMessage(bytes)
  return () => thread.terminate()
}
