/**
 * @file Finds the networks and the arrays of numbers in a file, wherever they are.
 *
 * A file holds whatever variables were saved: a network, several, a struct of the user's own with networks in its
 * fields, an optimiser's state beside it, a list of parameters. Everything is walked once; code and types are not.
 */
import { type ArrayCache, arrayOf, isGpuArray, isNumeric } from './julia/arrays.js'
import type { Bson } from './julia/bson-values.js'
import { type JuliaFile, malformed, resolve, tagOf } from './julia/julia-file.js'
import { type JuliaStruct, structOf } from './julia/julia-types.js'
import { entriesOf, itemsOf, namedTupleOf, symbolOf } from './julia/julia-values.js'
import { fieldNames, layerName } from './layers/struct-fields.js'

/** Something found in a file, with the path of names and numbers (from 1) that leads to it. */
export interface Found {
  readonly path: string
  readonly value: Bson
}

/** A layer or a chain of layers that is not inside another one. */
export interface FoundNetwork extends Found {
  /** Its Flux type, `Chain` for example. */
  readonly layer: string
}

/** What a file holds: networks, and arrays in and beside them. */
export interface Contents {
  readonly networks: readonly FoundNetwork[]
  /** Arrays of numbers outside of networks and inside of them, in the order of the file. */
  readonly arrays: readonly Found[]
  /** Arrays whose numbers were left on the GPU. */
  readonly gpuArrays: readonly string[]
}

/** Values looked at before a file is refused: a guard against files made to be walked for ever. */
const MOST_VALUES = 2_000_000
/** Values looked at when copies of networks are told from others. */
const MOST_STEPS = 100_000
/** Nesting of values that is followed. */
const DEEPEST = 200

/** Objects that hold copies of a network's arrays, code or types, but no network. */
const SKIPPED: readonly RegExp[] = [
  /^Core\.(TypeName|Method|CodeInfo|Expr|GlobalRef)/,
  /^(Optimisers?|Flux\.(Optimise|Optimisers)|ParameterSchedulers|Random)\./,
  /^Base\.(RefValue|Threads)/,
]

/** Layers that are a network of their own when nothing is around them; functions and dropout are not. */
const NETWORKS: ReadonlySet<string> = new Set([
  'Chain',
  'Dense',
  'Conv',
  'ConvTranspose',
  'DepthwiseConv',
  'CrossCor',
  'SkipConnection',
  'Parallel',
  'Maxout',
  'Embedding',
  'Bilinear',
  'Recur',
  'RNN',
  'LSTM',
  'GRU',
  'GRUv3',
  'RNNCell',
  'LSTMCell',
  'GRUCell',
  'GRUv3Cell',
])

interface Walk {
  readonly path: string
  readonly value: Bson
  readonly depth: number
  readonly inNetwork: boolean
}

/**
 * Walks a whole file.
 * @param nested also lists the layers inside of networks
 * @throws UntrustedInputError for broken references
 */
export function contentsOf(file: JuliaFile, nested = false): Contents {
  const networks: FoundNetwork[] = []
  const arrays: Found[] = []
  const gpuArrays: string[] = []
  const seen = new Set<object>()
  const stack: Walk[] = [...file.variables].map(([path, value]) => ({ path, value, depth: 0, inNetwork: false }))
    .reverse()
  for (let count = 0, item = stack.pop(); item !== undefined; item = stack.pop()) {
    if (++count > MOST_VALUES) throw malformed(`The file holds more than ${MOST_VALUES} values.`)
    const value = resolve(file, item.value)
    // Simple numbers, code and types hold nothing; an object seen before has been listed under its first path.
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array || seen.has(value) ||
      item.depth > DEEPEST) continue
    seen.add(value)
    const tag = tagOf(value)
    if (isNumeric(file, value)) {
      arrays.push({ path: item.path, value })
      continue
    }
    const struct = tag === 'struct' ? structOf(file, value) : undefined
    if (struct !== undefined && isGpuArray(file, value)) {
      gpuArrays.push(item.path)
      continue
    }
    if (struct !== undefined && SKIPPED.some(pattern => pattern.test(struct.type.path))) continue
    const layer = struct === undefined ? undefined : layerName(struct)
    const network = layer !== undefined && NETWORKS.has(layer)
    if (network && (!item.inNetwork || nested)) networks.push({ path: item.path, value, layer })
    const children = childrenOf(file, value, struct)
    for (let i = children.length - 1; i >= 0; i--) {
      const [name, child] = children[i]
      stack.push({ path: `${item.path}.${name}`, value: child, depth: item.depth + 1,
        inNetwork: item.inNetwork || network })
    }
  }
  return { networks: distinct(file, networks), arrays, gpuArrays }
}

