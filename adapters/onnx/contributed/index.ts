/**
 * @file Operators that are no operators of ONNX itself, written with those that are: ONNX Runtime's, which its
 * optimiser puts into files, and the scaler of ONNX' classical models.
 *
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */
import { badNode } from '../../../core/ops/node-attributes.js'
import { type Tensor, tensor } from '../../../core/tensor/tensor.js'
import type { Composition } from '../composed/composition.js'
import { activationCompositions } from './activations.js'
import { attentionCompositions } from './attention.js'
import { normalisationCompositions } from './normalisation.js'
import { productCompositions } from './products.js'

/** (x - offset) scale, feature by feature: scikit-learn's scalers before a network. */
const scaler: Composition = (node, context) => {
  const { dtype } = context.type(node.inputs[0])
  const x = dtype === 'int64' || dtype === 'bool' ? context.cast(node.inputs[0], 'float32') : node.inputs[0]
  const row = (key: string, fallback: number): Tensor => {
    const values = node.attributes[key] ?? [fallback]
    if (!Array.isArray(values) || !values.every(value => typeof value === 'number')) {
      throw badNode(node, `attribute '${key}' must be a list of numbers.`)
    }
    return tensor(dtype === 'float64' ? 'float64' : 'float32', [values.length], values as number[])
  }
  const centred = context.sub(x, context.constant(row('offset', 0), 'offset'))
  return [context.mul(centred, context.constant(row('scale', 1), 'scale'))]
}

const runtime = [...activationCompositions, ...attentionCompositions, ...normalisationCompositions,
  ...productCompositions]

/** By domain and operator; ONNX Runtime has its root mean square normalisation in ONNX' domain as well. */
export const CONTRIBUTED: ReadonlyMap<string, Composition> = new Map([
  ...runtime.map(([op, composition]) => [`com.microsoft::${op}`, composition] as const),
  ...normalisationCompositions.filter(([op]) => op === 'SimplifiedLayerNormalization'),
  ['ai.onnx.ml::Scaler', scaler],
])
