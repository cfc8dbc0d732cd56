/** @file Writes recurrences out, time after time, in operators that have derivative rules. */
import { GraphError } from '../errors/errors.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Graph, Node } from '../graph/graph.js'
import { expression } from '../ops/expression.js'
import { describeNode } from '../ops/node-attributes.js'
import { isRecurrence, type Recurrence, recurrenceOf } from '../ops/recurrence.js'
import { type Precision, tensor } from '../tensor/tensor.js'
import { gateRows, type Origins, originsOf } from './gate-rows.js'
import { inferTypes } from './infer.js'

/** The longest sequence that is unrolled. */
const LONGEST = 1000

/**
 * The graph with RNN, GRU and LSTM nodes written out. A graph without them is returned as it is.
 * @throws GraphError NOT_DIFFERENTIABLE for sequences of more than 1000 times; as shape inference does
 */
export function unrollRecurrences(graph: Graph, precision: Precision): Graph {
  if (!graph.nodes.some(node => isRecurrence(node.op))) return graph
  const types = inferTypes(graph)
  const origins = originsOf(graph, types)
  const builder = GraphBuilder.from(graph, precision)
  builder.nodes.length = 0
  for (const node of graph.nodes) {
    if (isRecurrence(node.op)) {
      unroll(builder, node, origins)
    } else builder.nodes.push(node)
  }
  return { ...builder.build(graph.outputs), parameters: graph.parameters }
}

function unroll(builder: GraphBuilder, node: Node, origins: Origins): void {
  const inputs = node.inputs.map(name => (name === '' ? undefined : origins.types.get(name)))
  const recurrence = recurrenceOf(node, inputs)
  if (recurrence.times > LONGEST) {
    throw new GraphError('NOT_DIFFERENTIABLE',
      `${describeNode(node)}: derivatives of sequences of ${recurrence.times} times are not supported; ` +
        `the longest is ${LONGEST}. Use subset 'last_layer'.`, { op: node.op, node: node.name ?? node.outputs[0] })
  }
  const sequences = recurrence.directions.map((_, d) => unrollDirection(builder, node, recurrence, d, origins))
  const stack = (values: readonly string[], axis: number): string =>
    builder.node('Concat', values.map(value => builder.node('Unsqueeze', [value, builder.integers([axis])])), { axis })
  const results = [
    () => stack(Array.from({ length: recurrence.times }, (_, t) => stack(sequences.map(({ h }) => h[t]), 0)), 0),
    () => stack(sequences.map(({ lastH }) => lastH), 0),
    () => stack(sequences.map(({ lastC }) => lastC ?? ''), 0),
  ]
  node.outputs.forEach((name, i) => {
    if (name !== '') builder.nodes.push({ op: 'Identity', inputs: [results[i]()], outputs: [name], attributes: {} })
  })
}

/** The states of one direction: h at every time, and the last ones. */
interface Sequence {
  readonly h: readonly string[]
  readonly lastH: string
  readonly lastC: string | undefined
}

/** The part of an input that belongs to one direction, without that axis. */
function partOf(builder: GraphBuilder, name: string, direction: number, directions: number): string {
  const own = directions === 1
    ? name
    : builder.node('Slice', [name, builder.integers([direction]), builder.integers([direction + 1]),
      builder.integers([0])])
  return builder.node('Squeeze', [own, builder.integers([0])])
}

/**
 * One direction's values: the input's share of the gates at every time, and the recurrent weights as they are
 * multiplied.
 */
interface Cell {
  readonly builder: GraphBuilder
  readonly recurrence: Recurrence
  readonly direction: Recurrence['directions'][number]
  readonly now: readonly string[]
  /** Where each of ONNX' gates is among the results of the products. */
  readonly order: readonly number[]
  /** H x (gates H); for a GRU that resets first without the candidate's part, which is apart. */
  readonly recurrent: Product
  readonly candidate: Product | undefined
}

/** h times a matrix plus a bias. */
interface Product {
  readonly matrix: string
  readonly bias: string | undefined
}

function prepareCell(builder: GraphBuilder, node: Node, recurrence: Recurrence, d: number, origins: Origins): Cell {
  const { kind, gates, times, units, directions, linearBeforeReset } = recurrence
  const part = (index: number): string => partOf(builder, node.inputs[index], d, directions.length)
  const swapped = (matrix: string): string => builder.node('Transpose', [matrix], { perm: [1, 0] })
  const together = kind !== 'GRU' || linearBeforeReset
  const own = together ? gateRows(node, gates, units, d, directions.length, origins) : undefined
  const [inputBias, recurrentBias] = own !== undefined
    ? [own.inputBias, own.recurrentBias]
    : isGiven(node, 3)
    ? builder.nodeOutputs('Split', [part(3), builder.integers([gates * units, gates * units])], 2, { axis: 0 })
    : []
  const weight = swapped(own?.weight ?? part(1))
  const projected = plus(builder, builder.node('MatMul', [node.inputs[0], weight]), inputBias)
  // One Split of all times: its derivative is one Concat.
  const slices = times === 1
    ? [projected]
    : builder.nodeOutputs('Split', [projected, builder.integers(new Array<number>(times).fill(1))], times, { axis: 0 })
  const now = slices.map(slice => builder.node('Squeeze', [slice, builder.integers([0])]))
  const common = { builder, recurrence, direction: directions[d], now,
    order: own?.order ?? Array.from({ length: gates }, (_, k) => k) }
  const recurrent = own?.recurrent ?? part(2)
  if (together) {
    return { ...common, recurrent: { matrix: swapped(recurrent), bias: recurrentBias }, candidate: undefined }
  }
  const sizes = builder.integers([2 * units, units])
  const [both, last] = builder.nodeOutputs('Split', [recurrent, sizes], 2, { axis: 0 })
  const [bothBias, lastBias] = recurrentBias === undefined
    ? []
    : builder.nodeOutputs('Split', [recurrentBias, sizes], 2, { axis: 0 })
  return { ...common, recurrent: { matrix: swapped(both), bias: bothBias },
    candidate: { matrix: swapped(last), bias: lastBias } }
}

