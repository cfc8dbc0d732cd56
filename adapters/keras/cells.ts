/**
 * @file The cells of Keras' recurrent layers.
 *
 * Gates are in Keras' order: input, forget, candidate, output for the LSTM; update, reset, candidate for the GRU.
 * All gates have one shape: taken in the order of another framework they give wrong outputs without an error.
 */
import type { Tensor } from '../../core/tensor/tensor.js'
import { activate, activationName } from './activations.js'
import { type Config, field, flag, isConfig, text } from './config.js'
import { emit, expectWeights, misfit, parameter, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'
import type { Cell } from './unroll.js'

const GATES: Readonly<Record<string, number>> = { LSTM: 4, GRU: 3, SimpleRNN: 1 }

/** The arrays of a cell, in the graph. */
interface CellArrays {
  readonly context: LayerContext
  readonly config: Config
  readonly units: number
  readonly kernel: string
  readonly recurrentKernel: string
  readonly bias: string | undefined
  /** The bias of the recurrent product in a GRU of the newer kind. */
  readonly recurrentBias: string | undefined
  readonly resetAfter: boolean
}

/** The cell of a recurrent layer: LSTM, GRU, SimpleRNN, or the cell (or cells) that an RNN was given. */
export function cellOf(context: LayerContext): Cell {
  const { layer } = context
  if (layer.className !== 'RNN') return gatedCell(context, layer.className, layer.config, context.weights ?? [], '')
  const inner = field(layer.config, 'cell')
  if (!isConfig(inner)) throw misfit(layer, 'has no cell')
  return text(inner, 'class_name') === 'StackedRNNCells'
    ? stackedCells(context, inner)
    : namedCell(context, inner, context.weights ?? [], '')
}

function namedCell(context: LayerContext, entry: unknown, weights: readonly Tensor[], prefix: string): Cell {
  const className = isConfig(entry) ? text(entry, 'class_name') ?? '?' : '?'
  const config = isConfig(entry) ? field(entry, 'config') : undefined
  const kind = className.replace(/Cell$/, '')
  if (!isConfig(config) || !Object.hasOwn(GATES, kind) || kind === className) {
    throw misfit(context.layer, `has a cell of the class ${className.slice(0, 60)}, which is not known`)
  }
  return gatedCell(context, kind, config, weights, prefix)
}

/** Cells one upon the other: each takes the output of the one before. */
function stackedCells(context: LayerContext, entry: Config): Cell {
  const config = field(entry, 'config')
  const entries = isConfig(config) ? field(config, 'cells') : undefined
  if (!Array.isArray(entries) || entries.length === 0) throw misfit(context.layer, 'has no cells')
  const classes = entries.map((each: unknown) => (isConfig(each) ? text(each, 'class_name') ?? '?' : '?'))
  const weights = context.store?.cells(classes) ?? []
  let at = 0
  const cells = entries.map((each: unknown, i) => {
    const options = isConfig(each) ? field(each, 'config') : undefined
    const count = isConfig(options) && !flag(options, 'use_bias', true) ? 2 : 3
    return namedCell(context, each, weights.slice(at, at += count), `cell_${i}/`)
  })
  return {
    states: cells.flatMap(cell => cell.states),
    sequences: true,
    project: x => cells[0].project(x),
    step(projected, states) {
      let first = 0
      let input = projected
      const next: Value[] = []
      cells.forEach((cell, i) => {
        const result = cell.step(i === 0 ? input : cell.project(input),
          states.slice(first, first += cell.states.length))
        next.push(...result.states)
        input = result.output
      })
      return { output: input, states: next }
    },
  }
}

function gatedCell(context: LayerContext, kind: string, config: Config, weights: readonly Tensor[],
  prefix: string): Cell {
  const { layer, builder } = context
  const resetAfter = kind === 'GRU' &&
    flag(config, 'reset_after', !context.keras2 || (weights[2]?.shape.length ?? 1) === 2)
  const useBias = flag(config, 'use_bias', true)
  const [kernel, recurrentKernel, bias] = expectWeights(layer, weights, [[undefined, undefined], [undefined, undefined],
    ...(useBias ? [resetAfter ? [2, undefined] : [undefined]] : [])])
  const units = recurrentKernel.shape[0]
  const width = GATES[kind] * units
  if (kernel.shape[1] !== width || recurrentKernel.shape[1] !== width ||
    (bias !== undefined && bias.shape[bias.shape.length - 1] !== width)) {
    throw misfit(layer, `has arrays that do not fit ${units} units`)
  }
  const arrays: CellArrays = {
    context,
    config,
    units,
    resetAfter,
    kernel: parameter(context, layer, `${prefix}kernel`, kernel, true),
    recurrentKernel: parameter(context, layer, `${prefix}recurrent_kernel`, recurrentKernel, true),
    bias: bias === undefined
      ? undefined
      : parameter(context, layer, `${prefix}bias`, resetAfter ? row(bias, 0, width) : bias),
    recurrentBias: bias === undefined || !resetAfter
      ? undefined
      : parameter(context, layer, `${prefix}recurrent_bias`, row(bias, 1, width)),
  }
  const project = (x: Value): Value => {
    if (x.shape[x.shape.length - 1] !== kernel.shape[0]) throw misfit(layer, `takes ${kernel.shape[0]} features`)
    const shape = [...x.shape.slice(0, -1), width]
    const product = builder.node('MatMul', [x.name, arrays.kernel])
    return { name: arrays.bias === undefined ? product : builder.node('Add', [product, arrays.bias]), shape,
      channelsFirst: false }
  }
  const states = kind === 'LSTM' ? [[units], [units]] : [[units]]
  return { states, sequences: true, project, step: STEPS[kind](arrays) }
}

function row(matrix: Tensor, index: number, width: number): Tensor {
  return { ...matrix, shape: [width], data: matrix.data.slice(index * width, (index + 1) * width) }
}

type Step = Cell['step']

const STEPS: Readonly<Record<string, (arrays: CellArrays) => Step>> = {
  SimpleRNN: arrays => (input, [h]) => {
    const output = outer(arrays, plusRecurrent(arrays, input, h))
    return { output, states: [output] }
  },
  LSTM: arrays => (input, [h, c]) => {
    const all = plusRecurrent(arrays, input, h)
    const entering = join(arrays, 'Mul', inner(arrays, gate(arrays, all, 0)), outer(arrays, gate(arrays, all, 2)))
    const memory = c === undefined
      ? entering
      : join(arrays, 'Add', join(arrays, 'Mul', inner(arrays, gate(arrays, all, 1)), c), entering)
    const output = join(arrays, 'Mul', inner(arrays, gate(arrays, all, 3)), outer(arrays, memory))
    return { output, states: [output, memory] }
  },
  GRU: arrays => (input, [h]) => {
    const output = gruStep(arrays, input, h)
    return { output, states: [output] }
  },
}

const join = ({ context, units }: CellArrays, op: string, a: Value, b: Value): Value =>
  emit(context, op, [a.name, b.name], [units], false)

const outer = ({ context, config }: CellArrays, x: Value): Value =>
  activate(context, activationName({ ...context.layer, config }), x, context.layer, context.keras2)

const inner = ({ context, config }: CellArrays, x: Value): Value =>
  activate(context, activationName({ ...context.layer, config }, 'recurrent_activation'), x, context.layer,
    context.keras2)

function gate({ context, units }: CellArrays, { name }: Value, index: number): Value {
  const { builder } = context
  return emit(context, 'Slice', [name, builder.integers([index * units]), builder.integers([(index + 1) * units]),
    builder.integers([-1])], [units], false)
}

/** input + h R */
function plusRecurrent({ context, recurrentKernel }: CellArrays, input: Value, h: Value | undefined): Value {
  if (h === undefined) return input
  const product = context.builder.node('MatMul', [h.name, recurrentKernel])
  return emit(context, 'Add', [input.name, product], input.shape, false)
}

/** h' = z h + (1 - z) h~, the reset gate applied after the recurrent product, or before it in the older kind. */
function gruStep(arrays: CellArrays, input: Value, h: Value | undefined): Value {
  const { context, units, recurrentBias, recurrentKernel, resetAfter } = arrays
  const { builder } = context
  const product = h === undefined ? undefined : builder.node('MatMul', [h.name, recurrentKernel])
  // The recurrent bias is there before the first step too, when the state is still zero.
  const hidden = recurrentBias === undefined
    ? product
    : product === undefined
    ? recurrentBias
    : builder.node('Add', [product, recurrentBias])
  const recurrent = hidden === undefined ? undefined : { name: hidden, shape: [3 * units], channelsFirst: false }
  const plus = (value: Value, extra: Value | undefined): Value =>
    extra === undefined ? value : join(arrays, 'Add', value, extra)
  const part = (index: number): Value | undefined =>
    recurrent === undefined ? undefined : gate(arrays, recurrent, index)
  const update = inner(arrays, plus(gate(arrays, input, 0), part(0)))
  const reset = inner(arrays, plus(gate(arrays, input, 1), part(1)))
  const candidate = outer(arrays, plus(gate(arrays, input, 2), candidatePart()))
  const keep = emit(context, 'Sub', [builder.scalar(1), update.name], [units], false)
  const fresh = join(arrays, 'Mul', keep, candidate)
  return h === undefined ? fresh : join(arrays, 'Add', join(arrays, 'Mul', update, h), fresh)

  function candidatePart(): Value | undefined {
    const last = part(2)
    if (resetAfter) return last === undefined ? undefined : join(arrays, 'Mul', reset, last)
    if (h === undefined) return undefined
    const weights = builder.node('Slice', [recurrentKernel, builder.integers([2 * units]),
      builder.integers([3 * units]), builder.integers([1])])
    return emit(context, 'MatMul', [join(arrays, 'Mul', reset, h).name, weights], [units], false)
  }
}
