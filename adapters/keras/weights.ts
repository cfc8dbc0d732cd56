/** @file Finds the arrays of each layer in the weights of a Keras file. */
import type { Tensor } from '../../core/tensor/tensor.js'
import type { Hdf5Group } from '../hdf5/tree.js'
import { withLearning } from './arrays.js'
import { refuse } from './config.js'
import type { KerasModel } from './model.js'

/**
 * The arrays of a layer, by their role in the order that Keras has them (kernel, bias; gamma, beta, moving mean, moving
 * variance), and those of what is inside it.
 */
export interface LayerWeights {
  /** Every array of the layer, those of layers inside it (a cell, projections of an attention) too. */
  arrays(): readonly Tensor[]
  /** Those of one of two layers inside it, forwards and backwards. */
  half(direction: 'forward_layer' | 'backward_layer'): LayerWeights
  /** Those of cells one upon the other, by their classes. */
  cells(classes: readonly string[]): readonly Tensor[]
  /** Those of the layer that it wraps. */
  wrapped(): LayerWeights
  /** Those of the layers of a network. */
  layers(network: KerasModel): ReadonlyMap<string, LayerWeights>
}

const MOST_ARRAYS = 10_000

/** The weights of a .h5 file: `model_weights/<layer>`, in the order of the attribute `weight_names`. */
export function legacyWeights(root: Hdf5Group, network: KerasModel): ReadonlyMap<string, LayerWeights> {
  const weights = root.group('model_weights') ?? root
  const keys = new Set(weights.keys())
  const found = new Map<string, LayerWeights>()
  for (const { name } of network.layers) {
    const group = keys.has(name) ? weights.group(name) : undefined
    if (group !== undefined) found.set(name, new NamedArrays(namedArrays(group, name)))
  }
  return found
}

interface NamedArray {
  readonly path: string
  readonly value: Tensor
}

function namedArrays(group: Hdf5Group, layer: string): NamedArray[] {
  const names = group.text('weight_names')
  const paths = Array.isArray(names)
    ? names
    : typeof names === 'string'
    ? [names]
    : orderByRole(arrayPaths(group, '', 0))
  return paths.map(path => {
    const value = group.tensor(path)
    if (value === undefined) {
      throw refuse(`The file has no array '${path.slice(0, 200)}' for the layer '${layer}'.`, layer)
    }
    return { path, value }
  })
}

/** Arrays in one list, whose names say to which inner layer each belongs: `encoder/dense/kernel`. */
class NamedArrays implements LayerWeights {
  private readonly list: readonly NamedArray[]

  constructor(list: readonly NamedArray[]) {
    this.list = list
  }

  arrays(): readonly Tensor[] {
    return this.list.map(({ value }) => value)
  }

  /** Both directions have as many arrays, the forward ones first. */
  half(direction: 'forward_layer' | 'backward_layer'): LayerWeights {
    const middle = this.list.length / 2
    return new NamedArrays(direction === 'forward_layer' ? this.list.slice(0, middle) : this.list.slice(middle))
  }

  cells(): readonly Tensor[] {
    return this.arrays()
  }

  /** Without the vector that a spectral normalisation keeps for itself. */
  wrapped(): LayerWeights {
    return new NamedArrays(this.list.filter(({ path }) => !/vector_u(:0)?$/.test(path)))
  }

  layers(network: KerasModel): ReadonlyMap<string, LayerWeights> {
    return new Map(
      network.layers.map((
        { name },
      ) => [name, new NamedArrays(this.list.filter(({ path }) => `/${path}`.includes(`/${name}/`)))]),
    )
  }
}

/** The weights of a .keras file: `layers/<class>[_k]/vars/<i>`, counted by class in the order of the layers. */
export function numberedWeights(root: Hdf5Group, network: KerasModel): ReadonlyMap<string, LayerWeights> {
  if ((root.group('layers') ?? root.group('_layer_checkpoint_dependencies')) === undefined) {
    throw refuse('The weights of the .keras file have no group named layers.')
  }
  return new GroupedArrays(root).layers(network)
}

/** Layers inside of layers, by the names that Keras' classes give them, in the order in which they hold arrays. */
const INNER = ['cell', 'layer', 'forward_layer', 'backward_layer', 'query_dense', 'key_dense', 'value_dense',
  'gate_dense', 'output_dense', '_query_dense', '_key_dense', '_value_dense', '_gate_dense', '_output_dense']

/** Arrays in groups within groups, as the layers are. */
class GroupedArrays implements LayerWeights {
  private readonly group: Hdf5Group

  constructor(group: Hdf5Group) {
    this.group = group
  }

  arrays(): readonly Tensor[] {
    return variables(this.group, 0)
  }

