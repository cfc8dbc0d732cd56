/** @file Operators of classical models before a network, against ONNX Runtime, and a network with an input a column. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { readOnnx } from '../../../adapters/onnx/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphError } from '../../../core/errors/errors.js'
import { type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { laplace } from '../../../index.js'
import { relativeDifference } from '../../support/compare.js'
import * as b from './onnx-bytes.js'
import { runInOnnxRuntime } from './onnxruntime.js'

type Attributes = Parameters<typeof b.node>[3]

function fileOf(op: string, attributes: Attributes, inputs: Record<string, Tensor>): Uint8Array {
  const types = { float32: b.FLOAT, int64: b.INT64 }
  return b.model({
    nodes: [b.node(op, Object.keys(inputs), ['y'], attributes, 'ai.onnx.ml')],
    inputs: Object.entries(inputs).map(([name, { shape, dtype }]) =>
      b.value(name, ['n', ...shape.slice(1)], types[dtype as keyof typeof types])
    ),
    outputs: [b.message([[1, 'y']])],
    domains: [b.opset(3, 'ai.onnx.ml')],
  })
}

const numbers = tensor('float32', [3, 2], [1, -2, 0, 0, 0.5, 3])
const codes = tensor('int64', [3, 1], [2, 0, 1])
const CASES: Record<string, [string, Attributes, Record<string, Tensor>]> = {
  'scaler': ['Scaler', { offset: { floats: [1, 2] }, scale: { floats: [0.5, 3] } }, { x: numbers }],
  'scaler of integers': ['Scaler', { offset: { floats: [1] }, scale: { floats: [0.5] } }, { x: codes }],
  'columns': ['FeatureVectorizer', { inputdimensions: [2, 2] }, { x: numbers, z: numbers }],
  'imputer': ['Imputer', { imputed_value_floats: { floats: [7, 8] }, replaced_value_float: { float: 0 } }, {
    x: numbers,
  }],
  'binarizer': ['Binarizer', { threshold: { float: 0.4 } }, { x: numbers }],
  'normalizer, L1': ['Normalizer', { norm: 'L1' }, { x: numbers }],
  'normalizer, L2': ['Normalizer', { norm: 'L2' }, { x: numbers }],
  'categories': ['OneHotEncoder', { cats_int64s: [0, 1, 2], zeros: 0 }, { x: codes }],
  'categories from 1': ['OneHotEncoder', { cats_int64s: [1, 2], zeros: 1 }, { x: codes }],
  'categories with gaps': ['OneHotEncoder', { cats_int64s: [2, 5, 0, 1], zeros: 0 }, { x: codes }],
}

for (const [name, [op, attributes, inputs]] of Object.entries(CASES)) {
  t.test(name, async t => {
    const bytes = fileOf(op, attributes, inputs)
    const fed = new Map(Object.entries(inputs))
    const theirs = (await runInOnnxRuntime(bytes, fed)).get('y')!
    const graph = readOnnx(bytes)
    const ours = runGraph(graph, fed, 'float32').get('y')!
    t.same(ours.shape, theirs.shape)
    t.ok(relativeDifference(ours.data, theirs.data) < 1e-6)
  })
}

t.test('categories that the encoder does not know are refused, and text', async t => {
  const graph = readOnnx(fileOf('OneHotEncoder', { cats_int64s: [0, 1], zeros: 0 }, { x: codes }))
  t.throws(() => runGraph(graph, new Map([['x', codes]]), 'float32'), GraphError)
  const gaps = readOnnx(fileOf('OneHotEncoder', { cats_int64s: [7, 5, 0, 1], zeros: 0 }, { x: codes }))
  t.throws(() => runGraph(gaps, new Map([['x', codes]]), 'float32'), GraphError)
  const ignored = readOnnx(fileOf('OneHotEncoder', { cats_int64s: [7, 5], zeros: 1 }, { x: codes }))
  t.ok(runGraph(ignored, new Map([['x', codes]]), 'float32').get('y')!.data.every(value => value === 0))
  const words = b.model({
    nodes: [b.node('OneHotEncoder', ['x'], ['y'], { cats_strings: ['a', 'b'] }, 'ai.onnx.ml')],
    inputs: [b.value('x', ['n', 1], b.STRING)],
    outputs: [b.message([[1, 'y']])],
    domains: [b.opset(3, 'ai.onnx.ml')],
  })
  t.throws(() => readOnnx(words), { message: /holds text.*export the network behind its encoder/ })
})

t.test('a pipeline of a data frame takes its columns by name, in any order', async t => {
  const folder = new URL('../../fixtures/onnx/', import.meta.url)
  const { columns: { age, income, kind }, y, probabilities } = JSON.parse(
    readFileSync(new URL('columns.json', folder), 'utf8'),
  ) as { columns: Record<string, number[]>, y: number[], probabilities: number[][] }
  const network = readOnnx(readFileSync(new URL('sklearn-columns.onnx', folder)))
  t.same(network.parameters.map(parameter => parameter.name), ['coefficient', 'intercepts', 'coefficient1',
    'intercepts1'])
  const model = laplace(network, { likelihood: 'classification', subset: 'all', structure: 'diag',
    priorPrecision: 1e12 })
  const posterior = await model.fit({ kind, income, age }, y)
  const { probabilities: found } = await posterior.predict({ income, age, kind })
  t.ok(relativeDifference(found!.data as Float64Array, probabilities.flat()) < 1e-6)
  await t.rejects(posterior.predict({ income, age, sort: kind }), { message: /no input 'sort'/ })
  await t.rejects(posterior.predict({ income, age }), { message: /'kind' is missing/ })
})
