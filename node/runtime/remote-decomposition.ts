/** @file A decomposition in another thread: memory that both share carries its progress out, and a cancellation in. */
import { CancelledError } from '../../core/errors/errors.js'
import type { DecompositionWork } from '../../core/parallel/worker.js'

/** Cells of the shared memory: whether to stop, and what is done in millionths. */
const [STOP, DONE] = [0, 1]
/** Milliseconds between two looks at the signal. */
const INTERVAL = 50

/** Shared memory for one decomposition. */
export function sharedCells(): SharedArrayBuffer {
  return new SharedArrayBuffer(8)
}

/** The result of a call that watches `shared`; meanwhile its progress is passed on, and the signal. */
export async function watchedCall<R>(shared: SharedArrayBuffer, { signal, onShare }: DecompositionWork,
  call: Promise<R>): Promise<R> {
  const cells = new Int32Array(shared)
  const look = setInterval(() => {
    if (signal?.aborted === true) Atomics.store(cells, STOP, 1)
    onShare?.(Atomics.load(cells, DONE) / 1e6)
  }, INTERVAL)
  try {
    return await call
  } catch (error) {
    if (signal?.aborted === true) throw new CancelledError()
    throw error
  } finally {
    clearInterval(look)
  }
}

/** What the thread that decomposes takes for its signal and progress. */
export function workOf(shared: SharedArrayBuffer): DecompositionWork {
  const cells = new Int32Array(shared)
  return {
    signal: { get aborted() {
      return Atomics.load(cells, STOP) === 1
    } },
    onShare: share => {
      Atomics.store(cells, DONE, Math.round(1e6 * share))
    },
  }
}