  half(direction: 'forward_layer' | 'backward_layer'): LayerWeights {
    return new GroupedArrays(this.group.group(direction) ?? this.group)
  }

  cells(classes: readonly string[]): readonly Tensor[] {
    const group = this.group.group('cell/cells')
    if (group === undefined) return []
    return countedNames(classes).flatMap(name => {
      const inner = group.group(name)
      return inner === undefined ? [] : variables(inner, 0)
    })
  }

  wrapped(): LayerWeights {
    return new GroupedArrays(this.group.group('layer') ?? this.group)
  }

  layers(network: KerasModel): ReadonlyMap<string, LayerWeights> {
    const layers = network.layers.filter(layer => !layer.operation)
    const group = this.group.group('layers') ?? this.group.group('_layer_checkpoint_dependencies')
    if (group === undefined) return new Map()
    const keys = new Set(group.keys())
    const numbered = countedNames(layers.map(({ className }) => className))
    // Some versions use the names of the layers: they are taken where the counted names do not cover what is there.
    const byName = [...keys].some(key => !numbered.includes(key)) &&
      layers.every((layer, i) => keys.has(layer.name) || !keys.has(numbered[i]))
    const found = new Map<string, LayerWeights>()
    layers.forEach((layer, i) => {
      const key = byName ? layer.name : numbered[i]
      const inner = keys.has(key) ? group.group(key) : undefined
      if (inner !== undefined) found.set(layer.name, new GroupedArrays(inner))
    })
    return found
  }
}

/** `dense`, `dense_1`, ...: the class in snake case, counted. */
function countedNames(classes: readonly string[]): string[] {
  const counts = new Map<string, number>()
  return classes.map(className => {
    const stem = snakeCase(className === 'GroupQueryAttention' ? 'GroupedQueryAttention' : className)
    const count = counts.get(stem) ?? 0
    counts.set(stem, count + 1)
    return count === 0 ? stem : `${stem}_${count}`
  })
}

/** `vars/0, vars/1, ...` of a layer, then those of the layers inside it. */
function variables(group: Hdf5Group, depth: number): Tensor[] {
  const vars = group.group('vars')
  const own = vars === undefined ?
    [] :
    vars.keys().filter(key => /^\d+$/.test(key)).sort((a, b) => Number(a) - Number(b)).map(key => {
      const tensor = vars.tensor(key)
      if (tensor === undefined) throw refuse(`The variable ${key} of a layer is not an array.`)
      return withLearning(tensor, Number(key), vars)
    })
  if (own.length > MOST_ARRAYS) throw refuse(`A layer has more than ${MOST_ARRAYS} arrays.`)
  if (depth > 3) return own
  const keys = new Set(group.keys())
  const inside = INNER.filter(name => keys.has(name)).flatMap(name => {
    const inner = group.group(name)
    return inner === undefined ? [] : variables(inner, depth + 1)
  })
  return [...own, ...inside]
}

/** `Conv2D` as `conv2d`, `MaxPooling2D` as `max_pooling2d`: the rule of Keras. */
function snakeCase(name: string): string {
  return name.replace(/\W+/g, '').replace(/(.)([A-Z][a-z]+)/g, '$1_$2').replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
}

function arrayPaths(group: Hdf5Group, prefix: string, depth: number): string[] {
  if (depth > 10) return []
  return group.keys().flatMap(key => {
    const inner = group.group(key)
    return inner === undefined ? [`${prefix}${key}`] : arrayPaths(inner, `${prefix}${key}/`, depth + 1)
  })
}

/**
 * Every array of a file by path, without those of the optimiser; of a whole network only those under `model_weights`.
 */
export function allArrays(root: Hdf5Group): Map<string, Tensor> {
  const start = root.group('model_weights') ?? root
  const found = new Map<string, Tensor>()
  for (const path of arrayPaths(start, '', 0)) {
    if (/^(optimizer|optimizer_weights|top_level_model_weights)(\/|$)/.test(path) || found.size >= MOST_ARRAYS) continue
    const tensor = start.tensor(path)
    if (tensor !== undefined) found.set(path, tensor)
  }
  return found
}

const ROLES = ['gamma', 'beta', 'moving_mean', 'moving_variance', 'embeddings', 'depthwise_kernel', 'pointwise_kernel',
  'kernel', 'recurrent_kernel', 'alpha', 'bias']

/** Without the attribute, the order in which Keras creates the arrays. */
function orderByRole(paths: readonly string[]): string[] {
  const rank = (path: string): number => {
    const last = (path.split('/').pop() ?? '').replace(/:\d+$/, '')
    const found = ROLES.indexOf(last)
    return found < 0 ? ROLES.length : found
  }
  return [...paths].sort((a, b) => rank(a) - rank(b))
}
