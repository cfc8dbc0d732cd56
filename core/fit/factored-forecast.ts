/** @file What structures that take the rows of the data more than once need beside the sums, from shapes alone. */
import { likelihoodModel } from '../likelihood/registry.js'
import { parameterCount } from '../network/parameter-slot.js'
import type { Evaluator } from '../programs/evaluator.js'
import { EIGEN_WORK, multiplicationsPerExample } from '../programs/work.js'
import type { FitTask } from './fit-task.js'
import { lowRankWay, sumsMatrix, USUAL_RANK, wayCost } from './low-rank-way.js'
import { bytesOfDraws, workOfDraws } from './sampled-curvature.js'

/**
 * Bytes at the fit's widest and of the posterior at its own, and multiplications of the fit, of the posterior's rows
 * before a first prediction, and of the variances of one row.
 */
export interface FactoredNeed {
  readonly fit: number
  readonly held: number
  readonly multiplications: number
  readonly solved: number
  readonly predicted: number
}

/** Copies of the rows, or of the vectors, at the widest: they are made, turned and held. */
const COPIES = 3

/** The need of a structure for so many rows; none where it is a sum. */
export function factoredNeed(task: FitTask, examples: number): FactoredNeed {
  const { evaluator, options } = task
  const { factored } = options
  if (factored === undefined) return { fit: 0, held: 0, multiplications: 0, solved: 0, predicted: 0 }
  const { slots, network: { outputs } } = evaluator
  const size = parameterCount(slots)
  const seeds = likelihoodModel(options.likelihood).seedCount(outputs)
  const work = multiplicationsPerExample(evaluator, seeds)
  // Rows are turned into eigenvectors under the prior, and multiplied with every output's Jacobian.
  const answers = (count: number): Pick<FactoredNeed, 'solved' | 'predicted'> => ({
    solved: 2 * count ** 2 * size + EIGEN_WORK * count ** 3,
    predicted: outputs * count * size,
  })
  if (factored.of === 'ekfac') {
    return { ...ekfacNeed(evaluator, seeds, examples, work), held: 8 * size, solved: 0, predicted: 0 }
  }
  if (factored.of === 'functional') {
    const kept = Math.min(examples, factored.nSubset ?? examples)
    const count = kept * (factored.nystroem || factored.independentOutputs ? outputs : seeds)
    const rows = 8 * count * size
    const gram = Math.min(count, size)
    return { fit: COPIES * (rows + 8 * gram ** 2), held: COPIES * rows + 8 * gram ** 2,
      multiplications: kept * work + count * size * gram +
        (factored.nystroem ? examples * (work + seeds * count ** 2) : 0), ...answers(count) }
  }
  if (factored.of === 'samples') {
    return { fit: bytesOfDraws(task, factored.samples, examples),
      held: 2 * (evaluator.precision === 'float32' ? 4 : 8) * factored.samples * size,
      multiplications: workOfDraws(task, factored.samples, examples), solved: 0,
      predicted: outputs * factored.samples * size }
  }
  const rank = Math.min(size, factored.rank < 1 ? USUAL_RANK : factored.rank)
  const held = COPIES * 8 * rank * size
  if (sumsMatrix(task)) {
    return { fit: COPIES * 8 * size ** 2, held,
      multiplications: examples * (work + seeds * size ** 2 / 2) + EIGEN_WORK * size ** 3, ...answers(rank) }
  }
  const { bytes, multiplications } = wayCost(task, lowRankWay(task, rank, examples), rank, examples)
  return { fit: bytes, held, multiplications, ...answers(rank) }
}

/** The data once more, turned into the eigenbases: sums of each part of the rows, and the bases. */
function ekfacNeed({ linears, slots }: Evaluator, seeds: number, examples: number,
  work: number): Pick<FactoredNeed, 'fit' | 'multiplications'> {
  const bases = linears.reduce((sum, { in: inputs, out }) => sum + inputs ** 2 + out ** 2, 0)
  const turned = linears.reduce((sum, { in: inputs, out, positions }) =>
    // With positions the gradient of every row is written out and turned.
    sum + (positions > 1 ?
      seeds * (positions * out * inputs + out * inputs * (out + inputs)) :
      inputs ** 2 + seeds * (out ** 2 + out * inputs)), 0)
  return { fit: 8 * (COPIES * parameterCount(slots) + 2 * bases), multiplications: examples * (work + turned) }
}
