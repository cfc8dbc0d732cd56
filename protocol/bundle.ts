/** @file The program inside of the Python and R packages: the server and nothing else. */
import { messageOf, serveCommand } from './main.js'
import { workerFile } from './worker/worker-file.js'

// Written in by scripts/build-clients.mjs.
declare const POLYLAPLACE_VERSION: string
declare const POLYLAPLACE_BUILD: string

const [command, ...rest] = process.argv.slice(2)

async function run(): Promise<void> {
  switch (command) {
    case '--version':
      process.stdout.write(`${POLYLAPLACE_VERSION}\n`)
      return
    case '--selftest': {
      const { selfTest } = await import(workerFile.href) as typeof import('./worker/worker.js')
      process.stdout.write(`${await selfTest()}\n`)
      return
    }
    case 'serve':
      await serveCommand(rest, { version: POLYLAPLACE_VERSION, hash: POLYLAPLACE_BUILD, workerFile })
      return
    default:
      process.stderr.write('Usage: node polylaplace.mjs serve [options] | --version | --selftest\n')
      process.exitCode = 2
  }
}

run().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`)
  process.exit(1)
})
