/** @file The posterior of a curvature that is known in a blockwise eigenbasis: kron and diag. */
import type { Curvature, EkfacCurvature } from '../curvature/curvature.js'
import { OptionError } from '../errors/errors.js'
import { gemm } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { hessianFactor, type PosteriorSettings } from '../options/hyperparameters.js'
import { joined } from '../tensor/joined.js'
import type { RandomGenerator } from '../tensor/random.js'
import { columns, type EigenBlock, ownValues, putColumns, rotateInputs, rotateMatrices, rowWidth, type TensorBlocks,
  type WeightedBlock } from './eigen-block.js'
import { diagonalsIn, isThin } from './eigenbasis.js'
import type { FactorEigens } from './factor-eigen.js'
import { sumOfLogarithms } from './log-product.js'
import { lastLayerVariance } from './posterior-parts.js'
import { aroundMean, checkSettings, deviation, logDensity, once, priorByParameter, priorByTensor,
  type StructuredPosterior } from './posterior.js'

/**
 * The posterior whose precision in block b's eigenbasis is values / (sigma^2 T) + delta.
 * @param blocks those of each slot, decomposed when they are first needed: tuning may replace the posterior before
 * @param factors what the blocks are made from, where that takes decompositions
 * @throws OptionError BAD_OPTION when the settings do not fit
 */
export function eigenPosterior(curvature: Curvature | EkfacCurvature, blocks: () => readonly TensorBlocks[],
  slots: readonly ParameterSlot[], mean: Float64Array, settings: PosteriorSettings,
  factors?: () => FactorEigens): StructuredPosterior {
  checkSettings(settings, slots, curvature.structure)
  const size = mean.length
  if (curvature.structure !== 'diag' && priorByTensor(settings, slots) === undefined
    && blocks().flat().some(({ left }) => left !== undefined)) {
    throw new OptionError('BAD_OPTION',
      `Option priorPrecision of a ${curvature.structure} posterior takes one number, or one for each of the `
        + `${slots.length} tensors; got ${size} numbers. Use structure full or diag for one per parameter.`, {
      option: 'priorPrecision',
      value: size,
      allowed: [1, slots.length],
    })
  }
  const weighted = once(() => weightedBlocks(blocks(), slots, settings))
  const placed = once(() => weighted().flat())
  const inEigenbasis = (rows: Float64Array, count: number, power: number, back: boolean): Float64Array => {
    const result = new Float64Array(count * size)
    for (const block of placed()) {
      const { offset } = block
      const width = block.out * block.in
      const inside = rotateMatrices(block, columns(rows, count, size, offset, width), count, false)
      scaleRows(inside, count, block.variance, power)
      putColumns(result, back ? rotateMatrices(block, inside, count, true) : ownRows(block, inside, count), count, size,
        offset, width)
    }
    return result
  }
  return {
    structure: curvature.structure,
    curvature,
    ...aroundMean(mean, slots, settings),
    withSettings: changes => eigenPosterior(curvature, blocks, slots, mean, { ...settings, ...changes }, factors),
    ...(factors === undefined ? {} : { factors }),
    logDetPrecision: once(() =>
      -placed().reduce((sum, block) => sum + sumOfLogarithms(ownValues(block, block.variance)), 0)
    ),
    posteriorVariance: () => covarianceDiagonal(placed(), size),
    precisionMatrix: () => precisionMatrix(placed(), size),
    covarianceTimes: (vectors, count) => inEigenbasis(vectors, count, 1, true),
    // Left in the eigenbasis: R R' is right, while single columns of R belong to no parameter.
    whiten: (vectors, count) => inEigenbasis(vectors, count, 0.5, false),
    sample: (count, random) => draw(placed(), mean, count, random),
    logProb: theta => logDensityAt(placed(), deviationFrom(theta, mean)),
    parts: once(() => ({ kind: 'blocks', blocks: weighted() })),
    lastLayerVariance: (features, examples, kind) =>
      lastLayerVariance({ kind: 'blocks', blocks: weighted() }, slots, features, examples, kind),
    spectrum: () => ({ values: blocks().map(own => joined(own.map(block => ownValues(block, block.values)))),
      byTensor: true }),
  }
}

/** A block with the place of its first parameter in theta. */
interface PlacedBlock extends WeightedBlock {
  readonly offset: number
}

