/**
 * @file Brings nodes of older operator sets (6 and up) to the form that their operators have in the newest one.
 *
 * https://github.com/onnx/onnx/blob/main/docs/Changelog.md: mostly attributes that became inputs, defaults that
 * changed, and operators that were renamed.
 */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { type Attribute, type Dim, isBatch, type Node } from '../../core/graph/graph.js'
import { castAttributes } from '../../core/ops/element-types.js'
import { badNode, integersAttribute, numberAttribute } from '../../core/ops/node-attributes.js'
import { isInternal } from '../../core/ops/registry.js'
import { tensor } from '../../core/tensor/tensor.js'
import { withoutExampleNumbers } from './composed/example-numbers.js'
import { COMPOSED } from './composed/index.js'
import { CONTRIBUTED } from './contributed/index.js'
import { CONTROL_FLOW } from './control-flow.js'
import type { SourceNode } from './nodes.js'
import { SEQUENCES } from './sequences.js'
import { type Expressed, NotExpressible, type UpgradeContext } from './upgrade-context.js'

/** The oldest operator set that is read. */
export const OLDEST_OPSET = 6

/** The newest operator set that is read. */
export const NEWEST_OPSET = 28

/** Rewrites a node; nodes that it needs before go to the context. */
export type Rewrite = (node: Node, context: UpgradeContext) => Node

/** A change for files of operator sets before `before`. */
interface Change {
  readonly before: number
  readonly rewrite: Rewrite
}

/** @throws UntrustedInputError UNSUPPORTED_FORMAT */
export function checkOpset(opset: number): void {
  if (opset >= OLDEST_OPSET && opset <= NEWEST_OPSET) return
  const advice = opset > NEWEST_OPSET
    ? 'Export it again with a smaller opset_version.'
    : 'Convert it with onnx.version_converter, or export it again.'
  throw new UntrustedInputError(
    `The ONNX file uses operator set ${opset}; supported are ${OLDEST_OPSET} to ${NEWEST_OPSET}. ${advice}`,
    { format: 'ONNX', path: 'opset_import', actual: opset, limit: opset > NEWEST_OPSET ? NEWEST_OPSET : OLDEST_OPSET },
    'UNSUPPORTED_FORMAT',
  )
}

/**
 * Appends a node in its newest form, or the nodes that it is written out to.
 * @throws GraphError BAD_GRAPH when its attributes do not fit its operator
 */
export function upgradeNode(source: SourceNode, fileOpset: number, context: UpgradeContext): void {
  const { bodies, given, opset = fileOpset, ...node } = source
  if (node.op === 'Identity' && context.sequences.has(node.inputs[0])) {
    context.rename(node.inputs[0], node.outputs[0])
    return
  }
  if (isInternal(node.op)) {
    context.append({ ...node, op: `${node.op} (no operator of ONNX)` })
    return
  }
  let current: Node = node
  const refused = expressed(node, context, () => {
    for (const { before, rewrite } of CHANGES.get(current.op) ?? []) {
      if (opset < before) current = rewrite(current, context)
    }
    return undefined
  })
  const before = context.builder.nodes.length
  const written = refused ??
    context.writing(current,
      () =>
        expressed(current, context, () =>
          writeOut({ ...current, ...(bodies === undefined ? {} : { bodies }),
            ...(given === undefined ? {} : { given }) }, opset, context)))
  if (typeof written === 'string') context.append({ ...current, op: written })
  else if (written === undefined) context.append(current)
  else {
    context.writtenOut = true
    current.outputs.forEach((name, i) => {
      if (!context.nameLast(written, i, name, before)) context.rename(written[i], name)
    })
  }
}

/** The values of the outputs of a node that is written in others; undefined for one that stays. */
function writeOut(node: SourceNode, opset: number, context: UpgradeContext): readonly Expressed[] | undefined {
  const control = CONTROL_FLOW.get(node.op)
  if (control !== undefined) {
    return control(node, context, inner => {
      upgradeNode(inner, opset, context)
    })
  }
  const picked = withoutExampleNumbers(node, context)
  if (picked !== undefined) return picked
  return (SEQUENCES.get(node.op) ?? COMPOSED.get(node.op) ?? CONTRIBUTED.get(node.op))?.(node, context, opset)
}

/**
 * What `write` gives, or the operator's name with the reason why it cannot. Where the shapes do not fit, the values
 * that cannot be computed stand for the results, so that the core says why.
 */
