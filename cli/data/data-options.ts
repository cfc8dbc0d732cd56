/** @file The options that say which part of a data file is meant, and rows with their answers. */
import { oneOf } from '../../core/errors/suggest.js'
import type { Examples } from '../../core/tensor/examples.js'
import { type Arguments, UsageError } from '../arguments/arguments.js'
import type { OptionTable } from '../arguments/option-table.js'
import { type DataExamples, type DataSelection, readExamples } from './data-file.js'
import { CHANNELS, type PixelOptions } from './images.js'
import type { KnownLabels } from './targets.js'

/** The files that examples are read from, for the help. */
export const DATA_FORMATS = 'CSV, Parquet, Arrow, .npy, .npz, safetensors, or a folder of images'

/** How the files of rows are read. */
export const READING_OPTIONS: OptionTable = {
  header: { type: 'string', value: 'WORD',
    help: 'CSV: whether the first row has the names of the columns, yes | no; by default what it looks like' },
  pixels: { type: 'string', value: 'RANGE', help: 'images: black to white as numbers, 0-1 | 0-255' },
  'pixel-mean': { type: 'string', value: 'NUMBERS',
    help: 'images: subtracted after that, as in training; one number, or one a channel' },
  'pixel-std': { type: 'string', value: 'NUMBERS', help: 'images: what they are then divided by' },
  channels: { type: 'string', value: 'NAME',
    help: `colour images for a network of flat rows: ${CHANNELS.join(' | ')} in a row` },
}

/** Where the answers and the inputs are in a data file. */
export const ANSWERED_DATA_OPTIONS: OptionTable = {
  target: { type: 'string', value: 'NAME', help: 'column (or array) of the answers; needed where it is not clear' },
  inputs: { type: 'string', value: 'NAMES',
    help: "arrays of the inputs, in files of several arrays; by default those of the network's inputs, or x" },
  ...READING_OPTIONS,
}

/** How files are read, as the options say. @throws UsageError, OptionError */
export function readingOptions(args: Arguments): Required<Pick<DataSelection, 'header' | 'pixels'>> {
  const header = args.text('header')
  return { header: header === undefined ? undefined : oneOf('header', header, ['yes', 'no']) === 'yes',
    pixels: pixelOptions(args) }
}

function pixelOptions(args: Arguments): PixelOptions {
  const [pixels, channels] = [args.text('pixels'), args.text('channels')]
  const deviation = args.numbers('pixel-std')
  if (deviation?.some(value => value <= 0) === true) throw new UsageError('--pixel-std must be positive.')
  return {
    white: pixels === undefined ? undefined : oneOf('pixels', pixels, ['0-1', '0-255']) === '0-1' ? 1 : 255,
    mean: args.numbers('pixel-mean'),
    deviation,
    channels: channels === undefined ? undefined : oneOf('channels', channels, CHANNELS),
  }
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
    (await readExamples(file, { likelihood, inputs, target: undefined, arrays: args.text('inputs'), answered: false,
      ...readingOptions(args) }))
      .x
}

/** Examples with answers. @throws UsageError when the file has none; as readExamples */
export async function readAnswered(path: string, args: Arguments, { likelihood, inputs }: DataPurpose,
  labels?: KnownLabels, weights?: string): Promise<AnsweredExamples> {
  const examples = await readExamples(path, { likelihood, inputs, target: args.text('target'),
    arrays: args.text('inputs'), answered: true, labels, weights, ...readingOptions(args) })
  if (examples.y === undefined) throw new UsageError(`${path} has no answers; name them with --target.`)
  return { ...examples, y: examples.y }
}
