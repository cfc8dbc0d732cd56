/** @file The sums of a fit at zero, with what is to be said of the data. */
import { type Accumulation, startAccumulation } from '../sums/accumulation.js'
import type { FitTask } from './fit-task.js'

/** The sums of a task, at zero; each sentence about the data is added to `notes` once. */
export function accumulationFor({ evaluator, pool, options }: Pick<FitTask, 'evaluator' | 'pool' | 'options'>,
  keepFeatures: boolean, notes: string[]): Accumulation {
  return startAccumulation(evaluator, pool, options, keepFeatures, sentence => {
    if (!notes.includes(sentence)) notes.push(sentence)
  })
}
