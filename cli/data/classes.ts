/** @file The names of the classes, in the order of the network's outputs. */
import { DataError } from '../../core/errors/errors.js'
import { type Likelihood } from '../../core/options/words.js'
import { type Arguments, UsageError } from '../arguments/arguments.js'
import type { OptionTable } from '../arguments/option-table.js'
import { isFile, readBytes } from '../files/files.js'
import { listed } from './table.js'

/** The option that names them. */
export const CLASSES_OPTION: OptionTable = {
  classes: { type: 'string', value: 'NAMES',
    help:
      "classes in the order of the network's outputs, separated by commas, or a file with one a line; else its own" },
}

/**
 * The classes that `--classes` names, or the network's own.
 * @throws UsageError for a likelihood without classes, names that are empty or stand twice
 */
export async function classNames(args: Arguments, likelihood: Likelihood,
  own: readonly string[] | undefined): Promise<readonly string[] | undefined> {
  const text = args.text('classes')
  const hasClasses = likelihood === 'classification' || likelihood === 'binary'
  if (text === undefined) return hasClasses ? own : undefined
  if (!hasClasses) throw new UsageError(`--classes: the likelihood ${likelihood} has no classes.`)
  const lines = await isFile(text)
    ? new TextDecoder().decode(await readBytes(text)).trimEnd().split(/\r?\n/)
    : undefined
  const names = (lines ?? text.split(',')).map(name => name.trim())
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (names.length < 2 || names.includes('') || twice !== undefined) {
    throw new UsageError(
      `--classes takes two names or more, each once, separated by commas, or a file with one a line; ` +
        (twice === undefined ? `got '${text}'.` : `'${twice}' stands twice.`),
    )
  }
  return names
}

/**
 * Refuses class names that are more or fewer than the network's outputs.
 * @param outputs the number of the network's outputs, where it is known
 * @param found whether the names are those that the data hold, sorted
 */
export function checkClasses(names: readonly string[], likelihood: Likelihood, outputs: number | undefined,
  found: boolean): void {
  const expected = likelihood === 'binary' ? 2 : outputs
  if (expected === undefined || names.length === expected) return
  throw new DataError('BAD_LABELS',
    `The network has ${expected} classes, and ${found ? 'the data hold' : 'there are'} ${names.length} names: ${
      listed(names)
    }. ` +
      (found
        ? 'Which name is which output is not known then: list all of them with --classes, in the order of the ' +
          "network's outputs."
        : 'List one for each output with --classes.'), { expected, actual: names.length })
}
