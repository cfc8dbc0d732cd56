/** @file Weights of classes: every row counts as often as the weight of its class says. */
import { DataError, OptionError } from '../errors/errors.js'
import type { ClassWeight } from '../options/class-weight.js'

/**
 * Weights of rows with those of their classes.
 * @param labels one a row, class numbers
 * @param weights of the rows themselves
 * @throws OptionError BAD_OPTION unless there is one weight a class, BAD_COMBINATION for 'balanced' where the rows are
 * not all known; DataError EMPTY_DATA where no row counts
 */
export function withClassWeight(classWeight: ClassWeight | undefined, labels: Float64Array, outputs: number,
  weights: Float64Array | undefined): Float64Array | undefined {
  if (classWeight === undefined) return weights
  if (classWeight === 'balanced') {
    throw new OptionError('BAD_COMBINATION',
      "Option classWeight 'balanced' counts the classes of all rows, which come in parts here: give one number each.", {
      option: 'classWeight',
    })
  }
  const classes = Math.max(2, outputs)
  if (classWeight.length !== classes) {
    throw new OptionError('BAD_OPTION',
      `Option classWeight takes one number for each of the ${classes} classes; got ${classWeight.length}.`, {
      option: 'classWeight',
      value: classWeight.length,
      allowed: [classes],
    })
  }
  return labels.map((label, n) => classWeight[label] * (weights?.[n] ?? 1))
}

/**
 * Weights that make every class count the same: N / (K N_c), with K the number of classes that have rows (King and Zeng
 * 2001); classes without rows have 1.
 * @param labels class numbers
 */
export function balancedWeights(labels: ArrayLike<number>, classes: number): Float64Array {
  const counts = new Float64Array(classes)
  for (let n = 0; n < labels.length; n++) {
    const label = labels[n]
    if (Number.isInteger(label) && label >= 0 && label < classes) counts[label]++
  }
  const there = counts.reduce((sum, count) => sum + Number(count > 0), 0)
  return counts.map(count => (count === 0 ? 1 : labels.length / (there * count)))
}

/** @throws DataError for examples of several positions, each with a class of its own */
export function checkOneClass(classWeight: ClassWeight | undefined, terms: number): void {
  if (classWeight === undefined || terms === 1) return
  throw new DataError('BAD_LABELS',
    'Weights of classes (classWeight) are for networks with one answer an example; this one answers at several '
      + 'positions. Let one position answer (option positions), or give the rows weights (sampleWeight).', {
    option: 'classWeight',
  })
}
