/** @file Refuses networks with weights that are no numbers, or that do not fit into the precision they are used in. */
import { DataError, UntrustedInputError } from '../errors/errors.js'
import type { Graph } from '../graph/graph.js'
import { isFloat } from '../ops/element-types.js'
import { allFinite } from '../tensor/finite.js'
import type { Precision } from '../tensor/tensor.js'

/** A weight that is no finite number. */
interface BadWeight {
  readonly name: string
  readonly at: number
  readonly value: number
}

/** The largest number of single precision. */
const MOST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127

/** NaN is never meant; an infinite constant can be (masks, bounds), an infinite parameter cannot. */
function badWeight(graph: Graph): BadWeight | undefined {
  const parameters = new Set(graph.parameters.map(({ name }) => name))
  for (const [name, { dtype, data }] of graph.initializers) {
    if (!isFloat(dtype) || allFinite(data)) continue
    const at = parameters.has(name)
      ? data.findIndex((value: number) => !Number.isFinite(value))
      : data.findIndex((value: number) => Number.isNaN(value))
    if (at >= 0) return { name, at, value: data[at] }
  }
  return undefined
}

function sentence({ name, at, value }: BadWeight): string {
  return `The tensor '${name.slice(0, 200)}' of the network holds ${value} at element ${at}; training has probably ` +
    'diverged. Train the network again, or take an earlier state of it.'
}

/** The graph of a file. @throws UntrustedInputError naming a weight that is NaN or infinite */
export function withFiniteWeights(graph: Graph, format: string): Graph {
  const bad = badWeight(graph)
  if (bad === undefined) return graph
  throw new UntrustedInputError(sentence(bad), { format, path: bad.name, actual: String(bad.value) })
}

/**
 * @param precision what the network is computed in
 * @throws DataError NOT_FINITE naming a weight that is NaN or infinite, or becomes so in this precision
 */
export function checkFiniteWeights(graph: Graph, precision: Precision): void {
  const bad = badWeight(graph)
  if (bad !== undefined) {
    throw new DataError('NOT_FINITE', sentence(bad), { array: bad.name, index: bad.at, value: String(bad.value) })
  }
  if (precision === 'float64') return
  for (const { name } of graph.parameters) {
    const value = graph.initializers.get(name)
    if (value?.dtype !== 'float64') continue
    const at = value.data.findIndex((weight: number) => Math.abs(weight) > MOST_FLOAT32)
    if (at < 0) continue
    throw new DataError('NOT_FINITE',
      `The tensor '${name.slice(0, 200)}' of the network holds ${value.data[at]} at element ${at}, which single ` +
        'precision cannot hold; set precision to float64.', { array: name, index: at, value: String(value.data[at]) })
  }
}
