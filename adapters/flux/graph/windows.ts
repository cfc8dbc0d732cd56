/** @file Windows that slide over images, from Flux's order of dimensions to ONNX's. */
import { UntrustedInputError } from '../../../core/errors/errors.js'
import { type Emission, misfit, type Value } from './emission.js'

/** Sizes of a window in Flux's order, width first. */
export interface Window {
  readonly kernel: readonly number[]
  readonly pad: readonly number[]
  readonly stride: readonly number[]
}

/**
 * Flux's padding (one number, one a dimension, or low and high for each) as ONNX's: all lows, then all highs, last
 * dimension first.
 */
export function onnxPads(pad: readonly number[], dimensions: number, path: string): number[] {
  const low = (
    d: number,
  ): number => (pad.length === 2 * dimensions ? pad[2 * d] : pad.length === dimensions ? pad[d] : pad[0])
  const high = (
    d: number,
  ): number => (pad.length === 2 * dimensions ? pad[2 * d + 1] : pad.length === dimensions ? pad[d] : pad[0])
  if (![1, dimensions, 2 * dimensions].includes(pad.length)) {
    throw malformedWindow(path, `${pad.length} paddings for ${dimensions} dimensions`)
  }
  const reversed = Array.from({ length: dimensions }, (_, i) => dimensions - 1 - i)
  return [...reversed.map(low), ...reversed.map(high)]
}

/** A refusal of a window whose lists do not fit the dimensions of the image. */
export function malformedWindow(path: string, what: string): UntrustedInputError {
  return new UntrustedInputError(`The layer '${path}' has ${what}.`, { format: 'BSON.jl', path })
}

/** A list of sizes in Flux's order, one number standing for all dimensions, in the graph's order. */
export function perDimension(sizes: readonly number[], dimensions: number, path: string): number[] {
  if (sizes.length === 1) return Array<number>(dimensions).fill(sizes[0])
  if (sizes.length !== dimensions) throw malformedWindow(path, `${sizes.length} sizes for ${dimensions} dimensions`)
  return [...sizes].reverse()
}

/** Output extent of a window that slides over `extent` positions; counts what is left over at the end. */
export function slide(emission: Emission, extent: number, window: number, stride: number, path: string,
  x: Value): number {
  const room = extent - window
  if (room < 0 || stride < 1 || window < 1) {
    throw misfit(path, 'The layer', `at least ${window} positions in each direction`, x)
  }
  emission.lost += room % stride
  return Math.floor(room / stride) + 1
}
