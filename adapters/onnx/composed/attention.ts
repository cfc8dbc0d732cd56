/** @file Attention and rotary embeddings (operator sets 23 and newer), in products, softmax and arithmetic. */
import type { Node } from '../../../core/graph/graph.js'
import { badNode, numberAttribute } from '../../../core/ops/node-attributes.js'
import { NotExpressible, type UpgradeContext } from '../upgrade-context.js'
import { type Composition, type Compositions, isGiven } from './composition.js'

/** B x S x (H D) -> B x H x S x D; values that have heads already stay. */
export function splitHeads(value: string, heads: number, context: UpgradeContext): string {
  if (context.shape(value).length === 4) return value
  const width = context.length(value, -1, 'width')
  if (!(heads > 0) || width % heads !== 0) throw new NotExpressible(`of ${heads} heads for a width of ${width}`)
  return context.transpose(context.reshape(value, [0, 0, heads, width / heads]), [0, 2, 1, 3])
}

/** B x H x S x D -> B x S x (H D). */
export function joinHeads(value: string, context: UpgradeContext): string {
  const width = context.length(value, 1, 'heads') * context.length(value, -1, 'width')
  return context.reshape(context.transpose(value, [0, 2, 1, 3]), [0, 0, width])
}

/** Every head of keys or values for the `times` heads of queries that share it. */
function repeatHeads(value: string, times: number, context: UpgradeContext): string {
  if (times === 1) return value
  const [heads, width] = [context.length(value, 1, 'heads'), context.length(value, 3, 'width')]
  const repeated = context.node('Expand', [context.unsqueeze(value, 2), context.integers([1, 1, times, 1, 1])])
  return context.reshape(repeated, [0, heads * times, -1, width])
}

/** 0 where a truth value holds, -infinity elsewhere. */
export function asBias(allowed: string, like: string, context: UpgradeContext): string {
  return context.node('Where', [allowed, context.scalarLike(like, 0), context.scalarLike(like, -Infinity)])
}

/** 0, 1, ... along axis `axis` of a value of four axes, as a column or a row of integers that can be broadcast. */
export function counted(value: string, axis: 2 | 3, context: UpgradeContext): string {
  const extent = context.node('Gather', [context.extents(value), context.integer(axis)], { axis: 0 })
  const range = context.node('Range', [context.integer(0), extent, context.integer(1)])
  return context.unsqueeze(range, axis === 2 ? 1 : 0)
}

interface Masks {
  readonly mask: string | undefined
  /** Valid keys of each example. */
  readonly valid: string | undefined
  /** Keys before the first query: of the cache. */
  readonly past: string | undefined
}

/** What is added to the scores (B x H x queries x keys), all of it; whether rows without any key are possible. */
function biases(node: Node, scores: string, { mask, valid, past }: Masks,
  context: UpgradeContext): { terms: string[], mayBeEmpty: boolean } {
  const terms: string[] = []
  const [left, right] = [numberAttribute(node, 'left_window_size', -1), numberAttribute(node, 'right_window_size', -1)]
  const causal = numberAttribute(node, 'is_causal', 0) !== 0
  if (mask !== undefined) terms.push(paddedMask(mask, scores, context))
  const keys = counted(scores, 3, context)
  if (causal || left >= 0 || right >= 0) {
    // The position of a query among the keys.
    const position = queryPositions(scores, valid, past, context)
    const rules = [...(causal ? [context.node('LessOrEqual', [keys, position])] : []),
      ...(left < 0 ? [] : [context.node('GreaterOrEqual', [keys, context.sub(position, context.integer(left))])]),
      ...(right < 0 ? [] : [context.node('LessOrEqual', [keys, context.add(position, context.integer(right))])])]
    terms.push(asBias(rules.reduce((a, b) => context.node('And', [a, b])), scores, context))
  }
  if (valid !== undefined) {
    const allowed = context.node('Less', [keys, context.unsqueeze(valid, 1, 2, 3)])
    terms.push(asBias(allowed, scores, context))
  }
  return { terms, mayBeEmpty: mask !== undefined || valid !== undefined || left >= 0 || right >= 0 }
}