function expressed({ op, outputs }: Node, context: UpgradeContext, write: () => readonly Expressed[] | undefined):
  | readonly Expressed[]
  | string
  | undefined {
  try {
    return write()
  } catch (error) {
    if (!(error instanceof NotExpressible)) throw error
    const { unknown, message } = error
    return unknown !== undefined && context.isOfSupported(unknown) ? outputs.map(() => unknown) : `${op} ${message}`
  }
}

/** The attributes without some of them. */
function without(node: Node, ...keys: readonly string[]): Readonly<Record<string, Attribute>> {
  return Object.fromEntries(Object.entries(node.attributes).filter(([key]) => !keys.includes(key)))
}

/** The inputs with one set at a position. */
function withInput(inputs: readonly string[], position: number, name: string): string[] {
  const result = Array.from({ length: Math.max(inputs.length, position + 1) }, (_, i) => inputs[i] ?? '')
  result[position] = name
  return result
}

/** Lists of integers that became inputs, from position 1 on. */
function listsToInputs(...keys: readonly string[]): Rewrite {
  return (node, context) => {
    let { inputs } = node
    keys.forEach((key, i) => {
      if (node.attributes[key] === undefined) return
      const values = integersAttribute(node, key)
      inputs = withInput(inputs, i + 1, context.constant(tensor('int64', [values.length], values), key))
    })
    return { ...node, inputs, attributes: without(node, ...keys) }
  }
}

/** Adds what is to be said about several nodes once. */
function addNote({ builder: { notes } }: UpgradeContext, note: string): void {
  if (!notes.includes(note)) notes.push(note)
}

/** A scalar of the dtype of a node's first input. */
function scalarLike(node: Node, context: UpgradeContext, value: number, stem: string): string {
  const dtype = context.types.get(node.inputs[0])?.dtype ?? context.builder.precision
  return context.constant(tensor(dtype, [], [value]), stem)
}

const clipBounds: Rewrite = (node, context) => {
  const bound = (
    key: string,
  ): string => (node.attributes[key] === undefined ? '' : scalarLike(node, context, numberAttribute(node, key), key))
  return { ...node, inputs: [node.inputs[0], bound('min'), bound('max')], attributes: without(node, 'min', 'max') }
}

const padAmounts: Rewrite = (node, context) => {
  const pads = integersAttribute(node, node.attributes['pads'] === undefined ? 'paddings' : 'pads')
  const value = numberAttribute(node, 'value', 0)
  const inputs = [node.inputs[0], context.constant(tensor('int64', [pads.length], pads), 'pads'),
    ...(value === 0 ? [] : [scalarLike(node, context, value, 'value')])]
  return { ...node, inputs, attributes: without(node, 'pads', 'paddings', 'value') }
}

const topKCount: Rewrite = (node, context) => ({
  ...node,
  inputs: [node.inputs[0], context.constant(tensor('int64', [1], [numberAttribute(node, 'k')]), 'k')],
  attributes: without(node, 'k'),
})

const splitCount: Rewrite = node => (node.inputs.length > 1 && node.inputs[1] !== ''
  ? node
  : { ...node, attributes: { ...node.attributes, num_outputs: node.outputs.length } })

/**
 * Before set 7 the second operand was broadcast only where asked for: at the last axes, or from the axis given, where
 * it gets axes of length 1 behind.
 */
const explicitBroadcast: Rewrite = (node, context) => {
  const attributes = without(node, 'broadcast', 'axis', 'consumed_inputs')
  const axis = node.attributes['axis']
  if (numberAttribute(node, 'broadcast', 0) === 0 || axis === undefined) return { ...node, attributes }
  const [a, b] = [context.rank(node.inputs[0]), context.rank(node.inputs[1])]
  if (a === undefined || b === undefined) {
    throw badNode(node, 'its attribute axis cannot be followed, because the shapes of its operands are not known.')
  }
  const first = numberAttribute(node, 'axis')
  const behind = a - (first < 0 ? first + a : first) - b
  if (behind < 0) throw badNode(node, `its second operand does not fit at axis ${first}.`)
  if (behind === 0) return { ...node, attributes }
  const axes = Array.from({ length: behind }, (_, i) => b + i)
  return { ...node,
    inputs: [node.inputs[0],
      context.node('Unsqueeze', [node.inputs[1], context.constant(tensor('int64', [behind], axes), 'axes')])],
    attributes }
}

