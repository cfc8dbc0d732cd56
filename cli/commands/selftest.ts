/** @file `polylaplace selftest`: whether this installation works. */
import { selfTest } from '../../protocol/worker/worker.js'
import type { Command } from './command.js'

/** The command `selftest`. */
export const selftest: Command = {
  name: 'selftest',
  summary: 'whether this installation works',
  positionals: [],
  options: {},
  run: async (_args, terminal) => {
    terminal.write(`${await selfTest()}\n`)
  },
}
