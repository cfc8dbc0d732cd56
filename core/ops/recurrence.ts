/**
 * @file Recurrences: RNN, GRU and LSTM over a whole sequence, in one or both directions.
 *
 * X is T x N x in, W is D x (gates H) x in, R is D x (gates H) x H, B is D x (2 gates H), with D directions. Gates are
 * in ONNX' order: input, output, forget, candidate for the LSTM; update, reset, candidate for the GRU. For derivatives
 * these nodes are unrolled first (core/passes/unroll.ts).
 */
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import { addInPlace, multiplyInPlace } from '../kernels/arithmetic.js'
import * as kernels from '../kernels/elementwise.js'
import { gemm, type RealArray } from '../kernels/linear-algebra.js'
import { addGates, packedGatesLength, packGates, stepGru, stepLstm } from '../kernels/recurrence.js'
import type { Tensor } from '../tensor/tensor.js'
import { isFloat } from './element-types.js'
import { badNode, batchAxisError, numberAttribute, requiredInput, stringAttribute } from './node-attributes.js'
import type { InferredValue, KernelContext, Operator } from './operator.js'
import { constantIntegers, formatDims, sameShape } from './shape-rules.js'

/** The kinds of recurrence, with the number of gates and the usual activations of one direction. */
const KINDS = {
  RNN: { gates: 1, activations: ['Tanh'] },
  GRU: { gates: 3, activations: ['Sigmoid', 'Tanh'] },
  LSTM: { gates: 4, activations: ['Sigmoid', 'Tanh', 'Tanh'] },
} as const

/** The name of a kind of recurrence. */
export type RecurrenceKind = keyof typeof KINDS

/** Activations that may be named, in place. */
const ACTIVATIONS = {
  Sigmoid: (x: RealArray) => {
    kernels.sigmoid(x, x)
  },
  Tanh: (x: RealArray) => {
    kernels.tanh(x, x)
  },
  Relu: (x: RealArray) => {
    for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] = 0
  },
  Softsign: (x: RealArray) => {
    for (let i = 0; i < x.length; i++) x[i] /= 1 + Math.abs(x[i])
  },
  Softplus: (x: RealArray) => {
    for (let i = 0; i < x.length; i++) x[i] = Math.max(x[i], 0) + Math.log1p(Math.exp(-Math.abs(x[i])))
  },
} as const

type Activation = keyof typeof ACTIVATIONS

/** What a node's attributes and shapes say. */
export interface Recurrence {
  readonly kind: RecurrenceKind
  readonly gates: number
  /** T and H. */
  readonly times: number
  readonly units: number
  /** For every direction: whether it runs from the end, and its activations (of gates, candidate, cell). */
  readonly directions: readonly { readonly reverse: boolean, readonly activations: readonly Activation[] }[]
  /** GRU: the recurrent product of the candidate is made before the reset gate is applied. */
  readonly linearBeforeReset: boolean
}

/** Whether an operator is a recurrence. */
export function isRecurrence(op: string): op is RecurrenceKind {
  return Object.hasOwn(KINDS, op)
}

/**
 * Reads a node and checks its inputs against each other.
 * @throws GraphError BAD_GRAPH, BATCH_AXIS; BAD_GRAPH also for what is not supported: peepholes, clipping, lengths of
 * sequences, layout 1
 */
