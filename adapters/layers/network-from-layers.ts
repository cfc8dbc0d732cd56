/** @file Builds the graph of a network from its layers and its tensors. */
import { GraphError, ShapeError } from '../../core/errors/errors.js'
import { GraphBuilder } from '../../core/graph/builder.js'
import { BATCH, type Graph } from '../../core/graph/graph.js'
import { formatShape, type Precision, type Tensor } from '../../core/tensor/tensor.js'
import type { NamedTensors } from '../tensors/file-tensor.js'
import { type Emission, listNames } from './emission.js'
import { type Candidate, candidates, type Demand, demandOf, givenShape, statedShape } from './input-shape.js'
import { badArchitecture, checkArchitecture, type LayerSpec } from './layer-spec.js'
import { checkLayers, writeLayers } from './layers.js'
import { linearChain } from './linear-chain.js'

/** What can be said beside the layers and the tensors. */
export interface LayersOptions {
  /** The activation between Linear layers when there is no architecture: a word such as `tanh`. */
  readonly activation?: string | undefined
  /** Shape of one example, such as 4 or [1, 28, 28]; sizes without channels and a number of times are completed. */
  readonly inputSize?: number | readonly number[] | undefined
}

/**
 * Builds a network from layers (torch's names and arguments) and tensors by name; sizes come from the tensors.
 *
 * Parameters are in the order of torch's `parameters()`: layer by layer, weight then bias, whatever the order of the
 * tensors. The graph takes features N x F, images N x C x H x W, sequences N x T x F or tokens N x T.
 * @param architecture undefined for a plain chain of Linear layers, whose activation is then `options.activation`
 * @throws OptionError BAD_OPTION, UNKNOWN_OPTION for a wrong type, argument or name; ShapeError when sizes do not fit
 * @throws UntrustedInputError MISSING_ARCHITECTURE when there is none and it cannot be recognised
 * @throws GraphError AMBIGUOUS_NETWORK when the shape of the input cannot be told
 * @example
 * networkFromLayers([{ type: 'Linear', name: '0' }, { type: 'Tanh' }, { type: 'Linear', name: '2' }], tensors, {})
 */
export function networkFromLayers(architecture: readonly LayerSpec[] | undefined, tensors: NamedTensors,
  options: LayersOptions = {}): Graph {
  const layers = architecture === undefined ? linearChain(tensors, options.activation) : checkArchitecture(architecture)
  if (layers.length === 0) throw badArchitecture('The architecture has no layers.', '')
  checkLayers(layers)
  const shared: Shared = { layers, tensors, precision: precisionOf(tensors), converted: new Map() }
  const demand = demandOf(layers, tensors)
  const given = options.inputSize ?? statedShape(layers)
  if (given !== undefined) return attempt(shared, { shape: givenShape(given, demand), open: [] }, demand)
  if (demand === undefined) {
    // A layer that lacks its tensors says so when it is written; the shape does not matter for that.
    attempt(shared, { shape: [1], open: [] }, undefined)
    throw new GraphError('AMBIGUOUS_NETWORK', 'The layers do not tell what the network takes as input. ' +
      'Give the option inputSize, or {"type":"Input","shape":[1,28,28]} as the first layer.')
  }
  return firstFit(shared, demand)
}

interface Shared {
  readonly layers: readonly LayerSpec[]
  readonly tensors: NamedTensors
  readonly precision: Precision
  readonly converted: Map<string, Tensor>
}

/** float64 when any tensor is. */
function precisionOf(tensors: NamedTensors): Precision {
  return [...tensors.values()].some(({ dtype }) => dtype === 'float64') ? 'float64' : 'float32'
}

/** The first shape that fits all layers; when none does, the error for the most likely one. */
function firstFit(shared: Shared, demand: Demand): Graph {
  let failure: unknown
  for (const candidate of candidates(demand)) {
    try {
      return attempt(shared, candidate, demand)
    } catch (error) {
      if (!(error instanceof ShapeError)) throw error
      failure ??= error
    }
  }
  if (demand.kind === 'features' || !(failure instanceof ShapeError)) throw failure
  const kind = demand.kind === 'image' ? 'square image' : demand.kind === 'shape' ? 'shape' : 'length of a sequence'
  throw new ShapeError(
    `No ${kind} fits the layers. Give the shape of one example by the option inputSize, ` +
      `or by {"type":"Input","shape":[...]} as the first layer. The likeliest one: ${failure.message}`,
    failure.data,
  )
}

function attempt({ layers, tensors, precision, converted }: Shared, candidate: Candidate,
  demand: Demand | undefined): Graph {
  const builder = new GraphBuilder(precision)
  const emission: Emission = { builder, tensors, converted, used: new Set(), parameters: new Map(),
    sizeDependent: false }
  const { shape } = candidate
  const input = builder.input('input', [BATCH, ...shape], demand?.kind === 'tokens' ? 'int64' : precision)
  const result = writeLayers(emission, layers, { name: input, shape })
  checkAllUsed(emission)
  noteShape(builder, candidate, emission.sizeDependent)
  const graph = builder.build([result.name])
  if (candidate.open.length === 0 || emission.sizeDependent) return graph
  return { ...graph, inputs: graph.inputs.map(each => ({ ...each, openAxes: candidate.open.map(axis => axis + 1) })) }
}

/** @throws OptionError BAD_OPTION naming tensors that no layer took */
function checkAllUsed({ tensors, used }: Emission): void {
  const left = [...tensors.keys()].filter(name => !used.has(name) && !name.endsWith('num_batches_tracked'))
  if (left.length === 0) return
  throw badArchitecture(
    `The architecture has no layer for the tensor${left.length === 1 ? '' : 's'} ${
      listNames(left)
    }. Add the layers, or correct their names.`,
    '',
    { unused: left.slice(0, 100) },
  )
}

function noteShape(builder: GraphBuilder, { shape, open }: Candidate, dependent: boolean): void {
  if (open.length === 0) return
  const what = open.length === 1 && shape.length <= 2 ? 'the length of sequences' : 'the size of images'
  builder.notes.push(
    `The file does not tell ${what}: ${formatShape(shape)} was taken, as the first that fits the layers${
      dependent ? '' : '; data of another size that fits set it'
    }. The option inputSize sets it too.`,
  )
}