function queryPositions(scores: string, valid: string | undefined, past: string | undefined,
  context: UpgradeContext): string {
  const queries = counted(scores, 2, context)
  if (past !== undefined) return context.add(queries, context.extents(past, 2, 3))
  if (valid === undefined) return queries
  return context.add(queries, context.sub(context.unsqueeze(valid, 1, 2, 3), context.extents(scores, 2, 3)))
}

/** A mask as a bias; keys behind its end are left out. */
function paddedMask(mask: string, scores: string, context: UpgradeContext): string {
  const bias = context.type(mask).dtype === 'bool' ? asBias(mask, scores, context) : mask
  const missing = context.length(scores, 3, 'number of keys') - context.length(bias, -1, 'mask')
  if (missing === 0) return bias
  return context.node('Pad', [bias, context.integers([0, missing]), context.scalarLike(bias, -Infinity),
    context.integers([-1])])
}

/** Softmax along the last axis, with zeros for rows that are -infinity throughout. */
function softmax(scores: string, mayBeEmpty: boolean, context: UpgradeContext): string {
  if (!mayBeEmpty) return context.node('Softmax', [scores], { axis: -1 })
  const most = context.node('ReduceMax', [scores, context.integers([-1])], { keepdims: 1 })
  const empty = context.binary('Equal', most, -Infinity)
  const zero = context.scalarLike(scores, 0)
  const safe = context.node('Softmax', [context.node('Where', [empty, zero, scores])], { axis: -1 })
  return context.node('Where', [empty, zero, safe])
}

const attention: Composition = (node, context) => {
  const [q, k, v, mask, pastKey, pastValue, valid] = node.inputs
  const queryHeads = numberAttribute(node, 'q_num_heads', 0)
  const keyHeads = numberAttribute(node, 'kv_num_heads', queryHeads)
  const joined = context.shape(q).length === 3
  const query = splitHeads(q, queryHeads, context)
  const cached = (value: string, past: string | undefined): string => {
    const own = splitHeads(value, keyHeads, context)
    return isGiven(past) ? context.concat([past, own], 2) : own
  }
  const [key, value] = [cached(k, pastKey), cached(v, pastValue)]
  const times = context.length(query, 1, 'heads') / context.length(key, 1, 'heads')
  if (!Number.isInteger(times)) throw badNode(node, 'its heads of queries are no multiple of those of keys.')
  const scale = numberAttribute(node, 'scale', 1 / Math.sqrt(context.length(query, -1, 'width')))
  const raw = context.mul(
    context.node('MatMul', [query, context.transpose(repeatHeads(key, times, context), [0, 1, 3, 2])]),
    scale,
  )
  const cap = numberAttribute(node, 'softcap', 0)
  const capped = cap > 0 ? context.mul(context.node('Tanh', [context.div(raw, cap)]), cap) : raw
  const { terms, mayBeEmpty } = biases(node, capped, { mask: isGiven(mask) ? mask : undefined,
    valid: isGiven(valid) ? valid : undefined, past: isGiven(pastKey) ? pastKey : undefined }, context)
  const biased = terms.reduce((sum, term) => context.add(sum, term), capped)
  const weights = softmax(biased, mayBeEmpty, context)
  const y = context.node('MatMul', [weights, repeatHeads(value, times, context)])
  const shown = [raw, capped, biased, weights][numberAttribute(node, 'qk_matmul_output_mode', 0)]
  return [joined ? joinHeads(y, context) : y, key, value, shown]
}

