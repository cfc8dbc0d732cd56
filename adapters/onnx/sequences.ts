/**
 * @file Sequences and optional values: exporters put tensors into them and take them out again while shapes are known.
 */
import type { Node } from '../../core/graph/graph.js'
import { numberAttribute } from '../../core/ops/node-attributes.js'
import { type Expressed, NotExpressible, type UpgradeContext } from './upgrade-context.js'

type Rule = (node: Node, context: UpgradeContext) => readonly Expressed[]

function sequence(name: string, { sequences }: UpgradeContext): readonly string[] {
  const found = sequences.get(name)
  if (found === undefined) throw new NotExpressible('of a sequence that is an input')
  return found
}

/** A position that may be counted from the end; the last one without an input. */
function position(node: Node, index: number, last: number, context: UpgradeContext): number {
  const name = node.inputs[index] ?? ''
  if (name === '') return last
  const [given] = context.known(name, 'position').data
  return given
}

const at: Rule = (node, context) => {
  const values = sequence(node.inputs[0], context)
  const value = values.at(position(node, 1, 0, context))
  if (value === undefined) throw new NotExpressible('of a position that does not exist')
  return [value]
}

const insert: Rule = (node, context) => {
  const values = [...sequence(node.inputs[0], context)]
  const given = position(node, 2, values.length, context)
  values.splice(given, 0, node.inputs[1])
  return [values]
}

const erase: Rule = (node, context) => {
  const values = [...sequence(node.inputs[0], context)]
  values.splice(position(node, 1, -1, context), 1)
  return [values]
}

const join: Rule = (node, context) => {
  const values = sequence(node.inputs[0], context)
  const axis = numberAttribute(node, 'axis')
  if (values.length === 0) throw new NotExpressible('of an empty sequence')
  if (numberAttribute(node, 'new_axis', 0) === 0) return [context.concat(values, axis)]
  const resolved = axis < 0 ? axis + context.shape(values[0]).length + 1 : axis
  return [context.concat(values.map(value => context.unsqueeze(value, resolved)), resolved)]
}

/** Parts of one element without `split`, of a size, or of sizes; the last one may be smaller. */
const split: Rule = (node, context) => {
  const [x, sizes = ''] = node.inputs
  const axis = numberAttribute(node, 'axis', 0)
  const extent = context.length(x, axis, 'axis')
  const given = sizes === '' ? undefined : context.known(sizes, 'part sizes')
  const lengths = given !== undefined && given.shape.length > 0 ?
    Array.from(given.data) :
    equalParts(extent, given?.data[0] ?? 1)
  const parts = lengths.length === 1
    ? [x]
    : context.nodeOutputs('Split', [x, context.integers(lengths)], lengths.length, { axis })
  const keeps = given !== undefined || numberAttribute(node, 'keepdims', 1) !== 0
  return [keeps ? parts : parts.map(part => context.node('Squeeze', [part, context.integers([axis])]))]
}

function equalParts(extent: number, size: number): number[] {
  return Array.from({ length: Math.ceil(extent / size) }, (_, i) => Math.min(size, extent - i * size))
}

/** By operator. */
export const SEQUENCES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['SequenceConstruct', ({ inputs }) => [inputs]],
  ['SequenceEmpty', () => [[]]],
  ['SequenceAt', at],
  ['SequenceInsert', insert],
  ['SequenceErase', erase],
  ['SequenceLength', (node, context) => [context.integer(sequence(node.inputs[0], context).length)]],
  ['ConcatFromSequence', join],
  ['SplitToSequence', split],
  ['Optional', ({ inputs }) => [inputs[0]]],
  ['OptionalGetElement', ({ inputs }) => [inputs[0]]],
  ['OptionalHasElement', ({ inputs: [value = ''] }, context) => [
    context.constant({ dtype: 'bool', shape: [], data: Uint8Array.of(value === '' ? 0 : 1) }, 'given'),
  ]],
])
