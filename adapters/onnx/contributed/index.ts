/**
 * @file Operators that are no operators of ONNX itself, written with those that are: ONNX Runtime's, which its
 * optimiser puts into files, those of ONNX' classical models that stand before a network, and ours for a value that the
 * module has detached, which no operator of ONNX says.
 *
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */
import type { Composition } from '../composed/composition.js'
import { activationCompositions } from './activations.js'
import { attentionCompositions } from './attention.js'
import { classicalCompositions } from './classical.js'
import { normalisationCompositions } from './normalisation.js'
import { productCompositions } from './products.js'

const runtime = [...activationCompositions, ...attentionCompositions, ...normalisationCompositions,
  ...productCompositions]

/** By domain and operator; ONNX Runtime has its root mean square normalisation in ONNX' domain as well. */
export const CONTRIBUTED: ReadonlyMap<string, Composition> = new Map([
  ...runtime.map(([op, composition]) => [`com.microsoft::${op}`, composition] as const),
  ...normalisationCompositions.filter(([op]) => op === 'SimplifiedLayerNormalization'),
  ...classicalCompositions.map(([op, composition]) => [`ai.onnx.ml::${op}`, composition] as const),
  ['polylaplace::StopGradient', (node, context) => [context.node('StopGradient', [node.inputs[0]])]],
])
