/**
 * @file The weights of a recurrence that an exporter has put in ONNX' order of the gates: rows of one tensor, cut and
 * joined again. The products can be made with that tensor itself, and the gates be taken from their results instead.
 */
import type { Graph, Node } from '../graph/graph.js'
import type { InferredValue } from '../ops/operator.js'
import { type Producers, producersOf } from './producers.js'

/** The tensors of one direction of a recurrence, and where ONNX' gates are among their blocks of rows. */
export interface GateRows {
  readonly weight: string
  readonly recurrent: string
  readonly inputBias: string | undefined
  readonly recurrentBias: string | undefined
  readonly order: readonly number[]
}

/** Rows `from` to `to` of a tensor. */
interface Rows {
  readonly tensor: string
  readonly from: number
  readonly to: number
}

/** Where values of a graph come from. */
export interface Origins {
  readonly producers: Producers
  readonly types: ReadonlyMap<string, InferredValue>
}

/** Who makes the values of a graph. */
export function originsOf(graph: Graph, types: ReadonlyMap<string, InferredValue>): Origins {
  return { types, producers: producersOf(graph) }
}

/**
 * What stands behind the weights of one direction of a recurrence; undefined where they are not whole tensors whose
 * gates all have the same order.
 */
export function gateRows(node: Node, gates: number, units: number, direction: number, directions: number,
  origins: Origins): GateRows | undefined {
  const blocks = (index: number): Rows[] | undefined =>
    blocksOf(rowsOf(ofDirection(node.inputs[index], direction, directions, origins), origins), units)
  const [weight, recurrent] = [blocks(1), blocks(2)]
  const biases = (node.inputs[3] ?? '') === '' ? [] : blocks(3)
  if (weight === undefined || recurrent === undefined || biases === undefined) return undefined
  const parts = [weight, recurrent, ...(biases.length === 0 ? [] : [biases.slice(0, gates), biases.slice(gates)])]
  const order = weight.map(({ from }) => from / units)
  const whole = parts.every(part =>
    part.length === gates && part.every(({ tensor, from }, k) =>
      tensor === part[0].tensor && from / units === order[k]
    ) &&
    origins.types.get(part[0].tensor)?.shape[0] === gates * units
  )
  if (!whole || new Set(order).size !== gates) return undefined
  const [w, r, b, q] = parts.map(part => part[0].tensor) as (string | undefined)[]
  return { weight: w ?? '', recurrent: r ?? '', inputBias: b, recurrentBias: q, order }
}

/** Of directions that were joined the value of one, with or without the axis that counts them. */
function ofDirection(name: string, direction: number, directions: number, { producers }: Origins): string {
  if (directions === 1) return name
  const node = producers.get(name)
  return node?.op === 'Concat' && node.attributes['axis'] === 0 && node.inputs.length === directions
    ? node.inputs[direction]
    : ''
}

/** The rows that a value consists of, from the tensors that they come from; undefined for what is more than rows. */
function rowsOf(name: string, origins: Origins): Rows[] | undefined {
  const { producers, types } = origins
  const node = producers.get(name)
  const shape = types.get(name)?.shape
  if (node === undefined) {
    // A tensor with an axis of directions has no rows along its first axis.
    const rows = shape?.[0]
    return typeof rows === 'number' && rows > 1 ? [{ tensor: name, from: 0, to: rows }] : undefined
  }
  const [first] = node.inputs
  switch (node.op) {
    case 'Identity':
      return rowsOf(first, origins)
    case 'Unsqueeze':
      return shape?.[0] === 1 && shape.length === (types.get(first)?.shape.length ?? 0) + 1
        ? rowsOf(first, origins)
        : undefined
    case 'Concat': {
      if (node.attributes['axis'] !== 0) return undefined
      const parts = node.inputs.map(input => rowsOf(input, origins))
      return parts.every(part => part !== undefined) ? parts.flat() : undefined
    }
    case 'Slice':
      return slicedRows(node, origins)
    default:
      return undefined
  }
}

function slicedRows(node: Node, origins: Origins): Rows[] | undefined {
  const [whole, ...others] = rowsOf(node.inputs[0], origins) ?? []
  const [start, end, axis = 0, step = 1] = [1, 2, 3, 4].map(i => {
    const name = node.inputs[i] ?? ''
    const list = name === '' ? [] : Array.from(origins.types.get(name)?.constant?.data ?? [NaN])
    return list.length > 1 ? NaN : list[0]
  })
  if ((whole as Rows | undefined) === undefined || others.length > 0 || axis !== 0 || step !== 1) return undefined
  const from = whole.from + start
  const to = Math.min(whole.from + end, whole.to)
  return from >= whole.from && to > from ? [{ tensor: whole.tensor, from, to }] : undefined
}

/** Rows in blocks of `units`. */
function blocksOf(rows: readonly Rows[] | undefined, units: number): Rows[] | undefined {
  if (rows?.every(({ from, to }) => from % units === 0 && to % units === 0) !== true) return undefined
  return rows.flatMap(({ tensor, from, to }) =>
    Array.from({ length: (to - from) / units },
      (_, k) => ({ tensor, from: from + k * units, to: from + (k + 1) * units }))
  )
}
