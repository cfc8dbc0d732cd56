/** @file Reads networks from ONNX files. */
import { GraphError, OptionError, UntrustedInputError } from '../../core/errors/errors.js'
import { nearestWord } from '../../core/errors/suggest.js'
import { GraphBuilder } from '../../core/graph/builder.js'
import { type Graph, isBatch } from '../../core/graph/graph.js'
import { describeOpenChoice } from '../../core/graph/open-choice.js'
import { isFloat } from '../../core/ops/element-types.js'
import { removeDead, sortNodes } from '../../core/passes/fold.js'
import { orientWeights } from '../../core/passes/orient-weights.js'
import { reshapeWeights } from '../../core/passes/reshape-weights.js'
import { allFinite } from '../../core/tensor/finite.js'
import type { Precision, Tensor } from '../../core/tensor/tensor.js'
import type { NamedTensors } from '../tensors/file-tensor.js'
import { findBatchAxis, knownTypes } from './batch-axis.js'
import { type Constants, foldQuantization } from './dequantize.js'
import { withFixedBatch } from './examples-together.js'
import { type ExternalData, externalReference, isExternal } from './external-data.js'
import { describeFolded } from './folded-layers.js'
import { unfoldTensors } from './folded-tensors.js'
import { standardOpset } from './functions.js'
import { guessedParameters } from './guessed-parameters.js'
import { type Dimensions, openLengthsError, readInput } from './inputs.js'
import type { GraphMessage, ModelMessage } from './messages.js'
import { readInitializers, readSource, type Source, type SourceNode } from './nodes.js'
import { nodeOfOneLength, type Written } from './open-lengths.js'
import { decodeOnnx } from './open.js'
import { chooseOutputs } from './outputs.js'
import { findParameters, openChoices } from './parameters.js'
import { type Origins, tensorOrigins } from './tensor-origins.js'
import { shapesFit, UpgradeContext } from './upgrade-context.js'
import { checkOpset, upgradeNode } from './upgrade.js'

/** What can be said to `readOnnx` beyond the file. */
export interface OnnxOptions {
  /** The files beside the model that hold its weights, by the path that the model gives. */
  readonly externalData?: ExternalData
  /** Lengths of axes that the file leaves open, beside that of the examples: `{ sequence: 32 }`. */
  readonly dimensions?: Dimensions
  /** The trainable tensors, in the order of theta, where the reader's own choice is not the right one. */
  readonly parameters?: readonly string[]
  /** The tensors of the program that the file was exported from, where the file has its structure alone. */
  readonly module?: ModuleTensors
  /** Accept weights that are NaN or infinite. */
  readonly allowNonFinite?: boolean
}

/** A program's own tensors, which decide: exporters fold, merge, rename and drop weights. */
export interface ModuleTensors {
  /** Parameters and buffers by the names of the file's inputs that stand for them. */
  readonly tensors: ReadonlyMap<string, Tensor>
  /** The names of all parameters, in the order of theta. */
  readonly parameters: readonly string[]
  /** The names of its inputs, which a file leaves out where no output depends on them. */
  readonly inputs?: readonly string[]
  /** Parameters that no output depends on, so that the file has no input for them. */
  readonly unused: readonly string[]
}

const NO_FILES: ExternalData = new Map()

/**
 * Reads a network from the bytes of an ONNX file, of operator sets 6 to 28; nothing is run and no file is opened.
 *
 * Nodes are brought to the newest operator set, integer weights to real ones. Parameters are the tensors that learn by
 * their use (weights, biases, scales, shifts, slopes, tables), in the order of the file, W as out x in. Operators that
 * are not supported stay in the graph; the core names them when it is to run.
 * @throws UntrustedInputError UNTRUSTED_INPUT for damaged files and NaN or infinite weights, UNSUPPORTED_FORMAT for
 * other files, operator sets and element types
 * @throws GraphError BAD_GRAPH, AMBIGUOUS_NETWORK, UNSUPPORTED_OPERATOR (sparse tensors)
 * @example
 * const network = readOnnx(bytes)
 */
