/** @file Names of the classes in a posterior's file, so that predictions name them as the training data did. */
import { isRecord, type Tree, writeContainer } from './container.js'
import { readContainer } from './read-container.js'

const KIND = 'posterior'

/** A posterior's file with the labels added; readers that do not know them pass over the field. */
export function withLabels(posterior: Uint8Array, labels: readonly string[]): Uint8Array {
  const { tree } = readContainer(KIND, posterior)
  return isRecord(tree) ? writeContainer(KIND, { ...tree, labels }) : posterior
}

/**
 * The labels in a posterior's file: label i stands for class i.
 * @throws UntrustedInputError when it is not such a file
 */
export function labelsIn(posterior: Uint8Array): readonly string[] | undefined {
  const { tree } = readContainer(KIND, posterior)
  const labels: Tree | undefined = isRecord(tree) ? tree['labels'] : undefined
  return Array.isArray(labels) && labels.every((label): label is string => typeof label === 'string')
    ? labels
    : undefined
}
