/**
 * @file The eigenpairs of the Hessian that are largest in size: of the matrix where it is small, else by products
 * with it, the Gauss-Newton matrix's and what that leaves out (Pearlmutter 1994).
 */
import type { WorkOptions } from '../budget/progress.js'
import { NumericalError, OptionError } from '../errors/errors.js'
import { symmetricEigen } from '../kernels/linear-algebra.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { hessianRoots } from '../linear-model/hessian-roots.js'
import { usualProducts } from '../linear-model/lanczos.js'
import type { Eigenpairs } from '../linear-model/leading-eigenpairs.js'
import { forEachBatch, sliceExamples } from '../network/batches.js'
import { parameterCount } from '../network/parameter-slot.js'
import { batchWithin } from '../programs/batch-size.js'
import { multiplicationsPerExample } from '../programs/work.js'
import { sharedRows } from '../sums/shared-rows.js'
import type { FitTask } from './fit-task.js'
import { leadingByProducts } from './leading-by-products.js'
import type { TrainingRows } from './linear-fit-result.js'
import { MOST_DECOMPOSED } from './low-rank-way.js'

/** Eigenvalues below this share of the largest are rounding. */
const ROUNDING = 1e-12

/** Whether the Gauss-Newton matrix is not the Hessian that is asked for, as it is of a last layer. */
export function leavesOut({ evaluator, options }: Pick<FitTask, 'evaluator' | 'options'>): boolean {
  return options.curvature === 'hessian' && evaluator.subset === 'all'
}

/**
 * The eigenpairs of a symmetric matrix, the largest in size first: as many as are wanted, or of that share of the
 * trace.
 * @throws NumericalError NOT_POSITIVE_DEFINITE where one of them is negative
 */
export function pairsOfHessianMatrix(matrix: Float64Array, size: number, rank: number): Eigenpairs {
  const { values, vectors } = symmetricEigen(size, matrix)
  const order = bySize(values)
  const trace = values.reduce((sum, value) => sum + value, 0)
  let [kept, reached] = [0, 0]
  while (kept < size && (rank >= 1 ? kept < rank : reached < rank * trace * (1 - 1e-12))) {
    reached += values[order[kept]]
    kept++
  }
  const rows = new Float64Array(kept * size)
  for (let k = 0; k < kept; k++) for (let i = 0; i < size; i++) rows[k * size + i] = vectors[i * size + order[k]]
  return positive({ values: Float64Array.from(order.slice(0, kept), i => values[i]), vectors: rows })
}

/** The same of the rows of a task, without the matrix. @throws NumericalError, OptionError, CancelledError */
export async function pairsOfHessian(task: FitTask, rows: TrainingRows, rank: number, notes: string[],
  work: WorkOptions): Promise<Eigenpairs> {
  const { slots } = task.evaluator
  if (rank < 1 || slots.some(({ elements }) => elements !== undefined)) {
    throw new OptionError('BAD_COMBINATION',
      `Curvature 'hessian' of more than ${MOST_DECOMPOSED} weights has a low-rank posterior of a whole rank, over `
        + 'whole tensors: give the number of eigenvectors (option rank).', { option: 'rank' })
  }
  const size = parameterCount(slots)
  const times = await hessianProducts(task, rows, 2 * usualProducts(rank, size), work)
  try {
    return positive(await leadingByProducts(task, { size, wanted: rank, by: 'size' }, times.of, notes, work))
  } finally {
    await times.dispose()
  }
}

/** Products of H with a vector: that of the Gauss-Newton matrix among the workers, and of what it leaves out here. */
async function hessianProducts({ evaluator, pool, options }: FitTask, { x, labels, examples }: TrainingRows,
  vectors: number, work: WorkOptions
): Promise<{
  of(vector: Float64Array): Promise<Float64Array>
  dispose(): Promise<void>
}> {
  const { network } = evaluator
  const { outputs } = network
  const likelihood = likelihoodModel(options.likelihood, options)
  const size = batchWithin(evaluator, 1, 'sums', options, examples)
  const eachBatch = (visit: (from: number, to: number) => Promise<void>): Promise<void> =>
    forEachBatch(examples, size, 'fit', work, visit)
  const f = new Float64Array(examples * outputs)
  await eachBatch(async (from, to) => {
    f.set(await evaluator.forward(sliceExamples(x, network.inputs, from, to)), from * outputs)
  })
  const root = hessianRoots({ likelihood, examples, outputs }, f)
  const u = likelihood.residual(f, labels, examples, outputs)
  const shared = await sharedRows(pool, evaluator, x, examples,
    vectors * examples * multiplicationsPerExample(evaluator, 1), work)
  const second = evaluator.secondDerivatives()
  return {
    async of(vector) {
      const sums = await shared.curvatureTimes(root, vector, 1)
      await eachBatch((from, to) =>
        second.addTimes(u.slice(from * outputs, to * outputs), vector, sliceExamples(x, network.inputs, from, to), sums)
      )
      return sums
    },
    dispose: () => shared.dispose(),
  }
}

function bySize(values: Float64Array): number[] {
  return [...values.keys()].sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]))
}

/** @throws NumericalError NOT_POSITIVE_DEFINITE with the ranks that can be had */
function positive(pairs: Eigenpairs): Eigenpairs {
  const { values } = pairs
  const first = values.findIndex(value => value < -ROUNDING * Math.abs(values[0]))
  if (first < 0) return { ...pairs, values: values.map(value => Math.max(0, value)) }
  throw new NumericalError('NOT_POSITIVE_DEFINITE',
    `The Hessian is indefinite: of its eigenvalues, the largest in size first, number ${first + 1} is `
      + `${values[first].toPrecision(3)}, so that a Gaussian of ${values.length} of them would have a direction of `
      + `negative precision. ${first > 0 ? `Take at most ${first} (option rank), use` : 'Use'} curvature 'ggn', `
      + 'or train the network to a minimum of its loss.', { rank: first, eigenvalue: values[first] })
}
