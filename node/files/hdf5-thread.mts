/** @file The module of a thread that reads one HDF5 file. */
import { parentPort, workerData } from 'node:worker_threads'
import { answerInThread } from '../../adapters/hdf5/thread.js'

const port = parentPort
if (port !== null) {
  await answerInThread(workerData as Uint8Array, (message, transfer) => {
    port.postMessage(message, transfer)
  })
}
