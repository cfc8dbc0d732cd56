/** @file A likelihood of the user's own: functions of the network's outputs, called once with the rows of a fit. */
import type { NdArray } from 'ndarray'
import { forward } from '../core/answer/forward.js'
import { DataError, OptionError } from '../core/errors/errors.js'
import type { Graph } from '../core/graph/graph.js'
import type { Laplace } from '../core/laplace/laplace.js'
import type { LaplaceOptions as CoreOptions } from '../core/options/laplace-options.js'
import type { Batch } from '../core/tensor/batch.js'
import type { Examples } from '../core/tensor/examples.js'
import { float64, formatShape, type Tensor } from '../core/tensor/tensor.js'
import { type ArrayInput, toNdArray, toTensor } from './arrays.js'
import { attendedLaplace } from './runtime/attended.js'
import { nodeRuntime } from './runtime/runtime.js'

/**
 * -log p(y | f) of the user's own, for outputs f (N x C) and targets y as they were given to the fit. It is asked at
 * the network's outputs alone, so that predictions are means and variances of the outputs.
 * @example
 * // A Cauchy likelihood of one output, with its Fisher information 1/2 as Lambda.
 * const cauchy: OwnLikelihood = {
 *   loss: (f, y: number[]) => y.map((t, n) => Math.log(Math.PI * (1 + (f.get(n, 0) - t) ** 2))),
 *   residual: (f, y: number[]) => y.map((t, n) => [2 * (f.get(n, 0) - t) / (1 + (f.get(n, 0) - t) ** 2)]),
 *   root: (f, y: number[]) => y.map(() => [[Math.SQRT1_2]]),
 * }
 */
export interface OwnLikelihood {
  /** -log p(y_n | f_n) of every row, N. */
  loss(f: NdArray, y: ArrayInput): ArrayInput
  /** Its derivatives with respect to f, N x C. */
  residual(f: NdArray, y: ArrayInput): ArrayInput
  /** Columns of a root of its (positive semi-definite) Hessian: Lambda_n = R_n R_n', N x C x K. */
  root(f: NdArray, y: ArrayInput): ArrayInput
}

/** Options of a fit whose likelihood is the user's. */
export type OwnOptions = Omit<CoreOptions, 'likelihood'> & { readonly likelihood: OwnLikelihood }

/** Whether a likelihood is functions. @throws OptionError BAD_OPTION where one of them is missing */
export function isOwnLikelihood(likelihood: unknown): likelihood is OwnLikelihood {
  if (typeof likelihood !== 'object' || likelihood === null) return false
  for (const name of ['loss', 'residual', 'root'] as const) {
    if (!(name in likelihood) || typeof (likelihood as Record<string, unknown>)[name] !== 'function') {
      throw new OptionError('BAD_OPTION',
        `Option likelihood as an object has the functions loss, residual and root; '${name}' is missing.`, {
        option: 'likelihood',
      })
    }
  }
  return true
}

/** The core's fit of such a likelihood: rows become what the functions say of them at the network's outputs. */
export function ownFit(network: Graph, { likelihood, ...options }: OwnOptions): {
  readonly core: (roots?: number) => Laplace
  readonly rows: (x: Examples, y: ArrayInput) => Promise<Batch & { readonly roots: number }>
} {
  const { input, output, engine, positions } = options
  return {
    core: roots => attendedLaplace(network, { ...options, likelihood: 'custom', roots }),
    rows: async (x, y) => {
      const f = await forward(network, x, { likelihood: 'custom', input, output, engine, positions }, nodeRuntime)
      return { x, ...labels(likelihood, f, y) }
    },
  }
}

/** N x (1 + C + C K): loss, derivatives, and the root of every row. */
function labels(own: OwnLikelihood, f: Tensor, y: ArrayInput): { readonly y: Tensor, readonly roots: number } {
  const [n, outputs = 1] = f.shape
  const given = toNdArray(f)
  const asked = (name: 'loss' | 'residual' | 'root', width: number): Tensor => {
    const values = toTensor(own[name](given, y), name)
    const size = values.data.length / Math.max(1, n)
    const fits = name === 'root' ? size > 0 && size % width === 0 : size === width
    if (fits) return values
    throw new DataError('BAD_ARRAY',
      `The likelihood's ${name} must be ${
        { loss: formatShape([n]), residual: formatShape([n, outputs]), root: formatShape([n, outputs, 'K']) }[name]
      }; it is ${formatShape(values.shape)}.`, { array: name })
  }
  const [loss, residual, root] = [asked('loss', 1), asked('residual', outputs), asked('root', outputs)]
  const width = root.data.length / n
  const rows = new Float64Array(n * (1 + outputs + width))
  for (let row = 0, at = 0; row < n; row++) {
    rows[at++] = loss.data[row]
    for (let c = 0; c < outputs; c++) rows[at++] = residual.data[row * outputs + c]
    for (let i = 0; i < width; i++) rows[at++] = root.data[row * width + i]
  }
  return { y: float64([n, 1 + outputs + width], rows), roots: width / outputs }
}
