/** @file Symmetric eigen-decomposition, in the memory of the WebAssembly kernels. */
import { NumericalError } from '../errors/errors.js'
import { copyBlock } from './copy-block.js'
import { pause, pauseInLoop } from './interruption.js'
import { type KernelExports, kernelView, withKernelMemory } from './kernel-module.js'
import { type Eigen, symmetricEigen as plainEigen } from './plain-eigen.js'

/**
 * Matrices whose largest number is beyond these powers of two are scaled first, so that squares neither overflow nor
 * vanish.
 */
const LARGEST_EXPONENT = 400

/**
 * Eigen-decomposition of a symmetric n x n matrix, of which only the lower triangle is read.
 * @param into where the vectors are written, which may be the matrix itself; a new array without it
 * @returns eigenvalues ascending, and the matrix whose column j is the eigenvector of value j
 * @throws NumericalError NO_CONVERGENCE, which numbers that are not finite lead to
 */
export function symmetricEigen(n: number, matrix: Float64Array, into?: Float64Array): Eigen {
  const { scaled, unscale } = withinRange(n, matrix)
  const { values, vectors } = decompose(n, scaled, into)
  return { values: unscale(values), vectors }
}

/**
 * The eigenvalues alone, ascending, which take a fifth of the time.
 * @throws NumericalError NO_CONVERGENCE, which numbers that are not finite lead to
 */
export function symmetricEigenvalues(n: number, matrix: Float64Array): Float64Array {
  const { scaled, unscale } = withinRange(n, matrix)
  return unscale(valuesOf(n, scaled)).sort()
}

/**
 * The matrix, divided where its largest number is out of range, and what undoes that to its eigenvalues.
 * @throws NumericalError NO_CONVERGENCE for numbers that are not finite
 */
function withinRange(n: number, matrix: Float64Array): {
  readonly scaled: Float64Array
  readonly unscale: (values: Float64Array) => Float64Array
} {
  const largest = largestInLower(n, matrix)
  if (!Number.isFinite(largest)) {
    throw new NumericalError('NO_CONVERGENCE',
      `The eigen-decomposition of a ${n} x ${n} matrix cannot converge: expected finite numbers, found NaN or ` +
        'infinity.', { size: n })
  }
  const exponent = largest === 0 ? 0 : Math.round(Math.log2(largest))
  if (Math.abs(exponent) <= LARGEST_EXPONENT) return { scaled: matrix, unscale: values => values }
  // In two factors, as 2^1074 alone is not a number of this type.
  const half = 2 ** -Math.trunc(exponent / 2)
  const rest = 2 ** -(exponent - Math.trunc(exponent / 2))
  return { scaled: matrix.map(value => value * half * rest),
    unscale: values => values.map(value => value / half / rest) }
}

function largestInLower(n: number, matrix: Float64Array): number {
  let largest = 0
  for (let i = 0; i < n; i++) {
    pauseInLoop(i)
    for (let j = i * n; j <= i * n + i; j++) {
      const size = Math.abs(matrix[j])
      if (!(size <= largest)) largest = size
      if (size !== size) return NaN
    }
  }
  return largest
}

function decompose(n: number, matrix: Float64Array, into: Float64Array | undefined): Eigen {
  if (n < 2) return plainEigen(n, matrix)
  const found = withEigenMemory(n, matrix, 'symmetricEigen', ({ kernel, at, stride, values }) => {
    pause(-1)
    const vectors = into ?? new Float64Array(n * n)
    // Copies, not views: the next call of any kernel writes over this memory.
    copyRows(n, kernelView(kernel, vectors, at, n * stride), stride, vectors, n)
    return { values: values.slice(), vectors }
  })
  return found ?? plainEigen(n, matrix)
}

function valuesOf(n: number, matrix: Float64Array): Float64Array {
  if (n < 2) return plainEigen(n, matrix).values
  const found = withEigenMemory(n, matrix, 'symmetricEigenvalues', ({ values }) => values.slice())
  return found ?? plainEigen(n, matrix).values
}

/** Copies an n x n matrix; of a large one the pages alone, written to for the first time, take a tenth of a second. */
function copyRows(n: number, source: Float64Array, fromStride: number, target: Float64Array, toStride: number): void {
  for (let i = 0; i < n; i++) {
    pauseInLoop(n)
    copyBlock(source, i * fromStride, fromStride, target, i * toStride, toStride, 1, n)
  }
}

/** What a kernel has left in its memory: eigenvalues, and from `at` on rows `stride` numbers apart. */
interface KernelResult {
  readonly kernel: KernelExports
  readonly at: number
  readonly stride: number
  readonly values: Float64Array
}

/**
 * Runs a kernel on a copy of the matrix, and `read` on what it leaves.
 * @returns undefined, and nothing is done, where there are no kernels or not enough memory
 */
function withEigenMemory<R>(n: number, matrix: Float64Array, name: 'symmetricEigen' | 'symmetricEigenvalues',
  read: (result: KernelResult) => R): R | undefined {
  const stride = rowStride(n)
  const matrixBytes = n * stride * 8
  const workBytes = withKernelMemory(0, kernel => kernel[`${name}Bytes`](n, stride) >>> 0)
  if (workBytes === undefined) return undefined
  const before = matrixBytes + stride * 8
  // Five matrices of workspace and arguments; beyond 4 GB the kernel's own sum would have wrapped around.
  if (5 * matrixBytes > 2 ** 32) return undefined
  return withKernelMemory(before + workBytes, (kernel, at) => {
    copyRows(n, matrix, n, kernelView(kernel, matrix, at, n * stride), stride)
    const atValues = at + matrixBytes
    if (kernel[name](n, at, stride, atValues, at + before) === 0) {
      throw new NumericalError('NO_CONVERGENCE', `The eigen-decomposition of a ${n} x ${n} matrix did not converge.`, {
        size: n,
      })
    }
    return read({ kernel, at, stride, values: kernelView(kernel, matrix, atValues, n) })
  })
}

/**
 * Numbers from one row to the next: whole pairs of vectors, and no multiple of 1024 bytes, which would crowd few sets
 * of the caches.
 */
function rowStride(n: number): number {
  const padded = Math.ceil(n / 4) * 4
  return padded % 128 === 0 ? padded + 4 : padded
}
