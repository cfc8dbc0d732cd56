/**
 * @file Flux's layers computed directly from their definitions on column-major arrays, to compare with. Plain loops
 * over Julia's indices (from 0), nothing shared with the readers.
 */
import { runGraph } from '../../../core/engine/typescript.js'
import type { Graph } from '../../../core/graph/graph.js'
import { type Tensor, tensor } from '../../../core/tensor/tensor.js'

/** A Julia array: element (i, j, ...) is at i + size[0] * (j + size[1] * ...). */
export interface Column {
  readonly size: readonly number[]
  readonly data: Float64Array
}

export const column = (size: readonly number[], values: ArrayLike<number>): Column => ({ size,
  data: Float64Array.from(values) })
export const zeros = (...size: number[]): Column => ({ size, data: new Float64Array(size.reduce((a, b) => a * b, 1)) })
export const at = (x: Column, ...index: number[]): number =>
  index.reduceRight((offset, i, d) => i + x.size[d] * offset, 0)
export const map = (x: Column, f: (value: number) => number): Column => ({ size: x.size, data: x.data.map(f) })

/** Runs a graph on the same bytes with reversed extents, and gives its output the reversed extents back. */
export function run(graph: Graph, x: Column): Column {
  const precision = graph.inputs[0].dtype === 'float64' ? 'float64' : 'float32'
  const input: Tensor = tensor(graph.inputs[0].dtype, [...x.size].reverse(), x.data)
  const outputs = runGraph(graph, new Map([[graph.inputs[0].name, input]]), precision)
  const [output] = outputs.values()
  return { size: [...output.shape].reverse(), data: Float64Array.from(output.data) }
}

/** The largest difference relative to the largest value. */
export function difference(a: Column, b: Column): number {
  if (a.size.join() !== b.size.join()) return Infinity
  let most = 0
  let scale = 1e-12
  for (let i = 0; i < a.data.length; i++) {
    most = Math.max(most, Math.abs(a.data[i] - b.data[i]))
    scale = Math.max(scale, Math.abs(b.data[i]))
  }
  return most / scale
}

/** W x + b for x of size (in, N). */
export function dense(w: Column, b: Column | undefined, x: Column): Column {
  const [outputs, inputs] = w.size
  const y = zeros(outputs, ...x.size.slice(1))
  for (let n = 0; n < y.data.length / outputs; n++) {
    for (let o = 0; o < outputs; o++) {
      let sum = b === undefined ? 0 : b.data[o]
      for (let i = 0; i < inputs; i++) sum += w.data[o + outputs * i] * x.data[i + inputs * n]
      y.data[o + outputs * n] = sum
    }
  }
  return y
}

export interface ConvOptions {
  readonly stride?: readonly number[]
  readonly pad?: readonly number[]
  readonly dilation?: readonly number[]
  readonly groups?: number
  readonly flip?: boolean
}

/**
 * NNlib.conv for x (W, H, C, N) and w (kw, kh, C / groups, out): a true convolution, the kernel is turned round; pad is
 * (w_lo, w_hi, h_lo, h_hi).
 */
export function conv(x: Column, w: Column, b: Column | undefined,
  { stride = [1, 1], pad = [0, 0, 0, 0], dilation = [1, 1], groups = 1, flip = true }: ConvOptions = {}): Column {
  const [width, height, , batch] = x.size
  const [kw, kh, cin, cout] = w.size
  const outW = Math.floor((width + pad[0] + pad[1] - (kw - 1) * dilation[0] - 1) / stride[0]) + 1
  const outH = Math.floor((height + pad[2] + pad[3] - (kh - 1) * dilation[1] - 1) / stride[1]) + 1
  const y = zeros(outW, outH, cout, batch)
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < cout; o++) {
      for (let q = 0; q < outH; q++) {
        for (let p = 0; p < outW; p++) {
          let sum = b === undefined ? 0 : b.data[o]
          for (let c = 0; c < cin; c++) {
            for (let j = 0; j < kh; j++) {
              for (let i = 0; i < kw; i++) {
                const u = p * stride[0] + i * dilation[0] - pad[0]
                const v = q * stride[1] + j * dilation[1] - pad[2]
                if (u < 0 || v < 0 || u >= width || v >= height) continue
                const channel = Math.floor(o / (cout / groups)) * cin + c
                sum += x.data[at(x, u, v, channel, n)] *
                  w.data[at(w, flip ? kw - 1 - i : i, flip ? kh - 1 - j : j, c, o)]
              }
            }
          }
          y.data[at(y, p, q, o, n)] = sum
        }
      }
    }
  }
  return y
}