export function readOnnx(bytes: Uint8Array, options: OnnxOptions = {}): Graph {
  const { model, graph } = decodeOnnx(bytes)
  const source = readSource(model, graph, options.externalData ?? NO_FILES)
  if (options.module !== undefined) addModuleTensors(graph, source.constants, options.module)
  const assembled = (trial: number): Graph => {
    const whole = assemble(graph, source, options.dimensions ?? {}, trial)
    // A module's output is what it returns, whatever it may also name.
    return options.module === undefined ? chooseOutputs(whole) : whole
  }
  const upgraded = (used: Graph): Written => upgrade(used, opsetOf(model, used), source.constants.elementTypes)
  const whole = withLengths(graph, options.dimensions ?? {}, trial => upgraded(assembled(trial)))
  const { graph: found, types } = findBatchAxis(whole,
    size => upgraded(withFixedBatch(assembled(TRIALS[0]), size)).graph)
  const noted = tensorOrigins(model, graph)
  const batched = unfoldTensors(withUnused(found, options.module), noted)
  const origins = withOurs(noted, batched, source)
  checkFinite(batched, origins, options.allowNonFinite ?? false)
  const given = options.module?.parameters ?? options.parameters
  const names = given === undefined ? findParameters(batched, origins) : chosenParameters(batched, given)
  const folded = options.module === undefined ? describeFolded(model, graph, noted, batched, names) : undefined
  const guessed = given === undefined ? guessedParameters(names, model, graph, origins) : []
  const choices = given === undefined ? openChoices(batched, names, guessed, origins) : []
  const notes = [...choices.map(describeOpenChoice), ...folded === undefined ? [] : [folded]]
  const parameters = names.map(name => ({ name, shape: valueOf(batched, name).shape, transposed: false }))
  const complete = removeDead({ ...batched, parameters, notes: [...batched.notes, ...notes] })
  const reshaped = reshapeWeights(complete, types)
  const oriented = orientWeights(removeDead(reshaped.graph), reshaped.types)
  return { ...withDeclared(oriented, graph, source.constants, options.module), ...choices.length > 0 && { choices } }
}

/**
 * Reads the initialisers of an ONNX file without the network around them, in the order of the file.
 * @throws UntrustedInputError as `readOnnx` does
 */
export function readOnnxTensors(bytes: Uint8Array, options: Pick<OnnxOptions, 'externalData'> = {}): NamedTensors {
  return readInitializers(decodeOnnx(bytes).graph, options.externalData ?? NO_FILES).tensors
}

/**
 * The paths of the files beside an ONNX model that hold its weights, each once; every one stays below the model's
 * folder.
 * @throws UntrustedInputError as `readOnnx` does, and for paths that leave the folder
 */
export function externalLocations(bytes: Uint8Array): string[] {
  const { graph } = decodeOnnx(bytes)
  const attributes = (graph.node ?? []).flatMap(node => node.attribute ?? []).flatMap(({ t }) => (t == null ? [] : [t]))
  const tensors = [...(graph.initializer ?? []), ...attributes]
  return [...new Set(tensors.filter(isExternal).map(tensor => externalReference(tensor).location))]
}

/** Lengths that are tried for axes that a file leaves open: those of images and sequences that are in use. */
const TRIALS = [32, 28, 64, 224, 16, 8, 96, 128, 256, 299]

/**
 * The network with the first length for its open axes that fits its weights; usually every length does. Where nodes
 * were written out, they must be the same for a second length; where no second one fits, the first is the only one.
 * @throws GraphError AMBIGUOUS_NETWORK
 */
function withLengths(message: GraphMessage, dimensions: Dimensions, build: (trial: number) => Written): Graph {
  const refuse = (why: string): GraphError => {
    const read = new Set((message.node ?? []).flatMap(node => node.input ?? []))
    const weights = new Set((message.initializer ?? []).map(({ name }) => name))
    const values = (message.input ?? []).filter(({ name }) => read.has(name) && !weights.has(name))
    return openLengthsError(values, dimensions, why)
  }
  let first: Written | undefined
  for (const trial of TRIALS) {
    const written = build(trial)
    if (!written.graph.inputs.some(input => input.openAxes !== undefined)) return written.graph
    if (!shapesFit(written.graph)) continue
    if (first === undefined && !written.writtenOut) return withOpenLengths(written.graph)
    if (first !== undefined) {
      const node = nodeOfOneLength(first, written)
      if (node === undefined) return withOpenLengths(first.graph)
      throw refuse(`its ${node.op} node '${node.name ?? node.outputs[0]}' can be read for one length only`)
    }
    first = written
  }
  // As where an axis of length 1 was left out; it fits too much, by broadcasting, to be tried with the others.
  first ??= [build(1)].find(written => shapesFit(written.graph))
  if (first === undefined) throw refuse('its weights fit none that was tried')
  return withFixedLengths(first.graph)
}

