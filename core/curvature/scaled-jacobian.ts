/** @file Weights whose prior has a mean and a scale of its own for each, and the Jacobian in these units. */
import type { RealArray } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { DirectFactor, FactoredJacobian, LinearFactor } from '../programs/factored-jacobian.js'
import { splitVectors } from './parameter-vectors.js'

/** The prior N(mean, D^2 / delta) of the weights, D = diag(scale), P each; a row of a layer has one scale. */
export interface WeightPrior {
  readonly mean: Float64Array
  readonly scale: Float64Array
}

/** (w - mean) / scale. */
export function standardised(weights: Float64Array, { mean, scale }: WeightPrior): Float64Array {
  return weights.map((value, i) => (value - mean[i]) / scale[i])
}

/** The weights of standardised ones. */
export function restored(values: Float64Array, { mean, scale }: WeightPrior): Float64Array {
  return values.map((value, i) => mean[i] + scale[i] * value)
}

/** The rows of a count x P matrix, each number times its weight's scale, in float64. */
export function timesScale(rows: RealArray, scale: Float64Array): Float64Array {
  return Float64Array.from(rows, (value, i) => value * scale[i % scale.length])
}

/** The Jacobian by the standardised weights, J D; what is scaled is in float64, as J J' - (J U')(J U')' is. */
export function scaledJacobian(slots: readonly ParameterSlot[], jacobian: FactoredJacobian,
  scale: Float64Array): FactoredJacobian {
  const { bySlot } = splitVectors(slots, scale, 1)
  return { ...jacobian,
    factors: jacobian.factors.flatMap<LinearFactor | DirectFactor>(factor =>
      factor.kind === 'direct'
        ? [{ ...factor, gradient: timesRow(factor.gradient, bySlot[factor.parameter]) }]
        : scaledFactors(factor, bySlot).map(({ rows, ...own }) => ({ ...own, g: timesRow(own.g, rows) }))
    ) }
}

/** What the factors of a Jacobian have in common, as arrays or as nodes of a graph. */
interface Factor {
  readonly weight: number
  readonly bias: number
  readonly in: number
  readonly out: number
}

/** A linear operator's factor with the scale of each row, in two where weight and bias have other scales. */
export function scaledFactors<F extends Factor>(factor: F,
  bySlot: readonly Float64Array[]): (F & { readonly rows: Float64Array })[] {
  const { weight, bias, in: inputs, out } = factor
  const shift = bias < 0 ? undefined : bySlot[bias]
  if (weight < 0) return shift === undefined ? [] : [{ ...factor, rows: shift }]
  // Elements that take no part have no scale.
  const rows = Float64Array.from({ length: out },
    (_, o) => bySlot[weight].subarray(o * inputs, (o + 1) * inputs).reduce((most, value) => Math.max(most, value), 0))
  return shift === undefined || shift.every((value, o) => value === rows[o])
    ? [{ ...factor, rows }]
    : [{ ...factor, bias: -1, rows }, { ...factor, weight: -1, rows: shift }]
}

function timesRow(values: RealArray, row: Float64Array): RealArray {
  return row.every(value => value === 1) ? values : timesScale(values, row)
}
