/** @file Says where the precision of a posterior was regularised to be factored. */
import { NumericalError } from '../errors/errors.js'
import type { PosteriorState } from './posterior-state.js'

/** The notes of a posterior, with one on the jitter where there is any: it belongs to the settings, not to the fit. */
export function notesOf({ structured, notes }: PosteriorState): readonly string[] {
  const jitter = jitterOf(structured)
  return jitter === 0 ?
    notes :
    [...notes,
      `The posterior precision is singular within rounding: ${
        jitter.toPrecision(2)
      } of its diagonal is added to it, and variances where the data say nothing come from that rather than ` +
      'from the prior precision. Use a larger prior precision, or structure kron or diag.']
}

function jitterOf(structured: PosteriorState['structured']): number {
  try {
    return structured.jitter?.() ?? 0
  } catch (error) {
    // Whatever needs the factor says so; the notes remain readable.
    if (error instanceof NumericalError) return 0
    throw error
  }
}
