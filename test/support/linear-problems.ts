/** @file Random linear models over all weights: a network, rows, labels, and the Jacobian factored and written out. */
import { denseJacobian } from '../../core/curvature/jacobian.js'
import { runGraph } from '../../core/engine/typescript.js'
import type { Graph } from '../../core/graph/graph.js'
import { likelihoodModel } from '../../core/likelihood/registry.js'
import { type LinearProblem, linearProblem } from '../../core/linear-model/linear-problem.js'
import { parameterSlots, parameterVector } from '../../core/network/parameters.js'
import type { Likelihood } from '../../core/options/words.js'
import { factoredJacobian, factorsProgram } from '../../core/programs/factors-program.js'
import { float64, type Tensor, toFloat64 } from '../../core/tensor/tensor.js'
import { drawer, perceptron } from './random-network.js'

export interface RandomProblem {
  readonly problem: LinearProblem
  readonly theta: Float64Array
  /** The Jacobian, (N C) x P. */
  readonly dense: Float64Array
}

/** The factored Jacobian of a network on rows, with one-hot seeds. */
export function jacobianOf(graph: Graph, x: Tensor, outputs: number) {
  const names = graph.parameters.map(parameter => parameter.name)
  const program = factorsProgram(graph, graph.outputs[0], names, outputs)
  const examples = x.shape[0]
  const seeds = new Float64Array(outputs * examples * outputs)
  for (let c = 0; c < outputs; c++) {
    for (let n = 0; n < examples; n++) seeds[(c * examples + n) * outputs + c] = 1
  }
  const results = runGraph(program.graph,
    new Map([[graph.inputs[0].name, x], [program.seed, float64([outputs, examples, outputs], seeds)]]), 'float64')
  return { jacobian: factoredJacobian(program, results), slots: parameterSlots(graph, names),
    f: toFloat64(results.get(program.output)!) }
}

/** A perceptron on N random rows with labels that it would not all give itself. */
export function randomProblem(likelihood: Likelihood, examples: number, outputs: number, seed: number,
  hidden = 4): RandomProblem {
  const draw = drawer(seed)
  const graph = perceptron(draw, 3, hidden, outputs, 'Tanh')
  const { jacobian, slots, f } = jacobianOf(graph, draw(examples, 3), outputs)
  const noise = draw(examples, outputs).data
  const labels = likelihood === 'classification'
    ? Float64Array.from({ length: examples }, (_, n) => Math.floor(Math.abs(noise[n * outputs]) * 7) % outputs)
    : likelihood === 'regression'
    ? f.map((value, i) => value + noise[i])
    : f.map((value, i) => Number(value + 2 * noise[i] > 0))
  const theta = parameterVector(graph, slots)
  return { theta, dense: denseJacobian(slots, jacobian),
    problem: linearProblem(likelihoodModel(likelihood), slots, jacobian, f, labels, theta) }
}

/** (I - U'U) v. */
export function covarianceTimes({ rank, rows }: { rank: number, rows: Float64Array }, v: Float64Array): Float64Array {
  const result = v.slice()
  for (let k = 0; k < rank; k++) {
    const own = rows.subarray(k * v.length, (k + 1) * v.length)
    const share = own.reduce((sum, value, i) => sum + value * v[i], 0)
    for (let i = 0; i < v.length; i++) result[i] -= share * own[i]
  }
  return result
}
