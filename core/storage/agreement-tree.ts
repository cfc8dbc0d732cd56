/** @file How network and posterior agree with the rows of a fit, as a tree of the container, and back. */
import { UntrustedInputError } from '../errors/errors.js'
import { type Agreement, confusionSize, productsSize } from '../likelihood/agreement.js'
import type { TrainingRecord, TrainingScores } from '../tuning/training-scores.js'
import type { Tree } from './container.js'
import { amountField, arrayField, countField, exact, type Fields, fieldsOf, numberField, wordField } from './fields.js'

/** The tree of an agreement. */
export function agreementToTree(agreement: Agreement): Tree {
  return { ...agreement }
}

/** The agreement of a tree; undefined where there is none. @throws UntrustedInputError when it is not one */
export function agreementFromTree(tree: Tree | undefined): Agreement | undefined {
  if (tree === undefined || tree === null) return undefined
  const fields = fieldsOf(tree, 'agreement')
  const kind = wordField(fields, 'kind', ['classes', 'labels', 'targets'])
  const outputs = countField(fields, 'outputs')
  const examples = amountField(fields, 'examples')
  const array = (key: string): Float64Array => arrayField(fields, key, outputs)
  switch (kind) {
    case 'classes':
      return exact(fields, 'agreement', { kind, outputs, examples, right: amountField(fields, 'right'),
        least: leastOf(fields), counts: addingTo(examples, array('counts'), 'counts'),
        confusion: addingTo(examples, arrayField(fields, 'confusion', confusionSize(outputs)), 'confusion') })
    case 'labels':
      return exact(fields, 'agreement', { kind, outputs, examples, counts: arrayField(fields, 'counts', 4 * outputs) })
    case 'targets':
      return exact(fields, 'agreement', { kind, outputs, examples, meanY: array('meanY'), meanF: array('meanF'),
        squaresY: array('squaresY'), squaresF: array('squaresF'),
        products: arrayField(fields, 'products', productsSize(outputs)), residuals: array('residuals') })
  }
}

/** Weights of examples by kind, which are all the examples together; none where there are too many kinds. */
function addingTo(examples: number, counts: Float64Array, path: string): Float64Array {
  const sum = counts.reduce((before, count) => before + (count >= 0 ? count : NaN), 0)
  if (counts.length === 0 || Math.abs(sum - examples) <= 1e-9 * examples) return counts
  throw new UntrustedInputError(`The file is damaged: '${path}' does not add up to its ${examples} examples.`, {
    format: 'container',
    path,
  })
}

/** Files of earlier versions do not have it. */
function leastOf(fields: Fields): number {
  return 'least' in fields ? amountField(fields, 'least') : 0
}

/** The tree of what a fit keeps of its rows. */
export function trainingToTree({ agreement, posterior }: TrainingRecord): Tree {
  return { agreement: agreementToTree(agreement), posterior: posterior === undefined ? null : scoresToTree(posterior) }
}

function scoresToTree(scores: TrainingScores): Tree {
  if ('accuracy' in scores) return { ...scores }
  const { rmseByOutput, ...all } = scores
  return { ...all, ...(rmseByOutput === undefined ? {} : { rmseByOutput: Float64Array.from(rmseByOutput) }) }
}

/** What a fit kept of its rows; undefined where it kept nothing. @throws UntrustedInputError when it is not that */
export function trainingFromTree(tree: Tree | undefined): TrainingRecord | undefined {
  if (tree === undefined || tree === null) return undefined
  const fields = fieldsOf(tree, 'training')
  const agreement = agreementFromTree(fields['agreement'])
  const posterior = fields['posterior']
  if (agreement === undefined) return undefined
  return exact(fields, 'training', { agreement, posterior: posterior === null || posterior === undefined
    ? undefined
    : scoresFrom(fieldsOf(posterior, 'posterior')) })
}

function scoresFrom(fields: Fields): TrainingScores {
  const nll = numberField(fields, 'nll')
  return exact(fields, 'posterior', 'accuracy' in fields
    ? { nll, accuracy: numberField(fields, 'accuracy') }
    : { nll, rmse: numberField(fields, 'rmse'),
      ...('rmseByOutput' in fields ? { rmseByOutput: Array.from(arrayField(fields, 'rmseByOutput')) } : {}) })
}
