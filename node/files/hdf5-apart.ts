/** @file Reads HDF5 files in a thread of their own, which is ended with the file. */
import { Worker } from 'node:worker_threads'
import { readIn, type StartHdf5Thread } from '../../adapters/hdf5/apart.js'
import type { Hdf5Reader } from '../../adapters/hdf5/read-hdf5.js'
import type { FromHdf5Thread } from '../../adapters/hdf5/thread.js'
import { moduleBeside } from '../runtime/module-beside.js'

const THREAD_MODULE = moduleBeside('hdf5-thread', import.meta.url)

/**
 * Reads an HDF5 file in a thread that is ended with it; in this thread where a bundler has left the other's module out.
 * @throws UntrustedInputError, ResourceError
 */
export const readHdf5Apart: Hdf5Reader = bytes =>
  THREAD_MODULE === undefined ? readHere(bytes) : readIn(threadOf(THREAD_MODULE), bytes)

const readHere: Hdf5Reader = async bytes => (await import('../../adapters/hdf5/read-hdf5.js')).readHdf5(bytes)

const threadOf = (module: URL): StartHdf5Thread => (bytes, { message, failure }) => {
  const thread = new Worker(module, { workerData: bytes, transferList: [bytes.buffer as ArrayBuffer], stdout: true,
    stderr: true })
  thread.on('message', (said: FromHdf5Thread) => {
    message(said)
  })
  thread.on('error', error => {
    failure(error instanceof Error ? error.message.slice(0, 200) : 'the thread failed')
  })
  thread.on('exit', () => {
    failure('the thread that read it ended')
  })
  return () => void thread.terminate()
}
