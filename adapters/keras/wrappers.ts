/** @file Layers of Keras around other layers. */
import { field, isConfig } from './config.js'
import { channelsLast, masked, misfit, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'
import { type KerasLayer, readLayer } from './model.js'
import { stack, stepOf } from './unroll.js'

/** Writes a layer, or a network, with the given inputs. */
export type WriteInner = (context: LayerContext) => readonly Value[]

/** Layers that act on the last axis only, whatever is in front of it. */
const ON_THE_LAST_AXIS: ReadonlySet<string> = new Set(['Dense', 'Activation', 'Dropout', 'ReLU', 'LeakyReLU', 'ELU',
  'Rescaling', 'GaussianNoise', 'GaussianDropout', 'Identity'])

function wrappedLayer({ layer }: LayerContext): KerasLayer {
  const inner = field(layer.config, 'layer')
  if (!isConfig(inner)) throw misfit(layer, 'wraps no layer')
  const found = readLayer(inner, 0, { path: layer.path, trainable: layer.trainable, depth: 1 })
  return found
}

/** The wrapped layer on a value; a name inside the wrapper's. */
function inside(context: LayerContext, layer: KerasLayer, x: Value): LayerContext {
  const store = context.store?.wrapped()
  return { ...context, layer, store, weights: store?.arrays(), inputs: [x], args: [{ value: x }], options: new Map() }
}

/** A layer applied to every step of a sequence. */
export function timeDistributed(context: LayerContext, value: Value, write: WriteInner): Value {
  const layer = wrappedLayer(context)
  const x = channelsLast(context, value)
  if (x.shape.length < 2) throw misfit(context.layer, 'takes sequences')
  const { mask, ...plain } = x
  const apply = (each: Value): Value => {
    const [result, ...more] = write(inside(context, layer, each))
    if (more.length > 0) throw misfit(context.layer, 'wraps a layer with several results')
    return channelsLast(context, result)
  }
  if (mask !== undefined && mask.rank > 1) throw misfit(context.layer, 'gets a mask of single features')
  const result = ON_THE_LAST_AXIS.has(layer.className)
    ? apply(plain)
    : stack(context, Array.from({ length: x.shape[0] }, (_, t) => apply(stepOf(context, plain, t))))
  return masked(result, mask)
}

/** The wrapped layer; its kernel is stored as it was normalised in the last step of the training. */
export function spectralNormalization(context: LayerContext, x: Value, write: WriteInner): readonly Value[] {
  return write(inside(context, wrappedLayer(context), x))
}
