/**
 * @file The last layer as a linear model in its own right: f_lin(w) = W phi + b on fixed features phi, with w in
 * theta's order.
 */
import { zeroCurvature } from '../curvature/accumulate.js'
import type { Curvature } from '../curvature/curvature.js'
import { accumulateLastLayer, lastLayerIndices, withOnes } from '../curvature/last-layer.js'
import { gemm, type RealArray, symmetricEigen, symmetricEigenvalues, syrk, transposed,
  zerosLike } from '../kernels/linear-algebra.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { lastLayerShape, type LinearShape } from '../network/linear-shape.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { SumShape } from '../options/words.js'
import type { LinearData } from '../sums/linear-data.js'
import { withOwnPages } from '../tensor/own-pages.js'

/** A last layer on fixed features: functions of its weights w (P) and of its outputs f (N x C). */
export interface LinearModel {
  readonly examples: number
  readonly outputs: number
  /** Number of weights P. */
  readonly size: number
  /** D, and 1 more with a bias. */
  readonly width: number
  readonly slots: readonly ParameterSlot[]
  readonly likelihood: LikelihoodModel
  /** f_lin(w), N x C. */
  outputsAt(w: Float64Array): Float64Array
  loss(f: Float64Array): number
  /** phi1, N x width, made anew: of a large model it is not kept. */
  inputs(): Float64Array
  /** Gradient of the loss with respect to the outputs, N x C. */
  residual(f: Float64Array): Float64Array
  /** Gradient of the loss with respect to w. */
  gradient(f: Float64Array): Float64Array
  /** sum_n Lambda_n kron phi1 phi1', P x P. */
  hessian(f: Float64Array): Float64Array
  /** The same times a vector, without forming it. */
  hessianTimes(f: Float64Array): (v: Float64Array) => Float64Array
  /** Mean square of the labels. */
  meanSquare(): number
  /** The curvature in a structure. */
  curvature(f: Float64Array, shape: SumShape): Curvature
  /** Eigenvalues of the curvature, tensor by tensor (kron and diag). */
  spectrum(f: Float64Array, structure: 'kron' | 'diag'): TensorSpectrum[]
  /** Index in w of each entry of the C x width matrix (W, b). */
  readonly indices: Int32Array
  /** phi1' phi1, width x width, made once. */
  gram(): Float64Array
  /** phi1 phi1', N x N, kept until `lastRowGram` has given it away. */
  rowGram(): Float64Array
  /** Its eigen-decomposition. */
  gramEigen(): { readonly values: Float64Array, readonly vectors: Float64Array }
}

/** The eigenvalues of one tensor: all products of an output's and an input's. */
export interface TensorSpectrum {
  readonly outputs: Float64Array
  readonly inputs: Float64Array
}

const ONE = Float64Array.of(1)

/** The linear model of a last layer with these slots. */
export function linearModel(likelihood: LikelihoodModel, slots: readonly ParameterSlot[],
  data: LinearData): LinearModel {
  const { features, labels, examples } = data
  const { out: outputs, in: inputs, bias } = lastLayerShape(slots)
  const made = (): Float64Array => withOnes(features, examples, inputs, bias >= 0, withOwnPages)
  const own: { phi?: Float64Array, direct?: RealArray } = {}
  const phi = (): Float64Array => own.phi ??= made()
  // Directions of a search need no more digits than the features have.
  const directions = (): RealArray =>
    own.direct ??= features instanceof Float32Array ? Float32Array.from(made()) : phi()
  const width = inputs + (bias < 0 ? 0 : 1)
  const size = outputs * width
  const inner = grams(made, examples, width)
  const indices = lastLayerIndices(slots)
  const inOrderOfTheta = (matrix: Float64Array): Float64Array => {
    const w = new Float64Array(size)
    for (let i = 0; i < size; i++) w[indices[i]] = matrix[i]
    return w
  }
  const residual = (f: Float64Array): Float64Array => likelihood.residual(f, labels, examples, outputs)
  return {
    examples,
    outputs,
    size,
    width,
    slots,
    likelihood,
    indices,
    inputs: made,
    outputsAt: w => {
      const f = new Float64Array(examples * outputs)
      gemm(false, true, examples, outputs, width, 1, phi(), Float64Array.from(indices, at => w[at]), 0, f)
      return f
    },
    loss: f => likelihood.loss(f, labels, examples, outputs),
    residual,
    gradient: f => {
      const gradient = new Float64Array(size)
      gemm(true, false, outputs, width, examples, 1, residual(f), phi(), 0, gradient)
      return inOrderOfTheta(gradient)
    },
    hessianTimes: f => {
      const lambda = lambdaTimes(likelihood, f, examples, outputs)
      const direct = directions()
      return v => {
        const u = zerosLike(direct, examples * outputs)
        const matrix = zerosLike(direct, size)
        for (let i = 0; i < size; i++) matrix[i] = v[indices[i]]
        gemm(false, true, examples, outputs, width, 1, direct, matrix, 0, u)
        const product = new Float64Array(size)
        gemm(true, false, outputs, width, examples, 1, lambda(u), direct, 0, product)
        return inOrderOfTheta(product)
      }
    },
    meanSquare: () => labels.reduce((sum, value) => sum + value * value, 0) / Math.max(1, labels.length),
    ...curvatures(likelihood, slots, data, inner),
    ...inner,
  }
}

