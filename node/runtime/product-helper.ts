/**
 * @file A thread that takes a part of the calling thread's large products. The calling thread waits for it without
 * leaving its computation, which is why the two do not speak by messages alone.
 */
import { availableParallelism } from 'node:os'
import { Worker as NodeThread } from 'node:worker_threads'
import { copyBlock } from '../../core/kernels/copy-block.js'
import type { RealArray } from '../../core/kernels/plain.js'
import { multiplyPart, type Product, type ProductHelper, type ProductPart } from '../../core/kernels/product.js'
import { moduleBeside } from './module-beside.js'
import { DONE, FAILED, matricesOf, READY, SENT, sharedMemory, type SharedProduct } from './product-messages.js'

const THREAD_MODULE = moduleBeside('product-thread', import.meta.url)
/** A thread that takes so many times as long as this one, and so many milliseconds, is given up. */
const [PATIENCE, LEAST_PATIENCE_MS] = [20, 10_000]

let share: ProductHelper | undefined

/** The thread's part of the work; undefined for one thread. It starts when it is first asked for. */
export function productHelper(threads: number | undefined): ProductHelper | undefined {
  if (THREAD_MODULE === undefined || (threads ?? availableParallelism()) < 2) return undefined
  return share ??= startHelper(THREAD_MODULE)
}

function startHelper(module: URL): ProductHelper {
  const memory = sharedMemory()
  const { cells, numbers } = memory
  const thread = new NodeThread(module, { workerData: memory, stdout: false, stderr: false })
  let usable = true
  const giveUp = (): void => {
    usable = false
    void thread.terminate()
  }
  thread.on('error', giveUp)
  thread.on('exit', giveUp)
  thread.unref()
  let sent = 0
  return (product, part) => {
    // Until it has started it could be waited for in vain; while it computes, another product is not shared.
    if (!usable || Atomics.load(cells, READY) === 0 || Atomics.load(cells, DONE) !== sent) return undefined
    const start = performance.now()
    const shared = sharedProduct(product, part)
    const matrices = matricesOf(numbers, shared)
    copyOperands(product, part, matrices)
    thread.postMessage(shared)
    sent++
    Atomics.store(cells, SENT, sent)
    Atomics.notify(cells, SENT)
    return () => {
      const patience = Math.max(LEAST_PATIENCE_MS, PATIENCE * (performance.now() - start))
      if (Atomics.load(cells, DONE) !== sent) Atomics.wait(cells, DONE, sent - 1, patience)
      if (Atomics.load(cells, DONE) === sent && Atomics.load(cells, FAILED) === 0) {
        const { row, rows, column, columns } = part
        copyBlock(matrices.c, 0, columns, product.c, row * product.n + column, product.n, rows, columns)
      } else {
        giveUp()
        multiplyPart(product, part)
      }
    }
  }
}

function sharedProduct({ transA, transB, alpha, beta, a, c }: Product,
  { rows, columns, depth }: ProductPart): SharedProduct {
  return { transA, transB, alpha, beta, m: rows, n: columns, k: depth, bytes: bytesPerNumber(a),
    bytesC: bytesPerNumber(c) }
}

function bytesPerNumber({ BYTES_PER_ELEMENT }: RealArray): 4 | 8 {
  return BYTES_PER_ELEMENT === 8 ? 8 : 4
}

/** The part's block of op(A), of op(B) and, where it is read, of C. */
function copyOperands({ transA, transB, m, n, k, a, b, beta, c }: Product,
  { row, rows, column, columns, from, depth }: ProductPart,
  to: { readonly a: RealArray, readonly b: RealArray, readonly c: RealArray }): void {
  if (transA) copyBlock(a, from * m + row, m, to.a, 0, rows, depth, rows)
  else copyBlock(a, row * k + from, k, to.a, 0, depth, rows, depth)
  if (transB) copyBlock(b, column * k + from, k, to.b, 0, depth, columns, depth)
  else copyBlock(b, from * n + column, n, to.b, 0, columns, depth, columns)
  if (beta !== 0) copyBlock(c, row * n + column, n, to.c, 0, columns, rows, columns)
}
