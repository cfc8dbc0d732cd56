/**
 * @file Calls of layers, as Keras writes them in `inbound_nodes`.
 *
 * Keras 3: `{ args: [...], kwargs: {...} }`, tensors being `{ class_name: "__keras_tensor__", config: { keras_history:
 * [layer, node, tensor] } }`. Keras 2: `[[layer, node, tensor, kwargs], ...]`.
 */
import { type Config, field, isConfig, refuse } from './config.js'

/** A tensor by the call that gives it. */
export interface Reference {
  readonly layer: string
  readonly node: number
  readonly tensor: number
}

/** An argument of a call: a tensor, a list of arguments, or something written down. */
export type Argument = { readonly reference: Reference } | { readonly list: readonly Argument[] } | {
  readonly literal: unknown
}

/** What a call is given: arguments by place and by name. */
export interface CallArguments {
  readonly args: readonly Argument[]
  readonly options: ReadonlyMap<string, Argument>
}

const DEEPEST_ARGUMENT = 10
const MOST_ARGUMENTS = 1000

/** `[layer, node, tensor]`, or undefined. */
export function readReference(value: unknown): Reference | undefined {
  if (!Array.isArray(value)) return undefined
  const [layer, node, tensor] = value as unknown[]
  return typeof layer === 'string' && Number.isInteger(node) && Number.isInteger(tensor)
    ? { layer, node: node as number, tensor: tensor as number }
    : undefined
}

/** The tensors in an argument, in order. */
export function referencesOf(argument: Argument): Reference[] {
  if ('reference' in argument) return [argument.reference]
  return 'list' in argument ? argument.list.flatMap(referencesOf) : []
}

/** The arguments of one call. @throws UntrustedInputError when they are nested too deeply, or too many */
export function readNode(node: unknown): CallArguments {
  if (isConfig(node)) {
    const args = field(node, 'args')
    const options = field(node, 'kwargs')
    return { args: Array.isArray(args) ? args.map(each => readArgument(each)) : [], options: readOptions(options) }
  }
  if (!Array.isArray(node)) throw refuse('A call of a layer has no arguments.')
  if (readReference(node) !== undefined) {
    return { args: [readOldArgument(node)], options: readOptions((node as unknown[])[3]) }
  }
  const [first] = node as unknown[]
  const args = node.map(each => readOldArgument(each))
  return { args: args.length === 1 ? args : [{ list: args }],
    options: readOptions(Array.isArray(first) ? first[3] : undefined) }
}

function readOptions(value: unknown): Map<string, Argument> {
  return new Map(isConfig(value) ? Object.entries(value).map(([name, each]) => [name, readArgument(each)]) : [])
}

/** Keras 2: a tensor by its place, or a number as `["_CONSTANT_VALUE", -1, number]`. */
function readOldArgument(value: unknown, depth = 0): Argument {
  if (depth > DEEPEST_ARGUMENT) throw refuse('The arguments of a layer are nested too deeply.')
  if (Array.isArray(value) && value[0] === '_CONSTANT_VALUE') return { literal: value[2] }
  const reference = readReference(value)
  if (reference !== undefined) return { reference }
  if (!Array.isArray(value) || value.length > MOST_ARGUMENTS) throw refuse('A layer has an input without a name.')
  return { list: value.map(each => readOldArgument(each, depth + 1)) }
}

function readArgument(value: unknown, depth = 0): Argument {
  if (depth > DEEPEST_ARGUMENT) throw refuse('The arguments of a layer are nested too deeply.')
  if (isConfig(value)) {
    const history = readReference(historyOf(value))
    return history === undefined ? { literal: value } : { reference: history }
  }
  const reference = readReference(value)
  if (reference !== undefined) return { reference }
  if (!Array.isArray(value)) return { literal: value }
  if (value.length > MOST_ARGUMENTS) throw refuse(`A layer has more than ${MOST_ARGUMENTS} arguments.`)
  return { list: value.map(each => readArgument(each, depth + 1)) }
}

function historyOf(value: Config): unknown {
  const config = field(value, 'config')
  return isConfig(config) ? field(config, 'keras_history') : undefined
}