function isGiven(node: Node, index: number): boolean {
  return (node.inputs[index] ?? '') !== ''
}

function plus(builder: GraphBuilder, value: string, other: string | undefined): string {
  return other === undefined ? value : builder.node('Add', [value, other])
}

/**
 * N x H zeros. Its product with the recurrent weight is one of the uses of that weight, and its bias is added there as
 * at every other time.
 */
function zeroState(builder: GraphBuilder, x: string, units: number): string {
  const count = builder.node('Shape', [x], { start: 1, end: 2 })
  const shape = builder.node('Concat', [count, builder.integers([units])], { axis: 0 })
  return builder.node('ConstantOfShape', [shape], { value: tensor(builder.precision, [1], [0]) })
}

function applyProduct(builder: GraphBuilder, h: string, { matrix, bias }: Product): string {
  return plus(builder, builder.node('MatMul', [h, matrix]), bias)
}

/** The gates in ONNX' order. */
function splitGates({ builder, recurrence: { units }, order }: Cell, value: string, count: number): string[] {
  const parts = builder.nodeOutputs('Split', [value, builder.integers(new Array<number>(count).fill(units))], count, {
    axis: -1,
  })
  return parts.map((_, k) => parts[order[k]])
}

function rnnStep(cell: Cell, input: string, h: string): string {
  const { builder, recurrent, direction: { activations: [f] } } = cell
  return builder.node(f, [plus(builder, input, applyProduct(builder, h, recurrent))])
}

/** h' = (1 - update) candidate + update h. */
function gruStep(cell: Cell, input: string, h: string): string {
  const { builder, recurrent, candidate: last, direction: { activations: [f, g] } } = cell
  const e = expression(builder)
  const [updateInput, resetInput, candidateInput] = splitGates(cell, input, 3)
  const product = applyProduct(builder, h, recurrent)
  const parts = splitGates(cell, product, last === undefined ? 3 : 2)
  const update = e.apply(f, plus(builder, updateInput, parts[0]))
  const reset = e.apply(f, plus(builder, resetInput, parts[1]))
  const inner = last === undefined ? e.mul(reset, parts[2]) : applyProduct(builder, e.mul(reset, h), last)
  const fresh = e.mul(e.sub(1, update), e.apply(g, plus(builder, candidateInput, inner)))
  return e.add(fresh, e.mul(update, h))
}

/** c' = forget c + input candidate, h' = output after(c'). */
function lstmStep(cell: Cell, input: string, h: string, c: string | undefined): { h: string, c: string } {
  const { builder, recurrent, direction: { activations: [f, g, after = 'Tanh'] } } = cell
  const e = expression(builder)
  const [i, o, forget, candidate] = splitGates(cell, plus(builder, input, applyProduct(builder, h, recurrent)), 4)
  const fresh = e.mul(e.apply(f, i), e.apply(g, candidate))
  const next = c === undefined ? fresh : e.add(e.mul(e.apply(f, forget), c), fresh)
  return { c: next, h: e.mul(e.apply(f, o), e.apply(after, next)) }
}

function unrollDirection(builder: GraphBuilder, node: Node, recurrence: Recurrence, d: number,
  origins: Origins): Sequence {
  const { kind, times, directions } = recurrence
  const cell = prepareCell(builder, node, recurrence, d, origins)
  const initial = (
    index: number,
  ):
    | string
    | undefined => (isGiven(node, index) ? partOf(builder, node.inputs[index], d, directions.length) : undefined)
  const states = new Array<string>(times)
  let h = initial(5) ?? zeroState(builder, node.inputs[0], recurrence.units)
  let c = kind === 'LSTM' ? initial(6) : undefined
  for (let i = 0; i < times; i++) {
    const t = directions[d].reverse ? times - 1 - i : i
    if (kind === 'LSTM') ({ h, c } = lstmStep(cell, cell.now[t], h, c))
    else h = kind === 'GRU' ? gruStep(cell, cell.now[t], h) : rnnStep(cell, cell.now[t], h)
    states[t] = h
  }
  return { h: states, lastH: h, lastC: c }
}
