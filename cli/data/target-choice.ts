/** @file Which columns of a table are the answers: those that were named, or the one that is clear. */
import type { InputSummary } from '../../core/answer/posterior-summary.js'
import { columnsOfInput } from '../../core/network/match-inputs.js'
import type { Likelihood } from '../../core/options/words.js'
import { UsageError } from '../arguments/arguments.js'
import { type Column, listed, namedColumns, type Table, toNumber } from './table.js'

/** What tells a target. */
export interface TargetClues {
  readonly likelihood: Likelihood
  /** The network's inputs, with the names of their columns where they have any. */
  readonly inputs: readonly Pick<InputSummary, 'name' | 'columns' | 'shape'>[]
  /** Columns that are something else. */
  readonly others: readonly string[]
  /** What to do where it is not clear; naming the column by default. */
  readonly advice?: string
}

/** Names that answers usually have, in lower case. */
const USUAL_NAMES: readonly string[] = ['y', 'target', 'targets', 'label', 'labels', 'class', 'classes', 'answer',
  'answers', 'response', 'outcome']

/**
 * The places of the answers' columns.
 * @throws UsageError with the columns, where none was named and it is not clear which is meant; DataError
 */
export function targetColumns(table: Table, wanted: string | undefined, clues: TargetClues): readonly number[] {
  const names = table.columns.map(({ name }) => name)
  if (wanted !== undefined) return namedColumns(names, wanted)
  const places = names.flatMap((name, i) => (clues.others.includes(name) ? [] : [i]))
  const found = clearTarget(table, places, clues)
  if (found !== undefined) return [found]
  throw new UsageError(
    `It is not clear which column holds the answers; the columns are ${listed(names)}. ${
      clues.advice ?? 'Name it with --target NAME; --target last is the last one.'
    }`,
  )
}

/** The one column of a table that the network does not take, where it knows its columns by name and all are there. */
export function spareColumn({ columns }: Table, inputs: readonly InputSummary[]): number | undefined {
  const { named, left } = columnsLeft(columns, columns.map((_, i) => i), inputs)
  return named && left.length === 1 ? left[0] : undefined
}

/** The places that are none of the network's columns, where all of these are there by name; otherwise all places. */
function columnsLeft(columns: readonly Column[], places: readonly number[],
  inputs: TargetClues['inputs']): { named: boolean, left: readonly number[] } {
  const names = columns.map(({ name }) => name)
  const taken = inputs.map(input => placesOf(names, input))
  const named = taken.every(each => each !== undefined)
  return { named, left: named ? places.filter(place => !taken.some(each => each?.includes(place))) : places }
}

/** The places of all columns of an input, by their own names or by the input's; undefined where some are missing. */
function placesOf(names: readonly string[], { name, columns, shape }: TargetClues['inputs'][number]):
  | readonly number[]
  | undefined {
  const places = columns?.map(column => names.indexOf(column)) ?? columnsOfInput(names, name)
  const width = columns?.length ?? shape.slice(1).reduce((a, b) => a * b, 1)
  return places.length === width && !places.includes(-1) ? places : undefined
}

/** The only column that the network does not take, that has a usual name, or that alone can hold classes. */
function clearTarget({ columns }: Table, places: readonly number[], { likelihood, inputs }: TargetClues):
  | number
  | undefined {
  const { named, left } = columnsLeft(columns, places, inputs)
  if (named && left.length === 1) return left[0]
  const classes = likelihood === 'classification' || likelihood === 'binary'
  const ways: ((column: Column) => boolean)[] = [({ name }) => USUAL_NAMES.includes(name.toLowerCase()),
    ...(classes ? [isText, isWhole] : [])]
  // What the strongest clue finds more than once is not clear.
  const found = ways.map(way => left.filter(place => way(columns[place]))).find(matches => matches.length > 0)
  return found?.length === 1 ? found[0] : undefined
}

function isText({ cells }: Column): boolean {
  return Array.from(cells).some(cell =>
    typeof cell === 'boolean' || (typeof cell === 'string' && cell !== '' && Number.isNaN(toNumber(cell)))
  )
}

function isWhole({ cells }: Column): boolean {
  return Array.from(cells).every(cell => Number.isInteger(toNumber(cell)))
}
