/** @file Files of partial fits. */
import { containerKind } from '../../core/storage/container.js'
import { readPartialFit } from '../../core/storage/partial-fit-file.js'
import { describePartialFit } from '../../core/sums/partial-fit.js'
import { readBytes, withFileName } from './files.js'

/** What the partial fit of a file has summed, and its bytes; undefined of other files. */
export async function describePartialFile(path: string): Promise<Readonly<Record<string, string>> | undefined> {
  const bytes = await readBytes(path)
  if (containerKind(bytes) !== 'partial') return undefined
  return withFileName(path, () => ({ bytes: `${bytes.length}`, ...describePartialFit(readPartialFit(bytes)) }))
}
