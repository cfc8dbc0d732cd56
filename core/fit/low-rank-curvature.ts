/**
 * @file The curvature that a low-rank posterior keeps: the leading eigenvectors of H = V'V times the roots of their
 * eigenvalues. H is decomposed where it is summed as a matrix, V V' where the rows of V are few; else H or V V',
 * whichever takes less, multiplies the vectors of Lanczos's method, and neither V nor H is ever there.
 */
import type { WorkOptions } from '../budget/progress.js'
import type { Curvature, FactoredCurvature } from '../curvature/curvature.js'
import { jacobianGram } from '../curvature/jacobian-gram.js'
import { addTransposedProduct } from '../curvature/jacobian-products.js'
import { joinVectors, zeroVectors } from '../curvature/parameter-vectors.js'
import { gemm } from '../kernels/linear-algebra.js'
import { usualProducts } from '../linear-model/lanczos.js'
import { type Eigenpairs, eigenpairsOfMatrix, eigenpairsOfRows } from '../linear-model/leading-eigenpairs.js'
import { parameterCount } from '../network/parameter-slot.js'
import { curvatureProducts } from './curvature-products.js'
import type { FitTask } from './fit-task.js'
import { leavesOut, pairsOfHessian, pairsOfHessianMatrix } from './hessian-eigenpairs.js'
import { leadingByProducts } from './leading-by-products.js'
import type { TrainingRows } from './linear-fit-result.js'
import { lowRankWay, MOST_DECOMPOSED, USUAL_RANK } from './low-rank-way.js'
import { keptJacobian, roots, writtenRows } from './seeded-rows.js'

/** Eigenpairs that are tried first for a share of the trace. */
const FIRST_SHARE = 16

/** How many eigenpairs are wanted: a number, or as many as reach a sum of eigenvalues. */
type Wanted = { readonly count: number } | { readonly sum: number }

/**
 * The rows of the curvature.
 * @param rank how many eigenpairs, or the share of the trace below 1
 * @param sums of the same data: H where it is small enough (`sumsMatrix`), else its diagonal, whose trace a share is of
 * @param notes is added what did not settle
 * @throws ResourceError OUT_OF_MEMORY, NumericalError NOT_POSITIVE_DEFINITE of a Hessian, CancelledError
 */
export async function lowRankCurvature(task: FitTask, rank: number, rows: TrainingRows, sums: Curvature,
  notes: string[], work: WorkOptions): Promise<FactoredCurvature> {
  const size = parameterCount(task.evaluator.slots)
  if (leavesOut(task)) {
    const pairs = sums.structure === 'full'
      ? pairsOfHessianMatrix(sums.matrix, sums.size, rank)
      : await pairsOfHessian(task, rows, rank, notes, work)
    return ofPairs(pairs, size, pairs.values.length)
  }
  const wanted: Wanted = rank >= 1 ? { count: rank } : { sum: rank * traceOf(sums) }
  const pairs = sums.structure === 'full'
    ? eigenpairsOfMatrix(size, sums.matrix)
    : await eigenpairs(task, rows, wanted, notes, work)
  return ofPairs(pairs, size, enough(pairs.values, wanted))
}

/** The leading eigenvectors times the roots of their eigenvalues. */
function ofPairs({ values, vectors }: Eigenpairs, size: number, kept: number): FactoredCurvature {
  const V = vectors.length === kept * size ? vectors : vectors.slice(0, kept * size)
  for (let i = 0; i < V.length; i++) V[i] *= Math.sqrt(Math.max(0, values[Math.floor(i / size)]))
  return { structure: 'factored', of: 'lowrank', size, rank: kept, rows: V }
}

function traceOf(sums: Curvature): number {
  if (sums.structure === 'diag') return sums.diagonal.reduce((sum, value) => sum + value, 0)
  if (sums.structure !== 'full') return 0
  let trace = 0
  for (let i = 0; i < sums.size; i++) trace += sums.matrix[i * sums.size + i]
  return trace
}

