/**
 * @file What a fit has summed over some of the data. Partial fits of different data add up to the fit of all of it:
 * that one operation serves batches, threads and machines.
 */
import { bytesToHex } from '@noble/hashes/utils.js'
import { mergeCurvature, withoutCurvature } from '../curvature/accumulate.js'
import type { Curvature } from '../curvature/curvature.js'
import { canBeAdded } from '../curvature/sizes.js'
import { demand, demandFields } from '../errors/demand.js'
import { DataError, StateError, UntrustedInputError } from '../errors/errors.js'
import { oneOf } from '../errors/suggest.js'
import { type Agreement, mergeAgreements, noAgreement } from '../likelihood/agreement.js'
import { LIKELIHOODS } from '../options/words.js'
import { type Weighted, withWeighted } from '../tensor/sample-weights.js'
import { chunkCount, type Chunks, commonChunks, mergeChunks, type Repeats, withoutChunks } from './chunks.js'
import { type InputColumns, mergeColumns } from './input-columns.js'

/** Sums over `examples` examples. */
export interface PartialFit extends Weighted {
  /** Names the network, the likelihood and the kind of curvature: only partial fits of the same key add up. */
  readonly key: string
  readonly examples: number
  /** Loss at the network's weights. */
  readonly loss: number
  readonly curvature: Curvature
  /** How the network agrees with the rows; undefined for partial fits of version 0.1.0. */
  readonly agreement: Agreement | undefined
  /** The chunks of data that were summed; undefined for partial fits of version 0.1.0, which do not say it. */
  readonly chunks: Chunks | undefined
  /** The columns that the rows had names for. */
  readonly columns?: readonly InputColumns[]
  /** What was noticed when it was read. */
  readonly notes?: readonly string[]
}

/** @throws OptionError BAD_OPTION for what is no partial fit (whose file `readPartialFit` reads) */
export function demandPartialFit(fit: unknown): void {
  demandFields('A partial fit', 'the result of fitPartial', fit, ['key', 'examples', 'curvature'])
}

/** What is said of a merge whose parts do not all say which data they have seen. */
const NO_CHUNKS_NOTE =
  'Some of the partial fits are of version 0.1.0, which does not say what data they have summed: ' +
  'it cannot be told whether rows count twice.'

/**
 * The sum of two partial fits. Associative and commutative up to rounding; one without examples changes nothing.
 * @throws StateError DIGEST_MISMATCH when they belong to different networks or options; DUPLICATE_CHUNK when a chunk of
 * data is in both
 */
export function mergePartialFits(a: PartialFit, b: PartialFit): PartialFit {
  demandPartialFit(a)
  demandPartialFit(b)
  return merged(a, b, 'refuse')
}

/**
 * The sums of the whole without those of a part of it: what was learnt of some rows is taken away.
 * @throws StateError DIGEST_MISMATCH when they belong to different networks or options, or when the part holds a chunk
 * of data that the whole does not; DataError EMPTY_DATA when nothing is left
 */
export function subtractPartialFit(whole: PartialFit, part: PartialFit): PartialFit {
  demandPartialFit(whole)
  demandPartialFit(part)
  if (part.examples === 0) return whole
  const mismatch = (why: string): StateError =>
    new StateError('DIGEST_MISMATCH', `This partial fit cannot be taken away from the other: ${why}.`, {
      first: whole.key,
      second: part.key,
    })
  if (whole.key !== part.key || !canBeAdded(whole.curvature, part.curvature)) {
    throw mismatch(keyDifference(whole.key, part.key))
  }
  const [, , , , kind, , , , ...more] = whole.key.split(' ')
  if (kind === 'mc_fisher' || more.includes('axis')) {
    throw mismatch(kind === 'mc_fisher'
      ? "labels that curvature 'mc_fisher' drew are drawn anew for every part; use curvature 'ggn'"
      : 'of networks with positions it is not kept how many had a label; add up the parts that stay')
  }
  const chunks = whole.chunks === undefined || part.chunks === undefined
    ? undefined
    : withoutChunks(whole.chunks, part.chunks)
  if (chunks === undefined) {
    throw mismatch('it is not made of chunks of data that the other has summed; take away parts that were added')
  }
  const examples = whole.examples - part.examples
  if (examples <= 0) throw new DataError('EMPTY_DATA', 'Without this part no rows are left.')
  return { key: whole.key, examples, ...withWeighted(whole.weighted, part.weighted, -1), loss: whole.loss - part.loss,
    curvature: withoutCurvature(whole.curvature, part.curvature), agreement: undefined, chunks,
    columns: mergeColumns(whole.columns ?? [], part.columns ?? []), notes: whole.notes ?? [] }
}

function merged(a: PartialFit, b: PartialFit, repeats: Repeats): PartialFit {
  if (a.key !== b.key || !canBeAdded(a.curvature, b.curvature)) {
    // What no row has been seen of may not know what the rows show, as that the outputs are probabilities.
    if (a.examples === 0 || b.examples === 0) return a.examples === 0 ? b : a
    throw new StateError('DIGEST_MISMATCH', `These partial fits cannot be added: ${keyDifference(a.key, b.key)}.`, {
      first: a.key,
      second: b.key,
    })
  }
  const chunks = a.chunks === undefined || b.chunks === undefined
    ? undefined
    : mergeChunks(a.chunks, b.chunks, repeats)
  const notes = [...a.notes ?? [], ...b.notes ?? [], ...(chunks === undefined ? [NO_CHUNKS_NOTE] : [])]
  return { key: a.key, examples: a.examples + b.examples, ...withWeighted(a.weighted, b.weighted, 1),
    loss: a.loss + b.loss, curvature: mergeCurvature(a.curvature, b.curvature),
    agreement: mergeAgreements(a.agreement, b.agreement), chunks,
    columns: mergeColumns(a.columns ?? [], b.columns ?? []), notes: [...new Set(notes)] }
}

