/** @file `polylaplace serve`: the protocol of docs/protocol.md on stdin and stdout. */
import { serveCommand } from '../protocol/main.js'
import type { Command } from './command.js'
import { packageVersion } from './package-files.js'

export const serve: Command = {
  name: 'serve',
  summary: 'the protocol on stdin and stdout, for clients',
  positionals: [],
  options: {},
  run: async () => {
    const version = await packageVersion()
    await serveCommand(process.argv.slice(3), { version, hash: `npm-${version}`, workerFile: new URL('../protocol/worker.js', import.meta.url) })
  },
}
