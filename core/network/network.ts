/**
 * @file A network made ready for a Laplace approximation: its inputs, and one output of logits or means,
 * N x (T C), T positions of C outputs.
 */
import { GraphError, OptionError } from '../errors/errors.js'
import { nearestWord } from '../errors/suggest.js'
import { GraphBuilder } from '../graph/builder.js'
import { batchAxis, type Graph, type GraphInput, isBatch } from '../graph/graph.js'
import { onceForGraph } from '../graph/once.js'
import { settleOpenAxes } from '../graph/open-axes.js'
import { type OutputLayout, plainLayout, termsOf } from '../likelihood/output-layout.js'
import type { SubnetworkChoice } from '../options/parameter-choice.js'
import type { Likelihood, Positions } from '../options/words.js'
import { removeDead } from '../passes/fold.js'
import { withIndexLimits } from '../passes/index-limits.js'
import { inferTypes } from '../passes/infer.js'
import { logitsOf, type StrippedNetwork } from '../passes/link-function.js'
import { featureAxis } from '../passes/moved-results.js'
import type { Examples } from '../tensor/examples.js'
import { formatShape, type Precision, tensor } from '../tensor/tensor.js'
import { layoutOf, type OutputAxes, type PositionsChoice } from './class-axis.js'
import { type InputNames, matchInputs } from './match-inputs.js'
import { withSubnetwork } from './subnetwork.js'

/** A network made ready: its inputs, and one output of logits or means. */
export interface Network extends OutputLayout, InputNames {
  /** Its single output is N x (T C), position by position: logits, or means. */
  readonly graph: Graph
  readonly output: string
  /** The outputs of one example as the network has them. */
  readonly axes: OutputAxes
  /** The precision of its floating-point weights. */
  readonly precision: Precision
  /** What was changed or noticed, in sentences. */
  readonly notes: readonly string[]
}

/** Which input and output to use where a network has several, and what the axes of the output are. */
export interface NetworkChoice extends PositionsChoice {
  readonly input?: string | undefined
  readonly output?: string | undefined
  /** The parameters that take part; all of them by default. */
  readonly subnetwork?: SubnetworkChoice | undefined
}

/**
 * Chooses the output, makes it logits where the likelihood needs them, and brings it to N x (T C).
 * @throws GraphError AMBIGUOUS_NETWORK, BATCH_AXIS; OptionError BAD_COMBINATION when outputs and likelihood do not fit
 */
export function prepareNetwork(graph: Graph, likelihood: Likelihood | undefined, choice: NetworkChoice = {}): Network {
  const { input, output, classAxis, positions, subnetwork } = choice
  return subnetwork === undefined
    ? prepareWhole(graph, likelihood, input, output, classAxis, positions)
    : prepare(graph, likelihood, choice)
}

/** Of all parameters: another fit of a network finds it prepared. */
const prepareWhole = onceForGraph((graph, likelihood: Likelihood | undefined, input: string | undefined,
  output: string | undefined, classAxis: number | undefined, positions: Positions | undefined): Network =>
  prepare(graph, likelihood, { input, output, classAxis, positions })
)

function prepare(graph: Graph, likelihood: Likelihood | undefined, choice: NetworkChoice): Network {
  checkExtents(graph)
  const output = chooseOne('output', graph.outputs, choice.output)
  const stripped = logitsOf(graph, output, likelihood)
  const { graph: flat, name, axes, layout } = flattenOutput(stripped, likelihood, choice)
  if (likelihood !== undefined) checkLikelihood(likelihood, layout)
  const notes = [...graph.notes, ...(stripped.note === undefined ? [] : [stripped.note])]
  const inputs = withIndexLimits(flat, inputsOf(flat, name))
  checkInputChoice(choice.input, graph, inputs)
  const own = choice.subnetwork === undefined ? flat : withSubnetwork(flat, choice.subnetwork)
  // Programs ask for every input that their graph has.
  const read = inputs.length === own.inputs.length ? own : onlyInputs(own, name, inputs)
  return { graph: read, inputs, declared: graph.declaredInputs ?? graph.inputs.map(input => input.name), output: name,
    axes, ...layout, precision: precisionOf(graph), notes }
}

