/**
 * @file The views of the package `ndarray`, whose own make code while they run (`new Function`), which the policy of a
 * careful page forbids. The file for browsers has these instead; a test compares the two.
 */
import type { Data, NdArray } from 'ndarray'

type Index = number | null | undefined

/** A view of flat data by shape, strides and offset. */
class View {
  readonly data: Data<number>
  readonly shape: number[]
  readonly stride: number[]
  readonly offset: number

  constructor(data: Data<number>, shape: number[], stride: number[], offset: number) {
    this.data = data
    this.shape = shape
    this.stride = stride
    this.offset = offset
  }

  get dtype(): string {
    const name = Object.prototype.toString.call(this.data).slice(8, -6).toLowerCase()
    return Array.isArray(this.data) ? 'array' : name === 'uint8clamped' ? 'uint8_clamped' : name
  }
  get dimension(): number {
    return this.shape.length
  }
  get size(): number {
    return this.shape.reduce((product, extent) => product * extent, 1)
  }
  /** The axes by rising stride. */
  get order(): number[] {
    return this.shape.map((_, axis) => axis).sort((a, b) =>
      Math.abs(this.stride[a]) - Math.abs(this.stride[b]) || b - a
    )
  }

  index(...at: number[]): number {
    return this.stride.reduce((sum, stride, axis) => sum + stride * at[axis], this.offset)
  }
  get(...at: number[]): number {
    return (this.data as number[])[this.index(...at)]
  }
  set(...at: number[]): number {
    const value = at[this.shape.length]
    ;(this.data as number[])[this.index(...at)] = value
    return value
  }

  /** Up to these indices. */
  hi(...ends: Index[]): View {
    return new View(this.data, this.shape.map((extent, axis) => given(ends[axis]) ?? extent), this.stride, this.offset)
  }
  /** From these indices on. */
  lo(...starts: Index[]): View {
    const from = this.shape.map((_, axis) => given(starts[axis]) ?? 0)
    return new View(this.data, this.shape.map((extent, axis) => extent - from[axis]), this.stride, this.index(...from))
  }
  /** Every so many; negative: from the end on. */
  step(...steps: Index[]): View {
    const by = this.shape.map((_, axis) => steps[axis] ?? 1)
    const from = this.shape.map((extent, axis) => (by[axis] < 0 ? extent - 1 : 0))
    return new View(this.data, this.shape.map((extent, axis) => Math.ceil(extent / Math.abs(by[axis]))),
      this.stride.map((stride, axis) => stride * by[axis]), this.index(...from))
  }
  transpose(...axes: Index[]): View {
    const order = this.shape.map((_, axis) => axes[axis] ?? axis)
    return new View(this.data, order.map(axis => this.shape[axis]), order.map(axis => this.stride[axis]), this.offset)
  }
  /** One index of some axes, which are gone then. */
  pick(...at: Index[]): View {
    const kept = this.shape.flatMap((_, axis) => (given(at[axis]) === undefined ? [axis] : []))
    return new View(this.data, kept.map(axis => this.shape[axis]), kept.map(axis => this.stride[axis]),
      this.index(...this.shape.map((_, axis) => given(at[axis]) ?? 0)))
  }
}

const given = (index: Index): number | undefined => (typeof index === 'number' && index >= 0 ? index : undefined)

/** A view of flat data; without strides the last axis moves fastest. */
export function ndarray(data: Data<number>, shape: number[] = [data.length], stride = rowMajor(shape),
  offset = stride.reduce((sum, step, axis) => (step < 0 ? sum - (shape[axis] - 1) * step : sum), 0)): NdArray {
  return new View(data, shape, stride, offset) as unknown as NdArray
}

function rowMajor(shape: readonly number[]): number[] {
  const stride = new Array<number>(shape.length)
  shape.reduceRight((size, extent, axis) => {
    stride[axis] = size
    return size * extent
  }, 1)
  return stride
}
