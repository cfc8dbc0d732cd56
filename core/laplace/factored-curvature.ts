/**
 * @file Curvatures that are known by some of their rows, H = V'V: the rows of a seeded part of the data, which are all
 * of H where it is all of them (`functional`; Immer, Korzepa and Bauer 2021), or the leading eigenvectors of H times
 * the roots of their eigenvalues (`lowrank` of a rank, matrix-free where J is too large; Halko, Martinsson and Tropp
 * 2011).
 */
import { checkBytes, formatBytes } from '../budget/memory.js'
import { throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import type { Curvature, EkfacCurvature, FactoredCurvature, KronBlock } from '../curvature/curvature.js'
import { addTransposedProduct, jacobianGram, joinVectors, zeroVectors } from '../curvature/jacobian-products.js'
import { denseJacobian, joinJacobians, selectExamples } from '../curvature/jacobian.js'
import { lastLayerJacobian } from '../curvature/last-layer.js'
import { OptionError, ResourceError } from '../errors/errors.js'
import { gemm, symmetricEigen } from '../kernels/linear-algebra.js'
import { likelihoodModel } from '../likelihood/registry.js'
import { hessianRoots } from '../linear-model/hessian-roots.js'
import { type Eigenpairs, eigenpairsOfProducts, leadingEigenpairs,
  orthonormalRows } from '../linear-model/leading-eigenpairs.js'
import { forEachBatch, sliceExamples, takeExamples } from '../network/batches.js'
import { parameterCount } from '../network/parameter-slot.js'
import type { FactoredStructure } from '../options/laplace-options.js'
import { ekfacSum } from '../posterior/ekfac.js'
import { batchWithin, multiplicationsPerExample } from '../programs/cost.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { sharedRows } from '../sums/shared-rows.js'
import { randomGenerator } from '../tensor/random.js'
import { sampledRows } from '../tensor/rows.js'
import type { FitTask } from './fit-task.js'
import type { TrainingRows } from './linear-fit-result.js'

/** Numbers of all rows of V that are written out, and the largest matrix that is decomposed. */
const MOST_WRITTEN = 1 << 25
const MOST_DECOMPOSED = 2500
/** Vectors beside those that are wanted; most products of H with all of them, and the change that ends them. */
const SPARE_VECTORS = 10
const MOST_PASSES = 60
const SETTLED = 1e-9

/**
 * The rows of a curvature.
 * @param sums of the same data: the Kronecker factors of `ekfac`, else the diagonal, whose trace a share is one of
 * @throws ResourceError OUT_OF_MEMORY, CancelledError
 */
export async function factoredCurvature(task: FitTask, wanted: FactoredStructure, rows: TrainingRows, sums: Curvature,
  work: WorkOptions): Promise<FactoredCurvature | EkfacCurvature> {
  if (wanted.of === 'ekfac') return inEigenbases(task, sums.structure === 'kron' ? sums.blocks : [], rows, work)
  const trace = sums.structure === 'diag' ? sums.diagonal.reduce((sum, value) => sum + value, 0) : 0
  const { evaluator: { slots, network: { inputs } }, options } = task
  const size = parameterCount(slots)
  if (wanted.of === 'functional') {
    const chosen = sampledRows(rows.examples, wanted.nSubset ?? rows.examples, options.seed)
    const x = chosen.length === rows.examples ? rows.x : takeExamples(rows.x, inputs, chosen)
    const V = await writtenRows(task, { ...rows, x, examples: chosen.length }, work)
    return { structure: 'factored', of: 'functional', size, rank: V.length / size, rows: V }
  }
  const { rank } = wanted
  const pairs = await eigenpairs(task, rows,
    rank >= 1 ? rank : (values: Float64Array) => values.reduce((sum, value) => sum + value, 0) >= rank * trace, work)
  const kept = rank >= 1 ? Math.min(rank, pairs.values.length) : enough(pairs.values, rank * trace)
  const V = pairs.vectors.length === kept * size ? pairs.vectors : pairs.vectors.slice(0, kept * size)
  for (let i = 0; i < V.length; i++) V[i] *= Math.sqrt(Math.max(0, pairs.values[Math.floor(i / size)]))
  return { structure: 'factored', of: 'lowrank', size, rank: kept, rows: V }
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

/** Rows of V for rows of data: those of J times a root of Lambda, one seed of an example after another. */
async function writtenRows(task: FitTask, { x, examples }: TrainingRows, work: WorkOptions): Promise<Float64Array> {
  const { evaluator: { slots, network }, options } = task
  const count = likelihoodModel(options.likelihood).seedCount(network.outputs)
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
  await eachSeeded(task, { x, examples }, work, (jacobian, from) => {
    V.set(denseJacobian(slots, jacobian), from * count * size)
  })
  return V
}

/** The Jacobian of a root of Lambda, batch by batch. */
async function eachSeeded({ evaluator, options }: FitTask, { x, examples }: Omit<TrainingRows, 'labels'>,
  work: WorkOptions, visit: (jacobian: FactoredJacobian, from: number) => void): Promise<void> {
  const { slots, network, subset } = evaluator
  const likelihood = likelihoodModel(options.likelihood, options)
  const count = likelihood.seedCount(network.outputs)
  const size = batchWithin(evaluator, count, 'sums', options, examples)
  await forEachBatch(examples, size, 'fit', work, async (from, to) => {
    const batch = sliceExamples(x, network.inputs, from, to)
    const seeds = (f: Float32Array | Float64Array): Float32Array | Float64Array =>
      likelihood.hessianSeeds(f, to - from, network.outputs)
    if (subset === 'all') visit((await evaluator.seeded(batch, { count, from: seeds })).jacobian, from)
    else {
      const { f, features } = await evaluator.features(batch)
      const own = lastLayerJacobian(slots, features, to - from)
      visit({ ...own, seeds: count, factors: own.factors.map(factor => ({ ...factor, g: seeds(f) })) }, from)
    }
  })
}

/** The data once more, in the eigenbases of their Kronecker factors. */
async function inEigenbases(task: FitTask, blocks: readonly KronBlock[], rows: TrainingRows,
  work: WorkOptions): Promise<EkfacCurvature> {
  const sum = ekfacSum(blocks, task.evaluator.slots)
  await eachSeeded(task, rows, work, jacobian => {
    sum.add(jacobian)
  })
  return sum.curvature()
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
  if (count * size <= MOST_WRITTEN && Math.min(count, size) <= MOST_DECOMPOSED) {
    return pairsOfRows(await writtenRows(task, rows, work), size)
  }
  if (count <= MOST_DECOMPOSED && slots.every(({ elements }) => elements === undefined)) {
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

/** The eigenpairs of V'V. */
function pairsOfRows(V: Float64Array, size: number): Eigenpairs {
  const count = V.length / size
  const [n, transposed] = count <= size ? [count, false] : [size, true]
  const gram = new Float64Array(n * n)
  if (transposed) gemm(true, false, n, n, count, 1, V, V, 0, gram)
  else gemm(false, true, n, n, size, 1, V, V, 0, gram)
  let largest = 0
  for (let i = 0; i < n; i++) largest = Math.max(largest, gram[i * n + i])
  const pairs = leadingEigenpairs(n, gram, 1e-14 * largest)
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
  const batches: FactoredJacobian[] = []
  await eachSeeded(task, rows, work, own => {
    // What a program hands over is its own until it runs again.
    batches.push(selectExamples(own, Int32Array.from({ length: own.examples }, (_, n) => n)))
  })
  const jacobian = joinJacobians(batches)
  const count = jacobian.examples * jacobian.seeds
  const gram = jacobianGram(slots, jacobian, jacobian)
  let largest = 0
  for (let i = 0; i < count; i++) largest = Math.max(largest, gram[i * count + i])
  const { values, vectors } = leadingEigenpairs(count, gram, 1e-14 * largest)
  let kept = typeof wanted === 'number' ? Math.min(wanted, values.length) : 1
  if (typeof wanted !== 'number') { while (kept < values.length && !wanted(values.subarray(0, kept))) kept++ }
  // In float64, as the sums of products are.
  const coefficients = Float64Array.from({ length: count * kept },
    (_, i) => vectors[i % kept * count + Math.floor(i / kept)] / Math.sqrt(values[i % kept]))
  const found = zeroVectors(slots, kept)
  addTransposedProduct(found, jacobian, coefficients)
  return { values: values.slice(0, kept), vectors: joinVectors(slots, found) }
}

/** Subspace iteration from seeded random vectors until the wanted eigenvalues settle; spare ones come with them. */
async function iterated({ evaluator, pool, options }: FitTask, { x, examples }: TrainingRows, target: number,
  work: WorkOptions): Promise<Eigenpairs> {
  const { network, slots } = evaluator
  const size = parameterCount(slots)
  const count = Math.min(size, 2 * target + SPARE_VECTORS)
  checkBytes('The vectors of the posterior', 16 * count * size, 'Use a smaller rank (option rank).')
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
    let basis = randomGenerator(options.seed).fillNormal(new Float64Array(count * size))
    let before: Float64Array = new Float64Array(count)
    for (let pass = 1;; pass++) {
      throwIfCancelled(work.signal)
      basis = orthonormalRows(count, basis)
      const images = await products.curvatureTimes(root, basis, count)
      const values = ritzValues(count, size, basis, images)
      const settled = values.subarray(0, target).every((value, k) => Math.abs(value - before[k]) <= SETTLED * values[0])
      if (settled || pass === MOST_PASSES) return eigenpairsOfProducts(count, basis, images)
      before = values
      basis = images
    }
  } finally {
    await products.dispose()
  }
}

/** The eigenvalues of H on what the basis spans, the largest first. */
function ritzValues(count: number, size: number, basis: Float64Array, images: Float64Array): Float64Array {
  const inner = new Float64Array(count * count)
  gemm(false, true, count, count, size, 1, basis, images, 0, inner)
  return symmetricEigen(count, inner).values.slice().sort().reverse()
}
