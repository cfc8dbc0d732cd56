/** @file Kronecker blocks one by one: that of a convolution in groups is made of others. */
import { InternalError } from '../errors/errors.js'
import type { KronBlock } from './curvature.js'

/** A block that is not made of others. */
export type PlainBlock = Exclude<KronBlock, { kind: 'grouped' }>

/** The blocks that a block is made of, in the order of their parameters; itself where it is of one piece. */
export function plainBlocks(block: KronBlock): readonly PlainBlock[] {
  return block.kind === 'grouped' ? block.parts.flatMap(plainBlocks) : [block]
}

/** A block with each of its pieces changed. */
export function mapPlain(block: KronBlock, change: (plain: PlainBlock) => PlainBlock): KronBlock {
  return block.kind === 'grouped'
    ? { ...block, parts: block.parts.map(part => mapPlain(part, change)) }
    : change(block)
}

/** Two blocks of the same pieces as one. @throws InternalError when they are made otherwise */
export function mapPairs(block: KronBlock, other: KronBlock,
  change: (one: PlainBlock, two: PlainBlock) => PlainBlock): KronBlock {
  if (block.kind === 'grouped' && other.kind === 'grouped' && block.parts.length === other.parts.length) {
    return { ...block, parts: block.parts.map((part, i) => mapPairs(part, other.parts[i], change)) }
  }
  if (block.kind === 'grouped' || other.kind === 'grouped' || block.kind !== other.kind) {
    throw new InternalError(
      `The curvature blocks of ${block.name} are of different kinds (${block.kind}, ${other.kind}).`,
    )
  }
  return change(block, other)
}

/** The sums of a block. */
export function blockArrays(block: KronBlock): Float64Array[] {
  switch (block.kind) {
    case 'weight':
      return [block.A, block.B]
    case 'dense':
      return [block.B]
    case 'diagonal':
      return [block.diagonal]
    case 'grouped':
      return block.parts.flatMap(blockArrays)
  }
}

/** Number of parameters of a block. */
export function blockSize(block: KronBlock): number {
  switch (block.kind) {
    case 'weight':
      return block.out * block.in
    case 'dense':
      return block.out
    case 'diagonal':
      return block.diagonal.length
    case 'grouped':
      return block.parts.reduce((sum, part) => sum + blockSize(part), 0)
  }
}
