/** @file Leading eigenpairs of a curvature by products alone, within the limit on memory. */
import { leaveBehind } from '../budget/garbage.js'
import { formatBytes } from '../budget/memory.js'
import { shareReporter, type WorkOptions } from '../budget/progress.js'
import { ResourceError } from '../errors/errors.js'
import { lanczosVectors, type LeadingPairs, leadingPairs } from '../linear-model/lanczos.js'
import type { Eigenpairs } from '../linear-model/leading-eigenpairs.js'
import type { FitTask } from './fit-task.js'

/** The error of a product with the network's Jacobian over the largest eigenvalue. */
const NOISE = { float32: 1e-6, float64: 1e-13 }
/** Vectors beside these and the eigenvectors, measured: an image, and what two threads make of it. */
const VECTORS_BESIDE = 20
/** The part of the memory that they may take. */
const SHARE = 0.8

/** Bytes of so many vectors, with the eigenvectors that come of them. */
export function lanczosBytes(held: number, wanted: number, size: number): number {
  return 8 * size * (held + 1 + wanted + VECTORS_BESIDE)
}

/** Vectors that are held: the usual number, or as many as fit. @throws ResourceError OUT_OF_MEMORY */
function vectorsHeld(wanted: number, size: number, memoryLimit: number): number {
  const { usual, fewest } = lanczosVectors(wanted, size)
  const room = Math.floor(SHARE * memoryLimit / (8 * size)) - 1 - wanted - VECTORS_BESIDE
  if (room >= fewest) return Math.min(usual, room)
  const needed = lanczosBytes(fewest, wanted, size) / SHARE
  throw new ResourceError('OUT_OF_MEMORY',
    `The ${fewest} vectors of ${size} numbers that find ${wanted} leading eigenvectors would need ${
      formatBytes(needed)
    }, more than the limit of ${formatBytes(memoryLimit)} (option memoryLimit). Take a smaller rank (option rank), or `
      + "structure 'diag'.", { needed, limit: memoryLimit })
}

/**
 * The leading eigenpairs.
 * @param notes is told when they did not settle
 * @throws ResourceError OUT_OF_MEMORY, CancelledError
 */
export async function leadingByProducts({ evaluator: { precision }, options }: FitTask,
  wanted: Pick<LeadingPairs, 'size' | 'wanted' | 'by'>, times: (vector: Float64Array) => Promise<Float64Array>,
  notes: string[], work: WorkOptions): Promise<Eigenpairs> {
  const held = vectorsHeld(wanted.wanted, wanted.size, options.memoryLimit)
  const { converged, ...pairs } = await leadingPairs({
    ...wanted,
    held,
    noise: NOISE[precision],
    seed: options.seed,
    signal: work.signal,
    told: shareReporter(work, 'fit'),
  }, times)
  leaveBehind(8 * held * wanted.size)
  if (!converged) {
    notes.push(
      `Not converged: the ${wanted.wanted} leading eigenvectors did not settle, as eigenvalues beyond them are `
        + 'nearly as large. Another rank (option rank) may separate them.',
    )
  }
  return pairs
}
