/** @file Every operator that is supported, by name. */
import { GraphError } from '../errors/errors.js'
import { bitwiseOperators } from './bitwise.js'
import { convolutionOperators } from './convolution.js'
import { determinantOperators } from './determinant.js'
import { einsumOperators } from './einsum.js'
import { binaryOperators } from './elementwise-binary.js'
import { unaryOperators } from './elementwise-unary.js'
import { fillingOperators } from './filling.js'
import { gatheringOperators } from './gathering.js'
import { joiningOperators } from './joining.js'
import { linearOperators } from './linear.js'
import { normalisationOperators } from './normalisation.js'
import type { Operator } from './operator.js'
import { paddingOperators } from './padding.js'
import { poolingOperators } from './pooling.js'
import { rearrangingOperators } from './rearranging.js'
import { recurrenceOperators } from './recurrence.js'
import { reductionOperators } from './reduction.js'
import { resizingOperators } from './resizing.js'
import { scanningOperators } from './scanning.js'
import { scatterRows } from './scatter-rows.js'
import { scatteringOperators } from './scattering.js'
import { shapeOperators } from './shape-manipulation.js'
import { slicingOperators } from './slicing.js'
import { softmaxOperators } from './softmax.js'
import { sortingOperators } from './sorting.js'

const families: readonly (readonly Operator[])[] = [
  unaryOperators,
  binaryOperators,
  linearOperators,
  einsumOperators,
  shapeOperators,
  reductionOperators,
  softmaxOperators,
  normalisationOperators,
  joiningOperators,
  slicingOperators,
  gatheringOperators,
  paddingOperators,
  convolutionOperators,
  poolingOperators,
  rearrangingOperators,
  resizingOperators,
  recurrenceOperators,
  scanningOperators,
  fillingOperators,
  sortingOperators,
  scatteringOperators,
  bitwiseOperators,
  determinantOperators,
  [scatterRows],
]

const operators = new Map(families.flat().map(operator => [operator.op, operator] as const))

/** Operators of our own, which no file may ask for. */
const INTERNAL: ReadonlySet<string> = new Set(['ScatterRows', 'Unfold'])

/** The names of the supported operators of ONNX, sorted. */
export function supportedOperators(): string[] {
  return [...operators.keys()].filter(op => !INTERNAL.has(op)).sort()
}

/** Whether an operator can be run. */
export function isSupported(op: string): boolean {
  return operators.has(op)
}

/**
 * The operator of a name.
 * @throws GraphError UNSUPPORTED_OPERATOR naming it and the supported ones
 */
export function operatorFor(op: string): Operator {
  const found = operators.get(op)
  if (found === undefined) {
    throw new GraphError('UNSUPPORTED_OPERATOR',
      `The operator '${op}' is not supported. Supported are ${supportedOperators().join(', ')}.`, { op,
      supported: supportedOperators() })
  }
  return found
}