/** Pairs of elements of every head turned by the angle of their position. */
function rotate(x: string, cos: string, sin: string, interleaved: boolean, context: UpgradeContext): string {
  const half = context.length(x, -1, 'width') / 2
  const alternate = (first: number): string =>
    context.node('Slice', [x, context.integers([first]), context.integers([2 * half]), context.integers([-1]),
      context.integers([2])])
  const [a, b] = interleaved
    ? [alternate(0), alternate(1)]
    : [context.slice(x, -1, 0, half), context.slice(x, -1, half, 2 * half)]
  const real = context.sub(context.mul(cos, a), context.mul(sin, b))
  const imaginary = context.add(context.mul(sin, a), context.mul(cos, b))
  if (!interleaved) return context.concat([real, imaginary], -1)
  const pairs = context.concat([context.unsqueeze(real, -1), context.unsqueeze(imaginary, -1)], -1)
  return context.reshape(pairs, [...context.shape(x).slice(0, -1).map(() => 0), 2 * half])
}

const rotaryEmbedding: Composition = (node, context) => {
  const [x, cosines, sines, positions] = node.inputs
  return [
    turned(x, { cosines, sines, positions, heads: numberAttribute(node, 'num_heads', 0),
      width: numberAttribute(node, 'rotary_embedding_dim', 0),
      interleaved: numberAttribute(node, 'interleaved', 0) !== 0 }, context),
  ]
}

/** How elements are turned: tables of the angles by position, and the part of each head. */
export interface Rotation {
  readonly cosines: string
  readonly sines: string
  readonly positions: string | undefined
  readonly heads: number
  readonly width: number
  readonly interleaved: boolean
}

/** Rotary embedding of B x H x S x D, or B x S x (H D). */
export function turned(x: string, { cosines, sines, positions, heads, width, interleaved }: Rotation,
  context: UpgradeContext): string {
  const joined = context.shape(x).length === 3
  const apart = splitHeads(x, heads === 0 && joined ? 1 : heads, context)
  const size = context.length(apart, -1, 'width')
  const part = width === 0 ? size : width
  // A row of angles for each position: B x 1 x S x (part / 2).
  const angles = (table: string): string => {
    const rows = isGiven(positions) ? context.node('Gather', [table, positions], { axis: 0 }) : table
    return context.shape(rows).length === 3 ? context.unsqueeze(rows, 1) : rows
  }
  const front = part === size ? apart : context.slice(apart, -1, 0, part)
  const result = rotate(front, angles(cosines), angles(sines), interleaved, context)
  const whole = part === size ? result : context.concat([result, context.slice(apart, -1, part, size)], -1)
  return joined ? joinHeads(whole, context) : whole
}

/** Gated linear units: Swish(a) b. */
const swiglu: Composition = (node, context) => {
  const [a, b] = node.inputs
  return [context.mul(context.node('Swish', [a], { alpha: numberAttribute(node, 'alpha', 1) }), b)]
}

/** A depthwise convolution over the past, with what went before it, or zeros. */
const causalConvolution: Composition = (node, context) => {
  const [x, weight, bias, past] = node.inputs
  const kernel = context.length(weight, 2, 'kernel')
  const channels = context.length(weight, 0, 'channels')
  const extended = isGiven(past)
    ? context.concat([past, x], 2)
    : context.node('Pad', [x, context.integers([kernel - 1, 0]), '', context.integers([2])])
  const y = context.node('Conv', [extended, weight, ...(isGiven(bias) ? [bias] : [])], { group: channels })
  const total = context.length(extended, 2, 'length')
  const activation = node.attributes['activation']
  return [activation === 'silu' || activation === 'swish' ? context.node('Swish', [y], { alpha: 1 }) : y,
    context.slice(extended, 2, total - kernel + 1, total)]
}

/** Whole sequences at once. */
export const attentionCompositions: Compositions = [
  ['Attention', attention],
  ['RotaryEmbedding', rotaryEmbedding],
  ['SwiGLU', swiglu],
  ['CausalConvWithState', causalConvolution],
]