/** NNlib.∇conv_data: the adjoint of `conv` as a map of its input; w is (kw, kh, out, in). */
export function convTranspose(x: Column, w: Column, b: Column | undefined,
  { stride = [1, 1], pad = [0, 0, 0, 0] }: ConvOptions = {}): Column {
  const [width, height, cin, batch] = x.size
  const [kw, kh, cout] = w.size
  const y = zeros((width - 1) * stride[0] + kw - pad[0] - pad[1], (height - 1) * stride[1] + kh - pad[2] - pad[3], cout,
    batch)
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < cout; o++) {
      for (let v = 0; v < y.size[1]; v++) {
        for (let u = 0; u < y.size[0]; u++) {
          y.data[at(y, u, v, o, n)] = b?.data[o] ??
            0
        }
      }
    }
  }
  // Every product that `conv` would read from (u, v) is added there.
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < cin; c++) {
      for (let q = 0; q < height; q++) {
        for (let p = 0; p < width; p++) {
          for (let j = 0; j < kh; j++) {
            for (let i = 0; i < kw; i++) {
              const u = p * stride[0] + i - pad[0]
              const v = q * stride[1] + j - pad[2]
              if (u < 0 || v < 0 || u >= y.size[0] || v >= y.size[1]) continue
              for (let o = 0; o < cout; o++) {
                y.data[at(y, u, v, o, n)] += x.data[at(x, p, q, c, n)] *
                  w.data[at(w, kw - 1 - i, kh - 1 - j, o, c)]
              }
            }
          }
        }
      }
    }
  }
  return y
}

/** Max or mean pooling of x (W, H, C, N); means count padded zeros. */
export function pool(x: Column, mode: 'max' | 'mean', k: readonly number[], stride: readonly number[],
  pad: readonly number[] = [0, 0, 0, 0]): Column {
  const [width, height, channels, batch] = x.size
  const y = zeros(Math.floor((width + pad[0] + pad[1] - k[0]) / stride[0]) + 1,
    Math.floor((height + pad[2] + pad[3] - k[1]) / stride[1]) + 1, channels, batch)
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      for (let q = 0; q < y.size[1]; q++) {
        for (let p = 0; p < y.size[0]; p++) {
          let best = -Infinity
          let sum = 0
          for (let j = 0; j < k[1]; j++) {
            for (let i = 0; i < k[0]; i++) {
              const u = p * stride[0] + i - pad[0]
              const v = q * stride[1] + j - pad[2]
              if (u < 0 || v < 0 || u >= width || v >= height) continue
              best = Math.max(best, x.data[at(x, u, v, c, n)])
              sum += x.data[at(x, u, v, c, n)]
            }
          }
          y.data[at(y, p, q, c, n)] = mode === 'max' ? best : sum / (k[0] * k[1])
        }
      }
    }
  }
  return y
}

/** The channel of an element: the dimension before the last. */
export function channelOf(x: Column, i: number): number {
  const inner = x.size.slice(0, -2).reduce((a, b) => a * b, 1)
  return Math.floor(i / inner) % x.size[x.size.length - 2]
}

/** An element-wise function that also knows the channel. */
export function byChannel(x: Column, f: (value: number, channel: number) => number): Column {
  return { size: x.size, data: x.data.map((value, i) => f(value, channelOf(x, i))) }
}

/** Statistics over consecutive blocks of `length` elements. */
export function standardise(x: Column, length: number,
  f: (value: number, mean: number, variance: number) => number): Column {
  const data = new Float64Array(x.data.length)
  for (let start = 0; start < data.length; start += length) {
    const block = x.data.subarray(start, start + length)
    const mean = block.reduce((a, b) => a + b, 0) / length
    const variance = block.reduce((a, b) => a + (b - mean) ** 2, 0) / length
    for (let i = 0; i < length; i++) data[start + i] = f(block[i], mean, variance)
  }
  return { size: x.size, data }
}

export const reshape = (x: Column, ...size: number[]): Column => ({ size, data: x.data })
export const relu = (x: Column): Column => map(x, value => Math.max(value, 0))
export const sigmoid = (value: number): number => 1 / (1 + Math.exp(-value))

/** softmax over the first dimension. */
export function softmax(x: Column): Column {
  const [length] = x.size
  const data = x.data.map(Math.exp)
  for (let start = 0; start < data.length; start += length) {
    const sum = data.subarray(start, start + length).reduce((a, b) => a + b, 0)
    for (let i = 0; i < length; i++) data[start + i] /= sum
  }
  return { size: x.size, data }
}
