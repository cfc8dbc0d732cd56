/**
 * @file torch's RNN, LSTM and GRU, unrolled over time from a state of zeros.
 *
 * Gates are in torch's order: input, forget, candidate, output for the LSTM; reset, update, candidate for the GRU. The
 * result is the state at every time (N x T x units), as torch's first output; Select takes one time of it.
 */
import { GraphError } from '../../core/errors/errors.js'
import type { LayerWriter } from './activations.js'
import { count, flag, number, word } from './arguments.js'
import { emit, inputMisfit, type LayerContext, misfit, parameter, requiredTensor, statedSize, tensorName,
  type Value } from './emission.js'
import { badArchitecture, describeLayer } from './layer-spec.js'

/** The longest sequence that is unrolled. */
const LONGEST = 1000

type Kind = 'RNN' | 'LSTM' | 'GRU'
const GATES: Readonly<Record<Kind, number>> = { RNN: 1, LSTM: 4, GRU: 3 }

/** One direction of one layer. */
interface Cell {
  readonly context: LayerContext
  readonly kind: Kind
  readonly units: number
  readonly nonlinearity: 'Tanh' | 'Relu'
  /** The weights as the right operand of a product, in x out. */
  readonly inputWeight: string
  readonly hiddenWeight: string
  readonly inputBias: string | undefined
  readonly hiddenBias: string | undefined
}

interface State {
  readonly h: Value | undefined
  readonly c: Value | undefined
}

/** A recurrent layer of one of the three kinds. */
export function recurrent(kind: Kind): LayerWriter {
  return {
    arguments: ['input_size', 'hidden_size', 'num_layers', 'bias', 'batch_first', 'dropout', 'bidirectional',
      'proj_size', ...(kind === 'RNN' ? ['nonlinearity'] : [])],
    write(context, x) {
      if (!flag(context, 'batch_first', false)) {
        throw badArchitecture(
          `The ${describeLayer(context.spec, context.path)} needs "batch_first": true: examples come first here. ` +
            "Only the order of the input's axes differs; the weights stay the same.",
          context.path,
        )
      }
      if (number(context, 'proj_size', 0) !== 0) {
        throw badArchitecture(
          `The ${describeLayer(context.spec, context.path)} projects its state (proj_size), which is not supported.`,
          context.path,
        )
      }
      if (x.shape.length !== 2) throw inputMisfit(context, 'sequences (times x features)', x)
      if (x.shape[0] > LONGEST) {
        throw new GraphError('UNSUPPORTED_OPERATOR',
          `The ${describeLayer(context.spec, context.path)} is unrolled for at most ${LONGEST} times; the input has ${
            x.shape[0]
          }.`, { layer: context.path })
      }
      context.emission.sizeDependent = true
      statedSize(context, 'input_size', count(context, 'input_size'), x.shape[1])
      const layers = count(context, 'num_layers') ?? 1
      if (layers > 100) {
        throw badArchitecture(`The ${describeLayer(context.spec, context.path)} has more than 100 layers.`,
          context.path)
      }
      let value = x
      for (let layer = 0; layer < layers; layer++) value = bothDirections(context, kind, value, layer)
      return value
    },
  }
}

function bothDirections(context: LayerContext, kind: Kind, x: Value, layer: number): Value {
  const forwards = unroll(readCell(context, kind, x, `l${layer}`), x, false)
  if (!flag(context, 'bidirectional', false)) return forwards
  const backwards = unroll(readCell(context, kind, x, `l${layer}_reverse`), x, true)
  return emit(context.emission, 'Concat', [forwards.name, backwards.name], [x.shape[0],
    forwards.shape[1] + backwards.shape[1]], { axis: 2 })
}

function readCell(context: LayerContext, kind: Kind, x: Value, suffix: string): Cell {
  const features = x.shape[1]
  const hiddenWeight = requiredTensor(context, `weight_hh_${suffix}`, 2)
  const inputWeight = requiredTensor(context, `weight_ih_${suffix}`, 2)
  const [width, units] = hiddenWeight.shape
  statedSize(context, 'hidden_size', count(context, 'hidden_size'), units)
  if (width !== GATES[kind] * units || inputWeight.shape[0] !== width) {
    throw misfit(context,
      `has weights that do not fit: '${tensorName(context.spec, `weight_hh_${suffix}`)}' is ${
        hiddenWeight.shape.join(' x ')
      }, '${tensorName(context.spec, `weight_ih_${suffix}`)}' ${inputWeight.shape.join(' x ')}`)
  }
  if (inputWeight.shape[1] !== features) throw inputMisfit(context, `${inputWeight.shape[1]} features at each time`, x)
  const { builder } = context.emission
  const turned = (role: string, weight: typeof inputWeight): string =>
    builder.node('Transpose', [parameter(context, role, weight)], { perm: [1, 0] })
  const shift = (role: string): string | undefined => {
    if (!flag(context, 'bias', true)) return undefined
    const found = requiredTensor(context, role, 1)
    if (found.shape[0] !== width) {
      throw misfit(context, `has a ${role} of ${found.shape[0]} elements instead of ${width}`)
    }
    return parameter(context, role, found)
  }
  // In the order of parameters().
  const [input, hidden] = [turned(`weight_ih_${suffix}`, inputWeight), turned(`weight_hh_${suffix}`, hiddenWeight)]
  return {
    context,
    kind,
    units,
    nonlinearity: kind === 'RNN' && word(context, 'nonlinearity', ['tanh', 'relu']) === 'relu' ? 'Relu' : 'Tanh',
    inputWeight: input,
    hiddenWeight: hidden,
    inputBias: shift(`bias_ih_${suffix}`),
    hiddenBias: shift(`bias_hh_${suffix}`),
  }
}

