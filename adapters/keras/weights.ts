/** @file Finds the arrays of each layer in the weights of a Keras file. */
import type { Tensor } from '../../core/tensor/tensor.js'
import type { Hdf5Group } from '../hdf5/read-hdf5.js'
import { refuse } from './config.js'
import type { KerasLayer } from './model.js'

/**
 * The arrays of a layer by their role in the order that Keras has them: kernel, bias; gamma, beta, moving mean, moving
 * variance.
 */
export type LayerWeights = ReadonlyMap<string, readonly Tensor[]>

const MOST_ARRAYS = 10_000

/** The weights of a .h5 file: `model_weights/<layer>`, in the order of the attribute `weight_names`. */
export function legacyWeights(root: Hdf5Group, layers: readonly KerasLayer[]): LayerWeights {
  const weights = root.group('model_weights') ?? root
  const found = new Map<string, Tensor[]>()
  for (const { name } of layers) {
    const group = weights.keys().includes(name) ? weights.group(name) : undefined
    if (group === undefined) continue
    const names = group.text('weight_names')
    const paths = Array.isArray(names)
      ? names
      : typeof names === 'string'
      ? [names]
      : orderByRole(arrayPaths(group, '', 0))
    found.set(name, paths.map(path => {
      const tensor = group.tensor(path)
      if (tensor === undefined) {
        throw refuse(`The file has no array '${path.slice(0, 200)}' for the layer '${name}'.`, name)
      }
      return tensor
    }))
  }
  return found
}

/** The weights of a .keras file: `layers/<class>[_k]/vars/<i>`, counted by class in the order of the layers. */
export function numberedWeights(root: Hdf5Group, layers: readonly KerasLayer[]): LayerWeights {
  const group = root.group('layers') ?? root.group('_layer_checkpoint_dependencies')
  if (group === undefined) throw refuse('The weights of the .keras file have no group named layers.')
  const keys = new Set(group.keys())
  const counts = new Map<string, number>()
  const numbered = layers.map(layer => {
    const stem = snakeCase(layer.className)
    const count = counts.get(stem) ?? 0
    counts.set(stem, count + 1)
    return count === 0 ? stem : `${stem}_${count}`
  })
  // Newer Keras versions use the names of the layers: they are taken where the counted names do not cover what is
  // there.
  const byName = [...keys].some(key => !numbered.includes(key)) &&
    layers.every((layer, i) => keys.has(layer.name) || !keys.has(numbered[i]))
  const found = new Map<string, Tensor[]>()
  layers.forEach((layer, i) => {
    const key = byName ? layer.name : numbered[i]
    const inner = keys.has(key) ? group.group(key) : undefined
    if (inner !== undefined) found.set(layer.name, variables(inner, 0))
  })
  return found
}

/**
 * `vars/0, vars/1, ...` of a layer; those of a recurrent layer are in its cell, those of a wrapped layer in `layer`.
 */
function variables(group: Hdf5Group, depth: number): Tensor[] {
  const vars = group.group('vars')
  const own = vars === undefined ?
    [] :
    vars.keys().filter(key => /^\d+$/.test(key)).sort((a, b) => Number(a) - Number(b)).map(key => {
      const tensor = vars.tensor(key)
      if (tensor === undefined) throw refuse(`The variable ${key} of a layer is not an array.`)
      return tensor
    })
  if (own.length > MOST_ARRAYS) throw refuse(`A layer has more than ${MOST_ARRAYS} arrays.`)
  if (own.length > 0 || depth > 3) return own
  for (const inside of ['cell', 'layer']) {
    const inner = group.group(inside)
    if (inner !== undefined) return variables(inner, depth + 1)
  }
  return own
}

/** `Conv2D` as `conv2d`, `MaxPooling2D` as `max_pooling2d`: the rule of Keras. */
export function snakeCase(name: string): string {
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