/** What a merge of several does about chunks of data that more than one of them has. */
export const REPEATS = ['refuse', 'skip', 'count'] as const

/**
 * The sum of several partial fits, in an order of its own: that in which they are given changes no bit.
 * @param repeats 'refuse': a chunk of data that two of them have is an error; 'skip': some are copies of the same work
 * (a retry, a task that ran twice), and a chunk counts once; 'count': chunks of equal rows are all meant
 * @throws DataError EMPTY_DATA for none; StateError DIGEST_MISMATCH, DUPLICATE_CHUNK; with 'skip' the latter where one
 * has only a part of its chunks in common with the others, as sums cannot be taken apart
 */
export function mergePartials(partials: readonly PartialFit[],
  repeats: (typeof REPEATS)[number] = 'refuse'): PartialFit {
  demand(Array.isArray(partials), 'partials', 'a list of partial fits', partials)
  partials.forEach(demandPartialFit)
  oneOf('repeats', repeats, REPEATS)
  if (partials.length === 0) throw new DataError('EMPTY_DATA', 'There are no partial fits to merge.')
  const ordered = partials.map(partial => ({ partial, name: bytesToHex(partial.chunks ?? new Uint8Array(0)) }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)).map(({ partial }) => partial)
  const needed = repeats === 'skip' ? withoutCopies(ordered) : ordered
  return sumOf(needed, repeats === 'count' ? 'count' : 'refuse')
}

/** Two and two, then two and two of those. */
function sumOf(partials: readonly PartialFit[], repeats: Repeats): PartialFit {
  let level = partials
  while (level.length > 1) {
    const pairs = Array.from({ length: Math.ceil(level.length / 2) }, (_, i) => level.slice(2 * i, 2 * i + 2))
    level = pairs.map(([a, ...rest]) => rest.reduce((sum, b) => merged(sum, b, repeats), a))
  }
  return level[0]
}

/** Those whose chunks are not all in others, in their order. The largest are looked at first. */
function withoutCopies(partials: readonly PartialFit[]): PartialFit[] {
  let seen: Chunks = new Uint8Array(0)
  const sizeOf = (place: number): number => partials[place].chunks?.length ?? 0
  const needed = Array.from(partials.keys()).sort((a, b) => sizeOf(b) - sizeOf(a)).filter(place => {
    const { chunks = new Uint8Array(0), key } = partials[place]
    const copied = chunks.length > 0 && key === partials[0].key && commonChunks(chunks, seen) === chunkCount(chunks)
    if (!copied) seen = mergeChunks(seen, chunks, 'refuse')
    return !copied
  })
  return needed.sort((a, b) => a - b).map(place => partials[place])
}

/** What the parts of a key are, in their order. */
const KEY_PARTS = ['network', 'likelihood', 'subset', 'structure', 'curvature', 'kfacApprox', 'precision', 'output']

/** What a partial fit has summed, and of what: for people. */
export function describePartialFit(
  { key, examples, chunks, columns = [] }: PartialFit,
): Readonly<Record<string, string>> {
  const parts = key.split(' ')
  return { rows: `${examples}`, ...(chunks === undefined ? {} : { chunks: `${chunkCount(chunks)}` }),
    ...Object.fromEntries(KEY_PARTS.map((name, i) => [name, parts[i]])),
    ...Object.fromEntries(columns.map(input => [`columns of ${input.name}`, input.columns.join(', ')])) }
}

/** In words, what differs between what two keys name. */
export function keyDifference(a: string, b: string): string {
  const [own, other] = [a.split(' '), b.split(' ')]
  const at = own.findIndex((part, i) => part !== other[i])
  if (at === 0) return `they were made with different networks (digests ${short(own[0])} and ${short(other[0])})`
  const name = KEY_PARTS[at] as string | undefined
  return name === undefined || other[at] === undefined
    ? 'they were made with other options of positions or noise'
    : `the first was made with ${name} '${short(own[at])}', the second with '${short(other[at])}'`
}

function short(text: string): string {
  return text.length > 40 ? `${text.slice(0, 12)}...` : text
}

/**
 * The partial fit, whose key and contents say the same.
 * @throws UntrustedInputError
 */
export function checkedPartialFit(fit: PartialFit): PartialFit {
  const [digest, word, , structure] = fit.key.split(' ')
  const { agreement, curvature } = fit
  const likelihood = LIKELIHOODS.find(known => known === word)
  if (/^[0-9a-f]{64}$/.test(digest) && structure === curvature.structure && likelihood !== undefined
    && (agreement === undefined || agreement.kind === noAgreement(likelihood, 1)?.kind)) return fit
  throw new UntrustedInputError('The partial fit is damaged: it says that it is of another kind than it is.', {
    format: 'partial',
    path: 'key',
  })
}
