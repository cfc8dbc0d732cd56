/** @file What structures that take the rows of the data more than once need beside the sums, from shapes alone. */
import { likelihoodModel } from '../likelihood/registry.js'
import { parameterCount } from '../network/parameter-slot.js'
import { multiplicationsPerExample } from '../programs/cost.js'
import type { Evaluator } from '../programs/evaluator.js'
import { canBeWritten, MOST_GRAM } from './factored-curvature.js'
import type { FitTask } from './fit-task.js'
import { bytesOfDraws, workOfDraws } from './sampled-curvature.js'

/** Bytes at the fit's widest and of the posterior at its own, and multiplications of the fit. */
export interface FactoredNeed {
  readonly fit: number
  readonly held: number
  readonly multiplications: number
}

/** Copies of the rows, or of the vectors, at the widest: they are made, turned and held. */
const COPIES = 3
/** Products of subspace iteration that settle the leading eigenvalues, as a rule. */
const PASSES = 20
/** Of a share of the trace, whose rank only the data say. */
const USUAL_RANK = 64

/** The need of a structure for so many rows; none where it is a sum. */
export function factoredNeed(task: FitTask, examples: number): FactoredNeed {
  const { evaluator, options } = task
  const { factored } = options
  if (factored === undefined) return { fit: 0, held: 0, multiplications: 0 }
  const { slots, network: { outputs } } = evaluator
  const size = parameterCount(slots)
  const seeds = likelihoodModel(options.likelihood).seedCount(outputs)
  const work = multiplicationsPerExample(evaluator, seeds)
  if (factored.of === 'ekfac') return { ...ekfacNeed(evaluator, seeds, examples, work), held: 8 * size }
  if (factored.of === 'functional') {
    const kept = Math.min(examples, factored.nSubset ?? examples)
    const count = kept * (factored.nystroem || factored.independentOutputs ? outputs : seeds)
    const rows = 8 * count * size
    const gram = Math.min(count, size)
    return { fit: COPIES * (rows + 8 * gram ** 2), held: COPIES * rows + 8 * gram ** 2,
      multiplications: kept * work + count * size * gram +
        (factored.nystroem ? examples * (work + seeds * count ** 2) : 0) }
  }
  if (factored.of === 'samples') {
    return { fit: bytesOfDraws(task, factored.samples, examples),
      held: 2 * (evaluator.precision === 'float32' ? 4 : 8) * factored.samples * size,
      multiplications: workOfDraws(task, factored.samples, examples) }
  }
  const rank = Math.min(size, factored.rank < 1 ? USUAL_RANK : factored.rank)
  const count = examples * seeds
  const held = COPIES * 8 * rank * size
  if (canBeWritten(count, size)) {
    return { fit: COPIES * 8 * count * size, held,
      multiplications: examples * work + count * size * Math.min(count, size) }
  }
  if (count <= MOST_GRAM) {
    const widths = slots.reduce((sum, { size: own, shape: [out = 1] }) => sum + out + own / Math.max(1, out), 0)
    return { fit: COPIES * 8 * (count ** 2 + rank * size), held,
      multiplications: examples * work + count ** 2 * widths + rank * count * size }
  }
  const vectors = Math.min(size, 2 * rank + 10)
  return { fit: 2 * COPIES * 8 * vectors * size, held, multiplications: PASSES * vectors * examples * work }
}

/** The data once more, turned into the eigenbases: sums of each part of the rows, and the bases. */
function ekfacNeed({ linears, slots }: Evaluator, seeds: number, examples: number,
  work: number): Omit<FactoredNeed, 'held'> {
  const bases = linears.reduce((sum, { in: inputs, out }) => sum + inputs ** 2 + out ** 2, 0)
  const turned = linears.reduce((sum, { in: inputs, out, positions }) =>
    // With positions the gradient of every row is written out and turned.
    sum + (positions > 1 ?
      seeds * (positions * out * inputs + out * inputs * (out + inputs)) :
      inputs ** 2 + seeds * (out ** 2 + out * inputs)), 0)
  return { fit: 8 * (COPIES * parameterCount(slots) + 2 * bases), multiplications: examples * (work + turned) }
}
