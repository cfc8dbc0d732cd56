/**
 * @file Constants of a program's code that may be weights all the same: torch's older exporter writes a module's tensor
 * that is no nn.Parameter (torch.func leaves such) like a table of the code. Its use tells, and that its numbers follow
 * no formula.
 */
import type { Tensor } from '../../core/tensor/tensor.js'
import { LAYOUT, PRODUCTS, sourceOf, type Surroundings } from './surroundings.js'

/** Sums and products of float32 numbers agree this far. */
const CLOSE = 1e-4
/** What float32 numbers, as shares of the largest, cannot be told from nothing by. */
const ROUNDING = 1e-6
/** Numbers of which none comes again; weights of few bits have no more sizes. */
const MANY = 64

/** Whether a constant of the code is a layer's weight, or the bias that is added to a layer's product. */
export function isWeightInCode(name: string, value: Tensor, around: Surroundings): boolean {
  for (const { node, input } of around.uses.get(name) ?? []) {
    if (LAYOUT.has(node.op)) {
      if (input === 0 && isWeightInCode(node.outputs[0], value, around)) return true
    } else if (node.op === 'MatMul') {
      if (input === 1 && isVarying(node.inputs[0], around) && isMatrix(value) && !followsFormula(value)) return true
    } else if (PRODUCTS.has(node.op) && node.op !== 'Einsum') {
      if (input === 2 || (input === 1 && isVarying(node.inputs[0], around) && !followsFormula(value))) return true
    } else if (node.op === 'Add' && isVector(value) && isProductWithWeight(node.inputs[1 - input], around)) {
      return !followsFormula(value)
    }
  }
  return false
}

function isVarying(name: string, { fixed }: Surroundings): boolean {
  return !fixed.has(name)
}

function isMatrix({ shape }: Tensor): boolean {
  return shape.length === 2
}

function isVector({ shape, data }: Tensor): boolean {
  return data.length > 1 && shape.every((extent, axis) => extent === 1 || axis === shape.length - 1)
}

/** Whether a value is what depends on the input times what does not. */
function isProductWithWeight(name: string, around: Surroundings): boolean {
  const node = sourceOf(name, around)
  return node?.op === 'MatMul' && isVarying(node.inputs[0], around) && around.fixed.has(node.inputs[1])
}

/**
 * Whether a formula has made numbers: whole ones, mostly zeros, few that come again, a symmetric or orthogonal matrix,
 * equal diagonals, rows or columns of one sum. Training ends in none of these.
 */
export function followsFormula({ shape, data }: Tensor): boolean {
  const values = Float64Array.from(data, Number)
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  const relative = values.map(value => value / largest)
  const others = relative.filter(value => Math.abs(value) > ROUNDING)
  if (2 * others.length <= values.length || values.every(Number.isInteger)) return true
  if (4 * countSizes(others) < 3 * Math.min(others.length, MANY)) return true
  const columns = shape.length > 1 ? values.length / shape[0] : 0
  return columns > 1 && values.length > columns &&
    isRegular(values.length / columns, columns, (i, j) => relative[i * columns + j])
}

/** How many different sizes numbers have, as far as that is not many. */
function countSizes(numbers: Float64Array): number {
  const sizes = new Set<number>()
  for (const number of numbers) {
    sizes.add(Math.round(Math.abs(number) / ROUNDING))
    if (sizes.size === MANY) break
  }
  return sizes.size
}

type Matrix = (row: number, column: number) => number

function isRegular(rows: number, columns: number, matrix: Matrix): boolean {
  const turned: Matrix = (i, j) => matrix(j, i)
  const everywhere = (holds: (i: number, j: number) => boolean): boolean => {
    for (let i = 1; i < rows; i++) for (let j = 1; j < columns; j++) if (!holds(i, j)) return false
    return true
  }
  const isSymmetric = rows === columns && rows > 2 && everywhere((i, j) => isClose(matrix(i, j), matrix(j, i)))
  const isToeplitz = rows * columns > 4 && everywhere((i, j) => isClose(matrix(i, j), matrix(i - 1, j - 1)))
  return isSymmetric || isToeplitz || hasRegularRows(rows, columns, matrix) || hasRegularRows(columns, rows, turned)
}

/** Whether all rows have one sum, or one length and right angles between neighbours. */
function hasRegularRows(rows: number, columns: number, matrix: Matrix): boolean {
  const sum = (term: (j: number) => number): number => {
    let total = 0
    for (let j = 0; j < columns; j++) total += term(j)
    return total
  }
  const [first, square] = [sum(j => matrix(0, j)), sum(j => matrix(0, j) ** 2)]
  let [oneSum, orthogonal] = [true, true]
  for (let i = 1; i < rows && (oneSum || orthogonal); i++) {
    oneSum &&= Math.abs(sum(j => matrix(i, j)) - first) < CLOSE * Math.sqrt(square)
    orthogonal &&= Math.abs(sum(j => matrix(i, j) ** 2) - square) < CLOSE * square &&
      Math.abs(sum(j => matrix(i, j) * matrix(i - 1, j))) < CLOSE * square
  }
  return oneSum || orthogonal
}

/** Of numbers up to 1. */
function isClose(a: number, b: number): boolean {
  return Math.abs(a - b) <= CLOSE
}
