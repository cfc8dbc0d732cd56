/**
 * @file Arrays of Flux as tensors with PyTorch's names and layout, which the description of an architecture refers to.
 *
 * A Dense weight becomes out x in. A convolution's (w, h, in, out) becomes out x in x h x w with every kernel turned
 * round, because Flux's Conv is a true convolution. Names of normalisations are translated.
 */
import { sizeOf, type Tensor } from '../../../core/tensor/tensor.js'
import type { JuliaArray } from './arrays.js'
import { rowMajor } from './row-major.js'

const NAMES: Readonly<Record<string, string>> = { β: 'bias', γ: 'weight', μ: 'running_mean', 'σ²': 'running_var' }

/** An array with its path in the file. */
export interface NamedArray {
  readonly path: string
  readonly array: JuliaArray
}

/**
 * Names and lays out arrays as PyTorch does.
 * @returns `layers.1.weight` and so on; a bare list of parameters becomes `0.weight`, `0.bias`, `1.weight`, ...
 */
export function torchTensors(arrays: readonly NamedArray[]): Map<string, Tensor> {
  const bare = arrays.every(({ path }) => /^\d+$/.test(path.split('.').pop() ?? ''))
  const names = bare ? bareNames(arrays) : arrays.map(({ path }) => torchName(path))
  const tensors = new Map<string, Tensor>()
  arrays.forEach(({ array }, i) => tensors.set(names[i], torchTensor(array)))
  return tensors
}

function torchName(path: string): string {
  const parts = path.split('.')
  const last = parts[parts.length - 1]
  if (parts[parts.length - 2] === 'diag') return [...parts.slice(0, -2), last === 'scale' ? 'weight' : last].join('.')
  return [...parts.slice(0, -1), Object.hasOwn(NAMES, last) ? NAMES[last] : last].join('.')
}

/** W1, b1, W2, b2, ...: every matrix or larger array starts a layer, a vector after it is its bias. */
function bareNames(arrays: readonly NamedArray[]): string[] {
  let layer = -1
  let parts = 0
  return arrays.map(({ array }) => {
    if (array.size.length > 1) {
      layer++
      parts = 0
      return `${layer}.weight`
    }
    parts++
    return `${Math.max(layer, 0)}.${parts === 1 ? 'bias' : `vector${parts}`}`
  })
}

function torchTensor(array: JuliaArray): Tensor {
  const { size } = array
  if (size.length < 3) return rowMajor(array)
  const shape = [...size].reverse()
  const taps = sizeOf(shape.slice(2))
  const data = array.data.slice()
  for (let start = 0; start < data.length; start += taps) data.subarray(start, start + taps).reverse()
  return { dtype: data instanceof Float32Array ? 'float32' : 'float64', shape, data }
}
