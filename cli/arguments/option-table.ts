/** @file Tables of a command's options, and what they look like in the help. */

import { wrap } from '../output/table.js'

/** One option of a command. */
export interface OptionSpec {
  readonly type: 'string' | 'boolean'
  /** What stands for the value in the help, for example `FILE`. */
  readonly value?: string
  readonly help: string
  /** Whether the command cannot do without it. */
  readonly required?: boolean
}

/** The options of a command, by the names of their flags. */
export type OptionTable = Readonly<Record<string, OptionSpec>>

/** The options of a command as lines of help, broken at a terminal's width. */
export function optionHelp(options: OptionTable, columns: number): string {
  const heads = Object.entries(options).map(([name, { value }]) => `--${name}${value === undefined ? '' : ` ${value}`}`)
  const width = Math.max(0, ...heads.map(head => head.length))
  return Object.values(options).flatMap(({ help }, i) =>
    wrap(help, Math.max(30, columns - width - 6)).map((line, j) =>
      `    ${(j === 0 ? heads[i] : '').padEnd(width)}  ${line}`
    )
  ).join('\n')
}
