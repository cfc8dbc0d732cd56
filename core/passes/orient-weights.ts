/** @file Finds out which weights a file stores as in x out, from how the network uses them. */
import type { Graph, Parameter } from '../graph/graph.js'
import type { InferredValue } from '../ops/operator.js'
import { sortNodes } from './fold.js'
import { inferTypes } from './infer.js'
import { findLinearOperators } from './linear-operators.js'

/**
 * The graph with every matrix that linear operators use as in x out marked as transposed, so that theta holds it as
 * out x in. Files without such a convention (ONNX) say nothing about it; a matrix that some operator uses as out x in
 * is left alone.
 * @param known the types of the values where they are known already, perhaps not of all
 * @throws GraphError BAD_GRAPH, BATCH_AXIS, UNSUPPORTED_OPERATOR
 */
export function orientWeights(graph: Graph, known?: ReadonlyMap<string, InferredValue>): Graph {
  const sorted = sortNodes(graph)
  const types = known ?? inferTypes(sorted)
  const usedIn = (parameters: readonly Parameter[]): Set<string> =>
    new Set(findLinearOperators({ ...sorted, parameters }, types).map(operator => operator.weight.name))
  const asStored = usedIn(sorted.parameters)
  const exchanged = usedIn(sorted.parameters.map(exchange))
  return { ...sorted, parameters: sorted.parameters.map(
    parameter => (!asStored.has(parameter.name) && exchanged.has(parameter.name) ? exchange(parameter) : parameter),
  ) }
}

function exchange(parameter: Parameter): Parameter {
  const { name, shape, transposed } = parameter
  return shape.length === 2 ? { name, shape: [shape[1], shape[0]], transposed: !transposed } : parameter
}