export function recurrenceOf(node: Node, inputs: readonly (InferredValue | undefined)[]): Recurrence {
  if (!isRecurrence(node.op)) throw badNode(node, 'it is not a recurrence.')
  const kind = node.op
  const { gates } = KINDS[kind]
  const [x, w, r] = [0, 1, 2].map(i => requiredInput(node, inputs, i))
  if (!isFloat(x.dtype) || x.shape.length !== 3) {
    throw badNode(node,
      `its input must be real numbers, times x examples x features; it is ${x.dtype} of shape ${formatDims(x.shape)}.`)
  }
  const [times, examples, features] = x.shape
  if (isBatch(times) || isBatch(features)) {
    throw batchAxisError(node,
      `the examples of its input of shape ${formatDims(x.shape)} must lie on axis 1, behind the times.`,
      'rows of data are examples first (N x times x features), and this network has the times first. Turn its input ' +
        'in the network (torch: batch_first=True, or x.transpose(0, 1) in forward), and export it again.')
  }
  refuseUnsupported(node, inputs, times)
  const directions = directionsOf(node, kind)
  const units = Number(r.shape[2])
  const width = gates * units
  const expected: readonly (readonly [InferredValue | undefined, string, readonly Dim[]])[] = [
    [w, 'W', [directions.length, width, features]],
    [r, 'R', [directions.length, width, units]],
    [inputs[3], 'B', [directions.length, 2 * width]],
    [inputs[5], 'initial_h', [directions.length, examples, units]],
    [kind === 'LSTM' ? inputs[6] : undefined, 'initial_c', [directions.length, examples, units]],
  ]
  for (const [value, name, shape] of expected) {
    if (value !== undefined && !sameShape(value.shape, shape)) {
      throw badNode(node,
        `its input ${name} must have the shape ${formatDims(shape)}; it has ${formatDims(value.shape)}.`)
    }
  }
  return { kind, gates, times, units, directions,
    linearBeforeReset: numberAttribute(node, 'linear_before_reset', 0) !== 0 }
}

function refuseUnsupported(node: Node, inputs: readonly (InferredValue | undefined)[], times: number): void {
  if (numberAttribute(node, 'layout', 0) !== 0) throw badNode(node, 'layout 1 (examples first) is not supported.')
  if (node.attributes['clip'] !== undefined) throw badNode(node, 'clipping of its activations is not supported.')
  if (numberAttribute(node, 'input_forget', 0) !== 0) {
    throw badNode(node, 'coupled input and forget gates are not supported.')
  }
  if (inputs[7] !== undefined) throw badNode(node, 'peepholes (its input P) are not supported.')
  const lengths = inputs[4]
  if (lengths !== undefined && constantIntegers(node, lengths, 'sequence_lens').some(length => length !== times)) {
    throw badNode(node, `sequences shorter than ${times} are not supported.`)
  }
}

function directionsOf(node: Node, kind: RecurrenceKind): Recurrence['directions'] {
  const direction = stringAttribute(node, 'direction', 'forward')
  if (direction !== 'forward' && direction !== 'reverse' && direction !== 'bidirectional') {
    throw badNode(node, `direction '${direction}' is not one of forward, reverse, bidirectional.`)
  }
  const usual = KINDS[kind].activations
  const count = direction === 'bidirectional' ? 2 : 1
  const given = node.attributes['activations'] ?? Array.from({ length: count }, () => usual).flat()
  if (!Array.isArray(given) || given.length !== count * usual.length) {
    throw badNode(node, `it needs ${count * usual.length} activations.`)
  }
  const activations = given.map(name => activationNamed(node, String(name)))
  return Array.from({ length: count },
    (_, d) => ({ reverse: direction === 'reverse' || d === 1,
      activations: activations.slice(d * usual.length, (d + 1) * usual.length) }))
}

function activationNamed(node: Node, name: string): Activation {
  const names = Object.keys(ACTIVATIONS) as Activation[]
  const found = names.find(known => known.toLowerCase() === name.toLowerCase())
  if (found === undefined) throw badNode(node, `its activation '${name}' is not one of ${names.join(', ')}.`)
  return found
}

function inferRecurrence(node: Node, inputs: readonly (InferredValue | undefined)[]): InferredValue[] {
  const { kind, times, units, directions } = recurrenceOf(node, inputs)
  const { dtype, shape: [, examples] } = requiredInput(node, inputs, 0)
  const last = { dtype, shape: [directions.length, examples, units] }
  return [{ dtype, shape: [times, directions.length, examples, units] }, last, ...(kind === 'LSTM' ? [last] : [])]
}

