/** @file Recognises a plain chain of Linear layers by the names and shapes of its tensors. */
import { OptionError, UntrustedInputError } from '../../core/errors/errors.js'
import { nearestWord } from '../../core/errors/suggest.js'
import type { NamedTensors } from '../tensors/file-tensor.js'
import { ACTIVATIONS } from './activations.js'
import { listNames } from './emission.js'
import type { LayerSpec } from './layer-spec.js'

/** Other words for torch's activations. */
const ALIASES: Readonly<Record<string, string>> = { identity: 'Identity', linear: 'Identity', none: 'Identity',
  logistic: 'Sigmoid', swish: 'SiLU', leaky_relu: 'LeakyReLU' }
/** Activations that are no function of one number without further arguments. */
const OTHERS: ReadonlySet<string> = new Set(['PReLU', 'GLU', 'Softmax', 'LogSoftmax', 'Softmin', 'Softmax2d',
  'Threshold'])

/** The activations that can be named by one word. */
export const ACTIVATION_WORDS: readonly string[] = ['Identity',
  ...Object.keys(ACTIVATIONS).filter(name => !OTHERS.has(name))]

/**
 * torch's name of an activation; capitals do not matter.
 * @throws OptionError BAD_OPTION with the nearest known word
 */
export function activationType(word: unknown): string {
  const plain = typeof word === 'string' ? word.toLowerCase() : ''
  const found = Object.hasOwn(ALIASES, plain)
    ? ALIASES[plain]
    : ACTIVATION_WORDS.find(name => name.toLowerCase() === plain.replace(/[_ -]/g, ''))
  if (found !== undefined) return found
  const suggestion = typeof word === 'string' ? nearestWord(word, ACTIVATION_WORDS) : undefined
  throw new OptionError('BAD_OPTION',
    `Option activation must be one of ${ACTIVATION_WORDS.join(', ')}; got ${
      typeof word === 'string' ? `'${word.slice(0, 100)}'` : typeof word
    }.${suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`}`, { option: 'activation',
    value: typeof word === 'string' ? word.slice(0, 100) : typeof word, allowed: ACTIVATION_WORDS,
    ...(suggestion === undefined ? {} : { suggestion }) })
}

/** A Linear layer found in a file. */
interface Found {
  readonly name: string
  readonly into: number
  readonly out: number
}

/**
 * The architecture of tensors that are a plain chain of Linear layers, with one activation between them.
 * @throws UntrustedInputError MISSING_ARCHITECTURE when they are not, or when the activation is not given
 */
export function linearChain(tensors: NamedTensors, activation: string | undefined): readonly LayerSpec[] {
  const chain = findChain(tensors)
  if (chain === undefined) throw missingArchitecture(tensors)
  if (chain.length > 1 && activation === undefined) throw missingActivation(chain)
  const between = activation === undefined ? 'Identity' : activationType(activation)
  return withActivations(chain, between)
}

function withActivations(chain: readonly Found[], between: string): LayerSpec[] {
  return chain.flatMap(({ name },
    i) => (i === 0 ? [{ type: 'Linear', name }] : [{ type: between }, { type: 'Linear', name }])
  )
}

function missingActivation(chain: readonly Found[]): UntrustedInputError {
  const example = JSON.stringify(withActivations(chain.slice(0, 3), 'Tanh'))
  return new UntrustedInputError(
    `The file holds the weights of ${chain.length} Linear layers (${
      chain.slice(0, 8).map(({ name, into, out }) => `'${name.slice(0, 60)}': ${into} to ${out}`).join(', ')
    }${chain.length > 8 ? ', ...' : ''}) ` +
      `but not the activation between them. Name it with the option activation, such as 'Tanh' or 'ReLU', ` +
      `or give the architecture: ${example.slice(0, 400)}.`,
    { format: 'weights', actual: chain.slice(0, 50).map(({ name }) => name) },
    'MISSING_ARCHITECTURE',
  )
}

function missingArchitecture(tensors: NamedTensors): UntrustedInputError {
  const names = [...tensors.keys()]
  const sketch = JSON.stringify(sketchOf(tensors).slice(0, 6))
  return new UntrustedInputError(
    `The file holds ${names.length} tensors by name (${
      listNames(names, 8)
    }) and no layers, and they are not a plain chain of Linear layers. ` +
      `Give the layers as architecture, a list with torch's names and arguments${
        sketch === '[]' ? '' : `, beginning like ${sketch.slice(0, 400)} with the activations and pools between them`
      }; or export the network to ONNX.`,
    { format: 'weights', actual: names.slice(0, 50) },
    'MISSING_ARCHITECTURE',
  )
}

/** The layers that hold tensors, as their shapes suggest. */
function sketchOf(tensors: NamedTensors): LayerSpec[] {
  return [...tensors].flatMap(([name, { shape }]) => {
    if (!name.endsWith('.weight')) return []
    const prefix = name.slice(0, -'.weight'.length)
    const type = shape.length === 1
      ? (tensors.has(`${prefix}.running_mean`) ? 'BatchNorm2d' : 'LayerNorm')
      : ['Linear', 'Conv1d', 'Conv2d', 'Conv3d'][shape.length - 2]
    return type === undefined ? [] : [{ type, name: prefix }]
  })
}

/** The Linear layers in order, or undefined when the tensors are something else. */
function findChain(tensors: NamedTensors): readonly Found[] | undefined {
  const layers: Found[] = []
  for (const [name, { shape }] of tensors) {
    const prefix = name.replace(/(^|\.)(weight|bias)$/, '')
    const role = prefix === '' ? name : name.slice(prefix.length + 1)
    const weight = tensors.get(prefix === '' ? 'weight' : `${prefix}.weight`)
    // A table of an embedding has the shape of a Linear layer's weight; only its name can tell.
    if ((role !== 'weight' && role !== 'bias') || weight?.shape.length !== 2 || /embed/i.test(prefix)) return undefined
    if (role === 'weight') layers.push({ name: prefix, into: shape[1], out: shape[0] })
    else if (shape.length !== 1 || shape[0] !== weight.shape[0]) return undefined
  }
  if (layers.length === 0) return undefined
  const natural = [...layers].sort((a, b) => naturalOrder(a.name, b.name))
  return [natural, layers].find(chains) ?? onlyChain(layers)
}

function chains(layers: readonly Found[]): boolean {
  return layers.every(({ into }, i) => i === 0 || layers[i - 1].out === into)
}

/** Numbers in names in order of their value: fc2 before fc10. */
function naturalOrder(a: string, b: string): number {
  const [left, right] = [a, b].map(name => name.match(/\d+|\D+/g) ?? [])
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = Number(left[i]) - Number(right[i])
    if (Number.isNaN(difference) ? left[i] !== right[i] : difference !== 0) {
      return Number.isNaN(difference)
        ? (left[i] < right[i] ? -1 : 1)
        : difference
    }
  }
  return left.length - right.length
}

/** The order in which sizes meet, when every size between layers occurs once as input and once as output. */
function onlyChain(layers: readonly Found[]): readonly Found[] | undefined {
  const byInput = new Map(layers.map(layer => [layer.into, layer] as const))
  const outputs = new Set(layers.map(layer => layer.out))
  const starts = layers.filter(layer => !outputs.has(layer.into))
  if (byInput.size !== layers.length || outputs.size !== layers.length || starts.length !== 1) return undefined
  const chain = [starts[0]]
  for (let next = byInput.get(starts[0].out); next !== undefined; next = byInput.get(next.out)) chain.push(next)
  return chain.length === layers.length ? chain : undefined
}
