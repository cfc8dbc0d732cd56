/** @file What a network consists of, and what a posterior over it would need. */
import type { ParameterSummary } from '../answer/posterior-summary.js'
import { posteriorBytes, sumBytes } from '../curvature/posterior-bytes.js'
import { LaplaceError } from '../errors/errors.js'
import { demandGraph, type Dim, type Graph, isBatch } from '../graph/graph.js'
import { graphDigest } from '../network/digest.js'
import { lastLayerShape, lastLayerSlots, type LinearShape } from '../network/linear-shape.js'
import { type Network, type NetworkChoice, precisionOf, prepareNetwork } from '../network/network.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import { parameterSlots } from '../network/parameters.js'
import { type Likelihood, type Structure, type Subset, SUM_STRUCTURES, WHOLE_SUBSETS } from '../options/words.js'
import { sortNodes } from '../passes/fold.js'
import { findHead } from '../passes/head.js'
import { inferTypes } from '../passes/infer.js'
import { lastLinear } from '../passes/last-linear.js'
import { layerShapes } from '../programs/evaluator.js'
import { factorsProgram } from '../programs/factors-program.js'

/** A network as plain values. The batch axis of a shape is -1. */
export interface NetworkSummary {
  readonly inputs: readonly { readonly name: string, readonly dtype: string, readonly shape: readonly number[],
    readonly columns?: readonly string[] }[]
  readonly outputs: readonly { readonly name: string, readonly shape: readonly number[] }[]
  readonly parameters: readonly ParameterSummary[]
  readonly parameterCount: number
  readonly layers: readonly { readonly name: string, readonly type: string, readonly parameters: number }[]
  readonly precision: string
  readonly digest: string
  readonly notes: readonly string[]
}

const plainShape = (shape: readonly Dim[]): number[] => shape.map(dim => (isBatch(dim) ? -1 : dim))

/** The parts of a network. Shapes of outputs that cannot be worked out are empty. */
export function summarizeNetwork(graph: Graph): NetworkSummary {
  demandGraph('The network', graph)
  const parameters = parameterSlots(graph, graph.parameters.map(parameter => parameter.name))
  const shapes = outputShapes(graph)
  return {
    inputs: graph.inputs.map(({ name, dtype, shape, columns }) => ({ name, dtype, shape: plainShape(shape),
      ...(columns === undefined ? {} : { columns }) })
    ),
    outputs: graph.outputs.map(name => ({ name, shape: shapes.get(name) ?? [] })),
    parameters: parameters.map(({ name, shape, size }, i) => ({ name, shape, size,
      ...(graph.parameters[i].transposed ? { transposed: true } : {}) })
    ),
    parameterCount: parameters.reduce((sum, { size }) => sum + size, 0),
    layers: layersOf(graph, new Map(parameters.map(({ name, size }) => [name, size] as const))),
    precision: precisionOf(graph),
    digest: graphDigest(graph),
    notes: graph.notes,
  }
}

function outputShapes(graph: Graph): Map<string, number[]> {
  try {
    const types = inferTypes(sortNodes(graph))
    return new Map(graph.outputs.map(name => [name, plainShape(types.get(name)?.shape ?? [])] as const))
  } catch (error) {
    if (error instanceof LaplaceError) return new Map()
    throw error
  }
}

/** One line a node; parameters count where they are first used. */
function layersOf(graph: Graph, sizes: Map<string, number>): { name: string, type: string, parameters: number }[] {
  return graph.nodes.map(node => {
    let parameters = 0
    for (const name of node.inputs) {
      parameters += sizes.get(name) ?? 0
      sizes.delete(name)
    }
    return { name: node.name ?? node.outputs[0], type: node.op, parameters }
  })
}

/** What a posterior costs. */
export interface PosteriorCost {
  readonly subset: Subset
  readonly structure: Structure
  /** At its peak. */
  readonly bytes: number
  /** Of one partial fit, as it travels between machines: the sums, without names and digests. */
  readonly partialBytes: number
}

/** Bytes that each posterior would need; subsets that the network does not allow are left out. */
export function memoryTable(graph: Graph, likelihood?: Likelihood, choice?: NetworkChoice): PosteriorCost[] {
  demandGraph('The network', graph)
  const network = prepareNetwork(graph, likelihood, choice)
  return WHOLE_SUBSETS.flatMap(subset => {
    const parts = partsOf(network, subset)
    return parts === undefined
      ? []
      : SUM_STRUCTURES.map(structure => ({ subset, structure,
        bytes: posteriorBytes({ structure }, parts.slots, parts.linears),
        partialBytes: sumBytes({ structure }, parts.slots, parts.linears) })
      )
  })
}

function partsOf(network: Network, subset: Subset):
  | { slots: ParameterSlot[], linears: readonly LinearShape[] }
  | undefined {
  const { graph, output } = network
  try {
    if (subset === 'last_layer') {
      const head = findHead(graph, output)
      if (head.closed) {
        const slots = lastLayerSlots(graph, lastLinear(graph, output))
        return { slots, linears: [lastLayerShape(slots)] }
      }
      return jacobianParts(network, head.parameters)
    }
    return jacobianParts(network, graph.parameters.map(parameter => parameter.name))
  } catch (error) {
    if (error instanceof LaplaceError) return undefined
    throw error
  }
}

function jacobianParts({ graph, output }: Network,
  names: readonly string[]): { slots: ParameterSlot[], linears: readonly LinearShape[] } {
  return { slots: parameterSlots(graph, names), linears: layerShapes(factorsProgram(graph, output, names, 1, true)) }
}
