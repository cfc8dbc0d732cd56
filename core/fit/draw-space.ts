/** @file Where the equations of draws from a posterior are solved: what each space gives. */
import type { WorkOptions } from '../budget/progress.js'
import type { SpectralDensity } from '../linear-model/lanczos-quadrature.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'

/** Draws, and what came with them. */
export interface Drawn {
  /** Draws around the mean over sqrt(K), K x P. */
  readonly rows: Float64Array | Float32Array
  /** The eigenvalues of H in units of the prior. */
  readonly density: SpectralDensity
  /** The standard error of the log evidence that follows from them. */
  readonly evidenceError: number
  /** The largest residual of the equations, over the square root of P, and whether all are solved. */
  readonly residual: number
  readonly converged: boolean
}

/** Where the equations of the draws are solved: in the space of the weights, or of the rows of the data. */
export interface DrawSpace {
  /** What the evidence of settings follows from, for tuning. */
  density(settings: PosteriorSettings, work: WorkOptions): Promise<SpectralDensity>
  draws(samples: number, settings: PosteriorSettings, work: WorkOptions): Promise<Drawn>
  dispose(): Promise<void>
}
