/**
 * @file The Gram matrices J J' of the linear model in function space, from Jacobians that stay factored. Of a linear
 * operator without positions J J' is (a a') * (g g'), element by element, so that neither J nor anything of its size
 * is formed.
 */
import { gemm } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { FactoredJacobian, LinearFactor } from '../programs/factored-jacobian.js'
import { exampleMajor } from './jacobian-products.js'
import { parameterJacobian, type ParameterUses, usesByParameter } from './jacobian.js'
import { mirrorLower } from './mirror.js'
import { asFloat64 } from './real.js'

/** Numbers of one block of intermediate results. */
const BLOCK_NUMBERS = 1 << 22

/** J1 J2' of two batches: (N seeds) x (M seeds), example by example. */
export function jacobianGram(slots: readonly ParameterSlot[], one: FactoredJacobian,
  other: FactoredJacobian): Float64Array {
  const columns = other.examples * other.seeds
  const gram = new Float64Array(one.examples * one.seeds * columns)
  const [uses, others] = [usesByParameter(slots, one), usesByParameter(slots, other)]
  const done = new Set<number>()
  uses.forEach((own, i) => {
    const [left, right] = [plainWeight(own), plainWeight(others[i])]
    if (left === undefined || right === undefined) return
    const bias = left.bias >= 0 && onlyBias(uses[left.bias]) && onlyBias(others[left.bias])
    addPlainGram(gram, left, one, right, other, bias)
    done.add(i)
    if (bias) done.add(left.bias)
  })
  if (one === other) mirrorLower(gram, columns)
  slots.forEach((slot, i) => {
    if (!done.has(i)) addGeneralGram(gram, slot, uses[i], one, others[i], other)
  })
  return gram
}

/** The one linear operator without positions that uses a weight, if that is all its use. */
function plainWeight({ asWeight, asBias, direct }: ParameterUses): LinearFactor | undefined {
  const alone = asWeight.length === 1 && asBias.length + direct.length === 0
  return alone && asWeight[0].positions === 1 ? asWeight[0] : undefined
}

function onlyBias({ asWeight, asBias, direct }: ParameterUses): boolean {
  return asBias.length === 1 && asWeight.length + direct.length === 0
}

/**
 * Adds (a.a' + 1) (g.g'), without the 1 where there is no bias; of a batch with itself what is left of the diagonal.
 */
function addPlainGram(gram: Float64Array, left: LinearFactor, one: FactoredJacobian, right: LinearFactor,
  other: FactoredJacobian, bias: boolean): void {
  const [n, m, c, d] = [one.examples, other.examples, one.seeds, other.seeds]
  const inputs = new Float64Array(n * m)
  gemm(false, true, n, m, left.in, 1, asFloat64(left.a), asFloat64(right.a), 0, inputs)
  const g = exampleMajor(left.g, c, n, left.out)
  const h = left === right ? g : exampleMajor(right.g, d, m, right.out)
  const width = m * d
  const step = Math.max(1, Math.floor(BLOCK_NUMBERS / (width * c)))
  for (let from = 0; from < n; from += step) {
    const to = Math.min(n, from + step)
    const last = one === other ? to : m
    const [count, wide] = [(to - from) * c, last * d]
    const block = new Float64Array(count * wide)
    const rows = g.subarray(from * c * left.out, to * c * left.out)
    gemm(false, true, count, wide, left.out, 1, rows, h.subarray(0, wide * left.out), 0, block)
    addScaledBlock(gram, block, inputs, { from, to, last, examples: m, rows: c, columns: d, shift: bias ? 1 : 0 })
  }
}

/** Which rows and columns of a Gram matrix a block covers, and what is added to the products of the inputs. */
interface GramBlock {
  readonly from: number
  readonly to: number
  /** The example that its columns end before. */
  readonly last: number
  readonly examples: number
  readonly rows: number
  readonly columns: number
  readonly shift: number
}

