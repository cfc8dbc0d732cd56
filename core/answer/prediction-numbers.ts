/** @file The numbers of a prediction of either kind, and the prediction that is made of them. */
import { assembledDraws, type DrawnNumbers } from './drawn-prediction.js'
import { assembledGlm, type GlmNumbers } from './glm-prediction.js'
import type { Prediction, PredictionRequest } from './prediction.js'

/** The numbers of a prediction, as plain data: what costs time and is not put off until somebody reads it. */
export type PredictionNumbers = GlmNumbers | DrawnNumbers

/** The prediction that is made of its numbers; its decomposition is worked out when it is first read. */
export function assembled(numbers: PredictionNumbers, request: PredictionRequest,
  notes: readonly string[]): Prediction {
  return numbers.of === 'glm' ? assembledGlm(numbers, request, notes) : assembledDraws(numbers, request, notes)
}
