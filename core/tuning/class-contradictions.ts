/**
 * @file Warnings of a classification: labels in another order than the outputs, outputs negated, and a network that
 * knows nothing.
 */
import { assignment, movedCycles } from '../kernels/assignment.js'
import type { ClassAgreement } from '../likelihood/agreement.js'
import { digits, listed, percent, significant } from './contradiction-words.js'

/** The permuted labels must explain so many times the rows of the classes that they move. */
const FAR_BETTER = 2
/** Up to this factor of log C the answers of a network that is wrong are hardly surer than a guess. */
const HARDLY_SURER = 1.2

/** The contradictions of a classification, without their first word. */
export function classContradictions(agreement: ClassAgreement, loss: number): string[] {
  const found = [permutedLabels(agreement, loss), negatedOutputs(agreement)]
    .filter(explanation => explanation !== undefined)
    .sort((a, b) => b.right - a.right)
  return found.length === 0 ? guessing(agreement, loss) : [found[0].sentence]
}

/** What would explain the rows, and how many of them. */
interface Explanation {
  readonly right: number
  readonly sentence: string
}

/** The least probable class is the right one far more often; of two classes that is another order of the labels. */
function negatedOutputs({ outputs, examples, right, least, counts }: ClassAgreement): Explanation | undefined {
  const share = largest(counts) / examples
  if (outputs < 3 || least < FAR_BETTER * right || least / examples <= share + chance(share, examples) ||
    !significant(right, least, Math.LN2)) return undefined
  const sentence =
    `the outputs of the network seem to be negated: it is right on ${percent(right / examples)} of the ` +
    `${examples} rows, and would be on ${percent(least / examples)} with the opposite of its outputs. Give a network ` +
    'whose largest output is the most probable class: the logits, and not their negative (energies, distances).'
  return { right: least, sentence }
}

/** What a share of the rows may be off by chance. */
function chance(share: number, examples: number): number {
  return 2 * Math.sqrt(share * (1 - share) / examples)
}

/** Label -> output where another order of the classes explains the rows far better. */
function permutationOf({ outputs, confusion, counts }: ClassAgreement): Map<number, number> {
  // Of equal orders the one that moves less: without the part on the diagonal empty classes would wander.
  const cost = confusion.map((count, i) => -count - (i % (outputs + 1) === 0 ? 0.5 / outputs : 0))
  let comparisons = 0
  for (let c = 2; c <= outputs; c++) comparisons += Math.log(c)
  const order = assignment(cost, outputs)
  const cycles = movedCycles(order).filter(cycle => {
    const right = cycle.reduce((sum, c) => sum + confusion[c * outputs + c], 0)
    const other = cycle.reduce((sum, c) => sum + confusion[c * outputs + order[c]], 0)
    return cycle.every(c => counts[c] > 0) && other >= FAR_BETTER * right && significant(right, other, comparisons)
  })
  return new Map(cycles.flat().sort((a, b) => a - b).map(c => [c, order[c]]))
}

function permutedLabels(agreement: ClassAgreement, loss: number): Explanation | undefined {
  const { outputs, examples, right, confusion, counts } = agreement
  if (confusion.length === 0) return undefined
  const moved = permutationOf(agreement)
  let better = right
  for (const [c, output] of moved) better += confusion[c * outputs + output] - confusion[c * outputs + c]
  const share = largest(counts) / examples
  // A network that answers one class for nearly every row fits an order in which that is the largest class.
  if (moved.size === 0 || better / examples <= share + chance(share, examples)) return undefined
  const pairs = Array.from(moved, ([c, output]) => `${c} as ${output}`)
  const unsure = loss / examples < HARDLY_SURER * Math.log(outputs)
    ? ' Its answers are hardly surer than a guess, so it may also be untrained.'
    : ''
  const sentence = 'the labels seem to be coded in another order than the outputs of the network: it is right on '
    + `${percent(right / examples)} of the ${examples} rows, and would be on ${percent(better / examples)} with label `
    + `${
      listed(pairs)
    } (counted from 0). Recode the labels in the order of the network's training and fit again.${unsure}`
  return { right: better, sentence }
}

/** No better than the commonest class but by chance, and surer than it should be. */
function guessing({ outputs, examples, right, counts }: ClassAgreement, loss: number): string[] {
  const share = largest(counts) / examples
  const [accuracy, nll] = [right / examples, loss / examples]
  if (accuracy > share + chance(share, examples) || nll <= Math.log(outputs)) return []
  return [
    `the network knows no more of these rows than a guess. It is right on ${
      percent(accuracy)
    } of them, where answering `
    + `the commonest class is on ${percent(share)}, and scores ${
      digits(nll)
    } nats a row, where equal probabilities score `
    + `${
      digits(Math.log(outputs))
    } (less is better). It is untrained, or its weights were not loaded, or labels, inputs or `
    + 'their preparation are not those of its training. Check that first; the answer is not to be trusted.',
  ]
}

function largest(counts: Float64Array): number {
  return counts.reduce((most, count) => Math.max(most, count), 0)
}
