/** @file A network made ready for a Laplace approximation: one input, one output of logits or means, N x C. */
import { GraphError, OptionError } from '../errors/errors.js'
import { nearestWord } from '../errors/suggest.js'
import { GraphBuilder } from '../graph/builder.js'
import { batchAxis, type Graph, type GraphInput, isBatch } from '../graph/graph.js'
import { settleOpenAxes } from '../graph/open-axes.js'
import type { Likelihood } from '../options/words.js'
import { inferTypes } from '../passes/infer.js'
import { logitsOf } from '../passes/link-function.js'
import { type Precision, sizeOf, type Tensor } from '../tensor/tensor.js'

/** A network made ready: one input, one output of logits or means. */
export interface Network {
  /** Its single output is N x C: logits, or means. */
  readonly graph: Graph
  readonly input: GraphInput
  readonly output: string
  /** C. */
  readonly outputs: number
  /** The precision of its floating-point weights. */
  readonly precision: Precision
  /** What was changed or noticed, in sentences. */
  readonly notes: readonly string[]
}

/** Which input and output to use where a network has several. */
export interface NetworkChoice {
  readonly input?: string | undefined
  readonly output?: string | undefined
}

/**
 * Chooses the output, makes it logits where the likelihood needs them, and brings it to N x C.
 * @throws GraphError AMBIGUOUS_NETWORK, BATCH_AXIS; OptionError BAD_COMBINATION when outputs and likelihood do not fit
 */
export function prepareNetwork(graph: Graph, likelihood: Likelihood | undefined, choice: NetworkChoice = {}): Network {
  const input = chooseOne('input', graph.inputs.map(candidate => candidate.name), choice.input)
  const output = chooseOne('output', graph.outputs, choice.output)
  const stripped = logitsOf(graph, output, likelihood)
  const { graph: flat, outputs, name } = flattenOutput(stripped.graph, stripped.output)
  if (likelihood !== undefined) checkLikelihood(likelihood, outputs)
  const notes = [...graph.notes, ...(stripped.note === undefined ? [] : [stripped.note])]
  const chosen = graph.inputs.find(candidate => candidate.name === input)
  if (chosen === undefined) throw new GraphError('AMBIGUOUS_NETWORK', `The network has no input '${input}'.`)
  return { graph: flat, input: chosen, output: name, outputs, precision: precisionOf(graph), notes }
}

/**
 * As `prepareNetwork`, for data of a shape: sizes of the input that the file leaves open become those of the data.
 * @param x one example a row
 * @throws GraphError, OptionError as `prepareNetwork`
 */
export function prepareForData(graph: Graph, likelihood: Likelihood | undefined, choice: NetworkChoice,
  x: Tensor): Network {
  const network = prepareNetwork(graph, likelihood, choice)
  const settled = settleOpenAxes(graph, network.input.name, x.shape.slice(1))
  return settled === graph ? network : prepareNetwork(settled, likelihood, choice)
}

function chooseOne(kind: 'input' | 'output', names: readonly string[], wanted: string | undefined): string {
  if (wanted !== undefined) {
    if (names.includes(wanted)) return wanted
    const suggestion = nearestWord(wanted, names)
    throw new GraphError('AMBIGUOUS_NETWORK', `The network has no ${kind} '${wanted}'; it has ${names.join(', ')}.` +
      (suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`), { kind, names })
  }
  if (names.length === 1) return names[0]
  throw new GraphError('AMBIGUOUS_NETWORK',
    `The network has ${names.length} ${kind}s${
      names.length > 0 ? ` (${names.join(', ')})` : ''
    }; choose one with the option ${kind}.`, { kind, names })
}

/** float64 when a parameter (or, without parameters, an input) is. */
export function precisionOf(graph: Graph): Precision {
  const double = graph.parameters.some(({ name }) => graph.initializers.get(name)?.dtype === 'float64')
  return double || (graph.parameters.length === 0 && graph.inputs.some(input => input.dtype === 'float64'))
    ? 'float64'
    : 'float32'
}

function flattenOutput(graph: Graph, output: string): { graph: Graph, outputs: number, name: string } {
  const type = inferTypes(graph).get(output)
  if (type === undefined) {
    throw new GraphError('BAD_GRAPH', `The output '${output}' is not computed by any node.`, { output })
  }
  const axis = batchAxis(type)
  if (axis < 0) {
    throw new GraphError('BATCH_AXIS',
      `The output '${output}' is the same for every example; it does not depend on the input.`, { output })
  }
  const dim = type.shape[axis]
  if (isBatch(dim) && (dim.outer !== 1 || dim.inner !== 1)) {
    throw new GraphError('BATCH_AXIS',
      `The output '${output}' mixes examples with another axis (${dim.outer} x N x ${dim.inner}).`, { output })
  }
  const others = type.shape.filter((extent): extent is number => !isBatch(extent))
  const outputs = sizeOf(others)
  if (axis === 0 && type.shape.length === 2) return { graph, outputs, name: output }
  const builder = GraphBuilder.from(graph, precisionOf(graph))
  const first = axis === 0
    ? output
    : builder.node('Transpose', [output], {
      perm: [axis, ...type.shape.keys()].filter((a, i) => i === 0 || a !== axis),
    })
  const name = builder.node('Reshape', [first, builder.integers([-1, outputs])])
  return { graph: builder.build([name]), outputs, name }
}

function checkLikelihood(likelihood: Likelihood, outputs: number): void {
  const combination = (message: string): OptionError =>
    new OptionError('BAD_COMBINATION', message, { likelihood, outputs })
  if (likelihood === 'classification' && outputs === 1) {
    throw combination(
      "The network has one output, and 'classification' needs one for each class. For two classes with one logit use " +
        "the likelihood 'binary'.",
    )
  }
  if (likelihood === 'binary' && outputs !== 1) {
    throw combination(
      `The likelihood 'binary' needs a network with one output; this one has ${outputs}. Use 'classification' ` +
        "(exclusive classes) or 'multilabel' (independent labels).",
    )
  }
}
