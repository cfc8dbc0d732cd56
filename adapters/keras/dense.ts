/** @file The Dense layer of Keras. */
import { activate, activationName } from './activations.js'
import { flag } from './config.js'
import { channelsLast, emit, expectWeights, misfit, parameter, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'

/** x W + b on the last axis; the kernel is stored in x out. */
export function dense(context: LayerContext, value: Value): Value {
  const { layer } = context
  const x = channelsLast(context, value)
  const inputs = x.shape[x.shape.length - 1]
  const useBias = flag(layer.config, 'use_bias', true)
  const [kernel, bias] = expectWeights(layer, context.weights,
    useBias ? [[inputs, undefined], [undefined]] : [[inputs, undefined]])
  const outputs = kernel.shape[1]
  if (bias !== undefined && bias.shape[0] !== outputs) {
    throw misfit(layer, `has a bias of ${bias.shape[0]} elements for ${outputs} units`)
  }
  const shape = [...x.shape.slice(0, -1), outputs]
  const weight = parameter(context, layer, 'kernel', kernel, true)
  const shift = bias === undefined ? [] : [parameter(context, layer, 'bias', bias)]
  let result: Value
  if (x.shape.length === 1) result = emit(context, 'Gemm', [x.name, weight, ...shift], shape, false)
  else {
    result = emit(context, 'MatMul', [x.name, weight], shape, false)
    if (shift.length > 0) result = emit(context, 'Add', [result.name, ...shift], shape, false)
  }
  return activate(context, activationName(layer), result, layer, context.keras2)
}
