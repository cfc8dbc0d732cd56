/** @file The dense layers of Keras. */
import { activate, activationName } from './activations.js'
import { flag, text } from './config.js'
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

/** A product by an equation of Einstein's sums: `abc,cd->abd`, or `...x,xy->...y`, the first letter the batch. */
export function einsumDense(context: LayerContext, value: Value): Value {
  const { layer } = context
  const x = channelsLast(context, value)
  const equation = (text(layer.config, 'equation') ?? '').replaceAll(' ', '')
  const match = /^(\.\.\.)?([a-zA-Z]+),([a-zA-Z]+)->(\.\.\.)?([a-zA-Z]+)$/.exec(equation)
  if (match === null) throw misfit(layer, `has the equation '${equation.slice(0, 60)}', which is not supported`)
  const [, dots, left, middle, , right] = match
  const [kernel, bias] = context.weights ?? []
  const rank = x.shape.length + 1
  if (kernel === undefined || kernel.shape.length !== middle.length ||
    (dots ? left.length > rank : left.length !== rank)) {
    throw misfit(layer, `has arrays or an input that do not fit the equation ${equation}`)
  }
  // Axes under the dots get letters of their own.
  const free = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'].filter(letter => !equation.includes(letter))
  const hidden = free.slice(0, dots ? rank - left.length : 0).join('')
  const [inputs, outputs] = [hidden + left, hidden + right]
  const extents = new Map([...inputs].map((letter, i) => [letter, i === 0 ? -1 : x.shape[i - 1]]))
  for (const [i, letter] of [...middle].entries()) {
    const known = extents.get(letter)
    if (known !== undefined && known !== kernel.shape[i]) {
      throw misfit(layer, `has a kernel that does not fit ${equation}`)
    }
    extents.set(letter, kernel.shape[i])
  }
  const shape = [...outputs].slice(1).map(letter => extents.get(letter) ?? 0)
  if (outputs[0] !== inputs[0]) throw misfit(layer, `mixes examples: ${equation}`)
  const weight = parameter(context, layer, 'kernel', kernel)
  const product = emit(context, 'Einsum', [x.name, weight], shape, false, {
    equation: `${inputs},${middle}->${outputs}`,
  })
  const result = bias === undefined
    ? product
    : emit(context, 'Add', [product.name, parameter(context, layer, 'bias', bias)], shape, false)
  return activate(context, activationName(layer), result, layer, context.keras2)
}
