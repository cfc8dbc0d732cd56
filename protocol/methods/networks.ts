/**
 * @file Methods about networks as they are: reading, inspecting, running them. Readers are loaded when one is needed
 * first.
 */
import type { LayersOptions } from '../../adapters/layers/index.js'
import type { NetworkHints } from '../../adapters/network/index.js'
import { fromTensor } from '../../adapters/tensors/convert.js'
import { checkOutputs } from '../../core/answer/check-outputs.js'
import { forward as runNetwork, type ForwardOptions } from '../../core/answer/forward.js'
import { ProtocolError } from '../../core/errors/errors.js'
import { knownOptions, oneOf } from '../../core/errors/suggest.js'
import { checkDerivatives } from '../../core/fit/check-derivatives.js'
import type { Graph } from '../../core/graph/graph.js'
import { memoryTable, summarizeNetwork } from '../../core/laplace/network-summary.js'
import { selectParameters } from '../../core/network/select-parameters.js'
import type { ParameterChoice } from '../../core/options/parameter-choice.js'
import { LIKELIHOODS } from '../../core/options/words.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { READING_FUNCTIONS } from '../../node/files/reading-functions.js'
import { tensorFromWire, tensorToWire } from '../frames/arrays.js'
import { type DecodedMap, isMap, own } from '../frames/decoded-map.js'
import type { WireMap } from '../frames/encode.js'
import { MAX_ITEMS } from '../frames/limits.js'
import { bytesParameter, flagParameter, listParameter, mapParameter, optional, optionalMap,
  textsParameter } from '../messages/parameters.js'
import { examplesParameter, optionsOf } from './arguments.js'
import { NETWORK_PARAMETERS } from './method-table.js'
import { type Method, nameFor, type ThreadState, workOf } from './method.js'
import type { Model } from './object-store.js'
import { parametersToWire } from './posterior-summary.js'

/** Reads a network and keeps it; answers with its handle and its summary. */
export const readNetwork: Method = async (params, context, state) => {
  const model = await modelFrom(params, state)
  const handle = nameFor(context)
  const summary = flagParameter(params, 'brief', false)
    ? { format: model.format, notes: model.graph.notes }
    : networkToWire(model)
  state.objects.add('model', handle, model)
  return { handle, summary }
}

/** The names of the files beside a network's file that hold its weights. */
export const filesBeside: Method = async params => {
  const { filesBeside: named } = await import('../../adapters/network/index.js')
  return { names: (await named(bytesParameter(params, 'bytes'))).slice(0, MAX_ITEMS) }
}

/** The forms in which a network arrives, each with its reader. */
const SOURCES: readonly (readonly [key: string, read: (params: DecodedMap, state: ThreadState) => Promise<Model>])[] = [
  ['module', fromModule],
  ['bytes', params => fromBytes(bytesParameter(params, 'bytes'), params)],
  ['path', (params, { files }) => fromBytes(files.read(own(params, 'path')), params)],
  ['layers', fromLayers],
  ['tensors', fromLayers],
  ['nnet', fromNnet],
  ['sklearn', fromSklearn],
]

/** The network that a map of `readNetwork`'s parameters holds. */
export async function modelFrom(params: DecodedMap, state: ThreadState): Promise<Model> {
  knownOptions('readNetwork', params, NETWORK_PARAMETERS)
  const source = SOURCES.find(([key]) => optional(params, key) !== undefined)
  if (source === undefined) {
    throw new ProtocolError('PROTOCOL', `readNetwork needs one of ${SOURCES.map(([key]) => key).join(', ')}.`, {
      parameter: 'bytes',
    })
  }
  const model = await source[1](params, state)
  await checkExpected(model.graph, params, state)
  const { parameters, freeze }: ParameterChoice = optional(params, 'hints') === undefined ? {} : hintsOf(params)
  const graph = await withSurroundings(model.graph, params, state)
  await checkSlopes(model.graph, { parameters, freeze }, params, state)
  return { ...model, graph: selectParameters(graph, { parameters, freeze }) }
}