function withOpenLengths(graph: Graph): Graph {
  return { ...graph,
    notes: [...graph.notes, 'The file leaves lengths of its input open; they are taken from the data.'] }
}

/** The network for the lengths that it was written for, and no others. */
function withFixedLengths(graph: Graph): Graph {
  const inputs = graph.inputs.map(({ openAxes: _, ...input }) => input)
  const shapes = inputs.map(({ name, shape }) => `'${name}' (${shape.map(d => (isBatch(d) ? 'N' : d)).join(' x ')})`)
  return { ...graph, inputs,
    notes: [...graph.notes,
      `The file leaves lengths of its input open; the network is read for ${shapes.join(', ')}. ` +
      'Other lengths can be given with the option dimensions.'] }
}

/** The version of ONNX's own operators; the highest where a file gives several. */
function opsetOf(model: ModelMessage, graph: Graph): number {
  const opset = standardOpset(model.opset_import)
  if (opset === undefined && graph.nodes.every(node => node.op.includes('::'))) return Infinity
  checkOpset(opset ?? 1)
  return opset ?? 1
}

/** The graph as it is in the file, its nodes in topological order, integer weights made real. */
function assemble(graph: GraphMessage, { nodes, constants, texts }: Source, dimensions: Dimensions,
  trial: number): Graph {
  const given = new Set([...constants.values.keys(), ...texts])
  const values = (graph.input ?? []).filter(({ name }) => !given.has(name))
  const outputs = (graph.output ?? []).map(({ name }) => name)
  const read = new Set([...outputs, ...nodes.flatMap(node => node.inputs)])
  const used = values.filter(({ name }) => read.has(name))
  const unused = used.length === 0 ? [] : values.filter(({ name }) => !read.has(name))
  const notes = unused.map(({ name }) => `The input '${name}' is not used by the network.`)
  const sorted = sortNodes({
    inputs: (used.length === 0 ? values : used).map(value => readInput(value, dimensions, trial)),
    outputs,
    nodes,
    initializers: constants.values,
    parameters: [],
    notes,
  })
  return withWeightsPrecision({ ...sorted, nodes: foldQuantization(sorted.nodes, constants),
    initializers: ordered(constants) })
}

/** The graph with the names of its inputs that no node reads: data for them are passed over. */
function withDeclared(graph: Graph, message: GraphMessage, { values }: Constants,
  module: ModuleTensors | undefined): Graph {
  const names = module?.inputs ?? (message.input ?? []).map(({ name }) => name).filter(name => !values.has(name))
  return names.length > graph.inputs.length ? { ...graph, declaredInputs: names } : graph
}

/** Tensors that this reader has made while it wrote operators in others are no parameters. */
function withOurs(origins: Origins, { initializers }: Graph, { nodes, constants: { values } }: Source): Origins {
  const ofBodies = new Set(constantsOfBodies(nodes))
  const ours = [...initializers].filter(([name, value]) =>
    !values.has(name) && !values.has(name.replace(/:\d+$/, '')) && !ofBodies.has(value)
  ).map(([name]) => name)
  return new Map([...origins, ...ours.map(name => [name, { kind: 'constant', from: [], computed: false }] as const)])
}

/** The tensors that the file has in subgraphs; they join the others where these are written out. */
function constantsOfBodies(nodes: readonly SourceNode[]): Tensor[] {
  return nodes.flatMap(({ bodies = {} }) =>
    Object.values(bodies).flatMap(body => [...body.constants.values(), ...constantsOfBodies(body.nodes)])
  )
}

/** Some files declare single-precision inputs for weights in double precision, without a conversion between them. */
function withWeightsPrecision(graph: Graph): Graph {
  const real = [...graph.initializers.values()].filter(({ dtype }) => isFloat(dtype))
  const mixed = graph.inputs.some(({ dtype }) => dtype === 'float32') && real.length > 0 &&
    real.every(({ dtype }) => dtype === 'float64')
  if (!mixed || graph.nodes.some(({ op }) => op === 'Cast')) return graph
  const inputs = graph.inputs.map(
    input => (input.dtype === 'float32' ? { ...input, dtype: 'float64' as const } : input),
  )
  return { ...graph, inputs,
    notes: [...graph.notes, 'The weights are in double precision and the input is declared in single precision; ' +
      'the input is taken in double precision.'] }
}