/** Before set 7 the slopes of channels were a plain vector. */
const channelSlopes: Rewrite = (node, context) => {
  const rank = context.rank(node.inputs[0])
  const slopes = context.types.get(node.inputs[1])?.shape ?? []
  if (rank === undefined || rank < 3 || slopes.length !== 1 || slopes[0] === 1) return node
  const axes = Array.from({ length: rank - 2 }, (_, i) => i + 1)
  return { ...node,
    inputs: [node.inputs[0],
      context.node('Unsqueeze', [node.inputs[1], context.constant(tensor('int64', [axes.length], axes), 'axes')])] }
}

/**
 * Before set 13 a softmax ran over all axes from `axis` (1 if not given) on together, as over the columns of a matrix.
 */
const softmaxOfMatrix: Rewrite = (node, context) => {
  const [x] = node.inputs
  const shape = context.types.get(x)?.shape
  const given = numberAttribute(node, 'axis', 1)
  const isOne = (dim: Dim): boolean => dim === 1 && !context.hasOpenLengths
  if (shape === undefined && given === -1) return { ...node, attributes: { axis: -1 } }
  const axis = given < 0 && shape !== undefined ? given + shape.length : given
  // Over one axis alone, as nearly always, the old and the new form agree.
  if (shape !== undefined && axis < shape.length && shape.slice(axis + 1).every(isOne)) {
    return { ...node, attributes: { axis } }
  }
  if (shape !== undefined && isOne(shape[axis]) && shape.slice(axis).filter(dim => dim !== 1).length === 1) {
    return { ...node, attributes: { axis: shape.findIndex((dim, i) => i >= axis && dim !== 1) } }
  }
  const rows = context.node('Flatten', [x], { axis })
  const ofRows = { ...node, inputs: [rows], attributes: { axis: -1 } }
  const [result] = (shape === undefined ? undefined : COMPOSED.get(node.op)?.(ofRows, context, Infinity)) ??
    [context.node(node.op, [rows], { axis: -1 })]
  return { ...node, op: 'Reshape', inputs: [String(result), context.node('Shape', [x])], attributes: {} }
}

/** In inference it passes its input on; from set 12 on an input says that it is to drop elements in training. */
const dropout: Rewrite = (node, context) => {
  const training = node.inputs[2] ?? ''
  if (training !== '' && context.types.get(training)?.constant?.data[0] !== 0) {
    addNote(context, 'The network was exported in training mode; its dropout passes values on, as in inference.')
  }
  return { ...node, inputs: node.inputs.slice(0, 1), attributes: {} }
}

const batchNormalization: Rewrite = node => {
  if (numberAttribute(node, 'spatial', 1) === 0) return { ...node, op: 'BatchNormalization with spatial = 0' }
  return { ...node, attributes: without(node, 'spatial', 'is_test', 'consumed_inputs') }
}

/**
 * The statistics of training are not those of one batch: the stored ones are used, as in inference. Statistics that the
 * network computes itself, and those of a file for a single example, are the file's own.
 */
const batchStatistics: Rewrite = (node, context) => {
  const training = numberAttribute(node, 'training_mode', 0) !== 0
  const inference = { ...node, attributes: without(node, 'training_mode', 'momentum') }
  const [x, scale, shift, mean, variance] = node.inputs
  const shape = context.types.get(x)?.shape
  if (shape === undefined || shape.length < 2) return inference
  const known = context.types.get(mean)?.constant !== undefined && context.types.get(variance)?.constant !== undefined
  if (known && !training) return inference
  if (known && (shape.some(isBatch) || shape[0] !== 1)) {
    addNote(context,
      'The network was exported in training mode; its normalisations use the stored statistics, as in inference.')
    return inference
  }
  const others = [...shape.keys()].filter(axis => axis !== 1)
  const ofBatch = (value: string): string => context.node('ReduceMean', [value, context.integers(others)])
  const channels = (value: string): string => context.reshape(value, [-1, ...shape.slice(2).map(() => 1)])
  const centred = context.sub(x, training ? ofBatch(x) : channels(mean))
  const spread = training ? ofBatch(context.mul(centred, centred)) : channels(variance)
  const deviation = context.node('Sqrt', [context.add(spread, numberAttribute(node, 'epsilon', 1e-5))])
  const scaled = context.mul(context.div(centred, deviation), channels(scale))
  return { op: 'Add', inputs: [scaled, channels(shift)], outputs: node.outputs, attributes: {},
    ...(node.name === undefined ? {} : { name: node.name }) }
}