/** Compares the derivative of a module's chosen parameters with the module's own, where the client has sent it. */
async function checkSlopes(graph: Graph, choice: ParameterChoice, params: DecodedMap,
  state: ThreadState): Promise<void> {
  const module = optionalMap(params, 'module')
  const slopes = module === undefined ? undefined : optionalMap(module, 'slopes')
  if (module === undefined || slopes === undefined) return
  const numbers = Object.entries(slopes).map(([name, value]): [string, number] => {
    if (typeof value === 'number') return [name, value]
    throw new ProtocolError('PROTOCOL', `module.slopes['${name}'] must be a number.`, { parameter: 'slopes' })
  })
  await checkDerivatives(selectParameters(graph, choice), { inputs: tensorsOf(module, 'inputs', state),
    output: graph.outputs[0], slopes: new Map(numbers) }, state.runtime)
}

const OTHER_BACKEND =
  'A layer computes otherwise in this version or backend of the framework (averages at the border ' +
  "with padding 'same' do in Keras' torch backend): use another backend (KERAS_BACKEND), or give a file that it " +
  "exports (Keras: model.export('model.onnx', format='onnx'))."

/** Compares a network with what the object that it was read from computes itself for some rows. */
async function checkExpected(graph: Model['graph'], params: DecodedMap, state: ThreadState): Promise<void> {
  const expected = optionalMap(params, 'expected')
  if (expected === undefined) return
  const [given, computed] = [tensorsOf(expected, 'inputs', state), [...tensorsOf(expected, 'outputs', state).values()]]
  const byName = graph.inputs.every(({ name }) => given.has(name))
  const inputs = new Map(graph.inputs.flatMap(({ name }, i) => {
    const value = byName ? given.get(name) : [...given.values()][i]
    return value === undefined ? [] : [[name, value] as const]
  }))
  const outputs = new Map(graph.outputs.flatMap((name, i) => (i < computed.length ? [[name, computed[i]]] : [])))
  await checkOutputs(graph, inputs, outputs, OTHER_BACKEND, state.runtime)
}

/** What a fitted object has around its network: steps before it, the scale of its targets, names of its columns. */
async function withSurroundings(graph: Model['graph'], params: DecodedMap,
  state: ThreadState): Promise<Model['graph']> {
  const [preparation, targets] = [optionalMap(params, 'preparation'), optionalMap(params, 'targets')]
  const columns = optional(params, 'columns') === undefined ? undefined : textsParameter(params, 'columns')
  if (preparation === undefined && targets === undefined && columns === undefined) return graph
  const { withColumns, withPreparation, withScaledTargets } = await import('../../adapters/fitted-objects/affine.js')
  const prepared = preparation === undefined ? graph : withPreparation(graph, withArrays(preparation, state))
  const scaled = targets === undefined ? prepared : withScaledTargets(prepared, withArrays(targets, state))
  return columns === undefined ? scaled : withColumns(scaled, columns)
}

async function fromBytes(bytes: Uint8Array, params: DecodedMap): Promise<Model> {
  const { readNetwork: read, formatOf } = await import('../../adapters/network/index.js')
  // The choice of parameters is made for every source alike, when the network is there.
  const hints: NetworkHints = { ...hintsOf(params), parameters: undefined, freeze: undefined, ...READING_FUNCTIONS }
  return { graph: await read(bytes, hints), format: formatOf(bytes, hints) }
}

/** What a client may say beside the file; the values are checked by the reader. */
const HINTS = ['format', 'architecture', 'activation', 'input', 'output', 'inputSize', 'model', 'files', 'dimensions',
  'parameters', 'freeze'] as const

function hintsOf(params: DecodedMap): Record<string, unknown> {
  const hints = mapParameter(params, 'hints')
  knownOptions('readNetwork', hints, HINTS)
  return Object.fromEntries(Object.entries(hints).filter(([, value]) => value !== null))
}

