/**
 * @file Tensors that an exporter writes beside what was learnt, told by their values: ones and zeros of normalisations
 * without parameters, consecutive numbers, tables of positions, frequencies, masks. No training ends in them.
 */
import type { Tensor } from '../../core/tensor/tensor.js'

/** Learnt values are never this close to a formula. */
const CLOSE = 1e-4
/** The largest that rounding makes of a cosine. */
const MOST_COSINE = 1 + 1e-6

/** Whether a tensor is made by a formula, so that it is no parameter whatever uses it. */
export function isMadeConstant(value: Tensor): boolean {
  return isAttentionMask(value) || (isVector(value) && (isCounting(value) || isGeometric(value))) || isWaves(value)
}

function isVector({ shape }: Tensor): boolean {
  return shape.filter(extent => extent !== 1).length === 1
}

/** Whether a value is neither 0 nor 1 nor -1, as those of one-hot rows are. */
function isBetween(value: number): boolean {
  return value !== 0 && Math.abs(value) !== 1
}

/** Zeros and ones that select. */
export function isMask({ data }: Tensor): boolean {
  return data.every(value => value === 0 || value === 1) && data.includes(0) && data.includes(1)
}

/** Zeros and one large negative number (or -inf), added to scores that are not to count. */
export function isAttentionMask({ data }: Tensor): boolean {
  const low = data.find(value => value !== 0)
  return low !== undefined && low <= -50 && data.every(value => value === 0 || value === low || value <= -1e3)
}

/** Consecutive whole numbers from 0: `arange`. */
function isCounting({ data }: Tensor): boolean {
  if (data.length < 3) return false
  for (let i = 0; i < data.length; i++) if (data[i] !== i) return false
  return true
}

/** Rows of four numbers and more at one distance: `linspace`, the knots of splines and of radial functions. */
export function isEvenlySpaced({ shape, data }: Tensor): boolean {
  const vector = shape.filter(extent => extent !== 1)
  const width = vector[vector.length - 1] ?? 0
  if (width < 4) return false
  for (let row = 0; row < data.length; row += width) {
    const step = (Number(data[row + width - 1]) - Number(data[row])) / (width - 1)
    for (let i = 1; i < width; i++) {
      const difference = Number(data[row + i]) - Number(data[row + i - 1])
      if (!(Math.abs(difference - step) < CLOSE * Math.abs(step))) return false
    }
  }
  return true
}

/** Bases of the frequencies of positions. */
const BASES = [1e4, 5e5, 1e6]

/**
 * Frequencies base^(-2 i / d), from 1 downwards: of rotary and sinusoidal positions; or powers of 2, of features of
 * numbers. Two or three numbers must have a base that is in use.
 */
function isGeometric({ data }: Tensor): boolean {
  if (data.length < 2 || !(data[0] > 0)) return false
  const ratio = Number(data[1] / data[0])
  const usual = data[0] === 1 && BASES.some(base => Math.abs(ratio * base ** (1 / data.length) - 1) < CLOSE)
  if (!(ratio > 0) || Math.abs(ratio - 1) < 1e-3 || (data.length < 4 && !usual)) return false
  for (let i = 1; i < data.length; i++) {
    if (Math.abs(Number(data[i]) / Number(data[i - 1]) - ratio) > CLOSE * ratio) return false
  }
  return true
}

/** Sines and cosines: in every row each pair, of neighbours or of halves, has a^2 + b^2 = 1. */
function isWaves({ shape, data }: Tensor): boolean {
  const width = shape[shape.length - 1] ?? 0
  if (width < 2 || width % 2 !== 0 || data.length < 2 * width || !data.some(isBetween)) return false
  const paired = (first: (pair: number) => number, second: (pair: number) => number): boolean => {
    for (let row = 0; row < data.length; row += width) {
      for (let pair = 0; pair < width / 2; pair++) {
        const [a, b] = [Number(data[row + first(pair)]), Number(data[row + second(pair)])]
        if (!(Math.abs(a * a + b * b - 1) < CLOSE)) return false
      }
    }
    return true
  }
  return paired(pair => 2 * pair, pair => 2 * pair + 1) || paired(pair => pair, pair => width / 2 + pair)
}

/** Whether two tensors are the cosines and the sines of the same angles: a rotary table. */
export function areCosineAndSine(a: Tensor, b: Tensor): boolean {
  if (a.data.length !== b.data.length || a.data.length < 4 || !a.data.some(isBetween)) return false
  for (let i = 0; i < a.data.length; i++) {
    const [x, y] = [a.data[i], b.data[i]]
    if (!(Math.abs(x * x + y * y - 1) < CLOSE && Math.max(Math.abs(x), Math.abs(y)) <= MOST_COSINE)) return false
  }
  return true
}

/** Whether all elements are one number. */
export function isUniform({ data }: Tensor, number: number): boolean {
  return data.every(value => value === number)
}
