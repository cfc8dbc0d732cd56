/** @file Attention and rotary embeddings of ONNX Runtime, whose masks and caches are others than those of ONNX. */
import { BATCH, type Node } from '../../../core/graph/graph.js'
import { numberAttribute } from '../../../core/ops/node-attributes.js'
import { sameDim } from '../../../core/ops/shape-rules.js'
import { asBias, counted, joinHeads, splitHeads, turned } from '../composed/attention.js'
import { type Composition, type Compositions, isGiven } from '../composed/composition.js'
import { NotExpressible, type UpgradeContext } from '../upgrade-context.js'
import { total } from './normalisation.js'

type Optional = string | undefined

/** Parts of the last axis. */
function parts(value: string, sizes: readonly number[], context: UpgradeContext): string[] {
  return context.nodeOutputs('Split', [value, context.integers(sizes)], sizes.length, { axis: -1 })
}

/** Queries, keys and values by head, B x H x S x D. */
interface Heads {
  readonly query: string
  readonly key: string
  readonly value: string
}

/** What else decides how much a query takes from a key. */
interface Scoring {
  /** Added to the scores. */
  readonly bias: Optional
  /** Which keys count, in one of the forms of ONNX Runtime. */
  readonly mask: Optional
  readonly causal: boolean
}

/** The masked scores' softmax times the values, B x S x (H D). */
function attended({ query, key, value }: Heads, { bias, mask, causal }: Scoring, node: Node,
  context: UpgradeContext): string {
  const given = numberAttribute(node, 'scale', 0)
  const scale = given === 0 ? 1 / Math.sqrt(context.length(query, -1, 'width')) : given
  const scores = context.mul(context.node('MatMul', [query, context.transpose(key, [0, 1, 3, 2])]), scale)
  const masked = isGiven(mask) ? keyBias(mask, scores, numberAttribute(node, 'mask_filter_value', -10000), context) : ''
  const biased = total([scores, bias, masked, causal ? pastOnly(scores, context) : ''], context)
  return joinHeads(context.node('MatMul', [context.node('Softmax', [biased], { axis: -1 }), value]), context)
}

/** Keys at most as far as the query; the last query is at the last key. */
function pastOnly(scores: string, context: UpgradeContext): string {
  const before = context.sub(context.extents(scores, 3, 4), context.extents(scores, 2, 3))
  const position = context.add(counted(scores, 2, context), before)
  return asBias(context.node('LessOrEqual', [counted(scores, 3, context), position]), scores, context)
}

/**
 * A number added to the scores of keys that do not count: by truth values for each key, or each query and key, or by
 * how many keys of an example count.
 */
function keyBias(mask: string, scores: string, filter: number, context: UpgradeContext): string {
  const shape = context.shape(mask)
  const [zero, low] = [context.scalarLike(scores, 0), context.scalarLike(scores, filter)]
  const choose = (allowed: string): string => context.node('Where', [allowed, zero, low])
  if (shape.length === 2 || shape.length === 3) {
    return choose(context.binary('Greater', context.unsqueeze(mask, ...(shape.length === 2 ? [1, 2] : [1])), 0))
  }
  if (shape.length !== 1 || !sameDim(shape[0], BATCH)) {
    throw new NotExpressible('with a mask that is of no row for each example')
  }
  return choose(context.node('Less', [counted(scores, 3, context), context.unsqueeze(mask, 1, 2, 3)]))
}

/** Keys, or values, of the past before those of now. */
function extended(past: Optional, now: string, context: UpgradeContext): string {
  return isGiven(past) ? context.concat([past, now], 2) : now
}

