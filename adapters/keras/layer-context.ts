/** @file What a Keras layer is written with. */
import type { Tensor } from '../../core/tensor/tensor.js'
import type { Emission, Value } from './emission.js'
import type { KerasLayer } from './model.js'
import type { LayerWeights } from './weights.js'

/** An argument of a call: a value of the graph, a list of arguments, or something written down in the file. */
export type Given = { readonly value: Value } | { readonly list: readonly Given[] } | { readonly literal: unknown }

/** What a layer is written with. */
export interface LayerContext extends Emission {
  readonly layer: KerasLayer
  /** The layer's arrays, those of layers inside it too. */
  readonly weights: readonly Tensor[] | undefined
  /** Where they come from, for layers around other layers. */
  readonly store: LayerWeights | undefined
  /** All values among the arguments, in order. */
  readonly inputs: readonly Value[]
  readonly args: readonly Given[]
  readonly options: ReadonlyMap<string, Given>
  /** Whether the file is of Keras 2. */
  readonly keras2: boolean
  /** Writes the network that the layer is. */
  readonly writeNetwork: (context: LayerContext) => readonly Value[]
}

/** Appends the nodes of a layer to the graph and gives its results. */
export type Writer = (context: LayerContext, x: Value) => Value | readonly Value[]

/** The values in an argument, in order. */
export function valuesIn(given: Given | undefined): Value[] {
  if (given === undefined || 'literal' in given) return []
  return 'value' in given ? [given.value] : given.list.flatMap(valuesIn)
}

/** The value of an option, or undefined. */
export function optionValue({ options }: LayerContext, name: string): Value | undefined {
  return valuesIn(options.get(name))[0]
}

/** An option that is written down as true. */
export function optionFlag({ options }: LayerContext, name: string): boolean {
  const given = options.get(name)
  return given !== undefined && 'literal' in given && given.literal === true
}
