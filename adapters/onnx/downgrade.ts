/**
 * @file Writes nodes in the form that they have in an older operator set: inputs that were attributes, attributes that
 * were not there yet. The other way round than upgrade.ts.
 *
 * https://github.com/onnx/onnx/blob/main/docs/Changelog.md
 */
import { GraphError, OptionError } from '../../core/errors/errors.js'
import { shown } from '../../core/errors/shown.js'
import { GraphBuilder } from '../../core/graph/builder.js'
import type { Attribute, Graph, Node } from '../../core/graph/graph.js'
import { describeNode } from '../../core/ops/node-attributes.js'

/** The operator sets that files are written in. */
const OLDEST_WRITTEN_OPSET = 13
/** The newest one that onnxruntime-node 1.30 runs. */
export const WRITTEN_OPSET = 24

/** The version of the file format that goes with an operator set: runtimes of its time refuse newer ones. */
export function irVersionOf(opset: number): number {
  if (opset >= 23) return 11
  if (opset >= 21) return 10
  if (opset >= 19) return 9
  return opset >= 15 ? 8 : 7
}

/** The set in which an operator appeared in the form that graphs have, where that is later than the oldest one. */
const SINCE: Readonly<Record<string, number>> = { BitwiseAnd: 18, BitwiseNot: 18, BitwiseOr: 18, BitwiseXor: 18,
  Gelu: 20, GroupNormalization: 21, HardSwish: 14, LayerNormalization: 17, Mish: 18, RMSNormalization: 23, Swish: 24,
  Trilu: 14 }

/** Attributes that are newer than their operator, with the set that brought them and what they mean if left out. */
const NEW_ATTRIBUTES: Readonly<Record<string, Readonly<Record<string, readonly [since: number, usual: Attribute]>>>> = {
  AveragePool: { dilations: [19, 1] },
  BatchNormalization: { training_mode: [14, 0] },
  Cast: { saturate: [19, 1], round_mode: [24, 'up'] },
  GRU: { layout: [14, 0] },
  LSTM: { layout: [14, 0] },
  LpPool: { dilations: [18, 1], ceil_mode: [18, 0] },
  RNN: { layout: [14, 0] },
  Reshape: { allowzero: [14, 0] },
  Resize: { antialias: [18, 0], keep_aspect_ratio_policy: [18, 'stretch'] },
}

const REDUCTIONS = new Set(['ReduceL1', 'ReduceL2', 'ReduceLogSum', 'ReduceLogSumExp', 'ReduceMax', 'ReduceMean',
  'ReduceMin', 'ReduceProd', 'ReduceSumSquare'])

/**
 * The option's operator set.
 * @throws OptionError BAD_OPTION
 */
export function writtenOpset(opset: unknown): number {
  if (typeof opset === 'number' && Number.isInteger(opset) && opset >= OLDEST_WRITTEN_OPSET && opset <= WRITTEN_OPSET) {
    return opset
  }
  throw new OptionError('BAD_OPTION', `Option opset must be a whole number from ${OLDEST_WRITTEN_OPSET} to ` +
    `${WRITTEN_OPSET}; got ${shown(opset)}.`, { option: 'opset', value: opset,
    allowed: [OLDEST_WRITTEN_OPSET, WRITTEN_OPSET] })
}

/** The oldest operator set from `from` on that can hold a graph of ONNX' operators. */
export function leastOpset(graph: Graph, from: number): number {
  for (let opset = from; opset < WRITTEN_OPSET; opset++) {
    if (graph.nodes.every(node => newerIn(node, opset, graph) === undefined)) return opset
  }
  return WRITTEN_OPSET
}

/**
 * The graph in the form of an operator set.
 * @throws GraphError UNSUPPORTED_OPERATOR naming the node and the set that it needs
 */
