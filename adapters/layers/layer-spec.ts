/**
 * @file The architecture of a network whose file holds only weights: a list of layers in order, torch's names and
 * arguments.
 *
 * It arrives as JSON from a file, a message or a program, so every entry is checked before it is used.
 */
import { OptionError } from '../../core/errors/errors.js'
import { shown } from '../../core/errors/shown.js'
import { nearestWord } from '../../core/errors/suggest.js'

/** One layer: torch's class name, the prefix of its tensors in the file, torch's arguments. */
export interface LayerSpec {
  readonly type: string
  readonly name?: string
  /** The layers inside of a container (Residual, Sequential). */
  readonly layers?: readonly LayerSpec[]
  readonly [argument: string]: unknown
}

const MOST_LAYERS = 10_000
const DEEPEST = 50

/** A refusal of an architecture; `path` is the layer's place, `2.layers.0` for example. */
export function badArchitecture(message: string, path: string,
  more: Readonly<Record<string, unknown>> = {}): OptionError {
  return new OptionError('BAD_OPTION', message, { option: 'architecture', layer: path, ...more })
}

/** A layer as messages name it. */
export function describeLayer(layer: LayerSpec, path: string): string {
  return layer.name === undefined
    ? `layer ${path} (${layer.type})`
    : `layer '${layer.name.slice(0, 100)}' (${layer.type})`
}

/**
 * Reads an architecture from JSON text.
 * @throws OptionError BAD_OPTION when it is not JSON, or as `checkArchitecture`
 * @example
 * parseArchitecture('[{"type":"Linear","name":"0"},{"type":"Tanh"},{"type":"Linear","name":"2"}]')
 */
export function parseArchitecture(text: string): readonly LayerSpec[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw badArchitecture(
      `The architecture is not JSON: ${error instanceof Error ? error.message.slice(0, 200) : 'it cannot be parsed'}.`,
      '',
    )
  }
  return checkArchitecture(value)
}

/**
 * Checks that a value is a list of layers: objects with a `type`, perhaps a `name` and `layers`.
 * @throws OptionError BAD_OPTION that says where it is not
 */
export function checkArchitecture(value: unknown): readonly LayerSpec[] {
  return checkList(value, '', 0, { count: 0 })
}

function checkList(value: unknown, path: string, depth: number, total: { count: number }): readonly LayerSpec[] {
  const what = path === '' ? 'The architecture' : `The field 'layers' of layer ${path}`
  if (!Array.isArray(value)) {
    throw badArchitecture(
      `${what} must be a list of layers, such as [{"type":"Linear","name":"0"},{"type":"Tanh"}]; got ${
        value === null ? 'null' : typeof value
      }.`,
      path,
    )
  }
  if (depth > DEEPEST) throw badArchitecture(`The architecture is nested more than ${DEEPEST} deep.`, path)
  total.count += value.length
  if (total.count > MOST_LAYERS) throw badArchitecture(`The architecture has more than ${MOST_LAYERS} layers.`, path)
  return value.map((entry: unknown, i) =>
    checkLayer(entry, path === '' ? String(i) : `${path}.layers.${i}`, depth, total)
  )
}

function checkLayer(entry: unknown, path: string, depth: number, total: { count: number }): LayerSpec {
  if (typeof entry === 'string') {
    throw badArchitecture(
      `Layer ${path} of the architecture must be an object such as {"type":"${entry.slice(0, 50)}"}; got text.`,
      path,
    )
  }
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    throw badArchitecture(
      `Layer ${path} of the architecture must be an object with a type; got ${shown(entry)}.`,
      path,
    )
  }
  const fields = new Map(
    entry instanceof Map
      ? [...entry as ReadonlyMap<unknown, unknown>].map(([key, value]) => [String(key), value] as const)
      : Object.entries(entry),
  )
  const type = fields.get('type')
  if (typeof type !== 'string') {
    const near = nearestWord('type', [...fields.keys()])
    throw badArchitecture(
      `Layer ${path} of the architecture has no type (torch's class name, such as "Linear").${
        near === undefined ? '' : ` It has '${near}'.`
      }`,
      path,
    )
  }
  const name = fields.get('name')
  if (name !== undefined && typeof name !== 'string') {
    throw badArchitecture(
      `The name of layer ${path} (${type.slice(0, 50)}) must be text, the prefix of its tensors; got ${typeof name}.`,
      path,
    )
  }
  if (fields.has('layers')) fields.set('layers', checkList(fields.get('layers'), path, depth + 1, total))
  // Object.fromEntries defines own properties, so that a key `__proto__` stays data.
  // torch.nn.Linear is Linear.
  return { ...Object.fromEntries(fields), type: type.replace(/^(torch\.)?nn\.(modules\.\w+\.)?/, '') }
}
