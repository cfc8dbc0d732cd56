/** @file Calibrations and left-out scores as trees of the container, and back. */
import type { Calibration, LeftOutScores } from '../conformal/calibration.js'
import { UntrustedInputError } from '../errors/errors.js'
import type { Tree } from './container.js'
import { arrayField, booleanField, countField, exact, type Fields, fieldsOf, listField, wordField } from './fields.js'

/** The tree of a calibration. */
export function calibrationToTree({ scores, approximate }: Calibration): Tree {
  return { approximate, scores: { ...scores } }
}

/** The calibration of a tree. @throws UntrustedInputError when it is not one */
export function calibrationFromTree(tree: Tree | undefined): Calibration {
  const fields = fieldsOf(tree, 'conformal')
  return exact(fields, 'conformal', { approximate: booleanField(fields, 'approximate'),
    scores: scoresFrom(fieldsOf(fields['scores'], 'scores')) })
}

function scoresFrom(fields: Fields): Calibration['scores'] {
  const kind = wordField(fields, 'kind', ['split', 'jackknife', 'threshold', 'adaptive'] as const)
  const n = countField(fields, 'n')
  switch (kind) {
    case 'threshold':
      return exact(fields, 'scores', { kind, n, scores: rising(arrayField(fields, 'scores', n)) })
    case 'adaptive':
      return exact(fields, 'scores', { kind, n, scores: rising(arrayField(fields, 'scores', n)),
        randomised: booleanField(fields, 'randomised'), seed: countField(fields, 'seed') })
    default:
      return exact(fields, 'scores', { kind, n, scaled: booleanField(fields, 'scaled'),
        scores: columnsOf(fields, 'scores').map(scores => rising(scores, n)) })
  }
}

/** The tree of left-out scores. */
export function leftOutToTree(scores: LeftOutScores): Tree {
  return { ...scores }
}

/** The left-out scores of a tree. @throws UntrustedInputError when it is not one */
export function leftOutFromTree(tree: Tree | undefined): LeftOutScores {
  const fields = fieldsOf(tree, 'leftOut')
  const kind = wordField(fields, 'kind', ['residuals', 'classes'] as const)
  if (kind === 'residuals') {
    return exact(fields, 'leftOut', { kind, scores: columnsOf(fields, 'scores').map(scores => rising(scores)) })
  }
  const own = arrayField(fields, 'own')
  return exact(fields, 'leftOut', { kind, own, before: arrayField(fields, 'before', own.length) })
}

function columnsOf(fields: Fields, key: string): Float64Array[] {
  return listField(fields, key).map((_, i, list) => arrayField({ [key]: list[i] }, key))
}

/** Quantiles of a list that is not in order would be silently wrong. */
function rising(scores: Float64Array, length = scores.length): Float64Array {
  if (scores.length === length && scores.every((score, i) => score >= (i === 0 ? 0 : scores[i - 1]))) return scores
  throw new UntrustedInputError(`The file is damaged: 'scores' should be ${length} numbers from 0 in rising order.`, {
    format: 'container',
    path: 'scores',
  })
}
