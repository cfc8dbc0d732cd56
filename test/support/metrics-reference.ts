/** @file The values that test/fixtures/metrics/make-metrics.py wrote with scikit-learn, scipy and numpy. */
import { float64, type Tensor, tensor } from '../../core/tensor/tensor.js'
import { fixture } from './fixture.js'

interface ProbabilityCase {
  readonly logits: number[][]
  readonly p: number[][]
  readonly y: number[] | number[][]
  readonly scores: Readonly<Record<string, number>> & { readonly coverageAtRisk: number[] }
  readonly temperature: number
}

export interface MetricsReference {
  readonly normalQuantiles: [number, number][]
  readonly classification: ProbabilityCase
  readonly binary: ProbabilityCase
  readonly multilabel: ProbabilityCase
  readonly regression: {
    readonly mean: number[][]
    readonly variance: number[][]
    readonly y: number[][]
    readonly sigmaNoise: number[]
    readonly scores: Readonly<Record<'nll' | 'crps' | 'rmse' | 'sharpness' | 'kolmogorov', number>> & {
      readonly intervals: Record<'level' | 'coverage' | 'width', number>[]
      readonly histogram: number[]
    }
  }
  readonly outliers: { readonly ofData: number[], readonly ofOthers: number[], readonly auroc: number,
    readonly fprAt95Tpr: number }
  readonly conformalQuantiles: { readonly scores: number[], readonly cases: { level: number, quantile: number }[] }
}

export function metricsReference(): MetricsReference {
  return JSON.parse(new TextDecoder().decode(fixture('metrics/metrics.json'))) as MetricsReference
}

/** A float64 matrix from its rows. */
export function matrix(rows: readonly (readonly number[])[]): Tensor {
  return float64([rows.length, rows[0].length], rows.flat())
}

/** Class numbers, or rows of 0 and 1. */
export function labelsOf(y: number[] | number[][]): Tensor {
  return Array.isArray(y[0]) ? matrix(y as number[][]) : tensor('int64', [y.length], y as number[])
}
