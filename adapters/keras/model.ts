/**
 * @file The description of a Keras network: `model_config` of a .h5 file, `config.json` of a .keras file.
 *
 * Keras 2 and 3 write the same information in different shapes; both become layers, and calls of layers with where
 * their arguments come from. A layer that is called twice shares its arrays; a network inside a network is a layer.
 */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { type Argument, type CallArguments, readNode, readReference, type Reference, referencesOf } from './calls.js'
import { type Config, field, flag, isConfig, refuse, text } from './config.js'

/** A layer: its class, its options, and the network inside it, if it is one. */
export interface KerasLayer {
  readonly className: string
  readonly name: string
  /** Its name with those of the networks around it: `encoder/dense`. */
  readonly path: string
  readonly config: Config
  /** Whether it is a function of keras.ops that was called on symbolic tensors, and no layer. */
  readonly operation: boolean
  /** Whether training may change it; the layers of a frozen network are frozen. */
  readonly trainable: boolean
  readonly network: KerasModel | undefined
}

/** A call of a layer; `node` counts the calls of one layer. */
export interface Call extends CallArguments {
  readonly layer: KerasLayer
  readonly node: number
}

/** A network: its layers in the file's order, its calls in an order in which inputs come first. */
export interface KerasModel {
  readonly layers: readonly KerasLayer[]
  readonly calls: readonly Call[]
  readonly inputs: readonly Reference[]
  readonly outputs: readonly Reference[]
}

const MOST_LAYERS = 10_000
const DEEPEST_NETWORK = 20

/** Where a description lies: names of the networks around it, and whether one of them is frozen. */
interface Surroundings {
  readonly path: string
  readonly trainable: boolean
  readonly depth: number
}

const OUTSIDE: Surroundings = { path: '', trainable: true, depth: 0 }

/**
 * Reads a description.
 * @throws UntrustedInputError when it is malformed or of another kind of model
 */
export function readModel(root: Config): KerasModel {
  const network = readNetwork(root, OUTSIDE)
  if (network !== undefined) return network
  throw new UntrustedInputError(
    `The network is a Keras model of class '${
      (text(root, 'class_name') ?? '?').slice(0, 100)
    }', whose layers are Python code. Sequential and functional models can be read; ` +
      'export others to ONNX (model.export(path, format="onnx"), or tf2onnx).',
    { format: 'Keras' },
    'UNSUPPORTED_FORMAT',
  )
}

/** The network that a description is, or undefined when it is a layer, or Python code. */
function readNetwork(entry: Config, around: Surroundings): KerasModel | undefined {
  const className = text(entry, 'class_name')
  const config = field(entry, 'config')
  if (around.depth > DEEPEST_NETWORK) throw refuse(`Networks are nested deeper than ${DEEPEST_NETWORK}.`)
  if (className === 'Sequential') {
    return readSequential(Array.isArray(config) ? config : isConfig(config) ? field(config, 'layers') : undefined,
      around)
  }
  const functional = (className === 'Functional' || className === 'Model') && isConfig(config) &&
    field(config, 'layers') !== undefined
  return functional ? readFunctional(config, around) : undefined
}

function readSequential(entries: unknown, around: Surroundings): KerasModel {
  const layers = readLayers(entries, around, 'A Sequential model needs a list of layers.')
  if (layers.length === 0) throw refuse('The network has no layers.')
  const output = (layer: KerasLayer): Reference => ({ layer: layer.name, node: 0, tensor: 0 })
  const calls = layers.map((layer, i): Call => ({
    layer,
    node: 0,
    args: i === 0 ? [] : [{ reference: output(layers[i - 1]) }],
    options: new Map(),
  }))
  // Old files have no InputLayer: the first layer holds the shape.
  return { layers, calls, inputs: [output(layers[0])], outputs: [output(layers[layers.length - 1])] }
}

function readLayers(entries: unknown, around: Surroundings, otherwise: string): KerasLayer[] {
  if (!Array.isArray(entries) || entries.length > MOST_LAYERS) throw refuse(otherwise)
  const layers = entries.map((entry: unknown, i) => {
    if (!isConfig(entry)) throw refuse(`Layer ${i} of the network is not a JSON object.`)
    return readLayer(entry, i, around)
  })
  const names = new Set<string>()
  for (const { name } of layers) {
    if (names.has(name)) throw refuse(`Two layers are named '${name.slice(0, 100)}'.`)
    names.add(name)
  }
  return layers
}

