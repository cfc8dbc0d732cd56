/** @file The module of a compute thread. */
import { parentPort, workerData } from 'node:worker_threads'
import { createMethods } from '../methods/create-methods.js'
import { serveThread } from './serve-thread.js'
import type { ToWorker, WorkerSetup } from './worker-messages.js'

if (parentPort !== null) {
  const port = parentPort
  const setup = workerData as WorkerSetup
  const serve = serveThread(setup, createMethods(setup), (message, transfer) => {
    port.postMessage(message, [...transfer])
  })
  port.on('message', (message: ToWorker) => {
    void serve(message)
  })
}

/** Tries what the server needs; loaded only when it is asked for. @returns a sentence that says what was tried */
export async function selfTest(): Promise<string> {
  const { selfTest: run } = await import('./selftest.js')
  return run()
}
