/** @file By which way the leading eigenpairs of a curvature are found, and what it costs, from shapes alone. */
import { likelihoodModel } from '../likelihood/registry.js'
import { lanczosVectors, usualProducts } from '../linear-model/lanczos.js'
import { parameterCount } from '../network/parameter-slot.js'
import { factorNumbers } from '../programs/batch-memory.js'
import { EIGEN_WORK, gramMultiplications, jacobianMultiplications } from '../programs/work.js'
import type { FitTask } from './fit-task.js'
import { lanczosBytes } from './leading-by-products.js'

/** Numbers of all rows of V that are written out. */
const MOST_WRITTEN = 1 << 25
/** Rows of the largest matrix that is decomposed. */
export const MOST_DECOMPOSED = 2500
/** The rank of a share of the trace, which only the data say. */
export const USUAL_RANK = 64
/** Copies of rows or of eigenvectors at the widest. */
const COPIES = 3
/** Matrices of V V' with what Lanczos's method or a decomposition has beside, and the part of the memory for them. */
const GRAMS = 1.25
const GRAMS_DECOMPOSED = 3
const GRAM_SHARE = 0.75

/** The rows of V are written out, only V V' is formed, or H multiplies vectors. */
export type LowRankWay = 'rows' | 'gram' | 'products'

type Shapes = Pick<FitTask, 'evaluator' | 'options'>

/** Bytes at the widest and multiplications of a way, beside the sums. */
export interface WayCost {
  readonly bytes: number
  readonly multiplications: number
}

/** The way for so many rows of data: of those that fit the one that takes the fewest multiplications. */
export function lowRankWay(task: Shapes, rank: number, examples: number): LowRankWay {
  const { evaluator: { slots }, options } = task
  const [size, count] = [parameterCount(slots), rowsOfRoots(task, examples)]
  if (count * size <= MOST_WRITTEN && Math.min(count, size) <= MOST_DECOMPOSED) return 'rows'
  if (slots.some(({ elements }) => elements !== undefined)) return 'products'
  const [gram, products] = [wayCost(task, 'gram', rank, examples), wayCost(task, 'products', rank, examples)]
  return gram.bytes <= GRAM_SHARE * options.memoryLimit && gram.multiplications <= products.multiplications
    ? 'gram'
    : 'products'
}

/** Whether H is summed as a matrix. */
export function sumsMatrix({ evaluator: { slots }, options }: Shapes): boolean {
  return options.factored?.of === 'lowrank' && parameterCount(slots) <= MOST_DECOMPOSED
}

/** What a way costs. */
export function wayCost(task: Shapes, way: LowRankWay, rank: number, examples: number): WayCost {
  const { evaluator, evaluator: { slots, precision, subset, forwardCost } } = task
  const [size, count] = [parameterCount(slots), rowsOfRoots(task, examples)]
  const seeds = count / examples
  const passes = examples * forwardCost * (subset === 'all' ? 1 + seeds : 1)
  if (way === 'rows') {
    return { bytes: COPIES * 8 * count * size, multiplications: passes + count * size * Math.min(count, size) }
  }
  const settling = usualProducts(rank, Math.min(size, count))
  if (way === 'products') {
    const { usual } = lanczosVectors(rank, size)
    return { bytes: lanczosBytes(usual, rank, size),
      multiplications: settling * (examples * jacobianMultiplications(evaluator) + 4 * usual * size) }
  }
  const factors = examples * factorNumbers(evaluator, seeds)
  const decomposed = count <= MOST_DECOMPOSED ? EIGEN_WORK * count ** 3 : settling * count ** 2
  const grams = count <= MOST_DECOMPOSED ? GRAMS_DECOMPOSED : GRAMS
  return {
    bytes: 8 * Math.max(grams * count ** 2, COPIES * rank * size) + 2 * (precision === 'float32' ? 4 : 8) * factors,
    multiplications: passes + gramMultiplications(evaluator, examples, seeds) + decomposed + rank * count * size,
  }
}

/** Rows of V: one for each example and column of a root of Lambda. */
function rowsOfRoots({ evaluator: { network }, options }: Shapes, examples: number): number {
  return examples * likelihoodModel(options.likelihood, options).seedCount(network.outputs)
}