function unroll(cell: Cell, x: Value, backwards: boolean): Value {
  const { context: { emission }, units, kind } = cell
  const { builder } = emission
  const times = x.shape[0]
  const width = GATES[kind] * units
  // The input's share of all gates and times in one product.
  let projected = builder.node('MatMul', [x.name, cell.inputWeight])
  if (cell.inputBias !== undefined) projected = builder.node('Add', [projected, cell.inputBias])
  const outputs: string[] = []
  let state: State = { h: undefined, c: undefined }
  for (let i = 0; i < times; i++) {
    const t = backwards ? times - 1 - i : i
    const now = emit(emission, 'Gather', [projected,
      builder.constant({ dtype: 'int64', shape: [], data: Float64Array.of(t) })], [width], { axis: 1 })
    const next = step(cell, now, state)
    outputs[t] = builder.node('Unsqueeze', [next.h.name, builder.integers([1])])
    state = next
  }
  return emit(emission, 'Concat', outputs, [times, units], { axis: 1 })
}

/** Appends nodes whose results have the units of a cell: of any operator, and the slice of a gate. */
function appenders(
  { context: { emission }, units }: Cell,
): { op: (name: string, ...inputs: Value[]) => Value, gate: (value: Value, index: number) => Value } {
  const { builder } = emission
  return {
    op: (name, ...inputs) => emit(emission, name, inputs.map(each => each.name), [units]),
    gate: (value, index) =>
      emit(emission, 'Slice', [value.name, builder.integers([index * units]), builder.integers([(index + 1) * units]),
        builder.integers([-1])], [units]),
  }
}

function step(cell: Cell, input: Value, { h, c }: State): State & { readonly h: Value } {
  const { context: { emission }, kind } = cell
  const { op, gate } = appenders(cell)
  const recurrentPart = hidden(cell, h)
  const plus = (a: Value,
    b: Value | undefined): Value => (b === undefined ? a : emit(emission, 'Add', [a.name, b.name], a.shape))
  if (kind === 'RNN') return { h: op(cell.nonlinearity, plus(input, recurrentPart)), c: undefined }
  if (kind === 'GRU') return { h: gruStep(cell, input, recurrentPart, h), c: undefined }
  const all = plus(input, recurrentPart)
  const entering = op('Mul', op('Sigmoid', gate(all, 0)), op('Tanh', gate(all, 2)))
  const memory = c === undefined ? entering : op('Add', op('Mul', op('Sigmoid', gate(all, 1)), c), entering)
  return { h: op('Mul', op('Sigmoid', gate(all, 3)), op('Tanh', memory)), c: memory }
}

/** W_hh h + b_hh; before the first step, when h is zero, only the bias. */
function hidden({ context: { emission }, hiddenWeight, hiddenBias, units, kind }: Cell, h: Value | undefined):
  | Value
  | undefined {
  const shape = [GATES[kind] * units]
  const product = h === undefined ? undefined : emit(emission, 'MatMul', [h.name, hiddenWeight], shape)
  if (hiddenBias === undefined) return product
  return product === undefined ? { name: hiddenBias, shape } : emit(emission, 'Add', [product.name, hiddenBias], shape)
}

/** h' = (1 - z) n + z h with n = tanh(W_in x + r (W_hn h + b_hn)). */
function gruStep(cell: Cell, input: Value, recurrentPart: Value | undefined, h: Value | undefined): Value {
  const { op, gate } = appenders(cell)
  const both = (
    index: number,
  ): Value => (recurrentPart === undefined
    ? gate(input, index)
    : op('Add', gate(input, index), gate(recurrentPart, index)))
  const reset = op('Sigmoid', both(0))
  const update = op('Sigmoid', both(1))
  const candidate = op('Tanh',
    recurrentPart === undefined ? gate(input, 2) : op('Add', gate(input, 2), op('Mul', reset, gate(recurrentPart, 2))))
  const fresh = op('Mul', op('Sub', { name: cell.context.emission.builder.scalar(1), shape: [] }, update), candidate)
  return h === undefined ? fresh : op('Add', fresh, op('Mul', update, h))
}
