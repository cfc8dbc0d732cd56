/**
 * @file Subset last_layer of networks in which something follows the last linear layer, whose weight is used elsewhere
 * too, or in which the layer has another form than f = W phi + b: all weights of a network that has no other
 * parameters, so that it is differentiated by these.
 */
import { LaplaceError, OptionError } from '../errors/errors.js'
import type { Graph } from '../graph/graph.js'
import { type Network, prepareNetwork } from '../network/network.js'
import type { ResolvedOptions } from '../options/resolved-options.js'
import { findHead, type Head, plainLastLayer } from '../passes/head.js'
import { unscaledNetwork } from '../passes/scaled-head.js'
import { planTuning } from './tuning-plan.js'

/** A network with the options that say the same of it. */
export interface ChosenNetwork {
  readonly graph: Graph
  readonly network: Network
  readonly options: ResolvedOptions
}

/**
 * The network of a fit. Where the last layer is not f = W phi + b, its parameters are the only ones of the graph, and
 * the options name all of them.
 * @throws GraphError, OptionError
 */
export function lastLayerNetwork(graph: Graph, given: ResolvedOptions): ChosenNetwork {
  const options = withOutput(graph, given)
  const network = prepareNetwork(graph, options.likelihood, options)
  if (options.subset === 'all') {
    if (options.lastLayerName === undefined) return { graph, network, options }
    throw new OptionError('BAD_COMBINATION',
      "Option lastLayerName says which layer subset 'last_layer' means; with subset 'all' nothing would use it.", {
      option: 'lastLayerName',
    })
  }
  // Left open, the subset may become all weights: a layer's name says that it is not meant.
  const named = options.lastLayerName === undefined ? options : { ...options, linearModel: 'none' as const }
  if (named.linearModel !== 'none' && plainLastLayer(network.graph, network.output) === undefined) {
    return { graph, network, options }
  }
  const head = findHead(network.graph, network.output, options.lastLayerName)
  if (head.closed) return { graph, network, options: named }
  const unscaled = tunedAsLastLayer(named) ? withoutFactors(graph, network, named, head) : undefined
  return unscaled === undefined || unscaled.apart && options.priorStructure === 'scalar'
    ? headOnly(graph, options, head)
    : unscaled
}

/**
 * A network with the factors of its last layer in the weights, and whether weight and bias have different ones: one
 * precision for both is then another prior.
 */
interface UnscaledChoice extends ChosenNetwork {
  readonly apart: boolean
}

/** Whether the prior is found by the linear model of a last layer, whose unit is then that of the weights. */
function tunedAsLastLayer(options: ResolvedOptions): boolean {
  const { tune } = planTuning(options)
  const byGate = !options.structureOpen && (tune === 'auto' || tune === 'validated')
  return (tune === 'linearized' || byGate) && (options.settings.priorMean ?? 0) === 0
}

/** The network with the factors of its last layer in the weights; undefined where it has none. */
function withoutFactors(graph: Graph, { output }: Network, options: ResolvedOptions, { node, parameters }: Head):
  | UnscaledChoice
  | undefined {
  const found = unscaledNetwork(graph, node, parameters)
  if (found === undefined) return undefined
  const { weight, bias } = found
  const factors = weight === bias ? `${weight}` : `${weight}, its bias by ${bias}`
  const note =
    `The last linear layer (${parameters.map(name => `'${name}'`).join(', ')}) is multiplied by ${factors} behind it. `
    + 'The posterior is that of the layer with the multiplied weights, and so is its prior precision: times the '
    + "factor's square it is that of the weights as they are stored."
  const unscaled = { ...found.graph, notes: [...graph.notes, note] }
  const network = prepareNetwork(unscaled, options.likelihood, options)
  const plain = plainLastLayer(network.graph, network.output)
  if (network.output !== output || plain === undefined || parameters.some(name => !plain.has(name))) return undefined
  return { graph: unscaled, network, options, apart: weight !== bias && weight !== -bias }
}

/** The network whose parameters are those of its last linear layer alone; undefined where there is none. */
export function fallbackNetwork(graph: Graph, network: Network, options: ResolvedOptions): ChosenNetwork | undefined {
  try {
    return headOnly(graph, options, findHead(network.graph, network.output, options.lastLayerName))
  } catch (error) {
    if (error instanceof LaplaceError && error.code === 'NO_LAST_LAYER') return undefined
    throw error
  }
}

/**
 * The network that a last layer's posterior belongs to where factors behind the layer went into its weights; undefined
 * where it is the network itself, or is none.
 */
export function unscaledLastLayer(graph: Graph, options: ResolvedOptions): Graph | undefined {
  try {
    const network = prepareNetwork(graph, options.likelihood, options)
    const head = findHead(network.graph, network.output, options.lastLayerName)
    return head.closed ? undefined : withoutFactors(graph, network, options, head)?.graph
  } catch (error) {
    if (error instanceof LaplaceError) return undefined
    throw error
  }
}

/** The options of a posterior's file: a last layer that is not f = W phi + b was all weights of its network. */
export function savedSubset(network: Network, options: ResolvedOptions): ResolvedOptions {
  return options.subset === 'last_layer' && plainLastLayer(network.graph, network.output) === undefined
    ? { ...options, subset: 'all' }
    : options
}

function headOnly(graph: Graph, options: ResolvedOptions, { parameters, node }: Head): ChosenNetwork {
  if (options.tune === 'linearized') {
    throw new OptionError('BAD_COMBINATION',
      `Tuning 'linearized' is for a last layer f = W phi + b, and the network does not end in one (its last linear ` +
        `layer is ${parameters[0]}). Use 'auto', which tunes by the linear model of these parameters.`, {
      option: 'tune',
    })
  }
  const names = new Set(parameters)
  const note =
    `The last linear layer (${parameters.map(name => `'${name}'`).join(', ')}; ${node.op}) is not the end of `
    + 'the network as W phi + b: its parameters are the subset, and the network is differentiated by them.'
  const restricted = { ...graph, parameters: graph.parameters.filter(({ name }) => names.has(name)),
    notes: [...graph.notes, note] }
  const linearModel = options.structureOpen && options.linearModel === 'none' && options.priorOpen
    ? 'preferred'
    : options.linearModel
  const all = { ...options, subset: 'all' as const, linearModel, lastLayerName: undefined }
  return { graph: restricted, network: prepareNetwork(restricted, options.likelihood, options), options: all }
}

/** Of several outputs the one that ends in the layer of the given name. */
function withOutput(graph: Graph, options: ResolvedOptions): ResolvedOptions {
  const { lastLayerName, output } = options
  if (lastLayerName === undefined || output !== undefined || graph.outputs.length < 2) return options
  const own = graph.outputs.filter(name => endsIn(graph, name, lastLayerName))
  return own.length === 1 ? { ...options, output: own[0] } : options
}

function endsIn(graph: Graph, output: string, layer: string): boolean {
  try {
    const [last, named] = [findHead(graph, output), findHead(graph, output, layer)]
    return last.node.outputs[0] === named.node.outputs[0]
  } catch (error) {
    if (error instanceof LaplaceError) return false
    throw error
  }
}
