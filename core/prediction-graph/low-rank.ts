/**
 * @file The outputs of a low-rank posterior as nodes: the change of their mean, J (w_lin - theta), and
 * J P^-1 J' = (J J' - (J U')(J U')') / delta, from the factors of the Jacobian, of which only what a parameter used in
 * several places needs is written out.
 */
import { type ParameterVectors, splitVectors } from '../curvature/parameter-vectors.js'
import { asFloat64 } from '../curvature/real.js'
import { scaledFactors } from '../curvature/scaled-jacobian.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { LowRankPart } from '../posterior/low-rank-outputs.js'
import type { FactoredParts } from '../posterior/posterior-parts.js'
import type { DirectGradient, LinearPair, UsesOf } from '../posterior/variance-operations.js'
import { asDouble, type GraphPrecisions, type GraphRows, ofRows, writtenOut } from './graph-operations.js'
import { independentOutputs, notNegative, type OutputVariance, scaledVariance,
  sumOfVariances } from './output-variance.js'

type Factor = LinearPair<GraphRows> | DirectGradient<GraphRows>

/** What a low-rank posterior says of a batch. */
export interface LowRankValues {
  /** f_lin - f, N x C, float64. */
  readonly change: string
  readonly variance: OutputVariance
}

/** The factors of a Jacobian of C outputs, grouped by parameter. */
export interface GraphJacobian {
  readonly outputs: number
  readonly factors: readonly Factor[]
  readonly uses: (factors: readonly Factor[]) => readonly UsesOf<GraphRows>[]
}

/** Mean and variance of all models: one for all outputs, or one an output. */
export function lowRankValues(precisions: GraphPrecisions, parts: readonly LowRankPart[],
  slots: readonly ParameterSlot[], jacobian: GraphJacobian): LowRankValues {
  const own = parts.map(part => {
    const { outputs, scale } = part
    const seen = outputs === undefined || outputs.length === jacobian.outputs
      ? jacobian
      : ofOutput(precisions, jacobian, outputs[0])
    return ofPart(precisions, part, slots, scale === undefined ? seen : inUnits(precisions, slots, seen, scale))
  })
  const { double: f } = precisions
  return own.length === 1
    ? own[0]
    : { change: f.concat(own.map(({ change }) => change), 1),
      variance: independentOutputs(f, own.map(({ variance }) => variance)) }
}

/** |J B'|^2 for the rows B. */
export function spanVariance(precisions: GraphPrecisions, { count, bySlot }: ParameterVectors<RealArray>,
  jacobian: GraphJacobian): OutputVariance {
  const { double: f } = precisions
  const vectors = { count, bySlot: bySlot.map(asFloat64) }
  const images = jacobian.factors.flatMap(factor => imagesOf(precisions, factor, vectors, jacobian.outputs))
    .reduce((a, b) => f.add(a, b))
  return ofRows(f, images, undefined)
}

/** J D^-1/2 (I - U'U) D^-1/2 J' from the rows of J: of several precisions, and of tensors that take part in part. */
export function factoredVariance(precisions: GraphPrecisions, { deviations, rank, rows }: FactoredParts,
  slots: readonly ParameterSlot[], { factors, outputs }: GraphJacobian): OutputVariance {
  const { double: f } = precisions
  const size = deviations.length
  const scaled = f.mul(writtenOut(precisions, slots, factors, outputs).name, f.matrix(deviations, [size]))
  const all = ofRows(f, scaled, undefined)
  if (rank === 0) return all
  const determined = ofRows(f, f.matmul(scaled, f.matrix(columnsOf(rows, rank, size), [size, rank])), undefined)
  return notNegative(f, sumOfVariances(f, [all, scaledVariance(f, determined, -1)]))
}

function ofPart(precisions: GraphPrecisions, { delta, rank, vectors }: LowRankPart, slots: readonly ParameterSlot[],
  jacobian: GraphJacobian): LowRankValues {
  const { double: f } = precisions
  const images = jacobian.factors.flatMap(factor => imagesOf(precisions, factor, vectors, jacobian.outputs))
    .reduce((a, b) => f.add(a, b))
  const last = f.reshape(f.gather(images, rank, 2), [jacobian.outputs, -1])
  const determined = ofRows(f, f.gather(images, Array.from({ length: rank }, (_, k) => k), 2), undefined)
  const all = sumOfVariances(f, gramTerms(precisions, slots, jacobian))
  const rest = rank === 0 ? all : sumOfVariances(f, [all, scaledVariance(f, determined, -1)])
  return { change: f.transpose(last, [1, 0]), variance: notNegative(f, scaledVariance(f, rest, 1 / delta)) }
}

