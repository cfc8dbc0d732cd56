/** @file Held-out rows beside the rows of the fit: those that are among them, and classes that these lack. */
import type { Likelihood } from '../options/words.js'
import type { Batch } from '../tensor/batch.js'
import { arraysOf, exampleCount } from '../tensor/examples.js'
import type { Tensor } from '../tensor/tensor.js'
import { FAR_SURER } from '../tuning/explain.js'

/** From this share on, rows that are given twice are more than coincidence. */
const NOTABLE_SHARE = 0.1

/** Watches the rows of a fit as they come. */
export interface SeenRows {
  watch(batch: Batch): void
  /** What is to be said of the held-out rows. */
  notes(heldOut: Batch): string[]
}

/**
 * @param given held-out rows that were given and not drawn from the rows of the fit
 */
export function seenRows(likelihood: Likelihood, given: Batch | undefined): SeenRows {
  const wanted = new Map<number, number[]>()
  const found = new Set<number>()
  const classes = new Set<number>()
  if (given !== undefined) {
    for (let row = 0; row < exampleCount(given.x); row++) {
      const hash = hashOf(given, row)
      wanted.set(hash, [...wanted.get(hash) ?? [], row])
    }
  }
  return {
    watch(batch) {
      if (likelihood === 'classification') { for (const label of classesOf(batch)) classes.add(label) }
      if (given === undefined) return
      for (let row = 0; row < exampleCount(batch.x); row++) {
        for (const candidate of wanted.get(hashOf(batch, row)) ?? []) {
          if (sameRow(given, candidate, batch, row)) found.add(candidate)
        }
      }
    },
    notes: heldOut => [...seenNotes(found.size, exampleCount(heldOut.x)), ...(likelihood === 'classification'
      ? classNotes(classes, heldOut)
      : [])],
  }
}

/**
 * Which rows a share holds out is chance: a network that has learnt the rows of the fit by heart has seen those too.
 * @param r that of the choice
 */
export function shareNotes(validation: unknown, r: number | undefined): string[] {
  if (typeof validation !== 'number' || r === undefined || r >= FAR_SURER) return []
  return [`The held-out rows (validation: ${validation}) are a share of rows that the network seems to have learnt by `
    + `heart (r = ${r.toPrecision(3)}). If it was trained on them, it has seen the held-out rows too, and they make it `
    + 'look better than it is: give rows that it has not seen, or leave validation out.']
}

function seenNotes(seen: number, rows: number): string[] {
  if (seen < Math.max(1, NOTABLE_SHARE * rows)) return []
  const which = seen === rows ? `All ${rows} held-out rows` : `${seen} of the ${rows} held-out rows`
  return [`${which} (validation) are also rows of the fit, with the same labels. Rows that network and linear model `
    + 'have seen make them look better than they are: give rows that neither has seen, or leave validation out.']
}

/** Labels that name a class: a negative one leaves its position out. */
function classesOf({ y }: Batch): number[] {
  return Array.from(y.data, Number).filter(label => label >= 0)
}

function classNotes(classes: ReadonlySet<number>, heldOut: Batch): string[] {
  const labels = classesOf(heldOut)
  const missing = [...new Set(labels)].filter(label => !classes.has(label)).sort((a, b) => a - b)
  if (missing.length === 0) return []
  const rows = labels.filter(label => missing.includes(label)).length
  const [what, them] = missing.length === 1 ? ['a class', 'it'] : ['classes', 'them']
  return [
    `${rows} of the held-out labels (validation) name ${what} that no row of the fit has: ${
      missing.join(', ')
    } (counted from 0). The posterior knows nothing of ${them}. Are the labels coded as in training?`,
  ]
}

/** Numbers in float32, so that rows agree whatever they are stored in. */
function hashOf({ x, y }: Batch, row: number): number {
  let hash = 0
  for (const { data, shape } of [...arraysOf(x).map(({ values }) => values), y]) {
    const width = data.length / shape[0]
    for (let i = row * width; i < (row + 1) * width; i++) {
      scratch[0] = Number(data[i])
      hash = Math.imul(hash ^ bits[0], 0x01000193)
      hash ^= hash >>> 15
    }
  }
  return hash
}

const scratch = new Float32Array(1)
const bits = new Int32Array(scratch.buffer)

function sameRow(one: Batch, i: number, other: Batch, j: number): boolean {
  const [a, b] = [arraysOf(one.x), arraysOf(other.x)]
  return sameNumbers(one.y, i, other.y, j) && a.length === b.length
    && a.every(({ values }, k) => sameNumbers(values, i, b[k].values, j))
}

function sameNumbers(one: Tensor, i: number, other: Tensor, j: number): boolean {
  const width = one.data.length / one.shape[0]
  if (other.data.length / other.shape[0] !== width) return false
  for (let k = 0; k < width; k++) {
    if (Math.fround(Number(one.data[i * width + k])) !== Math.fround(Number(other.data[j * width + k]))) return false
  }
  return true
}
