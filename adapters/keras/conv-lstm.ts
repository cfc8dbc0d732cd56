/** @file The cell of Keras' convolutional LSTM: an LSTM whose products are convolutions (Shi et al., 2015). */
import type { Tensor } from '../../core/tensor/tensor.js'
import { activate, activationName } from './activations.js'
import { flag } from './config.js'
import { convolved, onnxKernel } from './convolutions.js'
import { channelsFirst, channelsLast, emit, expectWeights, parameter, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'
import type { Cell } from './unroll.js'
import { slide, type Window, windowOf } from './window.js'

/** The cell for images of the given shape, channels last. */
export function convolutionalCell(context: LayerContext, image: readonly number[]): Cell {
  const { layer } = context
  const dimensions = image.length - 1
  const window = windowOf(layer, dimensions)
  const channels = image[dimensions]
  const useBias = flag(layer.config, 'use_bias', true)
  const [kernel, recurrentKernel, bias] = expectWeights(layer, context.weights, [
    [...window.kernel, channels, undefined],
    [...window.kernel, undefined, undefined],
    ...(useBias ? [[undefined]] : []),
  ])
  const filters = recurrentKernel.shape[dimensions]
  const held = (role: string, value: Tensor): string => parameter(context, layer, role, onnxKernel(value, dimensions))
  const input = [held('kernel', kernel), ...(bias === undefined ? [] : [parameter(context, layer, 'bias', bias)])]
  const recurrent = held('recurrent_kernel', recurrentKernel)
  const { extents } = slide(layer, { name: '', shape: image, channelsFirst: false }, window)
  const shape = [...extents, filters]
  // The state keeps its extents: its convolution has steps of one and the padding `same`.
  const inside: Window = { kernel: window.kernel, strides: window.kernel.map(() => 1),
    dilations: window.kernel.map(() => 1) }
  const padded = { ...layer, config: { ...layer.config, padding: 'same' } }
  return {
    states: [shape, shape],
    sequences: false,
    project: x => convolved(context, layer, channelsFirst(context, x), input, window, 4 * filters),
    step(projected, [h, c]) {
      const all = h === undefined
        ? projected
        : emit(context, 'Add', [projected.name,
          convolved(context, padded, channelsFirst(context, h), [recurrent], inside, 4 * filters).name],
          projected.shape, true)
      return gates(context, all, c === undefined ? undefined : channelsFirst(context, c), shape)
    },
  }
}

/** Gates lie along the channels: input, forget, candidate, output. */
function gates(context: LayerContext, all: Value, c: Value | undefined, shape: readonly number[]): ReturnType<
  Cell['step']
> {
  const { builder, layer, keras2 } = context
  const filters = shape[shape.length - 1]
  const gate = (index: number): Value =>
    emit(context, 'Slice', [all.name, builder.integers([index * filters]), builder.integers([(index + 1) * filters]),
      builder.integers([1])], shape, true)
  const join = (op: string, a: Value, b: Value): Value => emit(context, op, [a.name, b.name], shape, true)
  const outer = (x: Value): Value => activate(context, activationName(layer), x, layer, keras2)
  const inner = (x: Value): Value => activate(context, activationName(layer, 'recurrent_activation'), x, layer, keras2)
  const entering = join('Mul', inner(gate(0)), outer(gate(2)))
  const memory = c === undefined ? entering : join('Add', join('Mul', inner(gate(1)), c), entering)
  const output = join('Mul', inner(gate(3)), outer(memory))
  const last = channelsLast(context, output)
  return { output: last, states: [last, channelsLast(context, memory)] }
}