/** Before set 21 there was one scale and bias for each group of channels. */
const groupScales: Rewrite = (node, context) => {
  const channels = context.types.get(node.inputs[0])?.shape[1]
  const groups = numberAttribute(node, 'num_groups')
  if (channels === undefined || isBatch(channels) || channels % groups !== 0) {
    return { ...node, op: 'GroupNormalization with a scale for each group' }
  }
  const each = (name: string): string => {
    const column = context.node('Reshape', [name, context.constant(tensor('int64', [2], [groups, 1]), 'shape')])
    const repeated = context.node('Expand', [column,
      context.constant(tensor('int64', [2], [groups, channels / groups]), 'shape')])
    return context.node('Reshape', [repeated, context.constant(tensor('int64', [1], [channels]), 'shape')])
  }
  return groups === channels ? node : { ...node, inputs: [node.inputs[0], each(node.inputs[1]), each(node.inputs[2])] }
}

const NEAREST_BEFORE_11 = { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' }

const upsample: Rewrite = (node, context) => {
  const scales = node.attributes['scales']
  const name = node.inputs[1] ??
    (Array.isArray(scales) ? context.constant(tensor('float32', [scales.length], scales as number[]), 'scales') : '')
  return { ...node, op: 'Resize', inputs: [node.inputs[0], '', name],
    attributes: { ...without(node, 'scales'), ...NEAREST_BEFORE_11 } }
}

const resizeScales: Rewrite = node => ({ ...node, inputs: [node.inputs[0], '', node.inputs[1]],
  attributes: { ...node.attributes, ...NEAREST_BEFORE_11 } })

const renamed = (op: string): Rewrite => node => ({ ...node, op })

const castThrough: Rewrite = node => ({ ...node,
  attributes: { ...node.attributes, ...castAttributes(numberAttribute(node, 'to')) } })

const always = Infinity

/** By operator, in the order of operator sets. */
const CHANGES: ReadonlyMap<string, readonly Change[]> = new Map<string, readonly Change[]>([
  ...['Add', 'Sub', 'Mul', 'Div', 'Pow', 'And', 'Or', 'Xor', 'Greater', 'Less', 'Equal'].map(op =>
    [op, [{ before: 7, rewrite: explicitBroadcast }]] as const
  ),
  ['Gemm', [{ before: 7, rewrite: node => ({ ...node, attributes: without(node, 'broadcast') }) }]],
  ['PRelu', [{ before: 7, rewrite: channelSlopes }]],
  ['BatchNormalization', [{ before: 9, rewrite: batchNormalization }, { before: always, rewrite: batchStatistics }]],
  ['Dropout', [{ before: always, rewrite: dropout }]],
  ['Clip', [{ before: 11, rewrite: clipBounds }]],
  ['Pad', [{ before: 11, rewrite: padAmounts }]],
  ['Slice', [{ before: 10, rewrite: listsToInputs('starts', 'ends', 'axes') }]],
  ['TopK', [{ before: 10, rewrite: topKCount }]],
  ['Split', [{ before: 13, rewrite: listsToInputs('split') }, { before: 18, rewrite: splitCount }]],
  ['Squeeze', [{ before: 13, rewrite: listsToInputs('axes') }]],
  ['Unsqueeze', [{ before: 13, rewrite: listsToInputs('axes') }]],
  ['ReduceSum', [{ before: 13, rewrite: listsToInputs('axes') }]],
  ...['ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceProd', 'ReduceL1', 'ReduceL2', 'ReduceLogSum', 'ReduceLogSumExp',
    'ReduceSumSquare']
    .map(op => [op, [{ before: 18, rewrite: listsToInputs('axes') }]] as const),
  ...['Softmax', 'LogSoftmax', 'Hardmax'].map(op => [op, [{ before: 13, rewrite: softmaxOfMatrix }]] as const),
  ['GroupNormalization', [{ before: 21, rewrite: groupScales }]],
  ['Upsample', [{ before: always, rewrite: upsample }]],
  ['Resize', [{ before: 11, rewrite: resizeScales }]],
  ['Scatter', [{ before: always, rewrite: renamed('ScatterElements') }]],
  ['Cast', [{ before: always, rewrite: castThrough }]],
])