export function downgrade(graph: Graph, opset: number): Graph {
  if (opset >= WRITTEN_OPSET) return graph
  const builder = GraphBuilder.from(graph, 'float32')
  builder.nodes.length = 0
  for (const node of graph.nodes) {
    const why = newerIn(node, opset, graph)
    if (why !== undefined) {
      const least = leastOpset({ ...graph, nodes: [node] }, opset)
      throw new GraphError('UNSUPPORTED_OPERATOR',
        `${describeNode(node)} cannot be written in operator set ${opset}: ` +
          `${why}. The network needs opset ${least} or newer.`, { op: node.op, opset, least })
    }
    builder.nodes.push(olderForm(node, opset, graph, builder))
  }
  const older = builder.build(graph.outputs)
  // Axes that became attributes; a runtime warns of constants that nothing reads.
  const [before, after] = [graph, older].map(({ nodes }) => new Set(nodes.flatMap(({ inputs }) => inputs)))
  return { ...older, initializers: new Map(
    [...older.initializers].filter(([name]) => after.has(name) || !before.has(name) || graph.outputs.includes(name)),
  ) }
}

/** Why a set cannot hold a node; undefined where it can. */
function newerIn(node: Node, opset: number, graph: Graph): string | undefined {
  const { op, inputs, attributes } = node
  const since = SINCE[op] ?? 0
  if (opset < since) return `the operator came with set ${since}`
  for (const [key, [first, usual]] of Object.entries(NEW_ATTRIBUTES[op] ?? {})) {
    const value = attributes[key]
    const plain = value === undefined || (Array.isArray(value) ? value.every(item => item === usual) : value === usual)
    if (opset < first && !plain) return `its attribute ${key} came with set ${first}`
  }
  const constant = (at: number): boolean => (inputs[at] ?? '') === '' || graph.initializers.has(inputs[at])
  if (opset < 18 && REDUCTIONS.has(op) && !constant(1)) return 'its axes are computed, which came with set 18'
  if (opset < 18 && op === 'Pad' && (inputs[3] ?? '') !== '') return 'its axes came with set 18'
  if (opset < 19 && op === 'Pad' && attributes['mode'] === 'wrap') return 'its mode wrap came with set 19'
  if (opset < 18 && op === 'Resize' && attributes['axes'] !== undefined) return 'its axes came with set 18'
  const reduction = attributes['reduction'] ?? 'none'
  if (op === 'ScatterElements' && reduction !== 'none') {
    const first = reduction === 'add' || reduction === 'mul' ? 16 : 18
    if (opset < first) return `its reduction ${String(reduction)} came with set ${first}`
  }
  return undefined
}

/** The node as an older set writes it; what it needs before goes to the builder. */
function olderForm(node: Node, opset: number, graph: Graph, builder: GraphBuilder): Node {
  const dropped = Object.entries(NEW_ATTRIBUTES[node.op] ?? {}).filter(([, [since]]) => opset < since).map(([key]) =>
    key
  )
  const kept = dropped.length === 0 ? node : { ...node, attributes: without(node, ...dropped) }
  if (opset < 18 && REDUCTIONS.has(node.op)) return axesAsAttribute(kept, graph)
  if (opset < 18 && node.op === 'Split') return { ...kept, attributes: without(kept, 'num_outputs') }
  if (opset < 16 && node.op === 'ScatterElements') return { ...kept, attributes: without(kept, 'reduction') }
  if (opset < 15 && node.op === 'Shape') return slicedShape(kept, builder)
  return kept
}

function without({ attributes }: Node, ...keys: readonly string[]): Readonly<Record<string, Attribute>> {
  return Object.fromEntries(Object.entries(attributes).filter(([key]) => !keys.includes(key)))
}

function axesAsAttribute(node: Node, { initializers }: Graph): Node {
  const axes = initializers.get(node.inputs[1] ?? '')
  const attributes = without(node, 'noop_with_empty_axes')
  return { ...node, inputs: node.inputs.slice(0, 1),
    attributes: axes === undefined ? attributes : { ...attributes, axes: Array.from(axes.data) } }
}

/** Before set 15 a shape was always whole. */
function slicedShape(node: Node, builder: GraphBuilder): Node {
  const { start = 0, end = Number.MAX_SAFE_INTEGER } = node.attributes
  if (start === 0 && node.attributes['end'] === undefined) return { ...node, attributes: {} }
  const whole = builder.node('Shape', [node.inputs[0]])
  return { op: 'Slice', inputs: [whole, builder.integers([Number(start)]), builder.integers([Number(end)])],
    outputs: node.outputs, attributes: {} }
}
