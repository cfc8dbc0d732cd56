/**
 * @file Networks that end in probabilities, or in rates. A softmax or sigmoid (exponential) at the end is recognised
 * and taken away; of probabilities (rates) made in another way the logits are log p, which a softmax turns back
 * into p, and the logarithms of the rates.
 */
import { OptionError } from '../errors/errors.js'
import { GraphBuilder } from '../graph/builder.js'
import { type Graph, isBatch, type Node } from '../graph/graph.js'
import { numberAttribute } from '../ops/node-attributes.js'
import type { InferredValue } from '../ops/operator.js'
import { elementsPerExample, resolveAxis } from '../ops/shape-rules.js'
import type { Likelihood } from '../options/words.js'
import { removeDead, sortNodes } from './fold.js'
import { inferTypes } from './infer.js'
import { follow, producersOf } from './producers.js'
import { valueRange } from './value-ranges.js'

/** What may stand at a network's end. */
export type LinkFunction = 'Softmax' | 'LogSoftmax' | 'Sigmoid'

/** A network whose output is logits, or what it was before. */
export interface StrippedNetwork {
  readonly graph: Graph
  /** The output to use: the logits where a link function was found, else the given one. */
  readonly output: string
  readonly link?: LinkFunction
  /** The axis of the output that a softmax at each of several positions normalises, counted without the examples. */
  readonly axis?: number
  /** A sentence for the user, where something was taken away or added. */
  readonly note?: string
}

/** A link function: its node, and the last node of it, which is another where it is the logarithm of a softmax. */
interface LinkAtEnd {
  readonly link: LinkFunction
  readonly node: Node
  readonly last: Node
}

/** The link function at a network's end, also behind nodes that only rename, reshape or transpose. */
function linkAtEnd(graph: Graph, types: ReadonlyMap<string, InferredValue>, output: string): LinkAtEnd | undefined {
  const producers = producersOf(graph)
  const behind = (name: string): Node | undefined => {
    const node = follow(name, producers)
    return node?.op === 'Transpose' ? behind(node.inputs[0]) : node
  }
  const last = behind(output)
  const inner = last?.op === 'Log' ? behind(last.inputs[0]) : undefined
  const node = inner?.op === 'Softmax' ? inner : last
  if (last === undefined || node === undefined || !isLink(node, types)) return undefined
  return { node, last,
    link: node.op === 'Sigmoid' ? 'Sigmoid' : node === inner || node.op === 'LogSoftmax' ? 'LogSoftmax' : 'Softmax' }
}

/** A softmax over the outputs of an example, or of each of its positions, or a sigmoid. */
function isLink(node: Node, types: ReadonlyMap<string, InferredValue>): boolean {
  if (node.op === 'Sigmoid') return true
  if (node.op !== 'Softmax' && node.op !== 'LogSoftmax') return false
  const type = types.get(node.inputs[0])
  const long = longAxes(type)
  return long.length <= 1 || long.includes(softmaxAxis(node, type?.shape.length ?? 0))
}

function softmaxAxis(node: Node, rank: number): number {
  return resolveAxis(node, numberAttribute(node, 'axis', -1), rank)
}

/** The axes of one example that hold more than one element. */
function longAxes(type: InferredValue | undefined): number[] {
  return (type?.shape ?? []).flatMap((dim, axis) => (isBatch(dim) || dim === 1 ? [] : [axis]))
}

/** The network with its link function passed over: what follows it moves logits as it moved probabilities. */
function passedOver(graph: Graph, output: string, { node, last }: LinkAtEnd,
  types: ReadonlyMap<string, InferredValue>): Pick<StrippedNetwork, 'graph' | 'output' | 'axis'> {
  const identity: Node = { op: 'Identity', inputs: [node.inputs[0]], outputs: last.outputs, attributes: {} }
  const nodes = graph.nodes.map(each => (each === last ? identity : each))
  const passed = { graph: removeDead({ ...graph, nodes, outputs: [output] }), output }
  const shape = types.get(output)?.shape ?? []
  if (last.outputs[0] !== output || node.op === 'Sigmoid') return passed
  return { ...passed, axis: shape.slice(0, softmaxAxis(node, shape.length)).filter(dim => !isBatch(dim)).length + 1 }
}

/**
 * The network up to the logits: below a Softmax, LogSoftmax, Log of a Softmax, or Sigmoid at its end; where its output
 * lies between 0 and 1 in another way, the logarithm of that is appended. Of rates the same with Exp. The means of a
 * regression stay as they are, whatever makes them.
 * @throws GraphError BAD_GRAPH, UNSUPPORTED_OPERATOR, BATCH_AXIS
 * @throws OptionError BAD_COMBINATION where the link function at the end is that of another likelihood
 */
export function logitsOf(graph: Graph, output: string, likelihood: Likelihood | undefined): StrippedNetwork {
  const sorted = removeDead(sortNodes({ ...graph, outputs: [output] }))
  const types = inferTypes(sorted)
  const end = linkAtEnd(sorted, types, output)
  if (likelihood === 'poisson') return logRatesOf(sorted, types, output)
  if (likelihood === 'custom' || likelihood === 'reward_modeling') return { graph: sorted, output }
  if (likelihood === 'regression' || likelihood === 'heteroscedastic') {
    return { graph: sorted, output, ...meansNote(end?.link) }
  }
  const outputs = elementsPerExample((types.get(output)?.shape ?? []).filter(dim => !isBatch(dim)))
  if (end !== undefined) {
    if (outputs > 1) checkLink(end.link, likelihood)
    const [logits] = end.node.inputs
    return {
      // Positions keep what follows: their axes are those of the output.
      ...(longAxes(types.get(logits)).length > 1
        ? passedOver(sorted, output, end, types)
        : { graph: removeDead({ ...sorted, outputs: [logits] }), output: logits }),
      link: end.link,
      note: `The network ends in ${end.link}; the ${
        end.link === 'Sigmoid' ? 'logits' : 'unnormalised scores'
      } below it ('${logits}') are used as its output.`,
    }
  }
  if (likelihood === undefined) return { graph: sorted, output }
  const independent = likelihood !== 'classification'
  const { low, high } = valueRange(sorted, types, output)
  if (independent && high <= 0 && low < high) return logitOfLogarithm(sorted, output)
  return (independent || outputs > 1) && low >= -ROUNDING && high <= 1 + ROUNDING
    ? logarithmOf(sorted, output, independent, 'lies between 0 and 1 whatever the input, so that it is taken for')
    : { graph: sorted, output }
}

