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
import { adviceAbout } from './unsupported.js'

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

const INTERNAL: ReadonlySet<string> = new Set(['FusedConv', 'FusedMatMul', 'Gate', 'ScatterRows', 'StopGradient',
  'Unfold'])

/**
 * Operators that files may have and graphs do not: the reader of ONNX files writes them in those above
 * (adapters/onnx/composed, control-flow.ts, sequences.ts).
 */
const WRITTEN_OUT: readonly string[] = ['AffineGrid', 'Attention', 'BlackmanWindow', 'CastLike', 'CausalConvWithState',
  'CenterCropPad', 'Col2Im', 'Compress', 'ConcatFromSequence', 'CumProd', 'DFT', 'EyeLike', 'GatherND', 'GlobalLpPool',
  'GridSample', 'HammingWindow', 'HannWindow', 'Hardmax', 'If', 'LRN', 'Loop', 'MaxUnpool', 'MeanVarianceNormalization',
  'MelWeightMatrix', 'NegativeLogLikelihoodLoss', 'NonMaxSuppression', 'Optional', 'OptionalGetElement',
  'OptionalHasElement', 'ReverseSequence', 'RotaryEmbedding', 'STFT', 'Scan', 'Scatter', 'ScatterND', 'SequenceAt',
  'SequenceConstruct', 'SequenceEmpty', 'SequenceErase', 'SequenceInsert', 'SequenceLength', 'SoftmaxCrossEntropyLoss',
  'SplitToSequence', 'SwiGLU', 'TensorScatter', 'Unique', 'Upsample']

/** The names of the supported operators of ONNX, sorted. */
export function supportedOperators(): string[] {
  return [...[...operators.keys()].filter(op => !INTERNAL.has(op)), ...WRITTEN_OUT].sort()
}

/** Whether a graph may have an operator; files may have more. */
export function isSupported(op: string): boolean {
  return operators.has(op)
}

/** Whether an operator is one of our own, which no file may ask for. */
export function isInternal(op: string): boolean {
  return INTERNAL.has(op)
}

/**
 * The operator of a name.
 * @throws GraphError UNSUPPORTED_OPERATOR naming it and the supported ones
 */
export function operatorFor(op: string): Operator {
  const found = operators.get(op)
  if (found !== undefined) return found
  const advice = adviceAbout(op)
  const supported = supportedOperators()
  throw new GraphError('UNSUPPORTED_OPERATOR',
    `The operator '${op}' is not supported. ${advice === undefined ? '' : `${advice} `}Supported are ${
      supported.join(', ')
    }.`, { op, supported })
}
