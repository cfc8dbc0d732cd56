/** @file A posterior's summary on the wire. */
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import type { PosteriorSummary } from '../../core/laplace/posterior-summary.js'
import { doublesToWire } from '../frames/arrays.js'
import type { WireMap } from '../frames/encode.js'

/** The summary in the order of docs/protocol.md; what does not exist is nil. */
export function summaryToWire(summary: PosteriorSummary): WireMap {
  const { likelihood, subset, structure, curvature, outputs, parameterCount, examples, loss, logLikelihood,
    logMarginalLikelihood } = summary
  const { priorPrecision, priorMean, sigmaNoise, temperature, tuned, effectiveParameters, precision, engine, seed,
    notes, digest, parameters } = summary
  return {
    likelihood,
    subset,
    structure,
    curvature,
    outputs,
    parameterCount,
    examples,
    loss,
    logLikelihood,
    logMarginalLikelihood,
    priorPrecision: priorToWire(priorPrecision),
    priorMean: priorToWire(priorMean),
    sigmaNoise,
    temperature,
    tuned,
    effectiveParameters: effectiveParameters ?? null,
    precision,
    engine,
    seed,
    notes,
    digest,
    parameters: parameters.map(({ name, shape, size }) => ({ name, shape, size })),
  }
}

/** The entries of the summary that are at hand: no determinant of the evidence, no digest of the network. */
export function briefSummary(
  { examples, priorPrecision, sigmaNoise, temperature, tuned, notes }: LaplacePosterior,
): WireMap {
  return { examples, priorPrecision: priorToWire(priorPrecision), sigmaNoise, temperature, tuned, notes }
}

/** Prior precisions, or means, always as an array. */
export function priorToWire(value: number | Float64Array): WireMap {
  const values = typeof value === 'number' ? Float64Array.of(value) : value
  return doublesToWire([values.length], values)
}