function weightedBlocks(blocks: readonly TensorBlocks[], slots: readonly ParameterSlot[],
  settings: PosteriorSettings): TensorBlocks<PlacedBlock>[] {
  const factor = hessianFactor(settings)
  const perTensor = priorByTensor(settings, slots)
  const perParameter = perTensor === undefined ? priorByParameter(settings, slots) : undefined
  return blocks.map((tensor, t) => {
    let next = slots[t].offset
    return tensor.map(block => {
      const offset = next
      next += block.out * block.in
      const width = rowWidth(block)
      // With a prior of each parameter its row decides where there are more coordinates than parameters: only priors
      // that are the same along a row get here.
      const place = (i: number): number => (width === block.in ? i : Math.floor(i / width) * block.in)
      const variance = block.values.map((value, i) =>
        1 / (factor * value + (perParameter === undefined ? perTensor?.[t] ?? 1 : perParameter[offset + place(i)]))
      )
      return { ...block, offset, variance }
    })
  })
}

/** The diagonal of P^-1. */
function covarianceDiagonal(blocks: readonly PlacedBlock[], size: number): Float64Array {
  const result = new Float64Array(size)
  for (const block of blocks) result.set(blockDiagonal(block, block.variance), block.offset)
  return result
}

/** The log density at a distance from the mean. */
function logDensityAt(blocks: readonly PlacedBlock[], distance: Float64Array): number {
  const size = distance.length
  let quadratic = 0
  let logDet = 0
  for (const block of blocks) {
    const inside = rotateMatrices(block, columns(distance, 1, size, block.offset, block.out * block.in), 1, false)
    inside.forEach((value, j) => {
      quadratic += value * value / block.variance[j]
    })
    logDet -= sumOfLogarithms(ownValues(block, block.variance))
  }
  return logDensity(size, logDet, quadratic)
}

/**
 * Coordinates as numbers in the eigenbasis, one for each dimension. Where A's basis is thin there are more of them;
 * turned back on that side they are as good: R R' stays what it is.
 */
function ownRows(block: EigenBlock, inside: Float64Array, count: number): Float64Array {
  return block.right !== undefined && isThin(block.right) ? rotateInputs(block, inside, count, true) : inside
}

/** The diagonal of (U_B kron Q_A) diag(values) (U_B kron Q_A)'. */
function blockDiagonal({ left, right, out, in: inputs }: EigenBlock, values: Float64Array): Float64Array {
  let current = right === undefined ? values : diagonalsIn(right, values, out)
  if (left !== undefined) {
    const next = new Float64Array(current.length)
    gemm(false, false, out, inputs, out, 1, left.map(v => v * v), current, 0, next)
    current = next
  }
  return current
}

function precisionMatrix(blocks: readonly PlacedBlock[], size: number): Float64Array {
  const matrix = new Float64Array(size * size)
  for (const block of blocks) {
    const length = block.out * block.in
    const rows = new Float64Array(length * length)
    for (let i = 0; i < length; i++) rows[i * length + i] = 1
    const inside = rotateMatrices(block, rows, length, false)
    scaleRows(inside, length, block.variance, -1)
    const dense = rotateMatrices(block, inside, length, true)
    for (let i = 0; i < length; i++) {
      matrix.set(dense.subarray(i * length, (i + 1) * length), (block.offset + i) * size + block.offset)
    }
  }
  return matrix
}

function draw(blocks: readonly PlacedBlock[], mean: Float64Array, count: number,
  random: RandomGenerator): Float64Array {
  const size = mean.length
  // All noise at once, in theta's order: drawn block by block, a seed would give other samples.
  const noise = random.fillNormal(new Float64Array(count * size))
  const result = new Float64Array(count * size)
  for (const block of blocks) {
    const { offset } = block
    const width = block.out * block.in
    const own = columns(noise, count, size, offset, width)
    const inside = block.right !== undefined && isThin(block.right) ? rotateInputs(block, own, count, false) : own
    scaleRows(inside, count, block.variance, 0.5)
    putColumns(result, rotateMatrices(block, inside, count, true), count, size, offset, width)
  }
  for (let n = 0; n < count; n++) for (let i = 0; i < size; i++) result[n * size + i] += mean[i]
  return result
}

function deviationFrom(theta: Float64Array, mean: Float64Array): Float64Array {
  return deviation(theta, { priorPrecision: 1, priorMean: mean, sigmaNoise: 1, temperature: 1 })
}

/** Multiplies every row by variance^power, in place. */
function scaleRows(rows: Float64Array, count: number, variance: Float64Array, power: number): void {
  const scale = power === 1 ? variance : variance.map(v => v ** power)
  for (let n = 0, at = 0; n < count; n++) for (let i = 0; i < scale.length; i++, at++) rows[at] *= scale[i]
}
