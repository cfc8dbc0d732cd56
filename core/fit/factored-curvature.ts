/**
 * @file Curvatures that are known by some of their rows, H = V'V: the rows of a seeded part of the data, which are all
 * of H where it is all of them (`functional`; Immer, Korzepa and Bauer 2021), or the leading eigenvectors of H times
 * the roots of their eigenvalues (`lowrank` of a rank, matrix-free where J is too large; Halko, Martinsson and Tropp
 * 2011).
 */
import { formatBytes } from '../budget/memory.js'
import type { WorkOptions } from '../budget/progress.js'
import type { Curvature, EkfacCurvature, FactoredCurvature, KronBlock, ProcessCurvature,
  ProcessPart } from '../curvature/curvature.js'
import { addTransposedProduct, jacobianGram, jacobianTimes, joinVectors, splitVectors,
  zeroVectors } from '../curvature/jacobian-products.js'
import { denseJacobian, outputJacobian } from '../curvature/jacobian.js'
import { OptionError, ResourceError } from '../errors/errors.js'
import { gemm, symmetricEigen } from '../kernels/linear-algebra.js'
import { likelihoodForm, likelihoodModel } from '../likelihood/registry.js'
import { hessianRoots } from '../linear-model/hessian-roots.js'
import { type Eigenpairs, eigenpairsOfProducts, leadingEigenpairs,
  orthonormalRows } from '../linear-model/leading-eigenpairs.js'
import { iteratedVectors, leadingSubspace } from '../linear-model/subspace-iteration.js'
import { forEachBatch, sliceExamples, takeExamples } from '../network/batches.js'
import { parameterCount } from '../network/parameter-slot.js'
import type { FactoredStructure } from '../options/posterior-choice.js'
import { eigenbases, rotatedTensor } from '../posterior/ekfac.js'
import { batchWithin, multiplicationsPerExample } from '../programs/cost.js'
import { sharedRows } from '../sums/shared-rows.js'
import { sampledRows } from '../tensor/rows.js'
import type { FitTask } from './fit-task.js'
import { leavesOut, pairsOfMatrix, pairsOfProducts } from './hessian-eigenpairs.js'
import type { TrainingRows } from './linear-fit-result.js'
import { eachSeeded, keptJacobian, outputRoots, plainOutputs, roots, type RowSeeds,
  type SomeRows } from './seeded-rows.js'

/** Numbers of all rows of V that are written out, and the largest matrix that is decomposed. */
const MOST_WRITTEN = 1 << 25
const MOST_DECOMPOSED = 2500
/** Rows of V up to which V V' is there as a matrix, whose leading eigenvectors are iterated if it is not decomposed. */
export const MOST_GRAM = 5000
/** Vectors of P doubles for each that is iterated. */
const COPIES = 6

/** Whether so many rows of V are written out, and decomposed on their smaller side. */
export function canBeWritten(count: number, size: number): boolean {
  return count * size <= MOST_WRITTEN && Math.min(count, size) <= MOST_DECOMPOSED
}

/** Most products of H with all vectors, and the change of eigenvalues that ends them. */
const MOST_PASSES = 60
/** The same where H is that of the rows, V V', and a product costs next to nothing. */
const MOST_GRAM_PASSES = 1000
const SETTLED = 1e-9

/**
 * The rows of a curvature.
 * @param sums of the same data: the Kronecker factors of `ekfac`, else the diagonal, whose trace a share is one of
 * @throws ResourceError OUT_OF_MEMORY, CancelledError
 */
export async function factoredCurvature(task: FitTask, wanted: Exclude<FactoredStructure, { of: 'samples' }>,
  rows: TrainingRows, sums: Curvature,
  work: WorkOptions): Promise<FactoredCurvature | EkfacCurvature | ProcessCurvature> {
  if (wanted.of === 'ekfac') return inEigenbases(task, sums.structure === 'kron' ? sums.blocks : [], rows, work)
  const trace = sums.structure === 'diag' ? sums.diagonal.reduce((sum, value) => sum + value, 0) : 0
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
  const { rank } = wanted
  if (leavesOut(task)) return ofHessian(task, rank, rows, sums, work)
  const pairs = await eigenpairs(task, rows,
    rank >= 1 ? rank : (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) >= rank * trace, work)
  return ofPairs(pairs, size, rank >= 1 ? Math.min(rank, pairs.values.length) : enough(pairs.values, rank * trace))
}

/** The leading eigenvectors times the roots of their eigenvalues. */
function ofPairs({ values, vectors }: Eigenpairs, size: number, kept: number): FactoredCurvature {
  const V = vectors.length === kept * size ? vectors : vectors.slice(0, kept * size)
  for (let i = 0; i < V.length; i++) V[i] *= Math.sqrt(Math.max(0, values[Math.floor(i / size)]))
  return { structure: 'factored', of: 'lowrank', size, rank: kept, rows: V }
}

