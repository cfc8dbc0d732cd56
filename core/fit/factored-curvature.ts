/**
 * @file Curvatures that are known by some of their rows, H = V'V: the rows of a seeded part of the data, which are all
 * of H where it is all of them (`functional`; Immer, Korzepa and Bauer 2021); and those that go over the data once more
 * (`ekfac`, `lowrank`).
 */
import type { WorkOptions } from '../budget/progress.js'
import type { Curvature, EkfacCurvature, FactoredCurvature, KronBlock, ProcessCurvature,
  ProcessPart } from '../curvature/curvature.js'
import { jacobianTimes } from '../curvature/jacobian-products.js'
import { outputJacobian } from '../curvature/jacobian.js'
import { splitVectors } from '../curvature/parameter-vectors.js'
import { gemm } from '../kernels/linear-algebra.js'
import { likelihoodForm, likelihoodModel } from '../likelihood/registry.js'
import { eigenpairsOfRows, leadingEigenpairs, orthonormalRows } from '../linear-model/leading-eigenpairs.js'
import { takeExamples } from '../network/batches.js'
import { parameterCount } from '../network/parameter-slot.js'
import type { FactoredStructure } from '../options/posterior-choice.js'
import { eigenbases, rotatedTensor } from '../posterior/ekfac.js'
import { multiplicationsPerExample } from '../programs/work.js'
import { sharedRows } from '../sums/shared-rows.js'
import { sampledRows } from '../tensor/rows.js'
import type { FitTask } from './fit-task.js'
import type { TrainingRows } from './linear-fit-result.js'
import { lowRankCurvature } from './low-rank-curvature.js'
import { eachSeeded, outputRoots, plainOutputs, roots, type SomeRows, writtenRows } from './seeded-rows.js'

/**
 * The rows of a curvature.
 * @param sums of the same data: the Kronecker factors of `ekfac`, and what `lowRankCurvature` takes
 * @param notes is added what is to be said of them
 * @throws ResourceError OUT_OF_MEMORY, CancelledError
 */
export async function factoredCurvature(task: FitTask, wanted: Exclude<FactoredStructure, { of: 'samples' }>,
  rows: TrainingRows, sums: Curvature, notes: string[],
  work: WorkOptions): Promise<FactoredCurvature | EkfacCurvature | ProcessCurvature> {
  if (wanted.of === 'ekfac') return inEigenbases(task, sums.structure === 'kron' ? sums.blocks : [], rows, work)
  const { evaluator: { slots, network: { inputs, outputs } }, options } = task
  const size = parameterCount(slots)
  if (wanted.of === 'functional') {
    const chosen = sampledRows(rows.examples, wanted.nSubset ?? rows.examples, options.seed)
    const x = chosen.length === rows.examples ? rows.x : takeExamples(rows.x, inputs, chosen)
    const own = { x, examples: chosen.length }
    const independent = wanted.independentOutputs && outputs > 1
    if (wanted.nystroem) {
      return { structure: 'process', size, parts: await nystroemParts(task, rows, own, independent, work) }
    }
    const V = await writtenRows(task, own, independent ? outputRoots(task) : roots(task), work)
    if (!independent) return { structure: 'factored', of: 'functional', size, rank: V.length / size, rows: V }
    return { structure: 'process', size, parts: byOutput(V, outputs, size).map(rows => ({ rank: own.examples, rows })) }
  }
  return lowRankCurvature(task, wanted.rank, rows, sums, notes, work)
}

/** Rows that belong to the outputs in turn, apart. */
function byOutput(V: Float64Array, outputs: number, size: number): Float64Array[] {
  const examples = V.length / (outputs * size)
  return Array.from({ length: outputs }, (_, c) => {
    const own = new Float64Array(examples * size)
    for (let n = 0; n < examples; n++) {
      const from = (n * outputs + c) * size
      own.set(V.subarray(from, from + size), n * size)
    }
    return own
  })
}

/**
 * Nystroem: orthonormal rows R that span the Jacobians of the landmarks, and H of all rows there, diagonal; of all
 * outputs together, or of each.
 */
async function nystroemParts(task: FitTask, rows: TrainingRows, landmarks: SomeRows, independent: boolean,
  work: WorkOptions): Promise<ProcessPart[]> {
  const { evaluator: { slots, network: { outputs } } } = task
  const size = parameterCount(slots)
  const J = await writtenRows(task, landmarks, plainOutputs(task), work)
  const bases = (independent ? byOutput(J, outputs, size) : [J]).map(own => spanOf(own, size))
  const inside = bases.map(basis => {
    const rank = basis.length / size
    return { rank, vectors: splitVectors(slots, basis, rank), H: new Float64Array(rank * rank) }
  })
  await eachSeeded(task, rows, independent ? outputRoots(task) : roots(task), work, jacobian => {
    inside.forEach(({ rank, vectors, H }, c) => {
      const images = jacobianTimes(independent ? outputJacobian(jacobian, c) : jacobian, vectors)
      gemm(true, false, rank, rank, images.length / rank, 1, images, images, 1, H)
    })
  })
  return inside.map(({ rank, H }, c) => {
    const { values, vectors } = leadingEigenpairs(rank, H, -Infinity)
    const turned = new Float64Array(rank * size)
    gemm(false, false, rank, size, rank, 1, vectors, bases[c], 0, turned)
    return { rank, rows: turned, values: values.map(value => Math.max(0, value)) }
  })
}

/** Directions that rows reach by less than this share of the largest, squared, are rounding. */
const SPANNED = 1e-12

/** Orthonormal rows with the span of others; those of the eigenvectors, made orthonormal once more. */
function spanOf(rows: Float64Array, size: number): Float64Array {
  const { values, vectors } = eigenpairsOfRows(rows, size, SPANNED)
  return orthonormalRows(values.length, vectors)
}

/** The data once more, in the eigenbases of their Kronecker factors. */
async function inEigenbases({ evaluator, pool, options }: FitTask, blocks: readonly KronBlock[],
  { x, examples }: TrainingRows, work: WorkOptions): Promise<EkfacCurvature> {
  const { likelihood, batchSize, memoryLimit } = options
  const form = likelihoodForm(options)
  const seeds = likelihoodModel(likelihood, form).seedCount(evaluator.network.outputs)
  const rows = await sharedRows(pool, evaluator, x, examples,
    2 * examples * multiplicationsPerExample(evaluator, seeds), work)
  try {
    const tensors = eigenbases(blocks).map(rotatedTensor)
    const values = await rows.squares({ tensors, likelihood, form, batchSize, memoryLimit })
    return { structure: 'ekfac', size: values.length, blocks, values }
  } finally {
    await rows.dispose()
  }
}
