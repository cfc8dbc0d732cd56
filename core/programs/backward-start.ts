/**
 * @file The start of every program with a backward pass: the forward part, with the seeds as the cotangent of its
 * output.
 */
import { GraphError, InternalError } from '../errors/errors.js'
import { GraphBuilder } from '../graph/builder.js'
import { BATCH, type Graph } from '../graph/graph.js'
import { isFloat } from '../ops/element-types.js'
import type { InferredValue } from '../ops/operator.js'
import { elementsPerExample } from '../ops/shape-rules.js'
import { examplesToRows, rowsToCotangent } from '../passes/example-axis.js'
import { simplify } from '../passes/fold.js'
import { inferTypes } from '../passes/infer.js'
import { unrollRecurrences } from '../passes/unroll.js'
import type { Precision } from '../tensor/tensor.js'

/** Engines hand out what nodes compute; an input of the program goes through an Identity. */
export function asOutput(builder: GraphBuilder, name: string): string {
  return builder.inputs.some(input => input.name === name) || builder.initializers.has(name)
    ? builder.node('Identity', [name])
    : name
}

/** The forward part of a program, with the seeds turned into the cotangent of the output. */
export interface BackwardStart {
  readonly builder: GraphBuilder
  readonly network: Graph
  readonly types: ReadonlyMap<string, InferredValue>
  readonly seed: string
  readonly cotangent: string
  readonly f: string
  readonly outputs: number
}

/** The network that computes one output, without recurrences. */
function writtenOut(graph: Graph, output: string): Graph {
  const network = simplify({ ...graph, outputs: [output] })
  const dtype = graph.inputs.find(input => isFloat(input.dtype))?.dtype ??
    [...graph.initializers.values()].find(value => isFloat(value.dtype))?.dtype
  const unrolled = unrollRecurrences(network, dtype === 'float32' ? 'float32' : 'float64')
  return unrolled === network ? network : simplify(unrolled)
}

/**
 * The network that computes `output` alone, in a builder, with an input for the seeds, K x N x C.
 * @throws GraphError NOT_DIFFERENTIABLE for an output that is not real, BATCH_AXIS
 */
export function startBackward(graph: Graph, output: string, seeds: number): BackwardStart {
  const network = writtenOut(graph, output)
  const types = inferTypes(network)
  const type = types.get(output)
  if (type === undefined) throw new InternalError(`The type of '${output}' is not known.`)
  const { dtype, shape } = type
  if (!isFloat(dtype)) {
    throw new GraphError('NOT_DIFFERENTIABLE',
      `The output '${output}' is of type ${dtype}; derivatives need real numbers.`, { output })
  }
  const builder = GraphBuilder.from(network, dtype as Precision)
  const f = asOutput(builder, examplesToRows(builder, output, shape))
  const outputs = elementsPerExample(shape)
  const seed = builder.freshInput('seed', [seeds, BATCH, outputs])
  return { builder, network, types, seed, cotangent: rowsToCotangent(builder, seed, output, shape), f, outputs }
}
