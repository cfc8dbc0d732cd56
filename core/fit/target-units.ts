/**
 * @file The prior of a regression's last layer in units of its targets, so that neither the unit of the targets nor
 * where their zero lies changes what the linear model says: W ~ N(0, s^2 / delta) and b ~ N(m, s^2 / delta) for targets
 * with mean m and standard deviation s, an output a row. It is the prior N(0, 1 / delta) of the network that has learnt
 * the standardised targets.
 */
import type { WeightPrior } from '../curvature/scaled-jacobian.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import { plainLastLayer } from '../passes/head.js'
import { lastLinear } from '../passes/last-linear.js'
import type { Evaluator } from '../programs/evaluator.js'
import { column } from '../tensor/column.js'

/** Standard deviations below this share of the mean are what rounding leaves of targets that are all the same. */
const ROUNDED = 1e-12

/**
 * The prior by the targets, N x C with NaN where there is none. Undefined where the user said the prior, and where the
 * network does not end in a layer with a row an output: its weights then count as they are.
 */
export function priorInTargetUnits({ network, slots, theta }: Evaluator, { settings }: ResolvedOptions,
  targets: Float64Array): WeightPrior | undefined {
  if (settings.priorPrecision !== undefined || settings.priorMean !== undefined) return undefined
  const { graph, output, outputs } = network
  if (plainLastLayer(graph, output) === undefined) return undefined
  const { weight, bias, out } = lastLinear(graph, output)
  if (out !== outputs) return undefined
  const prior = { mean: new Float64Array(theta.length), scale: new Float64Array(theta.length).fill(1) }
  const units = Array.from({ length: outputs }, (_, c) => unitOf(targets, c, outputs))
  for (const slot of slots) {
    if (slot.name !== weight && slot.name !== bias) continue
    const rows = rowsOf(slot, outputs)
    rows.forEach((c, i) => {
      prior.scale[slot.offset + i] = units[c].deviation
      if (slot.name === bias) prior.mean[slot.offset + i] = units[c].mean
    })
  }
  return prior
}

/** The output that each parameter of the last layer belongs to. */
function rowsOf({ size, shape, elements }: ParameterSlot, outputs: number): Int32Array {
  const width = shape.reduce((product, extent) => product * extent, 1) / outputs
  return Int32Array.from({ length: size }, (_, i) => Math.floor((elements?.[i] ?? i) / width))
}

/** Mean and standard deviation of the targets of one output; of targets that are all the same their size, or 1. */
function unitOf(targets: Float64Array, c: number, outputs: number): { mean: number, deviation: number } {
  const own = column(targets, c, outputs).filter(value => !Number.isNaN(value))
  const mean = own.reduce((sum, value) => sum + value / own.length, 0)
  const deviation = Math.sqrt(own.reduce((sum, value) => sum + (value - mean) ** 2 / own.length, 0))
  return { mean, deviation: deviation > ROUNDED * Math.abs(mean) ? deviation : Math.abs(mean) || 1 }
}
