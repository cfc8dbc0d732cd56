/**
 * @file Reads HDF5 files in a thread of their own, which is ended when it takes too long: a file can make the library
 * run for ever.
 */
import { Worker } from 'node:worker_threads'
import type { Hdf5Reader } from '../../adapters/hdf5/read-hdf5.js'
import type { Hdf5Tree } from '../../adapters/hdf5/tree.js'
import { type ErrorCode, type ErrorData, LaplaceError, UntrustedInputError } from '../../core/errors/errors.js'
import { moduleBeside } from '../runtime/module-beside.js'

/** What the thread says: that the library is loaded, and how it ended. */
export interface FromHdf5Thread {
  readonly ready?: true
  readonly tree?: Hdf5Tree
  readonly error?: { readonly code?: ErrorCode, readonly message: string, readonly data?: ErrorData }
}

const THREAD_MODULE = moduleBeside('hdf5-thread', import.meta.url)

/** A file of a megabyte is read in a hundredth of this. */
const MILLISECONDS = 5000
const MILLISECONDS_PER_MEGABYTE = 1000

/** Time that a file may take, from when the library is loaded. */
function deadlineOf(bytes: number): number {
  return MILLISECONDS + MILLISECONDS_PER_MEGABYTE * bytes / 2 ** 20
}

/**
 * Reads an HDF5 file in a thread that is ended with it; in this thread where a bundler has left the other's module out.
 * @throws UntrustedInputError, ResourceError
 */
export const readHdf5Apart: Hdf5Reader = bytes =>
  THREAD_MODULE === undefined ? readHere(bytes) : readIn(THREAD_MODULE, bytes)

const readHere: Hdf5Reader = async bytes => (await import('../../adapters/hdf5/read-hdf5.js')).readHdf5(bytes)

const readIn = (module: URL, bytes: Uint8Array): ReturnType<Hdf5Reader> =>
  new Promise((resolve, reject) => {
    // A copy: a view would be sent with all that is around it.
    const own = new Uint8Array(bytes)
    const thread = new Worker(module, { workerData: own, transferList: [own.buffer], stdout: true, stderr: true })
    let timer: NodeJS.Timeout | undefined
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      settle()
      void thread.terminate()
    }
    const damaged = (problem: string): void => {
      end(() => {
        reject(new UntrustedInputError(`The HDF5 file is damaged: ${problem}.`, { format: 'HDF5' }))
      })
    }
    thread.on('message', ({ ready, tree, error }: FromHdf5Thread) => {
      if (ready === true) {
        const limit = deadlineOf(bytes.length)
        timer = setTimeout(() => {
          damaged(`reading it did not end within ${(limit / 1000).toFixed(0)} s`)
        }, limit)
      } else if (tree !== undefined) {
        end(() => {
          resolve(tree)
        })
      } else if (error?.code !== undefined) {
        const { code, message, data } = error
        end(() => {
          reject(new LaplaceError(code, message, data))
        })
      } else damaged(error?.message ?? 'nothing came of it')
    })
    thread.on('error', error => {
      damaged(error instanceof Error ? error.message.slice(0, 200) : 'the thread failed')
    })
    thread.on('exit', () => {
      damaged('the thread that read it ended')
    })
  })
