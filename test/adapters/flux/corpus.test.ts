/**
 * @file Real BSON files, where the corpus is beside the repository: each ends in a network, tensors or a typed error.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { describeFlux, readFlux, readFluxTensors } from '../../../adapters/flux/index.js'
import { LaplaceError } from '../../../core/errors/errors.js'
import type { Graph } from '../../../core/graph/graph.js'
import { byChannel, column, conv, dense, difference, map, pool, relu, reshape, run, softmax } from './column-major.js'
import { numbers } from './julia-writer.js'

const folder = new URL('../../../../shared/models/bson/', import.meta.url)
const files = existsSync(folder) ? readdirSync(folder).filter(name => name.endsWith('.bson')).sort() : []
if (files.length === 0) console.log(`# The corpus of real files is not at ${folder.pathname}: nothing to read.`)

const read = (name: string): Uint8Array => Uint8Array.from(readFileSync(new URL(name, folder)))
const shapes = (graph: Graph): string => graph.parameters.map(p => p.shape.join('x')).join(' ')

/** Files whose content is known: the shapes of the parameters, or the code of the error. */
const known: Record<string, string> = {
  'CE.jl__CIFAR10_nn.bson': '16x3x5x5 16 8x16x5x5 8 120x200 120 84x120 84 1x84 1',
  'CE.jl__CIFAR10_nn_b.bson': '16x3x5x5 16 8x16x5x5 8 120x200 120 84x120 84 10x84 10',
  'CE.jl__MNIST_image.bson': '32x784 32 32 32 10x32 10 10 10',
  'CE.jl__MNIST_v2.bson': '32x784 32 10x32 10',
  'CounterfactualExplanations.jl__cats_dogs_model.bson': '32x2 32 1x32 1',
  'model-zoo__pendulum_value.bson': '30x3 30 30x30 30 1x30 1',
  'model-zoo__policy_cat.bson': '30x4 30 2x30 2',
  'model-zoo__policy_mu.bson': '30x3 30 1x30 1',
  'model-zoo__value.bson': '30x4 30 30x30 30 1x30 1',
  'model-zoo__vae_mnist_model.bson': 'AMBIGUOUS_NETWORK',
  'model-zoo__policy_sigma.bson': 'MISSING_ARCHITECTURE',
  'CounterfactualExplanations.jl__cats_dogs_data.bson': 'MISSING_ARCHITECTURE',
  'Image-Longitudinal__model.bson': 'UNSUPPORTED_FORMAT',
  'Image-Longitudinal__weights.bson': 'UNSUPPORTED_FORMAT',
  'BSON.jl__test_41_from_32bit.bson': 'UNSUPPORTED_FORMAT',
}

t.test('every file is read or refused with a typed error', async t => {
  for (const name of files) {
    const bytes = read(name)
    let result: string
    try {
      result = shapes(readFlux(bytes))
    } catch (error) {
      if (!(error instanceof LaplaceError) || error.code === 'INTERNAL') throw error
      result = error.code
      // What the error offers can be chosen.
      const { networks } = error.data
      if (error.code === 'AMBIGUOUS_NETWORK' && Array.isArray(networks)) {
        for (const model of networks as string[]) {
          t.ok(readFlux(bytes, { model }).parameters.length > 0, `${name}: ${model}`)
        }
      }
    }
    if (known[name] !== undefined) t.equal(result, known[name], name)
    else t.ok(result.length > 0, `${name}: ${result}`)
    t.ok(readFluxTensors(bytes).size >= 0)
    t.ok(describeFlux(bytes).networks.length >= 0)
  }
})

const random = numbers(3)

t.test('a dense network of real weights', async t => {
  const name = 'CE.jl__MNIST_v2.bson'
  if (!files.includes(name)) return
  const bytes = read(name)
  const weights = readFluxTensors(bytes)
  const matrix = (path: string): ReturnType<typeof column> => {
    const value = weights.get(path)
    if (value === undefined) throw new Error(path)
    const [rows, columns] = value.shape
    // Tensors are row-major; here the columns run fastest.
    return value.shape.length === 1
      ? column(value.shape, value.data)
      : column(value.shape,
        Array.from({ length: rows * columns }, (_, i) => value.data[(i % rows) * columns + Math.floor(i / rows)]))
  }
  const x = column([784, 3], random(784 * 3))
  const expected = dense(matrix('nn.layers.2.weight'), matrix('nn.layers.2.bias'),
    relu(dense(matrix('nn.layers.1.weight'), matrix('nn.layers.1.bias'), x)))
  t.ok(difference(run(readFlux(bytes), x), expected) < 2e-6)
})