function addScaledBlock(gram: Float64Array, block: Float64Array, inputs: Float64Array,
  { from, to, last, examples, rows, columns, shift }: GramBlock): void {
  for (let n = from; n < to; n++) {
    for (let c = 0; c < rows; c++) {
      const source = ((n - from) * rows + c) * last * columns
      const target = (n * rows + c) * examples * columns
      for (let m = 0; m < last; m++) {
        const scale = inputs[n * examples + m] + shift
        for (let i = m * columns; i < (m + 1) * columns; i++) gram[target + i] += scale * block[source + i]
      }
    }
  }
}

/**
 * With positions or shared weights the rows of one tensor's Jacobian are written out, a block of examples at a time.
 */
function addGeneralGram(gram: Float64Array, slot: ParameterSlot, uses: ParameterUses, one: FactoredJacobian,
  others: ParameterUses, other: FactoredJacobian): void {
  const width = other.examples * other.seeds
  const step = Math.max(1, Math.floor(BLOCK_NUMBERS / (one.seeds * slot.size)))
  const otherStep = Math.max(1, Math.floor(BLOCK_NUMBERS / (other.seeds * slot.size)))
  for (let from = 0; from < one.examples; from += step) {
    const to = Math.min(one.examples, from + step)
    const rows = parameterJacobian(slot, uses, one, from, to)
    for (let first = 0; first < other.examples; first += otherStep) {
      const last = Math.min(other.examples, first + otherStep)
      const same = one === other && first === from && last === to
      const columns = same ? rows : parameterJacobian(slot, others, other, first, last)
      const [count, wide] = [(to - from) * one.seeds, (last - first) * other.seeds]
      const block = new Float64Array(count * wide)
      gemm(false, true, count, wide, slot.size, 1, rows, columns, 0, block)
      for (let r = 0; r < count; r++) {
        const at = (from * one.seeds + r) * width + first * other.seeds
        for (let i = 0; i < wide; i++) gram[at + i] += block[r * wide + i]
      }
    }
  }
}

/** J_n J_n' of every example with itself: N x seeds x seeds. */
export function ownGram(slots: readonly ParameterSlot[], jacobian: FactoredJacobian): Float64Array {
  const { examples, seeds } = jacobian
  const result = new Float64Array(examples * seeds * seeds)
  const uses = usesByParameter(slots, jacobian)
  const done = new Set<number>()
  uses.forEach((own, i) => {
    const factor = plainWeight(own)
    if (factor === undefined) return
    const bias = factor.bias >= 0 && onlyBias(uses[factor.bias])
    addPlainOwn(result, factor, jacobian, bias)
    done.add(i)
    if (bias) done.add(factor.bias)
  })
  slots.forEach((slot, i) => {
    if (!done.has(i)) addGeneralOwn(result, slot, uses[i], jacobian)
  })
  return result
}

function addPlainOwn(result: Float64Array, factor: LinearFactor, { examples, seeds }: FactoredJacobian,
  bias: boolean): void {
  const { a, in: inputs, out } = factor
  const g = exampleMajor(factor.g, seeds, examples, out)
  for (let n = 0; n < examples; n++) {
    let square = bias ? 1 : 0
    for (let i = n * inputs; i < (n + 1) * inputs; i++) square += a[i] * a[i]
    const own = g.subarray(n * seeds * out, (n + 1) * seeds * out)
    const block = result.subarray(n * seeds * seeds, (n + 1) * seeds * seeds)
    gemm(false, true, seeds, seeds, out, square, own, own, 1, block)
  }
}

function addGeneralOwn(result: Float64Array, slot: ParameterSlot, uses: ParameterUses,
  jacobian: FactoredJacobian): void {
  const { examples, seeds } = jacobian
  const step = Math.max(1, Math.floor(BLOCK_NUMBERS / (seeds * slot.size)))
  for (let from = 0; from < examples; from += step) {
    const to = Math.min(examples, from + step)
    const rows = parameterJacobian(slot, uses, jacobian, from, to)
    for (let n = from; n < to; n++) {
      const own = rows.subarray((n - from) * seeds * slot.size, (n - from + 1) * seeds * slot.size)
      const block = result.subarray(n * seeds * seeds, (n + 1) * seeds * seeds)
      gemm(false, true, seeds, seeds, slot.size, 1, own, own, 1, block)
    }
  }
}
