/** @file Whether a few rows tell a better answer from a worse one: the one-standard-error rule. */

/** Mean gain of a row in nats, and its standard error. */
export interface Gain {
  readonly mean: number
  readonly error: number
}

/** Of the gains of all rows. */
export function gainOf(gains: Float64Array): Gain {
  const rows = gains.length
  const mean = gains.reduce((sum, gain) => sum + gain, 0) / rows
  const squares = gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0)
  return { mean, error: Math.sqrt(squares / (Math.max(1, rows - 1) * rows)) }
}

/** Whether it is larger than its standard error: one outlier among a dozen rows must not outvote all training rows. */
export function isGain({ mean, error }: Gain): boolean {
  return mean > error
}