t.test('a policy of tracked arrays: tanh in one function, times two in another', async t => {
  const name = 'model-zoo__policy_mu.bson'
  if (!files.includes(name)) return
  const graph = readFlux(read(name))
  const [w1, b1, w2, b2] = graph.parameters.map(({ name: parameter }) => graph.initializers.get(parameter)?.data ?? [])
  const x = column([3, 4], random(12))
  // The graph's weights are out x in, row-major.
  const turned = (data: ArrayLike<number>, rows: number, columns: number): ReturnType<typeof column> =>
    column([rows, columns], Array.from({ length: rows * columns }, (_, i) =>
      data[(i % rows) * columns + Math.floor(i / rows)]))
  const hidden = map(dense(turned(w1, 30, 3), column([30], b1), x), Math.tanh)
  const expected = map(dense(turned(w2, 1, 30), column([1], b2), hidden), v => 2 * Math.tanh(v))
  t.ok(difference(run(graph, x), expected) < 2e-6)
})

t.test('a convolutional network of real weights, with a function that flattens', async t => {
  const name = 'CE.jl__CIFAR10_nn_b.bson'
  if (!files.includes(name)) return
  const bytes = read(name)
  const tensors = readFluxTensors(bytes)
  // Back to column-major: element (i, j, ...) of the tensor is (i, j, ...) in Julia.
  const julia = (path: string): ReturnType<typeof column> => {
    const value = tensors.get(`nn.layers.${path}`)
    if (value === undefined) throw new Error(path)
    const data = new Float64Array(value.data.length)
    data.forEach((_, i) => {
      let rest = i
      let offset = 0
      value.shape.forEach((extent, d) => {
        offset += (rest % extent) * value.shape.slice(d + 1).reduce((a, b) => a * b, 1)
        rest = Math.floor(rest / extent)
      })
      data[i] = value.data[offset]
    })
    return column(value.shape, data)
  }
  const x = column([32, 32, 3, 2], random(32 * 32 * 3 * 2))
  let h = pool(relu(conv(x, julia('1.weight'), julia('1.bias'))), 'max', [2, 2], [2, 2])
  h = reshape(pool(relu(conv(h, julia('3.weight'), julia('3.bias'))), 'max', [2, 2], [2, 2]), 200, 2)
  for (const layer of [6, 7, 8]) h = dense(julia(`${layer}.weight`), julia(`${layer}.bias`), h)
  t.ok(difference(run(readFlux(bytes), x), softmax(h)) < 2e-5)
})

t.test('batch normalisation with real statistics', async t => {
  const name = 'CE.jl__MNIST_image.bson'
  if (!files.includes(name)) return
  const bytes = read(name)
  const tensors = readFluxTensors(bytes)
  const vector = (path: string): ArrayLike<number> => tensors.get(`nn.layers.${path}`)?.data ?? []
  const matrix = (path: string): ReturnType<typeof column> => {
    const value = tensors.get(`nn.layers.${path}`)
    const [rows, columns] = value?.shape ?? [0, 0]
    return column([rows, columns],
      Array.from({ length: rows * columns },
        (_, i) => (value?.data ?? [])[(i % rows) * columns + Math.floor(i / rows)]))
  }
  const norm = (k: number, x: ReturnType<typeof column>): ReturnType<typeof column> =>
    byChannel(x, (v, c) =>
      vector(`${k}.γ`)[c] * (v - vector(`${k}.μ`)[c]) /
        Math.sqrt(vector(`${k}.σ²`)[c] + 1e-5) + vector(`${k}.β`)[c])
  const x = column([784, 3], random(784 * 3))
  const h = relu(norm(2, dense(matrix('1.weight'), column([32], vector('1.bias')), x)))
  t.ok(
    difference(run(readFlux(bytes), x), norm(4, dense(matrix('3.weight'), column([10], vector('3.bias')), h))) < 2e-5,
  )
})