function real(value: Tensor): RealArray {
  return value.data as RealArray
}

/** One direction at work: N examples, storage for all gates of one time, the state. */
interface Cell {
  readonly recurrence: Recurrence
  readonly activations: readonly Activation[]
  readonly examples: number
  /** Recurrent weights, gate after gate: H x H each; and as kernels read them, where there are kernels. */
  readonly weights: RealArray
  readonly packed: RealArray | undefined
  /** Biases of the recurrent products, gate after gate: H each. */
  readonly biases: RealArray | undefined
  /** The gates' sums, then their values: gates x N x H. */
  readonly values: RealArray
  readonly h: RealArray
  readonly c: RealArray
  readonly scratch: RealArray
}

function block(values: RealArray, index: number, size: number): RealArray {
  return values.subarray(index * size, (index + 1) * size)
}

/** out += h R' for `gates` gates from `first` on, with R of H x H and a block of `out` each. */
function addRecurrent({ weights, packed, examples, recurrence: { units } }: Cell, h: RealArray, first: number,
  gates: number, out: RealArray): void {
  const shape = { gates, n: units, k: units }
  if (packed !== undefined) {
    const own = packed.subarray(packedGatesLength({ ...shape, gates: first }, packed))
    if (addGates(shape, examples, h, own, out)) return
  }
  for (let gate = 0; gate < gates; gate++) {
    gemm(false, true, examples, units, units, 1, h, block(weights, first + gate, units * units), 1,
      block(out, gate, examples * units))
  }
}

/** Whether the activations are the usual ones of the kind, for which there are kernels. */
function isUsual({ recurrence: { kind }, activations }: Cell): boolean {
  return KINDS[kind].activations.every((name, i) => activations[i] === name)
}

/** One time: `values` holds the sums of what does not depend on the state, and the state is replaced. */
function step(cell: Cell): void {
  const { recurrence: { kind, gates, units, linearBeforeReset }, activations, examples, values, h, c, scratch } = cell
  const size = examples * units
  const gate = (index: number): RealArray => block(values, index, size)
  const [f, g, after = 'Tanh'] = activations
  if (kind === 'GRU') {
    addRecurrent(cell, h, 0, 2, values)
    if (linearBeforeReset) {
      fillRows(scratch, cell.biases === undefined ? undefined : block(cell.biases, 2, units))
      addRecurrent(cell, h, 2, 1, scratch)
      if (isUsual(cell) && stepGru(values, scratch, h)) return
    }
    ACTIVATIONS[f](values.subarray(0, 2 * size))
    const [update, reset, candidate] = [gate(0), gate(1), gate(2)]
    if (linearBeforeReset) {
      for (let i = 0; i < size; i++) candidate[i] += reset[i] * scratch[i]
    } else {
      for (let i = 0; i < size; i++) scratch[i] = reset[i] * h[i]
      addRecurrent(cell, scratch, 2, 1, candidate)
    }
    ACTIVATIONS[g](candidate)
    for (let i = 0; i < size; i++) h[i] = (1 - update[i]) * candidate[i] + update[i] * h[i]
    return
  }
  addRecurrent(cell, h, 0, gates, values)
  if (kind === 'RNN') {
    ACTIVATIONS[f](values)
    h.set(values)
    return
  }
  if (isUsual(cell) && stepLstm(values, c, h)) return
  ACTIVATIONS[f](values.subarray(0, 3 * size))
  ACTIVATIONS[g](gate(3))
  const [input, output, forget, candidate] = [gate(0), gate(1), gate(2), gate(3)]
  multiplyInPlace(c, forget)
  multiplyInPlace(candidate, input)
  addInPlace(c, candidate)
  h.set(c)
  ACTIVATIONS[after](h)
  multiplyInPlace(h, output)
}

/** Every row is set to the bias, or to zero. */
function fillRows(rows: RealArray, bias: RealArray | undefined): void {
  if (bias === undefined) rows.fill(0)
  else for (let from = 0; from < rows.length; from += bias.length) rows.set(bias, from)
}

