/**
 * @file Products with the Jacobian of all rows, shared among the workers. The parts of the rows are the same for one
 * thread and for many, and are added up in their order, so that the threads change no bit.
 */
import { breathe, throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import type { HessianRoots } from '../linear-model/hessian-roots.js'
import { rootOf, type RowProducts, type RowRequest, type SquaresRequest } from '../linear-model/row-products.js'
import { sliceExamples } from '../network/batches.js'
import type { Inputs } from '../network/input-rows.js'
import type { WorkerPool } from '../parallel/worker-pool.js'
import type { Worker } from '../parallel/worker.js'
import type { Evaluator } from '../programs/evaluator.js'

/** Products of rows that workers keep until they are dropped. */
export interface SharedRows extends RowProducts {
  /** The diagonal of sum_n J_n' Lambda_n J_n in other coordinates, P. */
  squares(request: SquaresRequest): Promise<Float64Array>
  dispose(): Promise<void>
}

/** Parts of the rows: each adds up sums of its own, as large as what is multiplied. */
const PARTS = 2

/** Bytes of vectors that are multiplied at once: every thread has some five copies of them, and of what comes of it. */
const BLOCK_BYTES = 1 << 26

/** How many vectors of P numbers are multiplied with H at once. */
export function vectorsAtOnce(parameters: number): number {
  return Math.max(1, Math.floor(BLOCK_BYTES / (8 * parameters)))
}

/** Parts of different fits have different numbers, as workers may serve several. */
let partsGiven = 0

interface Part {
  readonly worker: Worker
  readonly number: number
  readonly from: number
  readonly to: number
}

/**
 * Gives the rows to the workers.
 * @param multiplications of all products together, which settle whether other threads are worth while
 */
export async function sharedRows(pool: WorkerPool, evaluator: Evaluator, x: Inputs, examples: number,
  multiplications: number, work: WorkOptions): Promise<SharedRows> {
  const { network: { inputs, outputs }, precision } = evaluator
  const workers = await pool.workers(multiplications)
  const count = Math.max(1, Math.min(PARTS, examples))
  const parts: readonly Part[] = Array.from({ length: count },
    (_, i) => ({ worker: workers[i % workers.length], number: partsGiven++, from: Math.floor(i * examples / count),
      to: Math.floor((i + 1) * examples / count) }))
  const dispose = async (): Promise<void> => {
    for (const { worker, number } of parts) await worker.dropRows(number)
  }
  for (const { worker, number, from, to } of parts) {
    await worker.keepRows(number, sliceExamples(x, inputs, from, to), to - from)
  }
  const products = (request: (part: Part) => RowRequest, told?: Told): Promise<Float64Array[]> =>
    productsOf(parts, request, work, told)
  return {
    async times(v) {
      const images = await products(() => ({ kind: 'times', v }))
      const all = new Float64Array(examples * outputs)
      images.forEach((image, i) => {
        all.set(image, parts[i].from * outputs)
      })
      return all
    },
    transposedTimes: async u =>
      sumOf(await products(({ from, to }) => ({ kind: 'transposed', u: u.slice(from * outputs, to * outputs) }))),
    async curvatureTimes(root, vectors, vectorCount) {
      const size = vectors.length / Math.max(1, vectorCount)
      const all = new Float64Array(vectors.length)
      const atOnce = vectorsAtOnce(size)
      for (let k = 0; k < vectorCount; k += atOnce) {
        const block = vectors.slice(k * size, (k + atOnce) * size)
        const own = precision === 'float32' ? Float32Array.from(block) : block
        all.set(sumOf(
          await products(({ from, to }) => ({ kind: 'curvature', root: ownRoot(root, outputs, from, to), vectors: own,
            count: own.length / size })
          ),
        ), k * size)
      }
      return all
    },
    squares: async request =>
      sumOf(await products(() => ({ kind: 'squares', ...request }), done => {
        work.onProgress?.({ stage: 'fit', done, total: examples })
      })),
    dispose,
  }
}

/** Is told how many rows a product has taken. */
type Told = (taken: number) => void

const untold: Told = () => undefined

/** What is asked of every part, one after another in the same thread, whose programs share their memory. */
async function productsOf(parts: readonly Part[], request: (part: Part) => RowRequest, work: WorkOptions,
  told: Told = untold): Promise<Float64Array[]> {
  const taken = parts.map(() => 0)
  const results: Float64Array[] = []
  await Promise.all([...new Set(parts.map(({ worker }) => worker))].map(async worker => {
    for (const [i, part] of parts.entries()) {
      if (part.worker !== worker) continue
      results[i] = await productOf(part, request(part), work, own => {
        taken[i] = own
        told(taken.reduce((a, b) => a + b))
      })
    }
  }))
  return results
}

/** Step by step, so that another thread's work can be cancelled. */
async function productOf({ worker, number, from, to }: Part, request: RowRequest, { signal }: WorkOptions,
  told: Told): Promise<Float64Array> {
  await worker.beginProduct(number, request)
  for (;;) {
    const taken = await worker.advanceProduct(number)
    told(taken)
    if (taken >= to - from) break
    throwIfCancelled(signal)
    await breathe()
  }
  return worker.finishProduct(number)
}

/** In an array of its own: a view would be sent to another thread with all that it is a part of. */
function ownRoot(root: HessianRoots, outputs: number, from: number, to: number): HessianRoots {
  const { rank, roots } = rootOf(root, outputs, from, to)
  return { rank, roots: roots.slice() }
}

/** Their sum, in the first. */
function sumOf([first, ...others]: readonly Float64Array[]): Float64Array {
  for (const other of others) for (let i = 0; i < first.length; i++) first[i] += other[i]
  return first
}
