/** @file Keras networks compute what Keras computed for them. */
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { readKeras } from '../../../adapters/keras/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import type { Graph } from '../../../core/graph/graph.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { fixture } from '../../support/fixture.js'

interface Numbers {
  readonly shape: number[]
  readonly data: number[]
}
const expected: Record<string, { x: Numbers, y: Numbers }> = JSON.parse(
  new TextDecoder().decode(fixture('keras/expected.json')),
)

function run(graph: Graph, x: Numbers): { shape: readonly number[], data: number[] } {
  const [input] = graph.inputs
  const [output] = runGraph(graph, new Map([[input.name, tensor(input.dtype, x.shape, x.data)]]), 'float32').values()
  return { shape: output.shape, data: Array.from(output.data) }
}

const largest = (values: readonly number[]): number =>
  values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)

for (const [name, { x, y }] of Object.entries(expected)) {
  for (const extension of ['h5', 'keras']) {
    t.test(`${name}.${extension}`, async t => {
      const graph = await readKeras(fixture(`keras/${name}.${extension}`))
      const result = run(graph, x)
      t.same(result.shape, y.shape)
      const error = largest(result.data.map((value, i) => value - y.data[i])) / largest(y.data)
      t.ok(error < 2e-6, String(error))
    })
  }
}

t.test('both formats of one network have the same parameters', async t => {
  for (const name of Object.keys(expected)) {
    const [a, b] = await Promise.all(['h5', 'keras'].map(extension => readKeras(fixture(`keras/${name}.${extension}`))))
    t.same(a.parameters, b.parameters, name)
    for (const { name: parameter } of a.parameters) {
      t.same(a.initializers.get(parameter), b.initializers.get(parameter), parameter)
    }
  }
})

t.test('parameters are in the order of the layers, Dense kernels count as out x in', async t => {
  const graph = await readKeras(fixture('keras/perceptron.h5'))
  t.same(graph.parameters.map(p => p.shape), [[7, 5], [7], [6, 7], [4, 6], [4], [3, 4], [3]])
  t.ok(graph.parameters[0].transposed)
})

const folder = new URL('../../../../shared/models/', import.meta.url)
const corpus = ['Marabou__cnn_max_mnist2.h5', 'Marabou__cnn_max_mnist3.h5', 'Marabou__robust_mnist_sigmoid_linear.h5',
  'heubert-housing__mlp_model.keras'].filter(name => existsSync(new URL(`other/${name}`, folder)))
if (corpus.length === 0) console.log(`# The corpus of real files is not at ${folder.pathname}: nothing to read.`)

t.test('real files', async t => {
  const shapes: Record<string, string> = {
    'Marabou__cnn_max_mnist2.h5': '8x1x4x4 8 4x8x4x4 4 32x484 32 10x32 10',
    'Marabou__cnn_max_mnist3.h5': '2x1x4x4 2 64x288 64 32x64 32 10x32 10',
    'Marabou__robust_mnist_sigmoid_linear.h5': '64x784 64 32x64 32 10x32 10',
  }
  for (const name of corpus) {
    const graph = await readKeras(Uint8Array.from(readFileSync(new URL(`other/${name}`, folder))))
    if (shapes[name] !== undefined) t.equal(graph.parameters.map(p => p.shape.join('x')).join(' '), shapes[name], name)
    const [input] = graph.inputs
    const shape = [2, ...input.shape.slice(1).map(Number)]
    const size = shape.reduce((a, b) => a * b, 1)
    const result = run(graph, { shape, data: Array.from({ length: size }, (_, i) => Math.sin(i)) })
    t.ok(result.data.every(Number.isFinite), `${name} runs`)
  }
})
