/** @file Whether a network computes what its own framework computes. */
import { chosenEngine } from '../engine/chosen-engine.js'
import { GraphError } from '../errors/errors.js'
import type { Graph } from '../graph/graph.js'
import { settleOpenAxes } from '../graph/open-axes.js'
import { precisionOf } from '../network/network.js'
import { elementTypeOf, isFloat } from '../ops/element-types.js'
import type { Runtime } from '../parallel/runtime.js'
import { cast, type Precision, type Tensor } from '../tensor/tensor.js'

/** Largest difference relative to the largest output: sums in another order, and no more. */
const TOLERANCE: Readonly<Record<Precision, number>> = { float32: 1e-3, float64: 1e-6 }

/**
 * The precision that can be expected of a program for a network: code in double precision may compute some of it in
 * single precision (normalisations, positions), where we do not.
 */
export function expectedPrecision(graph: Graph): Precision {
  const single = elementTypeOf('float32')
  const narrowed = graph.nodes.some(({ op, attributes }) => op === 'Cast' && attributes['to'] === single)
  return narrowed ? 'float32' : precisionOf(graph)
}

/** Outputs that are 0 but for rounding have no largest one to compare with. */
const SMALLEST_OUTPUT = 1e-3

/**
 * Compares the outputs of a graph with those that another program has computed for the same rows.
 * @param inputs some rows, by the names of the inputs and in their shapes
 * @param outputs what the other program computes, by the names of the outputs
 * @param advice what to do where they differ
 * @throws GraphError BAD_GRAPH where they differ
 */
export async function checkOutputs(graph: Graph, inputs: ReadonlyMap<string, Tensor>,
  outputs: ReadonlyMap<string, Tensor>, advice: string, runtime: Runtime): Promise<void> {
  const settled = settleOpenAxes(graph, new Map([...inputs].map(([name, x]) => [name, x.shape.slice(1)])))
  const precision = precisionOf(settled)
  const feed = new Map(settled.inputs.flatMap(({ name, dtype }): [string, Tensor][] => {
    const value = inputs.get(name)
    return value === undefined ? [] : [[name, cast(value, isFloat(dtype) ? precision : dtype)]]
  }))
  const program = await chosenEngine({ name: 'typescript', threads: undefined }, precision, runtime)
    .compile({ ...settled, outputs: [...outputs.keys()] }, precision)
  const results = await program.run(feed)
  program.dispose()
  for (const [name, expected] of outputs) {
    const difference = largestDifference(results.get(name), expected)
    if (difference <= TOLERANCE[expectedPrecision(settled)]) continue
    throw new GraphError('BAD_GRAPH',
      `The output '${name}' of the network as it was read differs from that of the network itself: by ${
        difference.toPrecision(2)
      } of the largest one. ${advice}`, { output: name, difference })
  }
}

function largestDifference(actual: Tensor | undefined, expected: Tensor): number {
  if (actual?.data.length !== expected.data.length) return Infinity
  let [difference, largest] = [0, 0]
  for (let i = 0; i < expected.data.length; i++) {
    const [a, b] = [Number(actual.data[i]), Number(expected.data[i])]
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue
    // Not the maximum of `Math.max`, which would pass over a NaN.
    if (!(Math.abs(a - b) <= difference)) difference = Math.abs(a - b)
    largest = Math.max(largest, Math.abs(b))
  }
  return difference / Math.max(largest, SMALLEST_OUTPUT)
}
