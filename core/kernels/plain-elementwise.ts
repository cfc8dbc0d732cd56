/** @file The plain twins of the element-wise kernels. */
import type { RealArray } from './plain.js'

/** out_i = e^x_i */
export function exp(x: RealArray, out: RealArray): void {
  for (let i = 0; i < x.length; i++) out[i] = Math.exp(x[i])
}

/** out_i = tanh x_i */
export function tanh(x: RealArray, out: RealArray): void {
  for (let i = 0; i < x.length; i++) out[i] = Math.tanh(x[i])
}

/** out_i = 1 / (1 + e^-x_i), for negative numbers as e^x / (1 + e^x), which keeps every digit of small results. */
export function sigmoid(x: RealArray, out: RealArray): void {
  for (let i = 0; i < x.length; i++) {
    const power = Math.exp(-Math.abs(x[i]))
    out[i] = (x[i] < 0 ? power : 1) / (1 + power)
  }
}
