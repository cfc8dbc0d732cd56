/** @file Writes a Flux network as a graph, layer by layer. */
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import type { Emission, Value } from '../graph/emission.js'
import type { FluxReader } from '../layers/field-values.js'
import type { FluxLayer } from '../layers/flux-layer.js'
import { applyLayer } from './apply-layer.js'
import { networkPrecision } from './network-precision.js'

/** One attempt at writing a network for a given input. */
export interface Attempt {
  readonly graph: Graph
  readonly lost: number
  readonly outputShape: readonly number[]
}

/**
 * Writes the graph of a network whose input has a given shape.
 * @param inputShape one example, row-major: features, or channels x height x width
 * @param shared what earlier attempts converted and spent
 * @throws GraphError BAD_GRAPH when the shape does not fit; UNSUPPORTED_OPERATOR for layers that cannot be imported
 */
export function networkGraph(reader: FluxReader, layer: FluxLayer, inputShape: readonly number[], integers: boolean,
  shared: Pick<Emission, 'converted' | 'work'>, notes: readonly string[]): Attempt {
  const builder = new GraphBuilder(networkPrecision(layer))
  builder.notes.push(...notes)
  const emission: Emission = { builder, reader, parameters: new Map(), ...shared, lost: 0, applyLayer }
  const input: Value = { name: builder.input('x', [BATCH, ...inputShape], integers ? 'int64' : builder.precision),
    shape: inputShape }
  const output = applyLayer(emission, layer, input, '')
  const name = output.name === input.name ? builder.node('Identity', [output.name]) : output.name
  return { graph: builder.build([name]), lost: emission.lost, outputShape: output.shape }
}
