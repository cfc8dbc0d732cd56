/** @file Choices of parameters that a reader has made where a file leaves them open; a user may make them instead. */

/** Tensors that count as parameters, or do not, though their file does not say so. Plain data, as graphs are. */
export interface OpenChoice {
  readonly names: readonly string[]
  readonly counted: boolean
  /** What is said before and after the names. */
  readonly sentence: readonly [before: string, after: string]
}

const MOST_NAMES = 5

/** The note of a choice. */
export function describeOpenChoice({ names, sentence: [before, after] }: OpenChoice): string {
  const shown = names.slice(0, MOST_NAMES).map(name => `'${name}'`).join(', ')
  const more = names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : ''
  return `${before}: ${shown}${more}. ${after}`
}