/** Reads a layer's entry, `{ module, class_name, config, registered_name }`. */
export function readLayer(entry: Config, index = 0, around: Surroundings = OUTSIDE): KerasLayer {
  const className = text(entry, 'class_name')
  const config = field(entry, 'config')
  if (className === undefined || !(isConfig(config) || Array.isArray(config))) {
    throw refuse(`Layer ${index} of the network has no class or no configuration.`)
  }
  const options = isConfig(config) ? config : {}
  const name = text(options, 'name') ?? text(entry, 'name') ?? `${className.toLowerCase()}_${index}`
  const trainable = around.trainable && flag(options, 'trainable', true)
  const path = around.path === '' ? name : `${around.path}/${name}`
  refuseForeign(entry, className, name)
  refuseQuantised(options, name)
  return {
    className,
    name,
    path,
    config: options,
    operation: /^keras\.src\.ops\b/.test(text(entry, 'module') ?? ''),
    trainable,
    network: readNetwork(entry, { path, trainable, depth: around.depth + 1 }),
  }
}

/** A layer of the user's own may have the name of one of Keras': what it computes is Python code. */
function refuseForeign(entry: Config, className: string, name: string): void {
  const module = text(entry, 'module')
  const registered = text(entry, 'registered_name')
  const foreign = (module !== undefined && !/^(tf_)?keras(\.|$)|^tensorflow\.(python\.)?keras(\.|$)/.test(module)) ||
    (registered !== undefined && registered.includes('>') && !/^(tf_)?keras/i.test(registered))
  if (!foreign) return
  throw new UntrustedInputError(
    `The layer '${name.slice(0, 100)}' is of the class '${
      (registered ?? `${module}.${className}`).slice(0, 100)
    }', which is Python code and not a layer of Keras; export the network to ONNX ` +
      '(model.export(path, format="onnx"), or tf2onnx).',
    { format: 'Keras', path: name },
    'UNSUPPORTED_FORMAT',
  )
}

function refuseQuantised(config: Config, name: string): void {
  const policy = field(config, 'dtype')
  if (!isConfig(policy) || text(policy, 'class_name')?.startsWith('Quantized') !== true) return
  throw new UntrustedInputError(
    `The layer '${name.slice(0, 100)}' is quantised: its weights are whole numbers, which have no posterior. Use the ` +
      'float network that it was made from.',
    { format: 'Keras', path: name },
    'UNSUPPORTED_FORMAT',
  )
}

function readFunctional(config: Config, around: Surroundings): KerasModel {
  const entries = field(config, 'layers')
  const layers = readLayers(entries, around, 'A functional model needs a list of layers.')
  const calls = layers.flatMap((layer, i) => {
    const nodes = field((entries as readonly Config[])[i], 'inbound_nodes')
    if (!Array.isArray(nodes) || nodes.length === 0) return [{ layer, node: 0, args: [], options: new Map() }]
    return nodes.map((node: unknown, index): Call => ({ layer, node: index, ...readNode(node) }))
  })
  if (calls.length > MOST_LAYERS) throw refuse(`The network calls its layers more than ${MOST_LAYERS} times.`)
  return { layers, calls: sortCalls(calls), inputs: ends(field(config, 'input_layers')),
    outputs: ends(field(config, 'output_layers')) }
}

/** `input_layers`, `output_layers`: `[["dense", 0, 0]]`, `["dense", 0, 0]` for a single one, or named in an object. */
function ends(value: unknown): Reference[] {
  const single = readReference(value)
  if (single !== undefined) return [single]
  const list = isConfig(value) ? Object.values(value) : value
  if (!Array.isArray(list)) throw refuse('A functional model needs lists of its inputs and outputs.')
  return list.map(each => {
    const reference = readReference(each)
    if (reference === undefined) throw refuse('An input or output of the network has no name.')
    return reference
  })
}

const keyOf = (layer: string, node: number): string => `${node}:${layer}`

/** Calls in topological order. */
function sortCalls(calls: readonly Call[]): Call[] {
  const byKey = new Map(calls.map(call => [keyOf(call.layer.name, call.node), call]))
  const before = (call: Call): string[] =>
    [...call.args, ...call.options.values()].flatMap((argument: Argument) => referencesOf(argument))
      .map(({ layer, node }) => keyOf(layer, node))
  const sorted: Call[] = []
  const state = new Map<string, 'open' | 'done'>()
  for (const root of byKey.keys()) {
    const stack = [root]
    while (stack.length > 0) {
      const key = stack[stack.length - 1]
      const call = byKey.get(key)
      if (call === undefined) {
        throw refuse(`A layer takes its input from '${key.replace(/^\d+:/, '').slice(0, 100)}', ` +
          'which is not in the network.')
      }
      const waiting = state.get(key) === 'done' ? [] : before(call).filter(each => state.get(each) !== 'done')
      if (waiting.length === 0) {
        stack.pop()
        if (state.get(key) !== 'done') sorted.push(call)
        state.set(key, 'done')
      } else if (state.get(key) === 'open') throw refuse(`The layer '${call.layer.name.slice(0, 100)}' feeds itself.`)
      else {
        state.set(key, 'open')
        stack.push(...waiting)
      }
    }
  }
  return sorted
}
