/** @file Arguments of methods as the core takes them. */
import { withTimeLeft, type WorkOptions as CoreWork } from '../core/budget/progress.js'
import { OptionError } from '../core/errors/errors.js'
import { knownOptions, optionsObject } from '../core/errors/suggest.js'
import type { FitWork as CoreFitWork } from '../core/fit/fit-work.js'
import type { Batch } from '../core/tensor/batch.js'
import type { Examples } from '../core/tensor/examples.js'
import { type ArrayInput, type ExamplesInput, toExamples, toTensor } from './arrays.js'
import type { ArrayBatch, FitWork, WorkOptions } from './options.js'

/** What long work takes. */
const WORK_OPTIONS: readonly (keyof WorkOptions)[] = ['signal', 'onProgress']

/** The core's form of the options of long work. @throws OptionError UNKNOWN_OPTION, BAD_OPTION */
export function coreWork(what: string, work: WorkOptions): CoreWork {
  knownOptions(what, work, WORK_OPTIONS)
  const { signal, onProgress } = work
  if (signal !== undefined && typeof (signal as Partial<AbortSignal> | null)?.aborted !== 'boolean') {
    throw new OptionError('BAD_OPTION', `Option signal of ${what} must be an AbortSignal; got ${typeof signal}.`, {
      option: 'signal',
      value: typeof signal,
    })
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw new OptionError('BAD_OPTION', `Option onProgress of ${what} must be a function; got ${typeof onProgress}.`, {
      option: 'onProgress',
      value: typeof onProgress,
    })
  }
  return { ...(signal === undefined ? {} : { signal }),
    ...(onProgress === undefined ? {} : { onProgress: withTimeLeft(onProgress) }) }
}

/** A batch as tensors. */
export function toBatch(batch: ArrayBatch): Batch {
  knownOptions('a batch', batch, ['x', 'y', 'sampleWeight'])
  const { x, y, sampleWeight } = batch
  return { x: toExamples(x, 'x'), y: toTensor(y, 'y'), ...weightsOf(sampleWeight) }
}

/** Rows that are no data as the core takes them, where there are any. */
export function toOutliers(outliers: ExamplesInput | undefined): { outliers?: Examples } {
  return outliers === undefined ? {} : { outliers: toExamples(outliers, 'outliers') }
}

/** Weights of rows, and what long work accepts, as the core takes them. */
export function fitWork(what: string, options: FitWork): CoreFitWork {
  const { sampleWeight, ...work } = optionsObject(what, options)
  return { ...coreWork(what, work), ...weightsOf(sampleWeight) }
}

/** Weights of rows as the core takes them. */
export function weightsOf(sampleWeight: ArrayInput | undefined): Pick<CoreFitWork, 'sampleWeight'> {
  return sampleWeight === undefined ? {} : { sampleWeight: toTensor(sampleWeight, 'sampleWeight').data }
}
