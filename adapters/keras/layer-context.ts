/** @file What a Keras layer is written with. */
import type { Tensor } from '../../core/tensor/tensor.js'
import type { Emission, Value } from './emission.js'
import type { KerasLayer } from './model.js'

/** What a layer is written with. */
export interface LayerContext extends Emission {
  readonly layer: KerasLayer
  readonly weights: readonly Tensor[] | undefined
  readonly inputs: readonly Value[]
  /** Whether the file is of Keras 2. */
  readonly keras2: boolean
}

/** Appends the nodes of a layer to the graph and gives its result. */
export type Writer = (context: LayerContext, x: Value) => Value
