/** @file Starts compute threads as worker threads of Node. */
import { Worker } from 'node:worker_threads'
import type { WorkerSetup } from '../worker/worker-messages.js'
import type { ExitReason, StartThread } from './compute-thread.js'

/** What compute threads are started with. */
export interface ThreadOptions {
  /** The module of the compute threads. */
  readonly workerFile: URL
  /** Heap limit of each compute thread in MiB. */
  readonly heap: number | undefined
  readonly readDirectories: readonly string[]
  readonly debug: boolean
}

/** The threads of this process that have not ended. */
const living = new Set<Worker>()

/**
 * Ends all threads. A thread inside of a library of machine code cannot be ended, and the process not either, other
 * than by a signal.
 * @returns whether all have ended in time
 */
export async function endThreads(patienceMs: number): Promise<boolean> {
  const patience = new Promise(resolve => {
    setTimeout(resolve, patienceMs).unref()
  })
  await Promise.race([Promise.all([...living].map(thread => thread.terminate())), patience])
  return living.size === 0
}

/** The function that starts compute threads; what they print goes to stderr. */
export function threadStarter({ workerFile, heap, readDirectories, debug }: ThreadOptions): StartThread {
  return (onMessage, onExit) => {
    const cancelFlag = new SharedArrayBuffer(4)
    const flag = new Int32Array(cancelFlag)
    const workerData: WorkerSetup = { cancelFlag, readDirectories, debug }
    const worker = new Worker(workerFile, {
      workerData,
      // Without this, what a dependency prints would go to the process's stdout, into the stream of answers.
      stdout: true,
      stderr: false,
      ...(heap === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: heap } }),
    })
    living.add(worker)
    worker.stdout.pipe(process.stderr, { end: false })
    // A failing thread reports an error and then its exit: the first tells why.
    let ended = false
    const end = (kind: ExitReason['kind'], message: string): void => {
      if (ended) return
      ended = true
      onExit({ kind, message })
    }
    worker.on('message', onMessage)
    worker.on('error', (error: Error & { code?: string }) => {
      end(error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'out of memory' : 'unexpected', error.message)
    })
    worker.on('exit', code => {
      living.delete(worker)
      end('unexpected', `exit code ${code}`)
    })
    return {
      post: (message, transfer) => {
        // Else the cancellation of an earlier request would stop a later one of the same id.
        Atomics.store(flag, 0, 0)
        worker.postMessage(message, [...transfer])
      },
      cancel: id => {
        Atomics.store(flag, 0, id | 0)
      },
      terminate: () => {
        ended = true
        void worker.terminate()
      },
    }
  }
}
