/** @file What a command of the command line is. */
import type { Arguments } from '../arguments/arguments.js'
import type { OptionTable } from '../arguments/option-table.js'
import type { Terminal } from '../output/terminal.js'

/** A command: how it is used, its options, and what it does. It fails by throwing. */
export interface Command {
  readonly name: string
  /** What `--help` says in one line. */
  readonly summary: string
  /** Names of the arguments that must be given, in capitals. */
  readonly positionals: readonly string[]
  readonly options: OptionTable
  readonly run: (args: Arguments, terminal: Terminal) => Promise<void>
}
