/**
 * @file Warnings where a network and the rows of a fit contradict each other. Each begins with 'Warning: ', says what
 * was seen in words for someone who meets the library for the first time, and what to do.
 */
import type { Agreement } from '../likelihood/agreement.js'
import type { Choice } from './choice.js'
import { classContradictions } from './class-contradictions.js'
import { labelContradictions } from './label-contradictions.js'
import { explainsLittle, targetContradictions } from './target-contradictions.js'

/** Warnings begin with this. */
export const WARNING = 'Warning: '
/** Fewer rows than this say too little. */
const FEWEST_ROWS = 10
/** r beyond which network and linear model contradict each other. */
const CONTRADICTING_RATIO = 1.5

/**
 * The warnings of a fit.
 * @param loss the likelihood's loss of the network, summed over the rows
 */
export function contradictions(agreement: Agreement, loss: number, choice: Choice | undefined): string[] {
  if (agreement.examples < FEWEST_ROWS) return []
  const found = contradictionsOf(agreement, loss)
  // The ratio of a regression may be large where both are nearly exact.
  const gate = agreement.kind === 'targets' && !explainsLittle(agreement) ? [] : gateContradiction(choice)
  return (found.length > 0 ? found : gate).map(sentence => WARNING + sentence)
}

function contradictionsOf(agreement: Agreement, loss: number): string[] {
  switch (agreement.kind) {
    case 'classes':
      return classContradictions(agreement, loss)
    case 'labels':
      return labelContradictions(agreement, loss)
    case 'targets':
      return targetContradictions(agreement)
  }
}

/**
 * The network fits rows that it has seen far worse than the linear model predicts rows that it has not, and so does not
 * answer; a last layer's is answered where it is sure of its rows, whatever features that have seen them say.
 */
function gateContradiction(choice: Choice | undefined): string[] {
  if (choice?.r === undefined || !(choice.r > CONTRADICTING_RATIO) || choice.linearWeight !== 1) return []
  return [
    `the network fits the rows of the fit far worse (${choice.networkNll.toPrecision(3)} nats a label) than its own `
    + `linear model predicts rows that it has not seen (${choice.leaveOneOutNll.toPrecision(3)}). Most likely it is `
    + 'not trained to the end; or these rows, their labels or the preparation of their inputs are not those of its '
    + 'training. The linear model answers alone; train the network further, or check the data.',
  ]
}