/** Axes beside an empty one may have lengths that no array has. */
const MOST_EMPTY = 1 << 20

/**
 * Refuses weights without numbers whose other axes are huge: a file of no size would make outputs, or inputs, without
 * end.
 * @throws GraphError BAD_GRAPH naming the weight
 */
function checkExtents({ parameters }: Graph): void {
  const bad = parameters.find(({ shape }) => shape.includes(0) && shape.some(length => length > MOST_EMPTY))
  if (bad === undefined) return
  throw new GraphError('BAD_GRAPH', `The weight '${bad.name.slice(0, 200)}' of shape ${formatShape(bad.shape)} holds ` +
    'no numbers, and cannot be a layer of that size. Save the network again.', { name: bad.name, shape: bad.shape })
}

/** The graph of one output with no other inputs than those that it depends on. */
function onlyInputs(graph: Graph, output: string, inputs: readonly GraphInput[]): Graph {
  const names = new Set(inputs.map(({ name }) => name))
  return removeDead({ ...graph, outputs: [output], inputs: graph.inputs.filter(({ name }) => names.has(name)) })
}

/** The inputs that an output depends on, in the graph's order. */
function inputsOf(graph: Graph, output: string): GraphInput[] {
  const read = new Set([output, ...removeDead({ ...graph, outputs: [output] }).nodes.flatMap(node => node.inputs)])
  return graph.inputs.filter(({ name }) => read.has(name))
}

/** @throws GraphError AMBIGUOUS_NETWORK for an input that is none, or not the only one that the output depends on */
function checkInputChoice(wanted: string | undefined, graph: Graph, inputs: readonly GraphInput[]): void {
  if (wanted === undefined) return
  chooseOne('input', graph.inputs.map(({ name }) => name), wanted)
  const others = inputs.map(({ name }) => name).filter(name => name !== wanted)
  if (others.length === 0) return
  throw new GraphError('AMBIGUOUS_NETWORK',
    `The output depends on ${others.length === 1 ? 'the input' : 'the inputs'} ${
      others.map(name => `'${name}'`).join(', ')
    } too. Leave the option input out, and give the data of every input by its name.`, { kind: 'input', names: others })
}

/**
 * As `prepareNetwork`, for data of a shape: sizes of the input that the file leaves open become those of the data.
 * @param x one example a row
 * @throws GraphError, OptionError as `prepareNetwork`
 */
export function prepareForData(graph: Graph, likelihood: Likelihood | undefined, choice: NetworkChoice,
  x: Examples): Network {
  const network = prepareNetwork(graph, likelihood, choice)
  const settled = settleOpenAxes(graph, exampleShapes(matchInputs(x, network)))
  return settled === graph ? network : prepareNetwork(settled, likelihood, choice)
}

