/** @file Products with a curvature H = V'V and with V', whose rows are those of the data and never there together. */
import { withoutProgress, type WorkOptions } from '../budget/progress.js'
import { addTransposedProduct, jacobianTimes } from '../curvature/jacobian-products.js'
import { denseJacobian } from '../curvature/jacobian.js'
import { joinVectors, splitVectors, zeroVectors } from '../curvature/parameter-vectors.js'
import { gemm } from '../kernels/linear-algebra.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { hessianRoots, rootTimes } from '../linear-model/hessian-roots.js'
import { forEachBatch, sliceExamples } from '../network/batches.js'
import { parameterCount } from '../network/parameter-slot.js'
import { batchWithin } from '../programs/batch-size.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { multiplicationsPerExample } from '../programs/work.js'
import { sharedRows } from '../sums/shared-rows.js'
import type { FitTask } from './fit-task.js'
import { eachSeeded, roots, type SomeRows } from './seeded-rows.js'

/** Products with a curvature. */
export interface CurvatureProducts {
  /** How many rows V has: one for each example and column of a root of Lambda. */
  readonly rows: number
  /** H v for the rows v of a count x P matrix. */
  times(vectors: Float64Array, count: number): Promise<Float64Array>
  /** V' e, P. */
  transposedTimes(e: Float64Array): Promise<Float64Array>
  dispose(): Promise<void>
}

/** Of whole tensors of all weights among the workers, else here. */
export async function curvatureProducts(task: FitTask, rows: SomeRows, vectors: number,
  work: WorkOptions): Promise<CurvatureProducts> {
  const { slots, subset } = task.evaluator
  return subset === 'all' && slots.every(({ elements }) => elements === undefined)
    ? sharedProducts(task, rows, vectors, work)
    : ownProducts(task, rows, withoutProgress(work))
}

/** The roots of Lambda at the network's outputs for all rows. */
async function rootsOfRows({ evaluator, options }: FitTask, { x, examples }: SomeRows, work: WorkOptions) {
  const { network } = evaluator
  const f = new Float64Array(examples * network.outputs)
  await forEachBatch(examples, batchWithin(evaluator, 1, 'outputs', options, examples), 'fit', work,
    async (from, to) => {
      f.set(await evaluator.forward(sliceExamples(x, network.inputs, from, to)), from * network.outputs)
    })
  return hessianRoots({ likelihood: likelihoodModel(options.likelihood, options), examples, outputs: network.outputs },
    f)
}

async function sharedProducts(task: FitTask, rows: SomeRows, vectors: number,
  work: WorkOptions): Promise<CurvatureProducts> {
  const { evaluator, pool } = task
  const { x, examples } = rows
  const root = await rootsOfRows(task, rows, work)
  const shared = await sharedRows(pool, evaluator, x, examples,
    vectors * examples * multiplicationsPerExample(evaluator, 1), withoutProgress(work))
  return {
    rows: examples * root.rank,
    times: (v, count) => shared.curvatureTimes(root, v, count),
    transposedTimes: e => shared.transposedTimes(rootTimes(root, e, evaluator.network.outputs)),
    dispose: () => shared.dispose(),
  }
}

/** The rows of V batch by batch, in factors, or written out where a tensor takes part in part. */
function ownProducts(task: FitTask, rows: SomeRows, work: WorkOptions): CurvatureProducts {
  const { slots } = task.evaluator
  const size = parameterCount(slots)
  const seeds = roots(task)
  const written = slots.some(({ elements }) => elements !== undefined)
  const each = (visit: (jacobian: FactoredJacobian, from: number) => void): Promise<void> =>
    eachSeeded(task, rows, seeds, work, visit)
  return {
    rows: rows.examples * seeds.count,
    async times(v, count) {
      const sums = zeroVectors(slots, count)
      const split = splitVectors(slots, v, count)
      const all = new Float64Array(written ? count * size : 0)
      await each(jacobian => {
        if (!written) return addTransposedProduct(sums, jacobian, jacobianTimes(jacobian, split))
        const V = denseJacobian(slots, jacobian)
        const n = V.length / size
        const images = new Float64Array(count * n)
        gemm(false, true, count, n, size, 1, v, V, 0, images)
        gemm(false, false, count, size, n, 1, images, V, 1, all)
      })
      return written ? all : joinVectors(slots, sums)
    },
    async transposedTimes(e) {
      const sums = zeroVectors(slots, 1)
      const all = new Float64Array(written ? size : 0)
      await each((jacobian, from) => {
        const own = e.slice(from * seeds.count, (from + jacobian.examples) * seeds.count)
        if (!written) return addTransposedProduct(sums, jacobian, own)
        gemm(false, false, 1, size, own.length, 1, own, denseJacobian(slots, jacobian), 1, all)
      })
      return written ? all : joinVectors(slots, sums)
    },
    dispose: () => Promise.resolve(),
  }
}