/** @throws NumericalError NOT_POSITIVE_DEFINITE where a leading eigenvalue is negative */
async function ofHessian(task: FitTask, rank: number, rows: TrainingRows, sums: Curvature,
  work: WorkOptions): Promise<FactoredCurvature> {
  const pairs = sums.structure === 'full'
    ? pairsOfMatrix(sums.matrix, sums.size, rank)
    : await pairsOfProducts(task, rows, rank, work)
  return ofPairs(pairs, parameterCount(task.evaluator.slots), pairs.values.length)
}

/** How many of the largest values reach a sum. */
function enough(values: Float64Array, sum: number): number {
  let reached = 0
  for (let k = 0; k < values.length; k++) {
    reached += values[k]
    if (reached >= sum * (1 - 1e-12)) return k + 1
  }
  return values.length
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
  const { values, vectors } = pairsOfRows(rows, size, SPANNED)
  return orthonormalRows(values.length, vectors)
}

/** Rows of V for rows of data: those of J times seeds, one seed of an example after another. */
async function writtenRows(task: FitTask, { x, examples }: SomeRows, seeds: RowSeeds,
  work: WorkOptions): Promise<Float64Array> {
  const { evaluator: { slots }, options } = task
  const { count } = seeds
  const size = parameterCount(slots)
  const bytes = 8 * examples * count * size
  if (3 * bytes > options.memoryLimit) {
    throw new ResourceError('OUT_OF_MEMORY',
      `The rows of ${examples} examples with ${size} parameters would need ${formatBytes(3 * bytes)}, more than the `
        + `limit of ${formatBytes(options.memoryLimit)} (option memoryLimit). Take fewer examples (option nSubset).`, {
      needed: 3 * bytes,
      limit: options.memoryLimit,
    })
  }
  const V = new Float64Array(examples * count * size)
  await eachSeeded(task, { x, examples }, seeds, work, (jacobian, from) => {
    V.set(denseJacobian(slots, jacobian), from * count * size)
  })
  return V
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

/**
 * The leading eigenpairs of H: exact where V, or H, is small enough; else by subspace iteration on products with it.
 * @param wanted how many, or what says whether these are enough
 */
async function eigenpairs(task: FitTask, rows: TrainingRows, wanted: number | ((values: Float64Array) => boolean),
  work: WorkOptions): Promise<Eigenpairs> {
  const { evaluator: { slots, network, subset }, options } = task
  const size = parameterCount(slots)
  const count = rows.examples * likelihoodModel(options.likelihood).seedCount(network.outputs)
  if (canBeWritten(count, size)) {
    return pairsOfRows(await writtenRows(task, rows, roots(task), work), size)
  }
  if (count <= MOST_GRAM && slots.every(({ elements }) => elements === undefined)) {
    return pairsOfFactors(task, rows, wanted, work)
  }
  if (subset !== 'all' || slots.some(({ elements }) => elements !== undefined)) {
    throw new OptionError('BAD_COMBINATION',
      "So many rows have a low-rank posterior over all weights (subset 'all') only; for others use structure 'kron' or "
        + "'diag', or fewer rows.", { option: 'structure' })
  }
  for (let target = typeof wanted === 'number' ? wanted : 16;; target *= 2) {
    const found = await iterated(task, rows, Math.min(size, target), work)
    if (typeof wanted === 'number' || wanted(found.values) || target >= size) return found
  }
}

/** The eigenpairs of V'V above a share of the largest product. */
function pairsOfRows(V: Float64Array, size: number, threshold = 1e-14): Eigenpairs {
  const count = V.length / size
  const [n, transposed] = count <= size ? [count, false] : [size, true]
  const gram = new Float64Array(n * n)
  if (transposed) gemm(true, false, n, n, count, 1, V, V, 0, gram)
  else gemm(false, true, n, n, size, 1, V, V, 0, gram)
  let largest = 0
  for (let i = 0; i < n; i++) largest = Math.max(largest, gram[i * n + i])
  const pairs = leadingEigenpairs(n, gram, threshold * largest)
  if (transposed) return pairs
  const vectors = new Float64Array(pairs.values.length * size)
  const scaled = pairs.vectors.map((value, i) => value / Math.sqrt(pairs.values[Math.floor(i / n)]))
  gemm(false, false, pairs.values.length, size, n, 1, scaled, V, 0, vectors)
  return { values: pairs.values, vectors }
}

/**
 * The eigenpairs of V'V from those of V V', which the factors of J give without a row of V: of fewer rows than
 * parameters nothing of the size of P is made but the eigenvectors that are wanted.
 */
async function pairsOfFactors(task: FitTask, rows: TrainingRows, wanted: number | ((values: Float64Array) => boolean),
  work: WorkOptions): Promise<Eigenpairs> {
  const { slots } = task.evaluator
  const jacobian = await keptJacobian(task, rows, work)
  const count = jacobian.examples * jacobian.seeds
  const gram = jacobianGram(slots, jacobian, jacobian)
  const { values, vectors } = await pairsOfGram(count, gram, wanted, task.options.seed, work)
  let kept = typeof wanted === 'number' ? Math.min(wanted, values.length) : 1
  if (typeof wanted !== 'number') { while (kept < values.length && !wanted(values.subarray(0, kept))) kept++ }
  // In float64, as the sums of products are.
  const coefficients = Float64Array.from({ length: count * kept },
    (_, i) => vectors[i % kept * count + Math.floor(i / kept)] / Math.sqrt(values[i % kept]))
  const found = zeroVectors(slots, kept)
  addTransposedProduct(found, jacobian, coefficients)
  return { values: values.slice(0, kept), vectors: joinVectors(slots, found) }
}

/** The eigenpairs of V V': all of them where it is small, else those that are wanted and some beyond. */
async function pairsOfGram(count: number, gram: Float64Array, wanted: number | ((values: Float64Array) => boolean),
  seed: number, { signal }: WorkOptions): Promise<Eigenpairs> {
  if (count <= MOST_DECOMPOSED) {
    let largest = 0
    for (let i = 0; i < count; i++) largest = Math.max(largest, gram[i * count + i])
    return leadingEigenpairs(count, gram, 1e-14 * largest)
  }
  for (let target = typeof wanted === 'number' ? wanted : 16;; target *= 2) {
    const own = iteratedVectors(Math.min(count, target), count)
    const { basis, images } = await leadingSubspace(
      { count: own, size: count, wanted: target, seed, mostPasses: MOST_GRAM_PASSES, settled: SETTLED, signal },
      vectors => {
        const products = new Float64Array(own * count)
        gemm(false, false, own, count, count, 1, vectors, gram, 0, products)
        return Promise.resolve(products)
      },
      (vectors, found) => ({ values: ritzValues(own, count, vectors, found) }),
    )
    const pairs = eigenpairsOfProducts(own, basis, images)
    if (typeof wanted === 'number' || wanted(pairs.values) || own === count) return pairs
  }
}

/** Subspace iteration from seeded random vectors until the wanted eigenvalues settle; spare ones come with them. */
async function iterated({ evaluator, pool, options }: FitTask, { x, examples }: TrainingRows, target: number,
  work: WorkOptions): Promise<Eigenpairs> {
  const { network, slots } = evaluator
  const size = parameterCount(slots)
  const count = iteratedVectors(target, size)
  const needed = COPIES * 8 * count * size
  if (needed > options.memoryLimit) throw tooManyVectors(count, size, needed, options.memoryLimit)
  const likelihood = likelihoodModel(options.likelihood, options)
  const f = new Float64Array(examples * network.outputs)
  await forEachBatch(examples, batchWithin(evaluator, 1, 'outputs', options, examples), 'fit', work,
    async (from, to) => {
      f.set(await evaluator.forward(sliceExamples(x, network.inputs, from, to)), from * network.outputs)
    })
  const root = hessianRoots({ likelihood, examples, outputs: network.outputs }, f)
  const products = await sharedRows(pool, evaluator, x, examples,
    MOST_PASSES * count * examples * multiplicationsPerExample(evaluator, 1), work)
  try {
    const { basis, images } = await leadingSubspace(
      { count, size, wanted: target, seed: options.seed, mostPasses: MOST_PASSES, settled: SETTLED,
        signal: work.signal },
      vectors => products.curvatureTimes(root, vectors, count),
      (vectors, found) => ({ values: ritzValues(count, size, vectors, found) }),
    )
    return eigenpairsOfProducts(count, basis, images)
  } finally {
    await products.dispose()
  }
}

function tooManyVectors(count: number, size: number, needed: number, limit: number): ResourceError {
  return new ResourceError('OUT_OF_MEMORY',
    `The ${count} vectors of ${size} numbers that find the leading eigenvectors would need ${
      formatBytes(needed)
    }, more `
      + `than the limit of ${formatBytes(limit)} (option memoryLimit). Take a smaller rank, fewer rows (rows times `
      + `outputs up to ${MOST_GRAM} need no such vectors), or structure 'diag'.`, { needed, limit })
}

/** The eigenvalues of H on what the basis spans, the largest first. */
function ritzValues(count: number, size: number, basis: Float64Array, images: Float64Array): Float64Array {
  const inner = new Float64Array(count * count)
  gemm(false, true, count, count, size, 1, basis, images, 0, inner)
  return symmetricEigen(count, inner).values.slice().sort().reverse()
}
