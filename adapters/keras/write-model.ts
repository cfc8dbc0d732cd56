/** @file Writes a Keras network as a graph. */
import { GraphError, OptionError } from '../../core/errors/errors.js'
import { GraphBuilder } from '../../core/graph/builder.js'
import { BATCH, type Graph } from '../../core/graph/graph.js'
import type { Precision } from '../../core/tensor/tensor.js'
import type { Argument, Reference } from './calls.js'
import { type Config, field, isConfig, refuse, text } from './config.js'
import { channelsLast, type Emission, type Value } from './emission.js'
import { type Given, type LayerContext, valuesIn } from './layer-context.js'
import { writeLayer } from './layers.js'
import type { Call, KerasLayer, KerasModel } from './model.js'
import type { LayerWeights } from './weights.js'

/** What the file leaves open. */
export interface InputOptions {
  readonly inputSize?: number | readonly number[]
}

type Weights = ReadonlyMap<string, LayerWeights>

const keyOf = ({ layer, node, tensor }: Reference): string => `${node}:${tensor}:${layer}`

/** Writes the graph of a network. @param keras2 whether Keras 2 wrote the file */
export function writeModel(network: KerasModel, weights: Weights, keras2: boolean, options: InputOptions): Graph {
  const builder = new GraphBuilder(precisionOf(network, weights))
  const emission: Emission = { builder, written: new Map() }
  const inputs = network.inputs.map(reference => declareInput(emission, network, reference, options))
  const outputs = writeNetwork(emission, network, weights, inputs, keras2)
  noteFrozen(builder, network)
  noteAdapters(builder, network)
  putAdaptersLast(builder)
  notePrecision(builder, network)
  if (outputs.some(({ mask }) => mask !== undefined)) {
    builder.notes.push('The output has a mask of padded steps, which Keras leaves out of its loss: leave them out of ' +
      'the labels as well (-100).')
  }
  return builder.build(outputs.map((value, i) => {
    const last = channelsLast(emission, value)
    // Which of several is meant is said by the name of its layer.
    if (outputs.length > 1) return builder.node('Identity', [last.name], {}, network.outputs[i].layer)
    return builder.inputs.some(input => input.name === last.name) ? builder.node('Identity', [last.name]) : last.name
  }))
}

/** The outputs of a network for the given inputs. */
function writeNetwork(emission: Emission, network: KerasModel, weights: Weights, inputs: readonly Value[],
  keras2: boolean): readonly Value[] {
  if (inputs.length !== network.inputs.length) {
    throw refuse(`A network takes ${network.inputs.length} inputs; it is given ${inputs.length}.`)
  }
  const places = new Map(network.inputs.map((reference, i) => [`${reference.node}:${reference.layer}`, inputs[i]]))
  const values = new Map<string, Value>()
  for (const call of network.calls) {
    const { layer, node } = call
    const given = places.get(`${node}:${layer.name}`)
    const args = call.args.length === 0 && given !== undefined
      ? [{ value: given }]
      : call.args.map(each => resolve(values, call, each))
    const results = writeLayer(contextOf(emission, call, weights.get(layer.name), args, values, keras2))
    results.forEach((value, tensor) => values.set(keyOf({ layer: layer.name, node, tensor }), value))
  }
  return network.outputs.map(reference => {
    const value = values.get(keyOf(reference))
    if (value === undefined) throw refuse(`The output '${reference.layer.slice(0, 100)}' is not in the network.`)
    return value
  })
}

function contextOf(emission: Emission, call: Call, store: LayerWeights | undefined, args: readonly Given[],
  values: ReadonlyMap<string, Value>, keras2: boolean): LayerContext {
  const { layer } = call
  return {
    ...emission,
    layer,
    store,
    weights: layer.network === undefined ? store?.arrays() : undefined,
    inputs: args.flatMap(valuesIn),
    args,
    options: new Map([...call.options].map(([name, each]) => [name, resolve(values, call, each)])),
    keras2,
    writeNetwork: context => {
      const { network } = context.layer
      return network === undefined
        ? []
        : writeNetwork(emission, network, context.store?.layers(network) ?? new Map(), context.inputs, keras2)
    },
  }
}

function resolve(values: ReadonlyMap<string, Value>, call: Call, argument: Argument): Given {
  if ('literal' in argument) return argument
  if ('list' in argument) return { list: argument.list.map(each => resolve(values, call, each)) }
  const value = values.get(keyOf(argument.reference))
  if (value !== undefined) return { value }
  throw refuse(
    `The layer '${call.layer.path.slice(0, 100)}' takes its input from '${
      argument.reference.layer.slice(0, 100)
    }', which comes later or is not in the network.`,
    call.layer.path,
  )
}

function noteFrozen(builder: GraphBuilder, network: KerasModel): void {
  const frozen = frozenLayers(network)
  if (frozen.length === 0) return
  builder.notes.push(`Layers that were frozen (trainable=False) have no parameters here: ${someOf(frozen)}.`)
}

function frozenLayers({ layers }: KerasModel): string[] {
  return layers.flatMap(({ path, network, trainable, className }) =>
    network !== undefined ? frozenLayers(network) : trainable || className === 'InputLayer' ? [] : [path]
  )
}

/** Keras saves what an adapter (LoRA) has learnt as part of the weight; our client saves it beside (arrays.ts). */
function noteAdapters({ notes, parameters }: GraphBuilder, network: KerasModel): void {
  const isMerged = ({ config, path, trainable }: KerasLayer): boolean =>
    typeof field(config, 'lora_rank') === 'number' && trainable &&
    !parameters.some(({ name }) => name.startsWith(`${path}/lora_`))
  const merged = layersWith(network, isMerged)
  if (merged.length === 0) return
  notes.push(
    'Layers with LoRA count all numbers of their weight as parameters, not those of the adapters, which Keras adds ' +
      `to it when it saves: ${someOf(merged)}. The model object itself (Python) has the adapters alone.`,
  )
}

