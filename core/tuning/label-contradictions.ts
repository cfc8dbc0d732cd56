/** @file Warnings of labels of two (binary, multilabel): inverted labels, and a network that knows nothing. */
import type { LabelAgreement } from '../likelihood/agreement.js'
import { digits, listed, percent, significant } from './contradiction-words.js'

/** Inverted labels must explain so many times the rows. */
const FAR_BETTER = 2

/** One output with its labels. */
interface LabelCounts {
  readonly output: number
  readonly right: number
  readonly wrong: number
  /** Rows of the commoner label. */
  readonly commoner: number
}

/** The contradictions of labels of two, without their first word. */
export function labelContradictions(agreement: LabelAgreement, loss: number): string[] {
  const { outputs, examples, counts } = agreement
  const labels = Array.from({ length: outputs }, (_, output): LabelCounts => {
    const [none, falsely, missed, found] = counts.subarray(4 * output, 4 * output + 4)
    return { output, right: none + found, wrong: falsely + missed, commoner: Math.max(none + falsely, missed + found) }
  })
  const inverted = labels.filter(label => isInverted(label, examples, Math.log(2 * outputs)))
  return inverted.length > 0 ? [invertedLabels(inverted, outputs, examples)] : guessing(labels, examples, loss)
}

function isInverted({ right, wrong, commoner }: LabelCounts, examples: number, comparisons: number): boolean {
  const share = commoner / examples
  return wrong >= FAR_BETTER * right && significant(right, wrong, comparisons)
    && wrong / examples > share + 2 * Math.sqrt(share * (1 - share) / examples)
}

function invertedLabels(inverted: readonly LabelCounts[], outputs: number, examples: number): string {
  const right = inverted.reduce((sum, label) => sum + label.right, 0) / (inverted.length * examples)
  const where = outputs === 1
    ? 'the labels seem'
    : `the labels of output ${listed(inverted.map(({ output }) => String(output)))} (counted from 0) seem`
  return `${where} to be inverted: the network is right on ${percent(right)} of the ${examples} rows, and would be on `
    + `${
      percent(1 - right)
    } if 0 and 1 changed places. If 1 meant the other class in its training, give 1 - y instead of y `
    + 'and fit again; else the network is untrained.'
}

/** No better than the commoner label, and surer than it should be. */
function guessing(labels: readonly LabelCounts[], examples: number, loss: number): string[] {
  const count = labels.length * examples
  const accuracy = labels.reduce((sum, { right }) => sum + right, 0) / count
  const share = labels.reduce((sum, { commoner }) => sum + commoner, 0) / count
  const nll = loss / count
  if (accuracy > share || nll <= Math.LN2) return []
  return [
    `the network knows no more of these rows than a guess. It is right on ${percent(accuracy)} of the labels, where `
    + `answering the commoner one is on ${percent(share)}, and scores ${
      digits(nll)
    } nats a label, where a probability of `
    + `one half scores ${
      digits(Math.LN2)
    } (less is better). It is untrained, or its weights were not loaded, or labels, `
    + 'inputs or their preparation are not those of its training. Check that first; the answer is not to be trusted.',
  ]
}
