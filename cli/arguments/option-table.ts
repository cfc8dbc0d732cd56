/** @file Tables of a command's options, and what they look like in the help. */

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

/** The options of a command as lines of help. */
export function optionHelp(options: OptionTable): string {
  const heads = Object.entries(options).map(([name, { value }]) => `--${name}${value === undefined ? '' : ` ${value}`}`)
  const width = Math.max(0, ...heads.map(head => head.length))
  return Object.values(options).map(({ help }, i) => `    ${heads[i].padEnd(width)}  ${help}`).join('\n')
}