/** Keras has adapters behind the other weights of their layer. */
function putAdaptersLast({ parameters }: GraphBuilder): void {
  const folder = (name: string): string => name.slice(0, name.lastIndexOf('/') + 1)
  const isAdapter = (name: string): boolean => name.startsWith('lora_', folder(name).length)
  const adapters = parameters.filter(({ name }) => isAdapter(name))
  for (const adapter of adapters) {
    parameters.splice(parameters.indexOf(adapter), 1)
    const last = parameters.findLastIndex(({ name }) => folder(name) === folder(adapter.name))
    parameters.splice(last < 0 ? parameters.length : last + 1, 0, adapter)
  }
}

/** Half precision is a matter of speed in Keras; here the same weights are computed with in more digits. */
function notePrecision(builder: GraphBuilder, network: KerasModel): void {
  const half = layersWith(network, ({ config }) => /float16/.test(policyOf(config) ?? ''))
  if (half.length === 0) return
  builder.notes.push(
    `Layers that Keras computes in half precision are computed in ${builder.precision} here, so that outputs differ ` +
      `from Keras' by about a thousandth: ${someOf(half)}.`,
  )
}

/** The name of a layer's policy of types, as Keras 2 and 3 write it. */
function policyOf(config: Config): string | undefined {
  const dtype = field(config, 'dtype')
  const policy = isConfig(dtype) ? field(dtype, 'config') : dtype
  return isConfig(policy) ? text(policy, 'name') : text(config, 'dtype')
}

function someOf(names: readonly string[]): string {
  const some = names.slice(0, 5).map(name => `'${name.slice(0, 60)}'`).join(', ')
  return names.length > 5 ? `${some} and ${names.length - 5} more` : some
}

/** The paths of the layers, those within layers too, of which something holds. */
function layersWith({ layers }: KerasModel, holds: (layer: KerasLayer) => boolean): string[] {
  return layers.flatMap(
    layer => [...(layer.network === undefined ? [] : layersWith(layer.network, holds)),
      ...(holds(layer) ? [layer.path] : [])],
  )
}

function precisionOf(network: KerasModel, weights: Weights): Precision {
  const double = network.layers.some(({ name }) =>
    weights.get(name)?.arrays().some(({ dtype }) => dtype === 'float64') === true
  )
  return double ? 'float64' : 'float32'
}

/** An input of the network, from the shape that its layer holds. */
function declareInput(emission: Emission, network: KerasModel, reference: Reference, options: InputOptions): Value {
  const layer = network.layers.find(({ name }) => name === reference.layer)
  if (layer === undefined) throw refuse(`The input '${reference.layer.slice(0, 100)}' is not in the network.`)
  const shape = inputShape(layer, options)
  const integer = takesTokens(network, layer)
  const { builder } = emission
  const name = builder.fresh(layer.name)
  builder.inputs.push({ name, shape: [BATCH, ...shape], dtype: integer ? 'int64' : builder.precision })
  return { name, shape, channelsFirst: false, ...(integer ? { type: 'integer' } : {}) }
}

/** Whether an input is of whole numbers: by its type, or because an embedding takes it. */
function takesTokens(network: KerasModel, layer: KerasLayer): boolean {
  if (/^u?int/.test(text(layer.config, 'dtype') ?? '')) return true
  const embeds = ({ className }: KerasLayer): boolean => /Embedding$/.test(className)
  return embeds(layer) ||
    network.calls.some(call =>
      embeds(call.layer) && call.args.some(each => 'reference' in each && each.reference.layer === layer.name)
    )
}

function inputShape(layer: KerasLayer, { inputSize }: InputOptions): number[] {
  const { config } = layer
  const stored = field(config, 'batch_shape') ?? field(config, 'batch_input_shape') ?? firstShape(layer)
  if (!Array.isArray(stored) || stored.length < 1 || stored.length > 8) {
    if (Array.isArray(inputSize)) return checkedSize(inputSize)
    throw new GraphError('AMBIGUOUS_NETWORK', `The layer '${layer.name}' does not say what shape the input has; ` +
      'give the option inputSize, for example [28, 28, 1].', { layer: layer.name })
  }
  const example: unknown[] = stored.slice(1)
  if (example.every(extent => typeof extent === 'number' && Number.isInteger(extent) && extent > 0)) {
    return example as number[]
  }
  if (Array.isArray(inputSize) && inputSize.length === example.length) return checkedSize(inputSize)
  if (typeof inputSize === 'number') {
    return checkedSize(example.map(extent => (typeof extent === 'number' ? extent : inputSize)))
  }
  throw new GraphError('AMBIGUOUS_NETWORK',
    `The input '${layer.name}' has the shape ${
      example.map(extent => (typeof extent === 'number' ? extent : '?')).join(' x ')
    }, which leaves sizes open; give the option inputSize, for example [${
      example.map(extent => (typeof extent === 'number' ? extent : 32)).join(', ')
    }].`, { layer: layer.name })
}

/** The shape that the first layer of a network inside holds. */
function firstShape({ network }: KerasLayer): unknown {
  const [first] = network?.layers ?? []
  return first === undefined
    ? undefined
    : field(first.config, 'batch_shape') ?? field(first.config, 'batch_input_shape')
}

function checkedSize(sizes: readonly number[]): number[] {
  if (!sizes.every(size => Number.isInteger(size) && size > 0 && size < 2 ** 31)) {
    throw new OptionError('BAD_OPTION', 'Option inputSize must hold positive integers.', { option: 'inputSize' })
  }
  return [...sizes]
}
