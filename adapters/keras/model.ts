/**
 * @file The description of a Keras network: `model_config` of a .h5 file, `config.json` of a .keras file.
 *
 * Keras 2 and 3 write the same information in different shapes; both become a list of layers with the names of the
 * layers that feed them.
 */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { type Config, field, isConfig, refuse, text } from './config.js'

/** A layer and where its inputs come from. */
export interface KerasLayer {
  readonly className: string
  readonly name: string
  readonly config: Config
  /** Names of the layers whose outputs it takes, in order. */
  readonly inputs: readonly string[]
}

/** A network: its layers in an order in which inputs come first. */
export interface KerasModel {
  readonly layers: readonly KerasLayer[]
  readonly inputs: readonly string[]
  readonly outputs: readonly string[]
  /** What was noticed while reading, in sentences for the user. */
  readonly notes: readonly string[]
}

const MOST_LAYERS = 10_000

/**
 * Reads a description.
 * @throws UntrustedInputError when it is malformed or of another kind of model
 */
export function readModel(root: Config): KerasModel {
  const className = text(root, 'class_name')
  const config = field(root, 'config')
  if (className === 'Sequential') {
    return readSequential(Array.isArray(config) ? config : isConfig(config) ? field(config, 'layers') : undefined)
  }
  if ((className === 'Functional' || className === 'Model') && isConfig(config) &&
    field(config, 'layers') !== undefined) return readFunctional(config)
  throw new UntrustedInputError(
    `The network is a Keras model of class '${
      (className ?? '?').slice(0, 100)
    }', whose layers are Python code. Sequential and functional models can be read; export others to ONNX (tf2onnx).`,
    { format: 'Keras' },
    'UNSUPPORTED_FORMAT',
  )
}

function readSequential(entries: unknown): KerasModel {
  if (!Array.isArray(entries)) throw refuse('A Sequential model needs a list of layers.')
  const flat = flattenSequential(entries, 0)
  const layers: KerasLayer[] = []
  for (const entry of flat) {
    const previous = layers[layers.length - 1]
    layers.push({ ...readEntry(entry, layers.length), inputs: previous === undefined ? [] : [previous.name] })
  }
  if (layers.length === 0) throw refuse('The network has no layers.')
  // Old files have no InputLayer: the first layer holds the shape.
  return { layers, inputs: [layers[0].name], outputs: [layers[layers.length - 1].name], notes: [] }
}

/** Layers of Sequential models inside of a Sequential model, in one list. */
function flattenSequential(entries: readonly unknown[], depth: number): Config[] {
  if (depth > 20) throw refuse('Models are nested deeper than 20.')
  const flat = entries.flatMap((entry, i) => {
    if (!isConfig(entry)) throw refuse(`Layer ${i} of the network is not a JSON object.`)
    const config = field(entry, 'config')
    const inner = text(entry, 'class_name') === 'Sequential'
      ? (Array.isArray(config) ? config : isConfig(config) ? field(config, 'layers') : undefined)
      : undefined
    if (!Array.isArray(inner)) return [entry]
    const layers = flattenSequential(inner, depth + 1)
    return i === 0 && depth === 0 ? layers : layers.filter(layer => text(layer, 'class_name') !== 'InputLayer')
  })
  if (flat.length > MOST_LAYERS) throw refuse(`The network has more than ${MOST_LAYERS} layers.`)
  return flat
}

function readEntry(entry: Config, index: number): Omit<KerasLayer, 'inputs'> {
  const className = text(entry, 'class_name')
  const config = field(entry, 'config')
  if (className === undefined || !isConfig(config)) {
    throw refuse(`Layer ${index} of the network has no class or no configuration.`)
  }
  return { className, name: text(config, 'name') ?? text(entry, 'name') ?? `${className.toLowerCase()}_${index}`,
    config }
}

function readFunctional(config: Config): KerasModel {
  const entries = field(config, 'layers')
  if (!Array.isArray(entries) || entries.length > MOST_LAYERS) {
    throw refuse('A functional model needs a list of layers.')
  }
  const layers = new Map<string, KerasLayer>()
  entries.forEach((entry, i) => {
    if (!isConfig(entry)) throw refuse(`Layer ${i} of the network is not a JSON object.`)
    const layer = readEntry(entry, i)
    if (layers.has(layer.name)) throw refuse(`Two layers are named '${layer.name.slice(0, 100)}'.`)
    layers.set(layer.name, { ...layer, inputs: inboundNames(field(entry, 'inbound_nodes'), layer.name) })
  })
  return { layers: sortLayers(layers), inputs: endNames(field(config, 'input_layers')),
    outputs: endNames(field(config, 'output_layers')), notes: [] }
}

/** Names in `input_layers` and `output_layers`: `[["dense", 0, 0]]`, or `["dense", 0, 0]` for a single one. */
function endNames(value: unknown): string[] {
  if (!Array.isArray(value)) throw refuse('A functional model needs lists of its inputs and outputs.')
  if (typeof value[0] === 'string') return [value[0]]
  return value.map(each => {
    if (!Array.isArray(each) || typeof each[0] !== 'string') {
      throw refuse('An input or output of the network has no name.')
    }
    return each[0]
  })
}

/** Names of the layers that feed a layer. Keras 2: `[[["a", 0, 0, {}]]]`; Keras 3: tensors with a `keras_history`. */
function inboundNames(nodes: unknown, name: string): string[] {
  if (!Array.isArray(nodes) || nodes.length === 0) return []
  if (nodes.length > 1) {
    throw refuse(`The layer '${name.slice(0, 100)}' is used ${nodes.length} times, which cannot be imported.`, name)
  }
  const names: string[] = []
  collectNames(nodes[0], names, 0)
  return names
}

function collectNames(value: unknown, names: string[], depth: number): void {
  if (depth > 10 || names.length > 1000) return
  if (Array.isArray(value)) {
    const [first, second, third] = value as unknown[]
    if (typeof first === 'string' && typeof second === 'number' && typeof third === 'number') names.push(first)
    else for (const item of value) collectNames(item, names, depth + 1)
  } else if (isConfig(value)) {
    const history = isConfig(field(value, 'config'))
      ? field(field(value, 'config') as Config, 'keras_history')
      : undefined
    if (Array.isArray(history)) collectNames(history, names, depth + 1)
    else if (field(value, 'args') !== undefined) collectNames(field(value, 'args'), names, depth + 1)
  }
}

/** Layers in topological order. */
function sortLayers(layers: ReadonlyMap<string, KerasLayer>): KerasLayer[] {
  const sorted: KerasLayer[] = []
  const state = new Map<string, 'open' | 'done'>()
  for (const root of layers.keys()) {
    const stack = [root]
    while (stack.length > 0) {
      const name = stack[stack.length - 1]
      const layer = layers.get(name)
      if (layer === undefined) {
        throw refuse(`A layer takes its input from '${name.slice(0, 100)}', which is not in the network.`)
      }
      if (state.get(name) === 'done') {
        stack.pop()
        continue
      }
      const waiting = layer.inputs.filter(input => state.get(input) !== 'done')
      if (waiting.length === 0) {
        state.set(name, 'done')
        sorted.push(layer)
        stack.pop()
      } else if (state.get(name) === 'open') throw refuse(`The layer '${name.slice(0, 100)}' feeds itself.`)
      else {
        state.set(name, 'open')
        stack.push(...waiting)
      }
    }
  }
  return sorted
}