/** How many of the largest values are wanted. */
function enough(values: Float64Array, wanted: Wanted): number {
  if ('count' in wanted) return Math.min(wanted.count, values.length)
  let reached = 0
  for (let k = 0; k < values.length; k++) {
    reached += values[k]
    if (reached >= wanted.sum * (1 - 1e-12)) return k + 1
  }
  return values.length
}

/** Whether these eigenvalues are as many as are wanted. */
function areEnough(values: Float64Array, wanted: Wanted): boolean {
  return 'count' in wanted || values.reduce((sum, value) => sum + value, 0) >= wanted.sum
}

async function eigenpairs(task: FitTask, rows: TrainingRows, wanted: Wanted, notes: string[],
  work: WorkOptions): Promise<Eigenpairs> {
  const size = parameterCount(task.evaluator.slots)
  const usual = 'count' in wanted ? wanted.count : USUAL_RANK
  const way = lowRankWay(task, usual, rows.examples)
  if (way === 'rows') return eigenpairsOfRows(await writtenRows(task, rows, roots(task), work), size)
  if (way === 'gram') return pairsOfGram(task, rows, wanted, notes, work)
  const products = await curvatureProducts(task, rows, usualProducts(usual, size), work)
  try {
    return await untilEnough(wanted, size, count =>
      leadingByProducts(task, { size, wanted: count, by: 'value' }, v => products.times(v, 1), notes, work))
  } finally {
    await products.dispose()
  }
}

/** Twice as many until they are as many as are wanted. */
async function untilEnough(wanted: Wanted, size: number,
  find: (count: number) => Promise<Eigenpairs>): Promise<Eigenpairs> {
  let target = 'count' in wanted ? wanted.count : FIRST_SHARE
  for (;;) {
    const found = await find(Math.min(size, target))
    if (target >= size || areEnough(found.values, wanted)) return found
    target *= 2
  }
}

/**
 * The eigenpairs of V'V from those of V V', which the factors of J give without a row of V: of fewer rows than
 * parameters nothing of the size of P is made but the eigenvectors that are wanted.
 */
async function pairsOfGram(task: FitTask, rows: TrainingRows, wanted: Wanted, notes: string[],
  work: WorkOptions): Promise<Eigenpairs> {
  const { slots } = task.evaluator
  const jacobian = await keptJacobian(task, rows, work)
  const count = jacobian.examples * jacobian.seeds
  const { values, vectors } = await pairsOfMatrix(task, jacobianGram(slots, jacobian, jacobian), wanted, notes, work)
  const kept = enough(values, wanted)
  // In float64, as the sums of products are.
  const coefficients = Float64Array.from({ length: count * kept },
    (_, i) => vectors[i % kept * count + Math.floor(i / kept)] / Math.sqrt(values[i % kept]))
  const found = zeroVectors(slots, kept)
  addTransposedProduct(found, jacobian, coefficients)
  return { values: values.slice(0, kept), vectors: joinVectors(slots, found) }
}

/** All eigenpairs of a small matrix, the leading ones of a large one. */
async function pairsOfMatrix(task: FitTask, matrix: Float64Array, wanted: Wanted, notes: string[],
  work: WorkOptions): Promise<Eigenpairs> {
  const size = Math.sqrt(matrix.length)
  if (size <= MOST_DECOMPOSED) return eigenpairsOfMatrix(size, matrix)
  return untilEnough(wanted, size,
    count =>
      leadingByProducts(task, { size, wanted: count, by: 'value' }, v => Promise.resolve(times(matrix, v)), notes,
        work))
}

function times(matrix: Float64Array, v: Float64Array): Float64Array {
  const image = new Float64Array(v.length)
  gemm(false, false, 1, v.length, v.length, 1, v, matrix, 0, image)
  return image
}
