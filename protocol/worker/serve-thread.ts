/** @file What a compute thread does with the messages of the I/O thread: one method after another, each with a way to stop and to report. */
import type { CancelSignal } from '../../core/budget/progress.js'
import type { DecodedMap } from '../frames/decoded-map.js'
import { encodeFrame, type WireMap } from '../frames/encode.js'
import { PROGRESS_INTERVAL_MS } from '../frames/limits.js'
import { failure, type ProgressReport, result } from '../messages/messages.js'
import type { FromWorker, ToWorker } from '../server/thread-pool.js'

/** What a compute thread is started with. */
export interface WorkerSetup {
  /** One cell that holds the id of the request to cancel. */
  readonly cancelFlag: SharedArrayBuffer
  readonly readDirectories: readonly string[]
  readonly debug: boolean
}

/** What a running method is given. */
export interface MethodContext {
  /** The handle under which to keep what the method makes. */
  readonly creates: string | undefined
  readonly signal: CancelSignal
  readonly onProgress: (report: ProgressReport) => void
  /** Tells that a handle has ended with this method. */
  readonly drop: (handle: string) => void
}

/** The methods of a thread, with the state behind its handles. */
export interface MethodSet {
  run(method: string, params: DecodedMap, context: MethodContext): Promise<WireMap>
  free(handle: string): void
}

/** The function that takes a thread's messages; `post` sends its answers. */
export function serveThread(setup: WorkerSetup, methods: MethodSet,
  post: (message: FromWorker, transfer: readonly ArrayBuffer[]) => void): (message: ToWorker) => Promise<void> {
  const flag = new Int32Array(setup.cancelFlag)
  return async message => {
    if (message.type === 'free') {
      for (const handle of message.handles) methods.free(handle)
      return
    }
    const { id, method, params, creates, progress } = message
    const dropped: string[] = []
    const context: MethodContext = {
      creates,
      signal: { get aborted() {
        return Atomics.load(flag, 0) === (id | 0)
      } },
      onProgress: progress
        ? limitRate(report => {
          post({ type: 'progress', id, report }, [])
        })
        : () => undefined,
      drop: handle => {
        dropped.push(handle)
      },
    }
    let frame: Uint8Array<ArrayBuffer>
    let failed = false
    try {
      frame = encodeFrame(result(id, await methods.run(method, params, context)))
    } catch (error) {
      failed = true
      if (setup.debug) console.error(error)
      frame = encodeFrame(failure(id, error))
    }
    post({ type: 'done', id, frame, failed, dropped }, [frame.buffer])
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