/** The shape of one example of each array. */
export function exampleShapes(matched: ReturnType<typeof matchInputs>): ReadonlyMap<string, readonly number[]> {
  return new Map([...matched].map(([name, { values }]) => [name, values.shape.slice(1)] as const))
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

/** The output as N x (T C), and what its axes are. */
interface FlatOutput {
  readonly graph: Graph
  readonly name: string
  readonly axes: OutputAxes
  readonly layout: OutputLayout
}

function flattenOutput({ graph, output, axis: linkAxis }: StrippedNetwork, likelihood: Likelihood | undefined,
  choice: NetworkChoice): FlatOutput {
  const type = inferTypes(graph).get(output)
  if (type === undefined) {
    throw new GraphError('BAD_GRAPH', `The output '${output}' is not computed by any node.`, { output })
  }
  const axis = batchAxis(type)
  if (axis < 0) {
    throw new GraphError('BATCH_AXIS', dependsOnInput(graph, output)
      ? `The examples cannot be told apart in the output '${output}' of shape ${type.shape.join(' x ')}: the network ` +
        `was exported for a batch of a fixed size${
          graph.inseparable === undefined ? '' : `, and ${graph.inseparable}`
        }. ` +
        'Export it with a dynamic first axis (torch: dynamic_axes or ' +
        `dynamic_shapes)${type.shape[0] === 1 ? '' : ', or for a batch of one example: each is then computed alone'}.`
      : `The output '${output}' is the same for every example; it does not depend on the input.`, { output })
  }
  const dim = type.shape[axis]
  if (isBatch(dim) && dim.outer !== 1) {
    throw new GraphError('BATCH_AXIS',
      `The output '${output}' mixes examples with another axis (${dim.outer} x N x ${dim.inner}).`, { output })
  }
  // Positions that were joined with the examples, (N T) x C, are apart again once the examples come first.
  const inner = isBatch(dim) ? dim.inner : 1
  const before = type.shape.slice(0, axis)
  const shape = [...before, ...(inner === 1 ? [] : [inner]), ...type.shape.slice(axis + 1)]
    .filter((extent): extent is number => !isBatch(extent))
  const axes = { shape, head: shape.length < 2 ? undefined : linkAxis ?? featureAxis(graph, output, shape) }
  const layout = layoutOf(axes, likelihood, choice)
  if (axis === 0 && type.shape.length === 2 && inner === 1 && choice.positions === undefined) {
    return { graph, name: output, axes, layout }
  }
  const builder = GraphBuilder.from(graph, precisionOf(graph))
  const first = axis === 0
    ? output
    : builder.node('Transpose', [output], {
      perm: [axis, ...type.shape.keys()].filter((a, i) => i === 0 || a !== axis),
    })
  const { name, answering } = termRows(builder, first, shape, layout, choice.positions)
  return { graph: builder.build([name]), name, axes, layout: answering }
}

/** Outputs with the examples first as N x (T C); with one position, or the mean of all, as N x C. */
function termRows(builder: GraphBuilder, output: string, shape: readonly number[], layout: OutputLayout,
  choice: Positions | undefined): { name: string, answering: OutputLayout } {
  const { outputs, positions, classAxis } = layout
  const terms = termsOf(layout)
  const apart = classAxis === undefined || classAxis === shape.length
    ? output
    : builder.node('Transpose', [builder.node('Reshape', [output, builder.integers([-1, ...shape])])], {
      perm: [0, ...Array.from(shape.keys(), a => a + 1).filter(a => a !== classAxis), classAxis],
    })
  if (choice === undefined || choice === 'each') {
    return { name: builder.node('Reshape', [apart, builder.integers([-1, terms * outputs])]), answering: layout }
  }
  if (positions.length === 0) {
    throw new OptionError('BAD_COMBINATION',
      `Option positions '${choice}' is for a network that answers at several positions of an example; this one's ` +
        `output is ${formatShape(['N', ...shape])}. Leave it out.`, { option: 'positions' })
  }
  const rows = builder.node('Reshape', [apart, builder.integers([-1, terms, outputs])])
  const name = choice === 'mean'
    ? builder.node('ReduceMean', [rows, builder.integers([1])], { keepdims: 0 })
    : builder.node('Gather', [rows, builder.constant(tensor('int64', [], [choice === 'first' ? 0 : terms - 1]))], {
      axis: 1,
    })
  return { name, answering: plainLayout(outputs) }
}

function checkLikelihood(likelihood: Likelihood, { outputs, positions }: OutputLayout): void {
  const where = positions.length === 0 ? '' : ' at each position'
  const combination = (message: string): OptionError =>
    new OptionError('BAD_COMBINATION', message, { likelihood, outputs })
  if (likelihood === 'classification' && outputs === 1) {
    throw combination(
      `The network has one output${where}, and 'classification' needs one for each class. For two classes with one ` +
        "logit use the likelihood 'binary'.",
    )
  }
  if (likelihood === 'reward_modeling' && (outputs !== 1 || positions.length > 0)) {
    throw combination(`The likelihood 'reward_modeling' needs a network with one output, the reward; this one has `
      + `${outputs}${where}.`)
  }
  if (likelihood === 'binary' && outputs !== 1) {
    throw combination(
      `The likelihood 'binary' needs a network with one output; this one has ${outputs}${where}. Use ` +
        "'classification' (exclusive classes) or 'multilabel' (independent labels).",
    )
  }
}

function dependsOnInput({ inputs, nodes }: Graph, output: string): boolean {
  const varying = new Set(inputs.map(({ name }) => name))
  for (const node of nodes) {
    if (node.inputs.some(name => varying.has(name))) { for (const name of node.outputs) varying.add(name) }
  }
  return varying.has(output)
}
