/** @file The options that say which part of a data file is meant, and rows with their answers. */
import type { Examples } from '../../core/tensor/examples.js'
import { type Arguments, UsageError } from '../arguments/arguments.js'
import type { OptionTable } from '../arguments/option-table.js'
import { type DataExamples, type DataSelection, readExamples } from './data-file.js'
import type { KnownLabels } from './targets.js'

/** Where the answers and the inputs are in a data file. */
export const ANSWERED_DATA_OPTIONS: OptionTable = {
  target: { type: 'string', value: 'NAME', help: 'column (or array) of the answers; by default the last column, or y' },
  inputs: { type: 'string', value: 'NAMES',
    help: "arrays of the inputs, in files of several arrays; by default those of the network's inputs, or x" },
}

/** Examples that have answers. */
export type AnsweredExamples = DataExamples & Required<Pick<DataExamples, 'y'>>

/** What examples are read for; a posterior is one. */
export type DataPurpose = Pick<DataSelection, 'likelihood' | 'inputs'>

/** Rows that are no data, of the file that `--outliers` names, where it does. */
export async function readOutliers(args: Arguments,
  { likelihood, inputs }: DataPurpose): Promise<Examples | undefined> {
  const file = args.text('outliers')
  return file === undefined ?
    undefined :
    (await readExamples(file, { likelihood, inputs, target: undefined, arrays: args.text('inputs'), answered: false }))
      .x
}

/** Examples with answers. @throws UsageError when the file has none; as readExamples */
export async function readAnswered(path: string, args: Arguments, { likelihood, inputs }: DataPurpose,
  labels?: KnownLabels, weights?: string): Promise<AnsweredExamples> {
  const examples = await readExamples(path, { likelihood, inputs, target: args.text('target'),
    arrays: args.text('inputs'), answered: true, labels, weights })
  if (examples.y === undefined) throw new UsageError(`${path} has no answers; name them with --target.`)
  return { ...examples, y: examples.y }
}
