/** @file Jacobians written out from their factors, and the grouping of the factors that share a parameter. */
import { gemm, type RealArray, zerosLike } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { DirectFactor, FactoredJacobian, LinearFactor } from '../programs/factored-jacobian.js'

/** All factors that use one parameter tensor: their Jacobians add. */
export interface ParameterUses {
  readonly slot: number
  readonly asWeight: readonly LinearFactor[]
  readonly asBias: readonly LinearFactor[]
  readonly direct: readonly DirectFactor[]
}

/**
 * Groups a Jacobian's factors by the parameter that they belong to; parameters outside of the subset (-1) are left out.
 */
export function usesByParameter(slots: readonly ParameterSlot[], jacobian: FactoredJacobian): ParameterUses[] {
  const uses = slots.map((_, slot) => ({ slot, asWeight: [] as LinearFactor[], asBias: [] as LinearFactor[],
    direct: [] as DirectFactor[] })
  )
  for (const factor of jacobian.factors) {
    if (factor.kind === 'direct') uses[factor.parameter].direct.push(factor)
    else {
      if (factor.weight >= 0) uses[factor.weight].asWeight.push(factor)
      if (factor.bias >= 0) uses[factor.bias].asBias.push(factor)
    }
  }
  return uses
}

/** Rows `from` to `to` (examples) of the Jacobian: (to - from) x K x P, example-major. */
export function denseJacobian(slots: readonly ParameterSlot[], jacobian: FactoredJacobian, from = 0,
  to = jacobian.examples): Float64Array {
  const size = slots.reduce((sum, slot) => sum + slot.size, 0)
  const rows = new Float64Array((to - from) * jacobian.seeds * size)
  for (const uses of usesByParameter(slots, jacobian)) {
    addParameterRows(rows, size, slots[uses.slot].offset, slots[uses.slot].elements, uses, jacobian, from, to)
  }
  return rows
}

/** The Jacobian of one parameter for the examples `from` to `to`: (to - from) x K x size, example-major. */
export function parameterJacobian(slot: ParameterSlot, uses: ParameterUses, jacobian: FactoredJacobian, from: number,
  to: number): Float64Array {
  const rows = new Float64Array((to - from) * jacobian.seeds * slot.size)
  addParameterRows(rows, slot.size, 0, slot.elements, uses, jacobian, from, to)
  return rows
}

/** Adds one parameter's part to Jacobian rows of the given width. */
function addParameterRows(rows: Float64Array, width: number, offset: number, elements: Int32Array | undefined,
  uses: ParameterUses, jacobian: FactoredJacobian, from: number, to: number): void {
  for (let n = from; n < to; n++) {
    for (let k = 0; k < jacobian.seeds; k++) {
      // Example-major, though g is seed-major: H, a sum over all rows, would not show the difference, and variances
      // would.
      const at = ((n - from) * jacobian.seeds + k) * width + offset
      if (elements !== undefined) {
        addElements(rows, at, elements, uses, jacobian, n, k)
        continue
      }
      for (const factor of uses.asWeight) addOuter(rows, at, factor, n, k, jacobian.examples)
      for (const factor of uses.asBias) addPositionSum(rows, at, factor, n, k, jacobian.examples)
      for (const factor of uses.direct) {
        addDirect(rows, at, factor.gradient, k * jacobian.examples + n,
          factor.gradient.length / (jacobian.seeds * jacobian.examples))
      }
    }
  }
}

/** The same for some elements of a parameter. */
function addElements(rows: Float64Array, at: number, elements: Int32Array, { asWeight, asBias, direct }: ParameterUses,
  { seeds, examples }: FactoredJacobian, n: number, k: number): void {
  for (const factor of asWeight) {
    const [a, g] = [inputRows(factor, n), outputRows(factor, n, k, examples)]
    elements.forEach((element, e) => {
      const [o, i] = [Math.floor(element / factor.in), element % factor.in]
      for (let t = 0; t < factor.positions; t++) rows[at + e] += g[t * factor.out + o] * a[t * factor.in + i]
    })
  }
  for (const factor of asBias) {
    const g = outputRows(factor, n, k, examples)
    elements.forEach((element, e) => {
      for (let t = 0; t < factor.positions; t++) rows[at + e] += g[t * factor.out + element]
    })
  }
  for (const { gradient } of direct) {
    const from = (k * examples + n) * gradient.length / (seeds * examples)
    elements.forEach((element, e) => {
      rows[at + e] += gradient[from + element]
    })
  }
}

/** rows[at..] += sum_t g[k,n,t,:] outer a[n,t,:], row-major out x in. */
function addOuter(rows: Float64Array, at: number, factor: LinearFactor, n: number, k: number, examples: number): void {
  const { a, g, positions, in: inputs, out } = factor
  if (positions > 8 && inputs * out > 64) {
    gemm(true, false, out, inputs, positions, 1, outputRows(factor, n, k, examples), inputRows(factor, n), 1,
      rows.subarray(at, at + out * inputs))
    return
  }
  for (let t = 0; t < positions; t++) {
    const ai = (n * positions + t) * inputs
    const gi = ((k * examples + n) * positions + t) * out
    for (let o = 0; o < out; o++) {
      const weight = g[gi + o]
      if (weight === 0) continue
      const to = at + o * inputs
      for (let i = 0; i < inputs; i++) rows[to + i] += weight * a[ai + i]
    }
  }
}

