/** @file The answers of a CSV file as the likelihoods want them: text labels become numbers. */
import { DataError } from '../../core/errors/errors.js'
import { hasLogits } from '../../core/options/likelihood-kinds.js'
import type { Likelihood } from '../../core/options/words.js'
import { float64, type Tensor, tensor } from '../../core/tensor/tensor.js'
import { WARNING } from '../../core/tuning/contradictions.js'
import { listed, type TargetColumn } from './table.js'

/** What text labels stood for when the posterior was fitted. */
export type KnownLabels = readonly string[] | 'none'

/** Answers, and what the text labels mean: label i stands for the number i. */
export interface Targets {
  readonly y: Tensor
  readonly labels?: readonly string[]
}

/**
 * The targets of a table.
 * Text labels of one column stand for their index in the sorted list of distinct ones; numbers stay as they are.
 * @param known labels that an earlier file gave numbers; undefined to number them here, 'none' where there was no text
 * @throws DataError BAD_LABELS
 */
export function targetsOf(columns: readonly TargetColumn[], likelihood: Likelihood, known?: KnownLabels): Targets {
  const rows = columns[0].cells.length
  if (columns.length > 1) {
    if (likelihood === 'classification') {
      throw new DataError('BAD_LABELS',
        `classification has one target column; got ${columns.length}: ${
          columns.map(column => column.name).join(', ')
        }. A label for each of several positions is given by arrays: --data X.npy --target Y.npy, examples x `
          + 'positions, -100 for a label that is left out.')
    }
    const values = columns.map(column => column.cells.map((cell, row) => numberOf(cell, column.name, row)))
    return {
      y: float64([rows, columns.length], Array.from({ length: rows * columns.length }, (_, i) =>
        values[i % columns.length][Math.floor(i / columns.length)])),
    }
  }
  const [{ name, cells }] = columns
  const text = cells.some(cell => cell === '' || Number.isNaN(Number(cell)))
  const byName = known !== undefined && known !== 'none' && cells.some(cell => known.includes(cell))
  if (byName || (text && hasLogits(likelihood))) return textTargets(name, cells, likelihood, known)
  const values = cells.map((cell, row) => numberOf(cell, name, row))
  return { y: values.every(Number.isInteger) ? tensor('int64', [rows], values) : float64([rows], values) }
}

function numberOf(cell: string, column: string, row: number): number {
  const value = cell === '' ? NaN : Number(cell)
  if (!Number.isNaN(value)) return value
  throw new DataError('BAD_LABELS',
    `Target column '${column}', row ${row + 1}: expected a number and found ${
      cell === '' ? 'an empty cell' : `'${cell.slice(0, 40)}'`
    }.`, { column, row })
}

/** More distinct labels than this are a column of names, not of classes. */
const MOST_LABELS = 10_000

function textTargets(column: string, cells: readonly string[], likelihood: Likelihood,
  known: KnownLabels | undefined): Targets {
  const empty = cells.indexOf('')
  if (empty !== -1) {
    throw new DataError('BAD_LABELS',
      `Target column '${column}', row ${empty + 1}: the label is missing. Remove such rows.`, { column, row: empty })
  }
  if (known === 'none') {
    throw new DataError('BAD_LABELS',
      `Target column '${column}' holds text ('${
        cells[0].slice(0, 40)
      }'), and the posterior was fitted to numbers: it ` +
        'is not known which label is which. Code it by the same numbers, or fit with --classes, which names them.', {
      column,
    })
  }
  const labels = known ?? [...new Set(cells)].sort()
  if (labels.length > MOST_LABELS) {
    throw new DataError('BAD_LABELS',
      `Target column '${column}' has ${labels.length} distinct texts; classes are expected.`, { column })
  }
  if (likelihood !== 'classification' && labels.length !== 2) {
    throw new DataError('BAD_LABELS',
      `The likelihood ${likelihood} needs 0 and 1, or two distinct texts; column '${column}' has ${labels.length}: ${
        labels.slice(0, 8).join(', ')
      }.`, { column })
  }
  const numbers = new Map(labels.map((label, i) => [label, i]))
  const values = cells.map((cell, row) => {
    const number = numbers.get(cell)
    if (number === undefined) {
      throw new DataError('BAD_LABELS',
        `Target column '${column}', row ${row + 1}: the label '${cell.slice(0, 40)}' is none of ${
          labels.slice(0, 20).join(', ')
        }.`, { column, row })
    }
    return number
  })
  return { y: tensor('int64', [cells.length], values), labels }
}

/**
 * Refuses texts that were numbered in sorted order where the rows contradict it: the order is a guess.
 * @param notes those of the fit to them
 * @throws DataError
 */
export function checkSorted(labels: readonly string[], notes: readonly string[]): void {
  const warning = notes.find(note => note.startsWith(WARNING))
  if (warning === undefined) return
  throw new DataError('BAD_LABELS',
    `Which class is which output is not known: the network's file does not name its classes, and in sorted order ` +
      `(${listed(labels)}) rows and network contradict each other. ${warning} Name the classes with ` +
      "--classes, in the order of the network's outputs, be it this one.", { labels })
}

/** What is said of texts that were numbered in sorted order. */
export const SORTED_NOTE =
  "The classes are numbered in sorted order: neither the network's file nor --classes names them."
