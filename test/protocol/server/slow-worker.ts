/**
 * A compute thread whose methods take as long, print as much and fail as the request says: it stands in for the real
 * one in tests of the server, which must hold whatever the methods do.
 */
import { execFileSync } from 'node:child_process'
import { writeSync } from 'node:fs'
import { parentPort, workerData } from 'node:worker_threads'
import { throwIfCancelled } from '../../../core/budget/progress.js'
import { own } from '../../../protocol/frames/decoded-map.js'
import { mapParameter, optionalNumber } from '../../../protocol/messages/parameters.js'
import type { MethodSet } from '../../../protocol/methods/method-set.js'
import { serveThread } from '../../../protocol/worker/serve-thread.js'
import type { ToWorker, WorkerSetup } from '../../../protocol/worker/worker-messages.js'

const methods: MethodSet = {
  run: async (method, params, { creates, signal, onProgress }) => {
    const options = mapParameter(params, 'options')
    const started = performance.timeOrigin + performance.now()
    const until = performance.now() + (optionalNumber(options, 'ms') ?? 0)
    for (let done = 0; performance.now() < until; done++) {
      if (own(options, 'deaf') !== true) throwIfCancelled(signal)
      onProgress?.({ stage: 'fit', done, total: 0, message: '' })
    }
    if (own(options, 'print') === true) {
      console.log('printed by console.log')
      process.stdout.write('printed by process.stdout\n')
      if (own(options, 'descriptor') === true) writeSync(1, 'written to descriptor 1\n')
    }
    if (own(options, 'fill') === true) {
      for (const hold: number[][] = [];;) hold.push(Array.from({ length: 100_000 }, Math.random))
    }
    // A library of machine code, which nothing can end.
    if (own(options, 'native') === true) execFileSync('sleep', ['60'])
    if (own(options, 'die') === true) process.exit(3)
    const data = new Uint8Array(optionalNumber(options, 'bytes') ?? 0)
    return { method, ...(creates === undefined ? {} : { handle: creates }), data, started,
      ended: performance.timeOrigin + performance.now() }
  },
  free: () => undefined,
}

if (parentPort !== null) {
  const port = parentPort
  const serve = serveThread(workerData as WorkerSetup, methods, (message, transfer) => {
    port.postMessage(message, [...transfer])
  })
  port.on('message', (message: ToWorker) => {
    void serve(message)
  })
}