/** The biases of a gate's sum that do not pass the reset gate. */
function constantBias({ kind, gates, units, linearBeforeReset }: Recurrence, biases: RealArray | undefined,
  gate: number): RealArray | undefined {
  if (biases === undefined) return undefined
  const sum = block(biases, gate, units).slice()
  if (kind === 'GRU' && linearBeforeReset && gate === 2) return sum
  for (let i = 0; i < units; i++) sum[i] += biases[(gates + gate) * units + i]
  return sum
}

function runRecurrence(node: Node, inputs: readonly (Tensor | undefined)[], context: KernelContext): Tensor[] {
  const recurrence = recurrenceOf(node,
    inputs.map(value => (value === undefined ? undefined : { ...value, constant: value })))
  const { kind, gates, times, units, directions } = recurrence
  const [x, w, r] = [0, 1, 2].map(i => requiredInput(node, inputs, i))
  const [, examples, features] = x.shape
  const { dtype } = x
  const allocate = (length: number): RealArray => context.allocate(dtype, length) as RealArray
  const size = examples * units
  const [y, lastH, lastC] = [allocate(times * directions.length * size), allocate(directions.length * size),
    allocate(directions.length * size)]
  const sums = allocate(gates * times * size)
  const [values, scratch] = [allocate(gates * size), allocate(size)]
  directions.forEach(({ reverse, activations }, d) => {
    const own = (
      value: Tensor | undefined,
    ):
      | RealArray
      | undefined => (value === undefined ? undefined : block(real(value), d, value.data.length / directions.length))
    const [inputWeights, weights, biases] = [own(w), own(r), own(inputs[3])]
    if (inputWeights === undefined || weights === undefined) return
    for (let gate = 0; gate < gates; gate++) {
      const out = block(sums, gate, times * size)
      fillRows(out, constantBias(recurrence, biases, gate))
      gemm(false, true, times * examples, units, features, 1, real(x), block(inputWeights, gate, units * features), 1,
        out)
    }
    const [h, c] = [block(lastH, d, size), block(lastC, d, size)]
    // Storage holds older values: without an initial state these rows must be zeroed, or states of another batch would
    // go on.
    fillRows(h, own(inputs[5]))
    fillRows(c, own(inputs[6]))
    const shape = { gates, n: units, k: units }
    const room = allocate(packedGatesLength(shape, weights))
    const packed = packGates(shape, weights, room) ? room : undefined
    const cell = { recurrence, activations, examples, weights, packed, biases: biases?.subarray(gates * units), values,
      h, c, scratch }
    for (let i = 0; i < times; i++) {
      const t = reverse ? times - 1 - i : i
      for (let gate = 0; gate < gates; gate++) {
        values.set(sums.subarray((gate * times + t) * size, (gate * times + t + 1) * size), gate * size)
      }
      step(cell)
      y.set(h, (t * directions.length + d) * size)
    }
  })
  const state = (data: RealArray): Tensor => ({ dtype, shape: [directions.length, examples, units], data })
  return [{ dtype, shape: [times, directions.length, examples, units], data: y }, state(lastH),
    ...(kind === 'LSTM' ? [state(lastC)] : [])]
}

/** The gates' sums of one direction at all times, those of the present time, one state, and packed weights. */
function recurrenceWorkspace(_node: Node,
  [[times, examples], , [, width, units]]: readonly (readonly number[])[]): number {
  return examples * (width * (times + 1) + units) + width * (units + PANEL)
}

/** Units more that a panel of packed weights may have. */
const PANEL = 8

/** Recurrences; they have no derivative rule of their own. */
export const recurrenceOperators: readonly Operator[] = (Object.keys(KINDS) as RecurrenceKind[]).map(op => ({ op,
  infer: inferRecurrence, run: runRecurrence, workspace: recurrenceWorkspace })
)
