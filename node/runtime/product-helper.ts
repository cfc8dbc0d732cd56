/**
 * @file A thread that takes a part of the calling thread's large products. The calling thread waits for it without
 * leaving its computation, which is why the two do not speak by messages alone.
 */
import { availableParallelism } from 'node:os'
import { Worker as NodeThread } from 'node:worker_threads'
import { copyBlock } from '../../core/kernels/copy-block.js'
import type { RealArray } from '../../core/kernels/plain.js'
import { gemm, type ProductHelper, type ProductPart } from '../../core/kernels/product.js'
import { moduleBeside } from './module-beside.js'
import { bytesOf, CELLS, DONE, FAILED, matricesOf, READY, SENT } from './product-messages.js'

const THREAD_MODULE = moduleBeside('product-thread', import.meta.url)
/** Shared memory beyond this is given back after use. */
const KEPT_BYTES = 64 << 20
/** A thread that takes so many times as long as this one, and so many milliseconds, is given up. */
const [PATIENCE, LEAST_PATIENCE_MS] = [20, 10_000]

let share: ProductHelper | undefined

/** The thread's part of the work; undefined for one thread. It starts when it is first asked for. */
export function productHelper(threads: number | undefined): ProductHelper | undefined {
  if (THREAD_MODULE === undefined || (threads ?? availableParallelism()) < 2) return undefined
  return share ??= startHelper(THREAD_MODULE)
}

function startHelper(module: URL): ProductHelper {
  const cells = new Int32Array(new SharedArrayBuffer(4 * CELLS))
  const thread = new NodeThread(module, { workerData: cells, stdout: false, stderr: false })
  let usable = true
  const giveUp = (): void => {
    usable = false
    void thread.terminate()
  }
  thread.on('error', giveUp)
  thread.on('exit', giveUp)
  thread.unref()
  let sent = 0
  let buffer = new SharedArrayBuffer(0)
  return (part, from) => {
    // Until it has started it could be waited for in vain; while it computes, another product is not shared.
    if (!usable || Atomics.load(cells, READY) === 0 || Atomics.load(cells, DONE) !== sent) return undefined
    const start = performance.now()
    const rows = part.m - from
    const { n, k, transA, transB, alpha, beta } = part
    const [bytes, bytesC] = [bytesPerNumber(part.a), bytesPerNumber(part.c)]
    const needed = bytesOf(rows, n, k, bytes, bytesC)
    if (buffer.byteLength < needed) buffer = new SharedArrayBuffer(needed)
    const shared = { buffer, bytes, bytesC, transA, transB, m: rows, n, k, alpha, beta }
    const matrices = matricesOf(shared)
    copyOperands(part, from, matrices)
    thread.postMessage(shared)
    sent++
    Atomics.store(cells, SENT, sent)
    Atomics.notify(cells, SENT)
    return () => {
      const patience = Math.max(LEAST_PATIENCE_MS, PATIENCE * (performance.now() - start))
      if (Atomics.load(cells, DONE) !== sent) Atomics.wait(cells, DONE, sent - 1, patience)
      if (Atomics.load(cells, DONE) === sent && Atomics.load(cells, FAILED) === 0) {
        part.c.set(matrices.c, from * n)
      } else {
        giveUp()
        computeHere(part, from)
      }
      if (buffer.byteLength > KEPT_BYTES) buffer = new SharedArrayBuffer(0)
    }
  }
}

function bytesPerNumber({ BYTES_PER_ELEMENT }: RealArray): 4 | 8 {
  return BYTES_PER_ELEMENT === 8 ? 8 : 4
}

/** The rows from `from` on of op(A) and, where they are read, of C; all of B. */
function copyOperands({ transA, m, n, k, a, b, beta, c }: ProductPart, from: number,
  to: { readonly a: RealArray, readonly b: RealArray, readonly c: RealArray }): void {
  const rows = m - from
  if (transA) copyBlock(a, from, m, to.a, 0, rows, k, rows)
  else to.a.set(a.subarray(from * k, m * k))
  to.b.set(b.subarray(0, k * n))
  if (beta !== 0) to.c.set(c.subarray(from * n, m * n))
}

function computeHere({ transA, transB, m, n, k, alpha, a, b, beta, c }: ProductPart, from: number): void {
  const rows = m - from
  const own = transA ? a.slice(0, k * rows) : a.subarray(from * k, m * k)
  if (transA) copyBlock(a, from, m, own, 0, rows, k, rows)
  gemm(transA, transB, rows, n, k, alpha, own, b, beta, c.subarray(from * n, m * n))
}
