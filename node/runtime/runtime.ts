/**
 * @file What Node brings to the core: worker threads, and a package for small linear systems that is loaded only when
 * the evidence of a few hyper-parameters, more than two, is maximised.
 */
import ndarray from 'ndarray'
import { createHash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { useCollector } from '../../core/budget/garbage.js'
import { useSha256 } from '../../core/kernels/sha256.js'
import type { SmallSolver } from '../../core/kernels/small-solver.js'
import type { Runtime } from '../../core/parallel/runtime.js'
import { chooseEngine, expectedEngine } from './choose-engine.js'
import { collectArrays } from './collect-garbage.js'
import { type LinearSolve, loadLinearSolve } from './linear-solve.js'
import { productHelper } from './product-helper.js'
import { startWorkerThreads } from './worker-threads.js'

/** One or two unknowns need no package, which takes 20 to 60 ms to load and to write its code. */
const LEAST_UNKNOWNS = 3
/** Beyond this many unknowns the unpivoted elimination of ndarray-linear-solve is not used. */
const MOST_UNKNOWNS = 16
/** Largest residual, relative to the right-hand side, that is taken. */
const TOLERANCE = 1e-10

let solve: LinearSolve | undefined

/**
 * Gaussian elimination by ndarray-linear-solve, checked by its residual; the matrix is symmetric, so that the
 * transposed system it solves is the same.
 */
const solveByNdarray: SmallSolver = (n, matrix, right) => {
  if (n < LEAST_UNKNOWNS || n > MOST_UNKNOWNS) return undefined
  try {
    solve ??= loadLinearSolve()
  } catch {
    // A program that forbids code generation goes without it.
    return undefined
  }
  const solution = new Float64Array(n)
  if (!solve(ndarray(solution, [n]), ndarray(matrix.slice(), [n, n]), ndarray(right.slice(), [n]))) return undefined
  let [difference, scale] = [0, 0]
  for (let i = 0; i < n; i++) {
    let image = 0
    for (let j = 0; j < n; j++) image += matrix[i * n + j] * solution[j]
    difference = Math.max(difference, Math.abs(image - right[i]))
    scale = Math.max(scale, Math.abs(right[i]))
  }
  return difference <= TOLERANCE * scale ? solution : undefined
}

useSha256(() => createHash('sha256'))
useCollector(collectArrays)

/** What the package's Node entry gives to the core. */
export const nodeRuntime: Runtime = { solver: solveByNdarray, workerThreads: startWorkerThreads, engine: chooseEngine,
  expectedEngine, productHelper, processors: availableParallelism }
