/** @file The program that computes the features of the last layer: no derivative is needed. */
import { InternalError } from '../errors/errors.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Graph } from '../graph/graph.js'
import { onceForGraph } from '../graph/once.js'
import { examplesToRows } from '../passes/example-axis.js'
import { removeDead } from '../passes/fold.js'
import { describeLastLayer, findLastLayer, type LastLayer } from '../passes/last-linear.js'
import { appendInputRows, type LinearOperator } from '../passes/linear-operators.js'
import type { Precision } from '../tensor/tensor.js'

/** A graph that computes outputs and features, and the names of what comes out. */
export interface FeaturesProgram extends LastLayer {
  readonly graph: Graph
  /** Name of the output that holds phi, (N T) x D. */
  readonly features: string
  /** Name of the output that holds f, N x (T C). */
  readonly output: string
}

/**
 * A program that computes the features phi that the last layer multiplies at the T positions of its outputs, and f.
 * @throws GraphError NO_LAST_LAYER, BATCH_AXIS, BAD_GRAPH
 */
export const featuresProgram = onceForGraph(makeProgram)

function makeProgram(graph: Graph, output: string): FeaturesProgram {
  const { operator, network, types, places } = findLastLayer(graph, output)
  const type = types.get(output)
  if (type === undefined) throw new InternalError(`The type of '${output}' is not known.`)
  const builder = GraphBuilder.from(network, type.dtype as Precision)
  const rows = builder.node('Reshape', [chosen(builder, appendInputRows(builder, operator), operator, places),
    builder.integers([-1, operator.in])])
  const f = examplesToRows(builder, output, type.shape)
  return { ...describeLastLayer(operator), graph: removeDead(builder.build([rows, f])), features: rows, output: f }
}

/** The rows of the positions in `places`, of N x positions x D. */
function chosen(builder: GraphBuilder, rows: string, { positions }: LinearOperator, places: Int32Array): string {
  const all = places.length === positions && places.every((place, t) => place === t)
  return all ? rows : builder.node('Gather', [rows, builder.integers(Array.from(places))], { axis: 1 })
}