/** Self-attention from one product with the weights of queries, keys and values side by side. */
const attention: Composition = (node, context) => {
  const [x, weights, bias, mask, past, added, pastLength] = node.inputs
  if (isGiven(pastLength)) throw new NotExpressible('with a cache of a fixed size')
  if (numberAttribute(node, 'do_rotary', 0) !== 0) throw new NotExpressible('with rotary positions')
  const heads = numberAttribute(node, 'num_heads')
  const width = context.length(weights, 1, 'width')
  const given = node.attributes['qkv_hidden_sizes']
  const sizes = Array.isArray(given) ? given as readonly number[] : [width / 3, width / 3, width / 3]
  const [query, ...rest] = parts(total([context.node('MatMul', [x, weights]), bias], context), sizes, context).map(
    each => splitHeads(each, heads, context),
  )
  const [key, value] = rest.map((now, i) =>
    extended(isGiven(past) ? context.node('Gather', [past, context.integer(i)], { axis: 0 }) : '', now, context)
  )
  const scoring = { bias: added, mask, causal: numberAttribute(node, 'unidirectional', 0) !== 0 }
  const present = (): string => context.concat([context.unsqueeze(key, 0), context.unsqueeze(value, 0)], 0)
  return [attended({ query, key, value }, scoring, node, context), isGiven(node.outputs[1]) ? present() : undefined]
}

/** Attention of queries, keys and values that have been multiplied with their weights, and perhaps not with biases. */
const multiHeadAttention: Composition = (node, context) => {
  const [q, k, v, bias, mask, added, pastKey, pastValue, pastLength] = node.inputs
  const heads = numberAttribute(node, 'num_heads')
  if (!isGiven(k) || !isGiven(v) || context.shape(q).length !== 3) {
    throw new NotExpressible('with queries, keys and values in one array')
  }
  if (isGiven(pastLength) || isGiven(node.outputs[3])) throw new NotExpressible('with a cache of a fixed size')
  const given = [q, k, v]
  const joined = given.filter(each => context.shape(each).length === 3)
  const biases = isGiven(bias)
    ? parts(bias, [0, 0, 1].map((_, i) => biasWidth(given, heads, i, context)), context)
    : []
  const [query, key, value] = given.map((each, i) =>
    splitHeads(joined.includes(each) ? total([each, biases[i]], context) : each, heads, context)
  )
  const [keys, values] = [extended(pastKey, key, context), extended(pastValue, value, context)]
  const scoring = { bias: added, mask, causal: numberAttribute(node, 'unidirectional', 0) !== 0 }
  return [attended({ query, key: keys, value: values }, scoring, node, context), keys, values]
}

/** How many elements of the common bias belong to queries, keys or values. */
function biasWidth(given: readonly string[], heads: number, i: number, context: UpgradeContext): number {
  const width = context.length(given[i], -1, 'width')
  return context.shape(given[i]).length === 4 ? heads * width : width
}

/** Rotary embedding from tables of angles by position. */
const rotaryEmbedding: Composition = (node, context) => {
  const [x, positions, cosines, sines] = node.inputs
  if (numberAttribute(node, 'is_packed_batching', 0) !== 0) throw new NotExpressible('of examples in one row')
  if (numberAttribute(node, 'scale', 1) !== 1) throw new NotExpressible('with a scale')
  const width = numberAttribute(node, 'rotary_embedding_dim', 0)
  const joined = context.shape(x).length === 3
  const size = 2 * context.length(cosines, 1, 'width')
  const heads = numberAttribute(node, 'num_heads', 0)
  const places = context.shape(positions).length === 1
    ? context.add(positions, sequencePositions(x, joined ? 1 : 2, context))
    : positions
  return [
    turned(x, { cosines, sines, positions: places, width,
      heads: heads === 0 && joined ? context.length(x, -1, 'width') / size : heads,
      interleaved: numberAttribute(node, 'interleaved', 0) !== 0 }, context),
  ]
}

/** 0, 1, ... along an axis, as one row: 1 x S. */
function sequencePositions(value: string, axis: number, context: UpgradeContext): string {
  const length = context.node('Gather', [context.extents(value), context.integer(axis)], { axis: 0 })
  return context.unsqueeze(context.node('Range', [context.integer(0), length, context.integer(1)]), 0)
}

/** Attention, and the positions in it. */
export const attentionCompositions: Compositions = [
  ['Attention', attention],
  ['MultiHeadAttention', multiHeadAttention],
  ['RotaryEmbedding', rotaryEmbedding],
]
