/**
 * @file Which of the tensors that count as parameters do so by their use alone. A file without word of what learnt has
 * random features, fixed filters and standardisations as it has weights; the name of a layer's weight tells, and the
 * layer that its exporter has written for it.
 */
import type { GraphMessage, ModelMessage, NodeMessage } from './messages.js'
import { originOf, type Origins } from './tensor-origins.js'

/** Words in names of what learns, as layers and their users call it. */
const LEARNING = new RegExp(
  ['weight', 'bias', 'kernel', 'gamma', 'beta', 'alpha', 'token', 'emb(ed|$|_)', 'quer(y|ies)', 'latent',
    'layer_?scale', 'codebook', 'prototype', 'coef', 'intercept', 'slope', 'lora_', 'position'].join('|'),
  'i',
)

/** Variables and letters, as other exporters than torch's name what they write for a layer. */
const OF_LAYERS = /ReadVariableOp|\/read(__\d+)?(:0)?$|(^|[_./])[WRBwb]\d*$/

/** Names that say nothing: numbers, and what exporters give to what they have worked out. */
const ANONYMOUS = /^onnx(::|__)|^\d+$|^val_\d+$/

/** Operators that exporters write for layers alone, which have their own weights. */
const LAYERS = new Set(['RNN', 'GRU', 'LSTM', 'BatchNormalization', 'LayerNormalization', 'InstanceNormalization',
  'GroupNormalization', 'RMSNormalization', 'PRelu'])

/** Operators that functions of torch write as well, with any tensor that has a name. */
const LINEAR = new Set(['Gemm', 'Conv', 'ConvTranspose', 'Gather'])

/** What else a linear layer may consist of. */
const BESIDE = new Set(['Add', 'Transpose', 'Identity', 'Cast', 'Constant', 'Reshape'])

/** The parameters whose choice is a guess: neither their names nor what is noted of them say that they learnt. */
export function guessedParameters(parameters: readonly string[], { producer_name: producer }: ModelMessage,
  { node: nodes = [] }: GraphMessage, origins: Origins): string[] {
  const users = new Map<string, NodeMessage[]>()
  for (const node of nodes) {
    for (const name of node.input ?? []) addTo(users, name, node)
  }
  const scopes = new Map<string, string[]>()
  for (const { name = '', op_type: op = '' } of nodes) {
    if (!BESIDE.has(op)) addTo(scopes, scopeOf(name), op)
  }
  const isInLayer = ({ name = '' }: NodeMessage): boolean => {
    const around = scopes.get(scopeOf(name)) ?? []
    return scopeOf(name) !== '' && (around.length === 1 || around.some(op => LAYERS.has(op)))
  }
  const hasBias = ({ output: [product = ''] = [] }: NodeMessage): boolean =>
    (users.get(product) ?? []).some(({ op_type: op, input = [] }) =>
      op === 'Add' && input.some(name => name !== product && LEARNING.test(name))
    )
  const torch = producer === 'pytorch'
  return parameters.filter(name => {
    const origin = originOf(origins, name)
    if (origin?.kind !== undefined || origin?.learnt === true) return false
    if ([name, ...origin?.from ?? []].some(each => LEARNING.test(each))) return false
    if (!torch && OF_LAYERS.test(name)) return false
    const unnamed = !torch || ANONYMOUS.test(name)
    return !(users.get(name) ?? []).some(node =>
      LAYERS.has(node.op_type ?? '') ||
      (unnamed && (LINEAR.has(node.op_type ?? '') || isInLayer(node) || hasBias(node)))
    )
  })
}

/** The path to the layer of a node, as torch's older exporter names it: `/blocks.0/MatMul` is of `/blocks.0`. */
function scopeOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')))
}

function addTo<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}
