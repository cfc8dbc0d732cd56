/** @file Waits for a thread that reads an HDF5 file, and ends it in time: a file can make the library run for ever. */
import { LaplaceError, UntrustedInputError } from '../../core/errors/errors.js'
import type { FromHdf5Thread } from './thread.js'
import type { Hdf5Tree } from './tree.js'

/** Starts a thread of the host that reads these bytes, which are its own from then on; returns what ends it. */
export type StartHdf5Thread = (bytes: Uint8Array, on: {
  readonly message: (message: FromHdf5Thread) => void
  /** @param problem why nothing will come of it */
  readonly failure: (problem: string) => void
}) => () => void

/** A file of a megabyte is read in a hundredth of this. */
const MILLISECONDS = 5000
const MILLISECONDS_PER_MEGABYTE = 1000

/** A clock, which browsers and Node both have. */
const { setTimeout, clearTimeout } = globalThis as unknown as {
  setTimeout: (then: () => void, milliseconds: number) => unknown
  clearTimeout: (timer: unknown) => void
}

/** Time that a file may take, from when the library is loaded. */
function deadlineOf(bytes: number): number {
  return MILLISECONDS + MILLISECONDS_PER_MEGABYTE * bytes / 2 ** 20
}

/** @throws UntrustedInputError, ResourceError */
export const readIn = (start: StartHdf5Thread, bytes: Uint8Array): Promise<Hdf5Tree> =>
  new Promise((resolve, reject) => {
    let timer: unknown
    const end = (settle: () => void): void => {
      clearTimeout(timer)
      settle()
      stop()
    }
    const failure = (problem: string): void => {
      end(() => {
        reject(new UntrustedInputError(`The HDF5 file is damaged: ${problem}.`, { format: 'HDF5' }))
      })
    }
    const message = ({ ready, tree, error }: FromHdf5Thread): void => {
      if (ready === true) {
        const limit = deadlineOf(bytes.length)
        timer = setTimeout(() => {
          failure(`reading it did not end within ${(limit / 1000).toFixed(0)} s`)
        }, limit)
      } else if (tree !== undefined) {
        end(() => {
          resolve(tree)
        })
      } else if (error?.code !== undefined) {
        const { code, message: text, data } = error
        end(() => {
          reject(new LaplaceError(code, text, data))
        })
      } else failure(error?.message ?? 'nothing came of it')
    }
    // A copy: a view would be sent with all that is around it.
    const stop = start(new Uint8Array(bytes), { message, failure })
  })