/** J V' of one factor for the `count` vectors V: C x N x count. */
function imagesOf(precisions: GraphPrecisions, factor: Factor, { count, bySlot }: LowRankPart['vectors'],
  outputs: number): string[] {
  const { double: f } = precisions
  if (factor.kind === 'direct') {
    const own = bySlot[factor.parameter]
    const size = own.length / count
    return [
      f.matmul(f.reshape(asDouble(precisions, factor.gradient.name), [outputs, -1, size]),
        f.matrix(columnsOf(own, count, size), [size, count])),
    ]
  }
  const { weight, bias, positions, in: inputs, out } = factor
  const g = f.reshape(asDouble(precisions, factor.g.name), [outputs, -1, positions, out])
  const images: string[] = []
  if (weight >= 0) {
    // V a of every position: N x (T out) x count, which all outputs share.
    const values = new Float64Array(bySlot[weight].length)
    bySlot[weight].forEach((value, at) => {
      const [k, o, i] = [Math.floor(at / (out * inputs)), Math.floor(at / inputs) % out, at % inputs]
      values[(i * out + o) * count + k] = value
    })
    const a = f.reshape(asDouble(precisions, factor.a.name), [-1, positions, inputs])
    const moved = f.reshape(f.matmul(a, f.matrix(values, [inputs, out * count])), [-1, positions * out, count])
    const rows = f.transpose(f.reshape(g, [outputs, -1, positions * out]), [1, 0, 2])
    images.push(f.transpose(f.matmul(rows, moved), [1, 0, 2]))
  }
  if (bias >= 0) {
    images.push(f.matmul(f.reduce('ReduceSum', g, [2]), f.matrix(columnsOf(bySlot[bias], count, out), [out, count])))
  }
  return images
}

/** The transpose of count x size. */
function columnsOf(rows: Float64Array, count: number, size: number): Float64Array {
  return rows.map((_, i) => rows[i % count * size + Math.floor(i / count)])
}

/**
 * J_n J_n' as a sum over the parameters: (|a|^2 + 1) g g' of layers applied once; what is used otherwise is written
 * out.
 */
function gramTerms(precisions: GraphPrecisions, slots: readonly ParameterSlot[],
  { outputs, factors, uses }: GraphJacobian): OutputVariance[] {
  const { double: f } = precisions
  const grouped = uses(factors)
  const done = new Set<number>()
  const terms = grouped.flatMap(use => {
    const pair = isWhole(slots[use.slot]) ? plainWeight(use) : undefined
    if (pair === undefined) return []
    const withBias = pair.bias >= 0 && isWhole(slots[pair.bias]) && onlyBias(grouped[pair.bias])
    done.add(use.slot)
    if (withBias) done.add(pair.bias)
    const a = f.reshape(asDouble(precisions, pair.a.name), [-1, pair.in])
    const square = f.reduce('ReduceSum', f.mul(a, a), [-1], true)
    return [
      ofRows(f, f.reshape(asDouble(precisions, pair.g.name), [outputs, -1, pair.out]),
        withBias ? f.add(square, 1) : square),
    ]
  })
  const rest = grouped.filter(({ slot, asWeight, asBias, direct }) =>
    !done.has(slot) && asWeight.length + asBias.length + direct.length > 0
  )
  return [...terms, ...rest.map(use => {
    const own = [{ ...slots[use.slot], offset: 0 }]
    return ofRows(f, writtenOut(precisions, own, alone(use), outputs).name, undefined)
  })]
}

/** The factors of one parameter as those of the only one there is. */
function alone({ asWeight, asBias, direct }: UsesOf<GraphRows>): Factor[] {
  return [...asWeight.map(pair => ({ ...pair, weight: 0, bias: -1 })),
    ...asBias.map(pair => ({ ...pair, weight: -1, bias: 0 })), ...direct.map(own => ({ ...own, parameter: 0 }))]
}

/** Whether every element of the tensor takes part. */
function isWhole({ elements }: ParameterSlot): boolean {
  return elements === undefined
}

function plainWeight({ asWeight, asBias, direct }: UsesOf<GraphRows>): LinearPair<GraphRows> | undefined {
  const only = asWeight.length === 1 && asBias.length + direct.length === 0
  return only && asWeight[0].positions === 1 ? asWeight[0] : undefined
}

function onlyBias({ asWeight, asBias, direct }: UsesOf<GraphRows>): boolean {
  return asBias.length === 1 && asWeight.length + direct.length === 0
}

/** The Jacobian by weights in units of the prior's scales, in float64. */
function inUnits(precisions: GraphPrecisions, slots: readonly ParameterSlot[], jacobian: GraphJacobian,
  scale: Float64Array): GraphJacobian {
  const { bySlot } = splitVectors(slots, scale, 1)
  const times = (rows: GraphRows, row: Float64Array): GraphRows =>
    row.every(value => value === 1) ? rows : timesRow(precisions, rows, row)
  return { ...jacobian, factors: jacobian.factors.flatMap<Factor>(factor =>
    factor.kind === 'direct'
      ? [{ ...factor, gradient: times(factor.gradient, bySlot[factor.parameter]) }]
      : scaledFactors(factor, bySlot).map(({ rows, ...own }) => ({ ...own, g: times(own.g, rows) }))
  ) }
}

function timesRow(precisions: GraphPrecisions, { name, width }: GraphRows, row: Float64Array): GraphRows {
  const { double: f } = precisions
  const rows = f.reshape(asDouble(precisions, name), [-1, row.length])
  return { name: f.mul(rows, f.matrix(row, [row.length])), width }
}

/** The Jacobian of one output alone. */
export function ofOutput({ network }: GraphPrecisions, jacobian: GraphJacobian, output: number): GraphJacobian {
  const row = ({ name, width }: GraphRows): GraphRows => ({ name: network.gather(name, [output], 0), width })
  return { ...jacobian, outputs: 1, factors: jacobian.factors.map(factor =>
    factor.kind === 'direct'
      ? { ...factor, gradient: row(factor.gradient) }
      : { ...factor, g: row(factor.g) }
  ) }
}