interface Grams extends Pick<LinearModel, 'gram' | 'rowGram' | 'gramEigen'> {
  /** `rowGram` for the last time, to be written to. */
  lastRowGram(): Float64Array
}

function curvatures(likelihood: LikelihoodModel, slots: readonly ParameterSlot[], { features, examples }: LinearData,
  inner: Grams): Pick<LinearModel, 'curvature' | 'hessian' | 'spectrum'> {
  const layer = lastLayerShape(slots)
  const { out: outputs } = layer
  const curvature = (f: Float64Array, shape: SumShape): Curvature =>
    accumulateLastLayer(zeroCurvature(shape, slots, [layer]), slots, inDoubles(features), f, examples, likelihood)
  let inputValues: Float64Array | undefined
  return {
    curvature,
    hessian: f => {
      const full = curvature(f, { structure: 'full' })
      return full.structure === 'full' ? full.matrix : new Float64Array(0)
    },
    spectrum: (f, structure) => {
      if (structure === 'diag') {
        const diagonal = curvature(f, { structure: 'diag' })
        return diagonal.structure === 'diag'
          ? slots.map(({ offset, size }) => ({ outputs: diagonal.diagonal.subarray(offset, offset + size),
            inputs: ONE })
          )
          : []
      }
      const a = inputValues ??= inputEigenvalues(inner, examples, layer)
      const b = symmetricEigenvalues(outputs, likelihood.sumHessian(f, examples, outputs)).map(value =>
        Math.max(0, value)
      )
      return slots.map((_, i) => ({ outputs: b, inputs: i === layer.bias ? ONE : a }))
    },
  }
}

/** `asFloat64` of features that stay in this thread. */
function inDoubles(features: RealArray): Float64Array {
  if (features instanceof Float64Array) return features
  const values = withOwnPages(features.length)
  values.set(features)
  return values
}

function grams(phi: () => Float64Array, examples: number, width: number): Grams {
  const own: { columns?: Float64Array, rows?: Float64Array | undefined, eigen?: ReturnType<LinearModel['gramEigen']> } =
    {}
  const gramOf = (n: number, k: number, matrix: Float64Array): Float64Array => {
    const result = withOwnPages(n * n)
    syrk(n, k, 1, matrix, 0, result)
    return result
  }
  const gram = (): Float64Array => own.columns ??= gramOf(width, examples, phi())
  const rowGram = (): Float64Array =>
    own.rows ??= gramOf(examples, width, transposed(phi(), examples, width, withOwnPages(examples * width)))
  return {
    gram,
    rowGram,
    lastRowGram: () => {
      const last = rowGram()
      own.rows = undefined
      return last
    },
    gramEigen: () => own.eigen ??= symmetricEigen(width, gram()),
  }
}

/**
 * Eigenvalues of A = phi' phi / N, not negative: those of phi phi' and zeros where there are fewer rows than inputs.
 * The Gram matrices of phi1 have the ones of the bias beside it.
 */
function inputEigenvalues(inner: Grams, examples: number, { in: inputs, bias }: LinearShape): Float64Array {
  const wide = examples < inputs
  const [size, width] = wide ? [examples, examples] : [inputs, inputs + (bias < 0 ? 0 : 1)]
  const matrix = wide ? inner.lastRowGram() : leading(inner.gram(), width, size)
  if (wide && bias >= 0) { for (let i = 0; i < matrix.length; i++) matrix[i] -= 1 }
  const values = new Float64Array(inputs)
  values.set(symmetricEigenvalues(size, matrix).map(value => Math.max(0, value) / examples), inputs - size)
  return values
}

/** The first rows and columns of a square matrix of `width` of them. */
function leading(matrix: Float64Array, width: number, size: number): Float64Array {
  if (size === width) return matrix
  const result = new Float64Array(size * size)
  for (let i = 0; i < size; i++) result.set(matrix.subarray(i * width, i * width + size), i * size)
  return result
}

/** u -> Lambda_n u_n for every example; the argument is overwritten. */
export function lambdaTimes(likelihood: LikelihoodModel, f: Float64Array, examples: number,
  outputs: number): (u: RealArray) => RealArray {
  if (likelihood.hessianPattern === 'identity') return u => u
  if (likelihood.hessianPattern === 'diagonal') {
    const diagonal = likelihood.hessianDiagonal(f, examples, outputs)
    return u => {
      for (let i = 0; i < u.length; i++) u[i] *= diagonal[i]
      return u
    }
  }
  // diag(p) u - p (p'u), as p (u - p'u).
  const p = likelihood.inverseLink(f, examples, outputs)
  return u => {
    for (let at = 0; at < u.length; at += outputs) {
      let mean = 0
      for (let c = at; c < at + outputs; c++) mean += p[c] * u[c]
      for (let c = at; c < at + outputs; c++) u[c] = p[c] * (u[c] - mean)
    }
    return u
  }
}