/** Of several outputs a softmax and sigmoids are probabilities of other things, and their logits no others'. */
function checkLink(link: LinkFunction, likelihood: Likelihood | undefined): void {
  const independent = link === 'Sigmoid'
  if (likelihood !== (independent ? 'classification' : 'multilabel')) return
  throw new OptionError('BAD_COMBINATION', independent
    ? "The network ends in Sigmoid, a probability of its own for each output, and 'classification' needs ones that " +
      "sum to 1. Use the likelihood 'multilabel', with a 0 or 1 for each output (classes as one-hot rows), or a " +
      'network that ends in a softmax.'
    : `The network ends in ${link}, probabilities that sum to 1, and 'multilabel' needs one of its own for each ` +
      "output. Use the likelihood 'classification', with one class a row, or a network that ends in sigmoids.", {
    option: 'likelihood',
  })
}

/** The network up to the logarithms of its rates: below an Exp at its end. Outputs never negative are rates. */
function logRatesOf(graph: Graph, types: ReadonlyMap<string, InferredValue>, output: string): StrippedNetwork {
  const node = follow(output, producersOf(graph))
  if (node?.op === 'Exp') {
    const identity: Node = { ...node, op: 'Identity' }
    return { graph: { ...graph, nodes: graph.nodes.map(each => (each === node ? identity : each)) }, output,
      note: `The network ends in Exp; the logarithms of the rates below it ('${node.inputs[0]}') are used as its `
        + 'output.' }
  }
  if (valueRange(graph, types, output).low < 0) return { graph, output }
  return { graph: withOutput(graph, output, 'rate', (builder, rate, least) => logOf(builder, rate, least)), output,
    note: `The network's output '${output}' is never negative, so that it is taken for a rate; its logarithm is used `
      + 'as its output.' }
}

/** A sigmoid may well end a regression; a softmax is more often that of a classifier. */
function meansNote(link: LinkFunction | undefined): { note?: string } {
  return link === undefined || link === 'Sigmoid'
    ? {}
    : { note: `The network ends in ${link}; its results are used as the means of the regression. Where they are ` +
      "probabilities of classes, use the likelihood 'classification'." }
}

/** Means of members whose weights are rounded sum to a little more than 1. */
const ROUNDING = 1e-5

/** Below these, probabilities count as these: the logarithm and its derivative stay finite. */
const LEAST = { float32: 1e-30, float64: 1e-300 } as const

/**
 * The network whose output is the logarithm of what it was: log p, and for independent labels log p - log(1 - p). Its
 * name is that of the output before, so that options that name it still do.
 * @param why what the note says of the output
 */
export function logarithmOf(graph: Graph, output: string, independent: boolean, why: string): StrippedNetwork {
  const logits = withOutput(graph, output, 'probability', (builder, probability, least) => {
    const log = logOf(builder, probability, least)
    if (!independent) return log
    const other = builder.node('Sub', [builder.scalar(1), probability])
    return builder.node('Sub', [log, logOf(builder, other, least)])
  })
  const note = `The network's output '${output}' ${why} ${
    independent ? 'the probability of each label; its logit' : 'probabilities of the classes; their logarithm'
  } is used as its output.`
  return { graph: logits, output, note }
}

/** The network whose output is the logit of what it was the logarithm of: log p - log(1 - p). */
function logitOfLogarithm(graph: Graph, output: string): StrippedNetwork {
  const logits = withOutput(graph, output, 'logarithm', (builder, logarithm, least) => {
    const other = builder.node('Sub', [builder.scalar(1), builder.node('Exp', [logarithm])])
    return builder.node('Sub', [logarithm, logOf(builder, other, least)])
  })
  const note = `The network's output '${output}' is never positive whatever the input, so that it is taken for the ` +
    'logarithm of the probability of each label; its logit is used as its output.'
  return { graph: logits, output, note }
}

function logOf(builder: GraphBuilder, value: string, least: string): string {
  return builder.node('Log', [builder.node('Max', [value, least])])
}

/** The network whose output is made of what it was, under its old name. */
function withOutput(graph: Graph, output: string, kind: string,
  make: (builder: GraphBuilder, value: string, least: string) => string): Graph {
  const precision = inferTypes(sortNodes(graph)).get(output)?.dtype === 'float64' ? 'float64' : 'float32'
  const builder = GraphBuilder.from(graph, precision)
  const before = builder.fresh(`${output}:${kind}`)
  const renamed = (name: string): string => (name === output ? before : name)
  builder.nodes.splice(0, Infinity,
    ...graph.nodes.map(node => ({ ...node, inputs: node.inputs.map(renamed), outputs: node.outputs.map(renamed) })))
  const made = make(builder, before, builder.scalar(LEAST[precision]))
  builder.nodes.push({ op: 'Identity', inputs: [made], outputs: [output], attributes: {} })
  return builder.build(graph.outputs)
}
