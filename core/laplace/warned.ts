/** @file A fitted posterior warns where its network and the rows of the fit contradict each other. */
import type { PosteriorState } from '../answer/posterior-state.js'
import { contradictions } from '../tuning/contradictions.js'

/** The state with the warnings of its fit before the other notes. */
export function warned(state: PosteriorState): PosteriorState {
  const { training, loss, choice, notes } = state
  if (training === undefined) return state
  return { ...state, notes: [...contradictions(training.agreement, loss, choice), ...notes] }
}