/** A module of a framework: its structure as an ONNX file without weights, its tensors, and some of its outputs. */
async function fromModule(params: DecodedMap, state: ThreadState): Promise<Model> {
  const { readOnnx } = await import('../../adapters/onnx/index.js')
  const module = mapParameter(params, 'module')
  const graph = readOnnx(bytesParameter(module, 'bytes'), {
    dimensions: (hintsOf(params) as NetworkHints).dimensions ?? {},
    module: { tensors: tensorsOf(module, 'tensors', state), parameters: textsParameter(module, 'parameters'),
      inputs: Object.keys(mapParameter(module, 'inputs')), unused: textsParameter(module, 'unused') },
  })
  await checkOutputs(graph, tensorsOf(module, 'inputs', state), tensorsOf(module, 'outputs', state),
    'The module computes in half precision (autocast in its forward: leave that out), or the export has lost ' +
      'something: give a file that was exported by hand, or the state dict with its architecture.', state.runtime)
  return { graph, format: 'onnx' }
}

function tensorsOf(params: DecodedMap, key: string, state: ThreadState): Map<string, Tensor> {
  return new Map(
    Object.entries(mapParameter(params, key)).map((
      [name, value],
    ) => [name, tensorFromWire(value, name, state.files.data)]),
  )
}

async function fromLayers(params: DecodedMap, state: ThreadState): Promise<Model> {
  const { checkArchitecture, networkFromLayers } = await import('../../adapters/layers/index.js')
  const tensors = new Map([...tensorsOf(params, 'tensors', state)].map(([name, value]) => [name, fromTensor(value)]))
  const architecture = optional(params, 'layers') === undefined
    ? undefined
    : checkArchitecture(listParameter(params, 'layers'))
  const { activation, inputSize }: LayersOptions = hintsOf(params)
  return { graph: networkFromLayers(architecture, tensors, { activation, inputSize }), format: 'layers' }
}

async function fromNnet(params: DecodedMap, state: ThreadState): Promise<Model> {
  const { readNnet } = await import('../../adapters/nnet/index.js')
  return { graph: readNnet(withArrays(mapParameter(params, 'nnet'), state)), format: 'nnet' }
}

async function fromSklearn(params: DecodedMap, state: ThreadState): Promise<Model> {
  const { readSklearn } = await import('../../adapters/sklearn/index.js')
  return { graph: readSklearn(withArrays(mapParameter(params, 'sklearn'), state)), format: 'sklearn' }
}

/** A map whose arrays are tensors, as the readers of foreign objects take them; lists may hold arrays. */
function withArrays(fields: DecodedMap, { files }: ThreadState): Record<string, unknown> {
  const convert = (value: unknown, name: string): unknown => {
    if (Array.isArray(value) && value.some(isMap)) return value.map((item, i) => convert(item, `${name}[${i}]`))
    return isMap(value) ? tensorFromWire(value, name, files.data) : value ?? undefined
  }
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, convert(value, key)]))
}

/** A network's summary in the order of docs/protocol.md. */
function networkToWire({ graph, format }: Model): WireMap {
  const { inputs, outputs, parameters, parameterCount, layers, precision, digest, notes } = summarizeNetwork(graph)
  const plain = <T extends WireMap>(entries: readonly T[]): WireMap[] =>
    entries.slice(0, MAX_ITEMS).map(entry => ({ ...entry }))
  return { format, inputs: plain(inputs), outputs: plain(outputs),
    parameters: parametersToWire(parameters.slice(0, MAX_ITEMS)), parameterCount, layers: plain(layers), precision,
    digest, notes }
}

/** A network's summary, and the memory that each posterior of it would need. */
export const inspect: Method = (params, _context, state) => {
  const model = state.objects.get('model', params)
  const likelihood = optional(params, 'likelihood')
  return { ...networkToWire(model),
    memory: memoryTable(model.graph,
      likelihood === undefined ? undefined : oneOf('likelihood', likelihood, LIKELIHOODS)).map(row => ({ ...row })) }
}

/** The outputs of a network for rows of inputs: N x C. */
export const forward: Method = async (params, context, state) => {
  const options: ForwardOptions = optionsOf(params, 'forward', ['likelihood', 'input', 'output', 'engine', 'positions',
    'classAxis'], state)
  return {
    outputs: tensorToWire(
      await runNetwork(state.objects.get('model', params).graph, examplesParameter(params, state), options,
        state.runtime, workOf(context)),
    ),
  }
}