/** Constants in the order of the file; folded ones where their integers were. */
function ordered({ values, order }: Constants): Map<string, Tensor> {
  const rank = (name: string): number => order.get(name) ?? Infinity
  return new Map([...values].sort(([a], [b]) => rank(a) - rank(b)))
}

function upgrade(graph: Graph, opset: number, elementTypes: ReadonlyMap<string, number>): Written {
  const builder = GraphBuilder.from(graph, precisionOf(graph))
  builder.nodes.length = 0
  const context = new UpgradeContext(builder, knownTypes({ ...graph, nodes: [] }), graph.outputs, elementTypes)
  for (const node of graph.nodes) upgradeNode(node, opset, context)
  return { graph: builder.build(graph.outputs), types: context.types, writtenOut: context.writtenOut,
    decisions: context.decisions, places: context.places }
}

function precisionOf(graph: Graph): Precision {
  return [...graph.initializers.values(), ...graph.inputs].some(({ dtype }) => dtype === 'float64')
    ? 'float64'
    : 'float32'
}

/** NaN is never meant; an infinite constant can be (masks, bounds), an infinite weight cannot. */
function checkFinite(graph: Graph, origins: Origins, allowed: boolean): void {
  if (allowed) return
  const normalisations = graph.nodes.filter(node => node.op === 'BatchNormalization')
  const weights = new Set([...findParameters(graph, origins),
    ...normalisations.flatMap(node => node.inputs.slice(1, 5))])
  for (const [name, { dtype, data }] of graph.initializers) {
    if (!isFloat(dtype) || allFinite(data)) continue
    const at = weights.has(name)
      ? data.findIndex(value => !Number.isFinite(value))
      : data.findIndex(value => Number.isNaN(value))
    if (at < 0) continue
    throw new UntrustedInputError(
      `The tensor '${name}' holds ${
        data[at]
      } at element ${at}; training has probably diverged. Train the network again, or take an earlier state of it.`,
      { format: 'ONNX', path: name, actual: String(data[at]) },
    )
  }
}

/** Makes the tensors of a program constants in place of the inputs that stand for them. */
function addModuleTensors(graph: GraphMessage, { values, order }: Constants,
  { tensors, parameters, unused }: ModuleTensors): void {
  const inputs = new Set((graph.input ?? []).map(({ name }) => name))
  const add = (name: string): void => {
    const value = tensors.get(name)
    if (value === undefined) throw lostParameter(name)
    values.set(name, value)
    order.set(name, order.size)
  }
  for (const name of parameters) {
    if (!inputs.has(name) && !unused.includes(name)) throw lostParameter(name)
    add(name)
  }
  for (const name of tensors.keys()) if (inputs.has(name) && !values.has(name)) add(name)
}

/** The graph with the parameters that no output depends on: they are part of theta all the same. */
function withUnused(graph: Graph, module: ModuleTensors | undefined): Graph {
  const lost = (module?.unused ?? []).filter(name => !graph.initializers.has(name))
  if (module === undefined || lost.length === 0) return graph
  const value = (name: string): Tensor => {
    const found = module.tensors.get(name)
    if (found === undefined) throw lostParameter(name)
    return found
  }
  return { ...graph, initializers: new Map([...graph.initializers, ...lost.map(name => [name, value(name)] as const)]) }
}

function lostParameter(name: string): GraphError {
  return new GraphError('BAD_GRAPH',
    `The parameter '${name}' of the module is not in its export, which has folded or renamed it. Export the module ` +
      'to a file by hand and give that.', { name })
}

function chosenParameters(graph: Graph, names: readonly string[]): readonly string[] {
  const real = [...graph.initializers].filter(([, value]) => isFloat(value.dtype)).map(([name]) => name)
  for (const name of names) {
    if (real.includes(name)) continue
    const suggestion = nearestWord(name, real)
    const question = suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`
    throw new OptionError('BAD_OPTION',
      `Option parameters names '${name}', which is no real tensor of the file.${question}`, { option: 'parameters',
      value: name })
  }
  return [...new Set(names)]
}

function valueOf(graph: Graph, name: string): Tensor {
  const value = graph.initializers.get(name)
  if (value === undefined) throw new GraphError('BAD_GRAPH', `The parameter '${name}' has no value.`, { name })
  return value
}
