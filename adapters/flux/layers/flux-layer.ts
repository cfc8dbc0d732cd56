/** @file What is known of a layer of Flux once it is read: its kind, its arrays as the file has them, its numbers. */
import type { JuliaArray } from '../julia/arrays.js'
import type { FluxFunction } from '../julia/functions.js'

/** A layer inside another one, under its name there: a position from 1 as in Julia, or a chosen name. */
export interface NamedLayer {
  readonly name: string
  readonly layer: FluxLayer
}

/** Convolutions; sizes in Flux's order (width first). */
export interface ConvLayer {
  readonly type: 'Conv'
  /** The struct's name: Conv, CrossCor, ConvTranspose, DepthwiseConv. */
  readonly variant: 'Conv' | 'CrossCor' | 'ConvTranspose' | 'DepthwiseConv'
  readonly weight: JuliaArray
  readonly bias: JuliaArray | undefined
  readonly activation: FluxFunction | undefined
  readonly stride: readonly number[]
  readonly pad: readonly number[]
  readonly outpad: readonly number[]
  readonly dilation: readonly number[]
  readonly groups: number
}

/** Batch, instance and group normalisation. */
export interface NormLayer {
  readonly type: 'Norm'
  readonly variant: 'BatchNorm' | 'InstanceNorm' | 'GroupNorm'
  readonly activation: FluxFunction | undefined
  readonly shift: JuliaArray | undefined
  readonly scale: JuliaArray | undefined
  readonly mean: JuliaArray | undefined
  readonly variance: JuliaArray | undefined
  readonly epsilon: number
  readonly trackStats: boolean
  readonly groups: number
  readonly channels: number
}

/** Recurrent layers. `sequence`: the layers of Flux 0.15 and newer, which take features x time x batch at once. */
export interface RecurrentLayer {
  readonly type: 'Recurrent'
  readonly cell: 'RNN' | 'LSTM' | 'GRU' | 'GRUv3'
  readonly sequence: boolean
  readonly activation: FluxFunction | undefined
  readonly inputWeight: JuliaArray
  readonly hiddenWeight: JuliaArray
  readonly candidateWeight: JuliaArray | undefined
  readonly bias: JuliaArray | undefined
  readonly state: readonly JuliaArray[]
}

/** Scale and Diagonal: element by element x times the scale, plus the bias, then the activation. */
export interface ScaleLayer {
  readonly type: 'Scale'
  readonly scale: JuliaArray
  readonly bias: JuliaArray | undefined
  readonly activation: FluxFunction | undefined
}

/** A layer of Flux, by its kind. */
export type FluxLayer =
  | { readonly type: 'Chain', readonly layers: readonly NamedLayer[] }
  | { readonly type: 'Dense', readonly weight: JuliaArray, readonly bias: JuliaArray | undefined,
    readonly activation: FluxFunction | undefined }
  | ConvLayer
  | NormLayer
  | RecurrentLayer
  | ScaleLayer
  | { readonly type: 'LayerNorm', readonly affine: FluxLayer | undefined, readonly axes: number,
    readonly epsilon: number }
  | { readonly type: 'Pool', readonly mode: 'max' | 'mean', readonly kernel: readonly number[],
    readonly pad: readonly number[], readonly stride: readonly number[] }
  | { readonly type: 'AdaptivePool', readonly mode: 'max' | 'mean', readonly out: readonly number[] }
  | { readonly type: 'GlobalPool', readonly mode: 'max' | 'mean' }
  | { readonly type: 'Identity', readonly of: string }
  | { readonly type: 'Function', readonly fn: FluxFunction }
  | { readonly type: 'SkipConnection', readonly layers: FluxLayer, readonly connection: FluxFunction }
  | { readonly type: 'Parallel', readonly layers: readonly NamedLayer[], readonly connection: FluxFunction }
  | { readonly type: 'Maxout', readonly layers: readonly NamedLayer[] }
  | { readonly type: 'Embedding', readonly weight: JuliaArray }
  | { readonly type: 'Bilinear', readonly weight: JuliaArray, readonly bias: JuliaArray | undefined,
    readonly activation: FluxFunction | undefined }
  | { readonly type: 'Upsample', readonly mode: string, readonly scale: readonly number[] | undefined,
    readonly size: readonly number[] | undefined }
  | { readonly type: 'PixelShuffle', readonly factor: number }
  | { readonly type: 'Unsupported', readonly of: string }

/** The arrays of a layer and of the layers in it, in order, whatever their role. */
export function arraysOf(layer: FluxLayer): JuliaArray[] {
  const found: JuliaArray[] = []
  for (const value of Object.values(layer) as unknown[]) collect(value, found)
  return found
}

function collect(value: unknown, found: JuliaArray[]): void {
  if (Array.isArray(value)) { for (const item of value) collect(item, found) }
  else if (typeof value === 'object' && value !== null) {
    if ('eltype' in value && 'identity' in value) found.push(value as JuliaArray)
    else if ('layer' in value || 'type' in value) { for (const part of Object.values(value)) collect(part, found) }
  }
}
