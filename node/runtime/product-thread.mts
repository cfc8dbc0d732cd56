/** @file The module of the thread that computes parts of products; it sleeps until there is one. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { gemm } from '../../core/kernels/product.js'
import { DONE, FAILED, matricesOf, READY, SENT, type SharedProduct } from './product-messages.js'

const cells = workerData as Int32Array<SharedArrayBuffer>
const port = parentPort
Atomics.store(cells, READY, 1)

for (let served = 0; port !== null; served++) {
  Atomics.wait(cells, SENT, served)
  const part = receiveMessageOnPort(port)?.message as SharedProduct | undefined
  try {
    if (part === undefined) throw new Error('A part of a product was announced and did not come.')
    const { transA, transB, m, n, k, alpha, beta } = part
    const { a, b, c } = matricesOf(part)
    gemm(transA, transB, m, n, k, alpha, a, b, beta, c)
  } catch {
    Atomics.store(cells, FAILED, 1)
  }
  Atomics.store(cells, DONE, served + 1)
  Atomics.notify(cells, DONE)
}