/** rows[at..] += sum_t g[k,n,t,:]. */
function addPositionSum(rows: Float64Array, at: number, factor: LinearFactor, n: number, k: number,
  examples: number): void {
  const { g, positions, out } = factor
  for (let t = 0; t < positions; t++) {
    const gi = ((k * examples + n) * positions + t) * out
    for (let o = 0; o < out; o++) rows[at + o] += g[gi + o]
  }
}

function addDirect(rows: Float64Array, at: number, gradient: RealArray, row: number, size: number): void {
  for (let i = 0; i < size; i++) rows[at + i] += gradient[row * size + i]
}

/** Example n's inputs a: T x in. */
function inputRows(factor: LinearFactor, n: number): RealArray {
  const width = factor.positions * factor.in
  return factor.a.subarray(n * width, (n + 1) * width)
}

/** Example n's output gradients g of seed k: T x out. */
function outputRows(factor: LinearFactor, n: number, k: number, examples: number): RealArray {
  const width = factor.positions * factor.out
  return factor.g.subarray((k * examples + n) * width, (k * examples + n + 1) * width)
}

/** The Jacobian of the output of one seed alone. */
export function outputJacobian(jacobian: FactoredJacobian, seed: number): FactoredJacobian {
  return seedRange(jacobian, seed, 1)
}

/** The Jacobian of `count` seeds from `from` on, as a view. */
export function seedRange({ seeds, examples, factors }: FactoredJacobian, from: number,
  count: number): FactoredJacobian {
  const rowsOf = (values: RealArray): RealArray => {
    const width = values.length / seeds
    return values.subarray(from * width, (from + count) * width)
  }
  return {
    seeds: count,
    examples,
    factors: factors.map(factor =>
      factor.kind === 'direct'
        ? { ...factor, gradient: rowsOf(factor.gradient) }
        : { ...factor, g: rowsOf(factor.g) }
    ),
  }
}

/** The Jacobian of some examples of a batch, in the order of `examples`. */
export function selectExamples(jacobian: FactoredJacobian, examples: Int32Array): FactoredJacobian {
  const { seeds } = jacobian
  const take = (values: RealArray, leading: number): RealArray => {
    const width = values.length / (leading * jacobian.examples)
    const result = values.slice(0, leading * examples.length * width)
    for (let k = 0; k < leading; k++) {
      examples.forEach((n, i) => {
        const from = (k * jacobian.examples + n) * width
        result.set(values.subarray(from, from + width), (k * examples.length + i) * width)
      })
    }
    return result
  }
  return { seeds, examples: examples.length, factors: jacobian.factors.map(factor =>
    factor.kind === 'direct'
      ? { ...factor, gradient: take(factor.gradient, seeds) }
      : { ...factor, a: take(factor.a, 1), g: take(factor.g, seeds) }
  ) }
}

/**
 * The Jacobian with every position of an example as an example of its own: N T examples of C seeds, from N examples of
 * T C seeds, position by position.
 */
export function termJacobian({ seeds, examples, factors }: FactoredJacobian, terms: number): FactoredJacobian {
  if (terms === 1) return { seeds, examples, factors }
  const outputs = seeds / terms
  const apart = (values: RealArray): RealArray => {
    const width = values.length / (seeds * examples)
    const result = values.slice()
    for (let t = 0; t < terms; t++) {
      for (let c = 0; c < outputs; c++) {
        for (let n = 0; n < examples; n++) {
          const from = ((t * outputs + c) * examples + n) * width
          result.set(values.subarray(from, from + width), ((c * examples + n) * terms + t) * width)
        }
      }
    }
    return result
  }
  const repeated = (values: RealArray): RealArray => {
    const width = values.length / examples
    const length = values.length * terms
    const result = zerosLike(values, length)
    for (let n = 0; n < examples; n++) {
      for (let t = 0; t < terms; t++) result.set(values.subarray(n * width, (n + 1) * width), (n * terms + t) * width)
    }
    return result
  }
  return { seeds: outputs, examples: examples * terms, factors: factors.map(factor =>
    factor.kind === 'direct'
      ? { ...factor, gradient: apart(factor.gradient) }
      : { ...factor, a: repeated(factor.a), g: apart(factor.g) }
  ) }
}

/** The Jacobian of several batches of one program together. */
export function joinJacobians(parts: readonly FactoredJacobian[]): FactoredJacobian {
  const [first] = parts
  if (parts.length === 1) return first
  const { seeds } = first
  const examples = parts.reduce((sum, part) => sum + part.examples, 0)
  const join = (arrays: readonly RealArray[], leading: number): RealArray => {
    const length = arrays.reduce((sum, values) => sum + values.length, 0)
    const result = zerosLike(arrays[0], length)
    const width = length / (leading * examples)
    for (let k = 0, at = 0; k < leading; k++) {
      arrays.forEach((values, i) => {
        const count = parts[i].examples * width
        result.set(values.subarray(k * count, (k + 1) * count), at)
        at += count
      })
    }
    return result
  }
  const factors = first.factors.map((factor, i) => {
    const same = parts.map(part => part.factors[i])
    const direct = same.flatMap(other => (other.kind === 'direct' ? [other.gradient] : []))
    const linear = same.flatMap(other => (other.kind === 'linear' ? [other] : []))
    return factor.kind === 'direct'
      ? { ...factor, gradient: join(direct, seeds) }
      : { ...factor, a: join(linear.map(({ a }) => a), 1), g: join(linear.map(({ g }) => g), seeds) }
  })
  return { seeds, examples, factors }
}
