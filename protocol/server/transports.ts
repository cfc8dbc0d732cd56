/** @file The streams between client and server: stdin and stdout, a named pipe, a port of this machine. */
import { createServer } from 'node:net'
import type { Writable } from 'node:stream'
import { type Input, stdinInput, streamInput } from './input.js'
import { CONNECT_MS } from './limits.js'
import { openFifo, takeStdout } from './output.js'

/** How a client reaches its server. */
export type Transport = 'stdio' | 'tcp-loopback' | 'fifo'

/**
 * The streams of requests and answers.
 * @param output the named pipe for the answers of `fifo`
 * @throws Error when no client connects to the port
 */
export async function connect(transport: Transport, output: string | undefined): Promise<[Input, Writable]> {
  switch (transport) {
    case 'stdio':
      return [stdinInput(), takeStdout()]
    case 'fifo':
      takeStdout()
      return [stdinInput(), openFifo(output ?? '')]
    case 'tcp-loopback':
      return loopback()
  }
}

/** Listens on a free port of 127.0.0.1, says which on stdout, and takes one connection. */
function loopback(): Promise<[Input, Writable]> {
  return new Promise((resolve, reject) => {
    const listener = createServer({ noDelay: true, allowHalfOpen: true }, socket => {
      clearTimeout(patience)
      listener.close()
      resolve([streamInput(socket), socket])
    })
    const patience = setTimeout(() => {
      reject(new Error(`No client connected within ${CONNECT_MS / 1000} s.`))
    }, CONNECT_MS)
    listener.on('error', reject)
    // The address is written out: without it the port would be open to the whole network.
    listener.listen(0, '127.0.0.1', 1, () => {
      const address = listener.address()
      if (address === null || typeof address === 'string') {
        reject(new Error('No port.'))
        return
      }
      const out = takeStdout()
      out.write(`${address.port}\n`)
    })
  })
}
