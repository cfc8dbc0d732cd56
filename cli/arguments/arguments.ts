/** @file The command line's arguments, checked, with the nearest right word when one is wrong. */
import { parseArgs } from 'node:util'
import { nearestWord } from '../../core/errors/suggest.js'
import type { OptionTable } from './option-table.js'

/** A wrong use of the command line: printed without a stack, exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** What a command was given. */
export interface Arguments {
  /** What stands without a flag, as many as the command wants. */
  readonly positionals: readonly string[]
  /** The text of an option, or undefined. */
  text(name: string): string | undefined
  /** Whether a flag is set. */
  flag(name: string): boolean
  /** A number of an option, or undefined. @throws UsageError when it is no number */
  number(name: string): number | undefined
  /** Numbers of an option, separated by commas, or undefined. @throws UsageError when one is no number */
  numbers(name: string): readonly number[] | undefined
  /** Refuses options that nothing would use. @throws UsageError with what the option is for */
  refuse(table: OptionTable, purpose: string): void
  /** The text of an option that must be given. @throws UsageError */
  required(name: string): string
}

/**
 * Reads a command's arguments.
 * @throws UsageError for unknown or incomplete options and a wrong number of positionals
 */
export function readArguments(command: string, argv: readonly string[], options: OptionTable,
  positionals: readonly string[]): Arguments {
  const values = parse(command, argv, options)
  if (values.positionals.length > positionals.length) {
    throw new UsageError(`${command}: unexpected argument '${values.positionals[positionals.length]}'.`)
  }
  if (values.positionals.length < positionals.length) {
    throw new UsageError(
      `${command} needs ${positionals.slice(values.positionals.length).join(' ')}. See polylaplace --help.`,
    )
  }
  const text = (name: string): string | undefined => {
    const value = values.values[name]
    return typeof value === 'string' ? value : undefined
  }
  return {
    positionals: values.positionals,
    text,
    numbers: name => text(name)?.split(',').map(part => numberFrom(name, part)),
    flag: name => values.values[name] === true,
    number: name => {
      const value = text(name)
      return value === undefined ? undefined : numberFrom(name, value)
    },
    refuse: (table, purpose) => {
      // A command may have an option of its own by the same name.
      const unused = Object.keys(table).find(name => options[name] === table[name] && values.values[name] !== undefined)
      if (unused === undefined) return
      throw new UsageError(`--${unused} ${purpose}; without it nothing would use --${unused}.`)
    },
    required: name => {
      const value = text(name)
      if (value === undefined) {
        throw new UsageError(`${command} needs --${name} ${options[name].value ?? ''}`.trimEnd() + '.')
      }
      return value
    },
  }
}

function numberFrom(name: string, value: string): number {
  // Number('') is 0.
  if (value.trim() === '' || !Number.isFinite(Number(value))) {
    throw new UsageError(`--${name} must be a number; got '${value}'.`)
  }
  return Number(value)
}

function parse(command: string, argv: readonly string[],
  options: OptionTable): { values: Record<string, string | boolean | undefined>, positionals: string[] } {
  const known = Object.keys(options)
  for (const argument of argv) {
    const name = /^--([^=]+)/.exec(argument)?.[1]
    if (name === undefined || known.includes(name)) continue
    const suggestion = nearestWord(name, known)
    throw new UsageError(
      `${command} has no option --${name}.` + (suggestion === undefined ? '' : ` Did you mean --${suggestion}?`) +
        ` Its options: ${known.map(option => `--${option}`).join(', ')}.`,
    )
  }
  try {
    const parsed = parseArgs({ args: [...argv],
      options: Object.fromEntries(known.map(name => [name, { type: options[name].type }])), allowPositionals: true,
      tokens: true })
    const names = parsed.tokens.flatMap(token => token.kind === 'option' ? [token.name] : [])
    const twice = names.find((name, i) => names.indexOf(name) < i)
    if (twice !== undefined) throw new UsageError(`--${twice} is given twice: which one is meant?`)
    return { values: parsed.values as Record<string, string | boolean | undefined>, positionals: parsed.positionals }
  } catch (error) {
    if (error instanceof UsageError) throw error
    throw new UsageError(`${command}: ${error instanceof Error ? error.message : String(error)}`)
  }
}
