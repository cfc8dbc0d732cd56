/** @file The module of the thread that computes parts of products; it sleeps until there is one. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { multiplyPart } from '../../core/kernels/product.js'
import { DONE, FAILED, matricesOf, READY, SENT, type SharedMemory, type SharedProduct } from './product-messages.js'

const { cells, numbers } = workerData as SharedMemory
const port = parentPort
Atomics.store(cells, READY, 1)

for (let served = 0; port !== null; served++) {
  Atomics.wait(cells, SENT, served)
  const part = receiveMessageOnPort(port)?.message as SharedProduct | undefined
  try {
    if (part === undefined) throw new Error('A part of a product was announced and did not come.')
    const { m, n, k } = part
    multiplyPart({ ...part, ...matricesOf(numbers, part) }, { row: 0, rows: m, column: 0, columns: n, from: 0,
      depth: k })
  } catch {
    Atomics.store(cells, FAILED, 1)
  }
  Atomics.store(cells, DONE, served + 1)
  Atomics.notify(cells, DONE)
}
