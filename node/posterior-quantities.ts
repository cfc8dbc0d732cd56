/** @file The quantities of a posterior at the public border: what it is over, its hyper-parameters, H and P. */
import type { NdArray } from 'ndarray'
import type { LaplacePosterior } from '../core/laplace/laplace-posterior.js'
import type { Likelihood, Structure, Subset, TuneMethod } from '../core/options/words.js'
import type { CurvatureMatrix } from '../core/posterior/curvature-matrix.js'
import type { Marginals } from '../core/posterior/posterior.js'
import type { Choice } from '../core/tuning/choice.js'
import type { TrainingSummary } from '../core/tuning/training-scores.js'
import { toNdArray } from './arrays.js'
import type { Array64 } from './prediction.js'
import { Predictor } from './predictor.js'

/** A posterior N(mean, P^-1), P = H / (sigma^2 T) + diag(delta) (MacKay 1992), as numbers. */
export abstract class PosteriorQuantities<L extends Likelihood> extends Predictor<L, LaplacePosterior> {
  /** Which weights are uncertain. */
  get subset(): Subset {
    return this.core.subset
  }

  /** The structure of H. */
  get structure(): Structure {
    return this.core.structure
  }

  /** Number of outputs C, of each position where there are several. */
  get outputs(): number {
    return this.core.outputs
  }

  /** Number of weights P in the subset. */
  get parameterCount(): number {
    return this.core.parameterCount
  }

  /** Number of training examples. */
  get examples(): number {
    return this.core.examples
  }

  /** How the prior was tuned; `none` where it was given. */
  get tuned(): TuneMethod {
    return this.core.tuned
  }

  /** gamma, where tuning has found it: how many parameters the data determine. */
  get effectiveParameters(): number | undefined {
    return this.core.effectiveParameters
  }

  /** Sentences about what was done differently from what might be assumed. */
  get notes(): readonly string[] {
    return this.core.notes
  }

  /** What a fit with no option set chose, why, and how its answer is put together. */
  get choice(): Choice | undefined {
    return this.core.choice
  }

  /** Network and posterior on the rows of the fit; undefined for posteriors of files of version 0.1.0. */
  get training(): TrainingSummary | undefined {
    return this.core.training
  }

  /** The seed of draws for which none is given. */
  get seed(): number {
    return this.core.seed
  }

  /** SHA-256 of the network, in hexadecimal digits. */
  get digest(): string {
    return this.core.digest
  }

  /** Loss of the training data at the network's weights: a sum over examples. */
  get loss(): number {
    return this.core.loss
  }

  /** The network's weights in the subset, P. */
  get mean(): Float64Array {
    return this.core.mean
  }

  /** delta: one number, one for each tensor, or one for each parameter. */
  get priorPrecision(): number | Float64Array {
    return this.core.priorPrecision
  }

  /** delta of each parameter, P. */
  get priorPrecisionDiag(): Float64Array {
    return this.core.priorPrecisionDiag
  }

  /** mu0: one number, or one for each parameter. */
  get priorMean(): number | Float64Array {
    return this.core.priorMean
  }

  /** sigma, the standard deviation of observation noise; 1 except for regression; one an output where they differ. */
  get sigmaNoise(): number | Float64Array {
    return this.core.sigmaNoise
  }

  /** The covariance of the observations' noises, C x C, where they are correlated; `sigmaNoise` is its diagonal's. */
  get noiseCovariance(): NdArray | undefined {
    const covariance = this.core.noiseCovariance
    return covariance && toNdArray(covariance)
  }

  /** T, by which the data term is divided; 1 is the posterior of Bayes' rule. */
  get temperature(): number {
    return this.core.temperature
  }

  /** H, the data term of the Hessian (P x P) without noise, temperature and prior. */
  get H(): CurvatureMatrix {
    return this.core.H
  }

  /** P = H / (sigma^2 T) + diag(delta). */
  get posteriorPrecision(): CurvatureMatrix {
    return this.core.posteriorPrecision
  }

  /** log p(D | theta) at the network's weights. */
  get logLikelihood(): number {
    return this.core.logLikelihood
  }

  /** (theta - mu0)' P0 (theta - mu0), with P0 = diag(delta). */
  get scatter(): number {
    return this.core.scatter
  }

  /** log |P|. */
  get logDetPosteriorPrecision(): number {
    return this.core.logDetPosteriorPrecision
  }

  /** log |P0|. */
  get logDetPriorPrecision(): number {
    return this.core.logDetPriorPrecision
  }

  /** log |P| - log |P0|. */
  get logDetRatio(): number {
    return this.core.logDetRatio
  }

  /**
   * Mean and variance of every weight: P, or C P where each output of a regression has a posterior of its own, one
   * after another.
   */
  marginals(): Marginals {
    return this.core.marginals()
  }

  /** The diagonal of P^-1, P. */
  posteriorVariance(): Float64Array {
    return this.core.posteriorVariance()
  }

  /** P^-1, P x P. @throws ResourceError OUT_OF_MEMORY */
  posteriorCovariance(): Array64 {
    return toNdArray(this.core.posteriorCovariance())
  }
}
