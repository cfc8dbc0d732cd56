/**
 * @file LSTM, GRU and SimpleRNN of Keras, unrolled over time.
 *
 * Gates are in Keras' order: input, forget, candidate, output for the LSTM; update, reset, candidate for the GRU.
 * All gates have one shape: taken in the order of another framework they give wrong outputs without an error.
 */
import { GraphError } from '../../core/errors/errors.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { activate, activationName } from './activations.js'
import { flag } from './config.js'
import { channelsLast, emit, expectWeights, misfit, parameter, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'

/** The longest sequence that is unrolled. */
const LONGEST = 1000
const GATES: Readonly<Record<string, number>> = { LSTM: 4, GRU: 3, SimpleRNN: 1 }

interface State {
  readonly h: Value | undefined
  readonly c: Value | undefined
}

/** What one step needs. */
interface Cell {
  readonly context: LayerContext
  readonly units: number
  readonly recurrentKernel: string
  /** The bias of the recurrent product in a GRU of the newer kind. */
  readonly recurrentBias: string | undefined
  readonly resetAfter: boolean
}

/** Appends the nodes of a recurrent layer. */
export function recurrent(context: LayerContext, value: Value): Value {
  const { layer, builder } = context
  const { config } = layer
  const x = channelsLast(context, value)
  if (x.shape.length !== 2) throw misfit(layer, 'takes sequences (times x features)')
  const [times, features] = x.shape
  if (times > LONGEST) {
    throw new GraphError('UNSUPPORTED_OPERATOR',
      `The layer '${layer.name}' is unrolled for at most ${LONGEST} times; the input has ${times}.`, {
      layer: layer.name,
    })
  }
  if (flag(config, 'stateful', false) || flag(config, 'return_state', false)) {
    throw misfit(layer, 'keeps or returns its state, which is not supported')
  }
  const gates = GATES[layer.className]
  const resetAfter = layer.className === 'GRU' &&
    flag(config, 'reset_after', !context.keras2 || (context.weights?.[2]?.shape.length ?? 1) === 2)
  const useBias = flag(config, 'use_bias', true)
  const [kernel, recurrentKernel, bias] = expectWeights(layer, context.weights, [[features, undefined], [undefined,
    undefined], ...(useBias ? [resetAfter ? [2, undefined] : [undefined]] : [])])
  const units = recurrentKernel.shape[0]
  const width = gates * units
  if (kernel.shape[1] !== width || recurrentKernel.shape[1] !== width ||
    (bias !== undefined && bias.shape[bias.shape.length - 1] !== width)) {
    throw misfit(layer, `has arrays that do not fit ${units} units`)
  }
  const inputBias = bias === undefined ? undefined : resetAfter ? row(bias, 0, width) : bias
  const weight = parameter(context, layer, 'kernel', kernel, true)
  const recurrentWeight = parameter(context, layer, 'recurrent_kernel', recurrentKernel, true)
  const shift = inputBias === undefined ? undefined : parameter(context, layer, 'bias', inputBias)
  const cell: Cell = {
    context,
    units,
    resetAfter,
    recurrentKernel: recurrentWeight,
    recurrentBias: bias === undefined || !resetAfter
      ? undefined
      : parameter(context, layer, 'recurrent_bias', row(bias, 1, width)),
  }
  let projected = builder.node('MatMul', [x.name, weight])
  if (shift !== undefined) projected = builder.node('Add', [projected, shift])
  return unroll(cell, projected, times, width)
}

function row(matrix: Tensor, index: number, width: number): Tensor {
  return { dtype: matrix.dtype, shape: [width], data: matrix.data.slice(index * width, (index + 1) * width) }
}

function unroll(cell: Cell, projected: string, times: number, width: number): Value {
  const { context, units } = cell
  const { builder, layer } = context
  const order = Array.from({ length: times }, (_, t) => t)
  const backwards = flag(layer.config, 'go_backwards', false)
  let state: State = { h: undefined, c: undefined }
  const outputs: string[] = []
  for (const t of backwards ? order.reverse() : order) {
    const now = emit(context, 'Gather', [projected,
      builder.constant({ dtype: 'int64', shape: [], data: Float64Array.of(t) })], [width], false, { axis: 1 })
    state = step(cell, now, state)
    if (state.h !== undefined) outputs.push(state.h.name)
  }
  if (state.h === undefined) throw misfit(layer, 'gets an empty sequence')
  if (!flag(layer.config, 'return_sequences', false)) return state.h
  const rows = outputs.map(name => builder.node('Reshape', [name, builder.integers([-1, 1, units])]))
  return emit(context, 'Concat', rows, [times, units], false, { axis: 1 })
}

function step(cell: Cell, input: Value, state: State): State {
  const { context, units } = cell
  const { builder, layer, keras2 } = context
  const wide = (op: string, a: string, b: string): string => builder.node(op, [a, b])
  const narrow = (op: string, a: Value, b: Value): Value => emit(context, op, [a.name, b.name], [units], false)
  const gate = (value: string, index: number): Value =>
    emit(context, 'Slice', [value, builder.integers([index * units]), builder.integers([(index + 1) * units]),
      builder.integers([1])], [units], false)
  const outer = (x: Value): Value => activate(context, activationName(layer), x, layer, keras2)
  const inner = (x: Value): Value => activate(context, activationName(layer, 'recurrent_activation'), x, layer, keras2)
  if (layer.className === 'GRU') {
    return { h: gruStep(cell, input, state.h, { gate, outer, inner, narrow }), c: undefined }
  }
  const hidden = state.h === undefined ? undefined : builder.node('MatMul', [state.h.name, cell.recurrentKernel])
  const all = hidden === undefined ? input.name : wide('Add', input.name, hidden)
  if (layer.className === 'SimpleRNN') {
    return { h: outer({ name: all, shape: [units], channelsFirst: false }), c: undefined }
  }
  const entering = narrow('Mul', inner(gate(all, 0)), outer(gate(all, 2)))
  const memory = state.c === undefined ? entering : narrow('Add', narrow('Mul', inner(gate(all, 1)), state.c), entering)
  return { h: narrow('Mul', inner(gate(all, 3)), outer(memory)), c: memory }
}

interface StepParts {
  readonly gate: (value: string, index: number) => Value
  readonly outer: (x: Value) => Value
  readonly inner: (x: Value) => Value
  readonly narrow: (op: string, a: Value, b: Value) => Value
}

/** h' = z h + (1 - z) h~, the reset gate applied after the recurrent product, or before it in the older kind. */
function gruStep(cell: Cell, input: Value, h: Value | undefined, { gate, outer, inner, narrow }: StepParts): Value {
  const { builder } = cell.context
  const { units } = cell
  const product = h === undefined ? undefined : builder.node('MatMul', [h.name, cell.recurrentKernel])
  // The recurrent bias is there before the first step too, when the state is still zero.
  const hidden = cell.recurrentBias === undefined
    ? product
    : product === undefined
    ? undefined
    : builder.node('Add', [product, cell.recurrentBias])
  const part = (index: number): Value | undefined => {
    if (hidden !== undefined) return gate(hidden, index)
    if (cell.recurrentBias === undefined) return undefined
    const slice = builder.node('Slice', [cell.recurrentBias, builder.integers([index * units]),
      builder.integers([(index + 1) * units]), builder.integers([0])])
    return { name: slice, shape: [units], channelsFirst: false }
  }
  const plus = (value: Value,
    extra: Value | undefined): Value => (extra === undefined ? value : narrow('Add', value, extra))
  const update = inner(plus(gate(input.name, 0), part(0)))
  const reset = inner(plus(gate(input.name, 1), part(1)))
  const candidate = outer(plus(gate(input.name, 2), candidatePart()))
  const keep = emit(cell.context, 'Sub', [builder.scalar(1), update.name], [units], false)
  const fresh = narrow('Mul', keep, candidate)
  return h === undefined ? fresh : narrow('Add', narrow('Mul', update, h), fresh)

  function candidatePart(): Value | undefined {
    const last = part(2)
    if (cell.resetAfter) return last === undefined ? undefined : narrow('Mul', reset, last)
    if (h === undefined) return undefined
    const weights = builder.node('Slice', [cell.recurrentKernel, builder.integers([2 * units]),
      builder.integers([3 * units]), builder.integers([1])])
    return emit(cell.context, 'MatMul', [narrow('Mul', reset, h).name, weights], [units], false)
  }
}
