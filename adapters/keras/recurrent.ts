/** @file The recurrent layers of Keras, and running one in both directions. */
import { cellOf } from './cells.js'
import { field, flag, isConfig, text } from './config.js'
import { convolutionalCell } from './conv-lstm.js'
import { channelsLast, emit, type Mask, masked, misfit, type Value } from './emission.js'
import { type LayerContext, valuesIn } from './layer-context.js'
import { type KerasLayer, readLayer } from './model.js'
import { reversed, stack, unroll } from './unroll.js'

/** A recurrent layer: its outputs (all, or the last), and its states where it returns them. */
export function recurrent(context: LayerContext, value: Value): readonly Value[] {
  return walked(context, value, maskOf(context, value))
}

/**
 * The mask of a sequence. Keras 3 gives a layer none of its own accord where it is called with initial states: only one
 * that is written down counts then.
 */
function maskOf(context: LayerContext, { mask }: Value): Mask | undefined {
  const given = context.options.get('mask')
  const explicit = given !== undefined && 'value' in given
  return context.keras2 || explicit || initialStates(context).length === 0 ? mask : undefined
}

function walked(context: LayerContext, value: Value, mask: Mask | undefined): readonly Value[] {
  const { layer } = context
  const { config } = layer
  const x = channelsLast(context, value)
  const convolutional = /^ConvLSTM/.test(layer.className)
  if (!convolutional && x.shape.length !== 2) throw misfit(layer, 'takes sequences (times x features)')
  if (flag(config, 'stateful', false)) {
    throw misfit(layer, 'keeps its state from one batch to the next, which is not supported: rows would depend on ' +
      'those before them')
  }
  if (mask !== undefined && mask.rank !== 1) throw misfit(layer, 'gets a mask of single features')
  const cell = convolutional ? convolutionalCell(context, x.shape.slice(1)) : cellOf(context)
  const initial = initialStates(context)
  if (initial.length > 0 && initial.length !== cell.states.length) {
    throw misfit(layer, `needs ${cell.states.length} initial states; it is given ${initial.length}`)
  }
  const sequences = flag(config, 'return_sequences', false)
  const { outputs, states } = unroll(context, cell, x, {
    backwards: flag(config, 'go_backwards', false),
    initial: initial.length > 0 ? initial : cell.states.map(() => undefined),
    mask,
    zeroOutput: flag(config, 'zero_output_for_mask', false),
  })
  const result = sequences ? stack(context, outputs) : outputs[outputs.length - 1]
  const output = masked(result, sequences ? mask : undefined)
  return flag(config, 'return_state', false) ? [output, ...states] : [output]
}

/** States to begin with: the option, or what follows the sequence among the arguments. */
function initialStates(context: LayerContext): Value[] {
  const option = valuesIn(context.options.get('initial_state'))
  return (option.length > 0 ? option : context.inputs.slice(1)).map(value => channelsLast(context, value))
}

/** A recurrent layer forwards and backwards, merged by `merge_mode`. */
export function bidirectional(context: LayerContext, x: Value): readonly Value[] {
  const { layer } = context
  const forward = direction(context, 'forward_layer')
  const backward = direction(context, 'backward_layer')
  const mask = maskOf(context, x)
  const states = initialStates(context)
  const half = states.length / 2
  const run = (inner: KerasLayer, store: 'forward_layer' | 'backward_layer', initial: readonly Value[]) =>
    walked({ ...context, layer: inner, store: context.store?.half(store), weights: context.store?.half(store).arrays(),
      inputs: [x, ...initial], args: [], options: new Map() }, x, mask)
  const [y, ...statesForward] = run(forward, 'forward_layer', states.slice(0, half))
  const [last, ...statesBackward] = run(backward, 'backward_layer', states.slice(half))
  const sequences = flag(forward.config, 'return_sequences', false)
  const back = sequences ? reversed(context, last) : last
  const merged = merge(context, y, back)
  const outputs = merged.map(each => masked(each, sequences ? mask : undefined))
  if (!['LSTM', 'GRU', 'SimpleRNN', 'RNN'].includes(forward.className)) {
    throw misfit(layer, `wraps a ${forward.className}, which is not supported`)
  }
  return [...outputs, ...statesForward, ...statesBackward]
}

/** The layer of one direction; without one of its own, the backward layer is the forward one walked the other way. */
function direction({ layer }: LayerContext, name: 'forward_layer' | 'backward_layer'): KerasLayer {
  const around = { path: `${layer.path}/${name}`, trainable: layer.trainable, depth: 1 }
  const forward = field(layer.config, 'layer')
  const own = name === 'backward_layer' ? field(layer.config, 'backward_layer') : forward
  if (isConfig(own)) return readLayer(own, 0, around)
  if (!isConfig(forward)) throw misfit(layer, 'wraps no layer')
  const found = readLayer(forward, 0, around)
  return { ...found, config: { ...found.config, go_backwards: !flag(found.config, 'go_backwards', false) } }
}

function merge(context: LayerContext, y: Value, back: Value): readonly Value[] {
  const { layer, builder } = context
  const mode = field(layer.config, 'merge_mode') === null ? null : text(layer.config, 'merge_mode') ?? 'concat'
  const { shape } = y
  switch (mode) {
    case null:
      return [y, back]
    case 'concat':
      return [
        emit(context, 'Concat', [y.name, back.name], [...shape.slice(0, -1),
          shape[shape.length - 1] + back.shape[back.shape.length - 1]], false, { axis: -1 }),
      ]
    case 'sum':
      return [emit(context, 'Add', [y.name, back.name], shape, false)]
    case 'ave':
      return [emit(context, 'Div', [builder.node('Add', [y.name, back.name]), builder.scalar(2)], shape, false)]
    case 'mul':
      return [emit(context, 'Mul', [y.name, back.name], shape, false)]
    default:
      throw misfit(layer, `has the merge_mode '${mode.slice(0, 40)}', which is not known`)
  }
}