/** The parts of a value with their names. Wrappers of one array (tracked, transposed) count as the array. */
function childrenOf(file: JuliaFile, value: Bson, struct: JuliaStruct | undefined): [string, Bson][] {
  const named = namedTupleOf(file, value)
  if (named !== undefined) return named.names.map((name, i) => [name, named.values[i]])
  const entries = entriesOf(file, value)
  if (entries !== undefined) return entries
  if (struct !== undefined) {
    const names = struct.type.typeName === undefined ? fieldNames(struct) : captureNames(file, struct)
    return struct.fields.map((field, i) => [names[i] ?? String(i + 1), field])
  }
  const tag = tagOf(value)
  if (tag === undefined || tag === 'tuple' || tag === 'svec' || tag === 'array') {
    return (itemsOf(file, value) ?? []).map((item, i) => [String(i + 1), item])
  }
  return []
}

function captureNames(file: JuliaFile, struct: JuliaStruct): string[] {
  const typeName = structOf(file, struct.type.typeName)
  return (itemsOf(file, typeName?.fields[2]) ?? []).map((name, i) => symbolOf(file, name) ?? String(i + 1))
}

/**
 * Drops networks that are another one's copy: an immutable Chain saved twice (by a loss function that captured it) is
 * written twice but shares its arrays. The copy with the shorter path stays.
 */
function distinct(file: JuliaFile, networks: readonly FoundNetwork[]): FoundNetwork[] {
  const byArrays = new Map<string, FoundNetwork>()
  const numbers = new Map<object, number>()
  const result: FoundNetwork[] = []
  const steps = { left: MOST_STEPS }
  for (const network of networks) {
    const key = arrayKey(file, network.value, numbers, steps)
    const other = key === '' ? undefined : byArrays.get(key)
    if (other === undefined) {
      byArrays.set(key, network)
      result.push(network)
    } else if (network.path.split('.').length < other.path.split('.').length) {
      byArrays.set(key, network)
      result[result.indexOf(other)] = network
    }
  }
  return result
}

/** A word made of the identities of the arrays in a value, in order. */
function arrayKey(file: JuliaFile, root: Bson, numbers: Map<object, number>, steps: { left: number }): string {
  const found: number[] = []
  const seen = new Set<object>()
  const stack: Bson[] = [root]
  for (let value = stack.pop(); value !== undefined; value = stack.pop()) {
    if (--steps.left < 0) return ''
    const plain = resolve(file, value)
    if (typeof plain !== 'object' || plain === null || plain instanceof Uint8Array || seen.has(plain) ||
      found.length > 1000) continue
    seen.add(plain)
    const struct = tagOf(plain) === 'struct' ? structOf(file, plain) : undefined
    if (tagOf(plain) === 'array' || (struct !== undefined && isGpuArray(file, plain))) {
      const number = numbers.get(plain) ?? numbers.size
      numbers.set(plain, number)
      found.push(number)
    } else for (const [, child] of childrenOf(file, plain, struct).reverse()) stack.push(child)
  }
  return found.join()
}

/**
 * The arrays of a file as they are in Julia, by path.
 * @throws UntrustedInputError when an array's size and data disagree
 */
export function readArrays(file: JuliaFile, contents: Contents,
  cache: ArrayCache): { path: string, array: NonNullable<ReturnType<typeof arrayOf>> }[] {
  return contents.arrays.flatMap(found => {
    const array = arrayOf(file, found.value, found.path, cache)
    return array === undefined ? [] : [{ path: found.path, array }]
  })
}
