/**
 * @file What a compute thread does with the messages of the I/O thread: one method after another, each with a way to
 * stop and to report.
 */
import { throwIfCancelled } from '../../core/budget/progress.js'
import { watchKernels } from '../../core/kernels/interruption.js'
import { encodeFrame } from '../frames/encode.js'
import { failure, notesIn, result } from '../messages/answers.js'
import type { ProgressReport } from '../messages/notes.js'
import type { MethodContext, MethodSet } from '../methods/method-set.js'
import type { FromWorker, ToWorker, WorkerSetup } from './worker-messages.js'

/** Least time between two progress notes of one request. */
const PROGRESS_INTERVAL_MS = 100

/** Sends a message to the I/O thread; the buffers move there. */
export type Post = (message: FromWorker, transfer: readonly ArrayBuffer[]) => void

/** The function that takes a thread's messages; `post` sends its answers. */
export function serveThread(setup: WorkerSetup, methods: MethodSet, post: Post): (message: ToWorker) => Promise<void> {
  const flag = new Int32Array(setup.cancelFlag)
  return async message => {
    if (message.type === 'free') {
      for (const handle of message.handles) methods.free(handle)
      return
    }
    const { id, method, params, language } = message
    const dropped: string[] = []
    let frame: Uint8Array<ArrayBuffer>
    let failed = false
    const context = contextOf(message, flag, dropped, post)
    // One method at a time runs in this thread, so that all its kernels may end by the signal of that method.
    watchKernels(() => {
      throwIfCancelled(context.signal)
    })
    try {
      frame = encodeFrame(
        result(id, notesIn(await methods.run(method, params, context), language)),
      )
    } catch (error) {
      failed = true
      if (setup.debug) console.error(error)
      frame = encodeFrame(failure(id, error, language))
    } finally {
      watchKernels(undefined)
    }
    post({ type: 'done', id, frame, failed, dropped }, [frame.buffer])
  }
}

function contextOf({ id, creates, progress }: Extract<ToWorker, { type: 'run' }>, flag: Int32Array, dropped: string[],
  post: Post): MethodContext {
  return {
    creates,
    signal: { get aborted() {
      // The cell holds 32 bits with a sign: compared as it stands, an id from 2^31 on would never be cancelled.
      return Atomics.load(flag, 0) === (id | 0)
    } },
    onProgress: progress
      ? limitRate(report => {
        post({ type: 'progress', id, report }, [])
      })
      : undefined,
    drop: handle => {
      dropped.push(handle)
    },
  }
}

/** Passes on at most one report each interval. */
function limitRate(report: (progress: ProgressReport) => void): (progress: ProgressReport) => void {
  let last = -Infinity
  return progress => {
    const now = performance.now()
    if (now - last < PROGRESS_INTERVAL_MS) return
    last = now
    report(progress)
  }
}
