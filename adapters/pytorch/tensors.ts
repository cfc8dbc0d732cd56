/** @file Storages and tensors as a pickle describes them, before their numbers are touched. */
import { sizeOf } from '../../core/tensor/tensor.js'
import { ForeignValue, PickleTuple, type PickleValue } from '../pickle/index.js'
import type { FileDType } from '../tensors/file-tensor.js'
import type { ElementType } from './dtypes.js'
import { refuseTorch } from './refusal.js'

/** A run of elements that tensors are views of. */
export class TorchStorage extends ForeignValue {
  readonly type: ElementType
  /** Elements, as the pickle says; the reader of the container has compared it with the bytes. */
  readonly length: number
  /** The bytes, little-endian. */
  readonly load: () => Uint8Array

  constructor(type: ElementType, length: number, load: () => Uint8Array) {
    super()
    this.type = type
    this.length = length
    this.load = load
  }
}

/** A strided view of a storage; offset and strides count elements. */
export class TorchTensor extends ForeignValue {
  readonly dtype: FileDType
  readonly storage: TorchStorage
  readonly offset: number
  readonly size: readonly number[]
  readonly stride: readonly number[]

  constructor(dtype: FileDType, storage: TorchStorage, offset: number, size: readonly number[],
    stride: readonly number[]) {
    super()
    this.dtype = dtype
    this.storage = storage
    this.offset = offset
    this.size = size
    this.stride = stride
  }
}

/** A tensor that cannot be read; harmless while nobody asks for it. */
export class UnreadableTensor extends ForeignValue {
  /** What it is: `complex64`, `a quantised tensor`. */
  readonly kind: string

  constructor(kind: string) {
    super()
    this.kind = kind
  }
}

/** A Parameter of PyTorch up to 0.3, whose tensor comes with its state. */
export class TorchParameter extends ForeignValue {
  tensor: TorchTensor | UnreadableTensor | undefined

  override build(state: PickleValue): void {
    const [tensor] = state instanceof PickleTuple ? state.items : []
    if (tensor instanceof TorchTensor || tensor instanceof UnreadableTensor) this.tensor = tensor
    else refuseTorch('has a Parameter whose state does not start with a tensor')
  }
}

/** The tensor that a value is or wraps, or undefined. */
export function tensorOf(value: PickleValue): TorchTensor | UnreadableTensor | undefined {
  if (value instanceof TorchParameter) return value.tensor
  return value instanceof TorchTensor || value instanceof UnreadableTensor ? value : undefined
}

/** PyTorch itself has at most 64. */
const MOST_AXES = 64

/**
 * Checks a view of a storage.
 * @param available elements of the storage, counted in the view's type
 * @throws UntrustedInputError for sizes and strides that are not whole numbers from 0, or that reach beyond the storage
 */
export function checkView(available: number, offset: PickleValue, size: PickleValue, stride: PickleValue,
  at: number): { offset: number, size: number[], stride: number[] } {
  const extents = counts(size, 'size', at)
  const steps = counts(stride, 'stride', at)
  if (extents.length !== steps.length) {
    refuseTorch(`has a tensor with ${extents.length} sizes and ${steps.length} strides`, { offset: at })
  }
  if (extents.length > MOST_AXES) {
    refuseTorch(`has a tensor with ${extents.length} axes`, { offset: at, limit: MOST_AXES, actual: extents.length })
  }
  const start = count(offset, 'offset', at)
  const elements = sizeOf(extents)
  if (!Number.isSafeInteger(elements)) {
    refuseTorch(`has a tensor of ${extents.slice(0, 8).join(' x ')} elements`, { offset: at, actual: elements })
  }
  // Views of nothing may start anywhere.
  const last = elements === 0 ? 0 : extents.reduce((sum, extent, i) => sum + (extent - 1) * steps[i], start + 1)
  if (!(last <= available)) {
    refuseTorch(`has a tensor that ends at element ${last} of a storage of ${available}`, { offset: at,
      limit: available, actual: last })
  }
  return { offset: start, size: extents, stride: steps }
}

function counts(value: PickleValue, what: string, at: number): number[] {
  return value instanceof PickleTuple
    ? value.items.map(item => count(item, what, at))
    : refuseTorch(`has a tensor whose ${what} is not a tuple`, { offset: at })
}

/** A whole number from 0. */
function count(value: PickleValue | undefined, what: string, at: number): number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
    ? value
    : refuseTorch(
      `has a tensor whose ${what} is ${
        typeof value === 'number' || typeof value === 'bigint' ? value : 'not a whole number'
      }`,
      { offset: at },
    )
}
