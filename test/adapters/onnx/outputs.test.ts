import { readFileSync } from 'node:fs'
import t from 'tap'
import { readOnnx } from '../../../adapters/onnx/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { prepareNetwork } from '../../../core/network/network.js'
import type { Likelihood } from '../../../core/options/words.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import * as b from './onnx-bytes.js'

const folder = new URL('../../fixtures/onnx/', import.meta.url)
const expected = JSON.parse(readFileSync(new URL('sklearn.json', folder), 'utf8')) as Record<string, number[][]>

const NETWORKS: Record<string, { likelihood: Likelihood, notes: RegExp[], columns?: (row: number[]) => number[] }> = {
  'multiclass': { likelihood: 'classification',
    notes: [/map from class to probability/, /'output_label' only names classes; 'out_activations_result' is used/] },
  'text-labels': { likelihood: 'classification',
    notes: [/map from class to probability/, /'output_label' only names classes/] },
  'binary': { likelihood: 'binary',
    notes: [/map from class/, /only names classes/,
      /two columns 1 - p and p; p \('out_activations_result'\) alone is used/], columns: row => [row[1]] },
  'multilabel': { likelihood: 'multilabel', notes: [/map from class/, /only names classes/] },
  'regression': { likelihood: 'regression', notes: [] },
  'scaled': { likelihood: 'classification',
    notes: [/map from class/, /only names classes/, /Not counted as parameters.*'offset', 'scale'/] },
}

t.test('networks of scikit-learn give what it predicts, and their scores', async t => {
  for (const [name, { likelihood, notes, columns = (row: number[]) => row }] of Object.entries(NETWORKS)) {
    const graph = readOnnx(readFileSync(new URL(`sklearn-${name}.onnx`, folder)))
    t.match(graph.notes, notes, `${name}: notes`)
    t.equal(graph.notes.length, notes.length)
    t.same(graph.parameters.map(parameter => [parameter.name, parameter.transposed]), [['coefficient', true], [
      'intercepts',
      false,
    ], ['coefficient1', true], ['intercepts1', false]], `${name}: parameters`)
    const y = runGraph(graph, new Map([['X', tensor('float32', [5, 4], expected['x'].flat())]]), 'float32').get(
      graph.outputs[0],
    )!
    t.ok(relativeDifference(y.data, expected[name].flatMap(columns)) < 1e-5, `${name}: outputs`)
    const network = prepareNetwork(graph, likelihood)
    t.equal(network.outputs, columns(expected[name][0]).length, `${name}: ${likelihood}`)
    if (likelihood !== 'regression') {
      t.match(network.notes.at(-1), /The network ends in (Softmax|Sigmoid)/, `${name}: logits are found`)
    }
  }
})

t.test('labels alone stay the output', async t => {
  const graph = readOnnx(
    b.smallModel({
      nodes: [b.node('Gemm', ['x', 'w', 'b'], ['h'], { transB: 1 }), b.node('ArgMax', ['h'], ['y'], { axis: 1 })],
    }),
  )
  t.same(graph.outputs, ['y'])
})

t.test('several outputs are kept for the caller to choose', async t => {
  const graph = readOnnx(
    b.smallModel({ nodes: [b.node('Gemm', ['x', 'w', 'b'], ['y'], { transB: 1 }), b.node('Tanh', ['y'], ['z'])],
      outputs: [b.value('y', ['n', 3]), b.value('z', ['n', 3])] }),
  )
  t.same(graph.outputs, ['y', 'z'])
})

t.test('inputs and tensors that nothing reads are left out', async t => {
  const graph = readOnnx(
    b.smallModel({ inputs: [b.value('x', ['n', 2]), b.value('labels', ['n'], b.INT64)],
      tensors: [b.floats('unused', [2], [1, 2]), b.floats('w', [3, 2], [1, 2, 3, 4, 5, 6]),
        b.floats('b', [3], [0, 0, 0])] }),
  )
  t.same(graph.inputs.map(input => input.name), ['x'])
  t.same([...graph.initializers.keys()], ['w', 'b'])
  t.match(graph.notes, [/'labels' is not used/])
})

t.test('outputs that are the columns of one array, in order, are that array', t => {
  const columns = (places: readonly number[]): readonly string[] =>
    readOnnx(b.model({
      nodes: [b.node('Gemm', ['x', 'w', 'c'], ['z']), b.node('Softmax', ['z'], ['p']),
        b.node('ArgMax', ['p'], ['label']), ...places.flatMap((place, i) => [
          b.node('Slice', ['p', `at${place}`, `at${place + 1}`, 'at1'], [`s${i}`]),
          b.node('Reshape', [`s${i}`, 'flat'], [`c${i}`]),
        ])],
      tensors: [b.floats('w', [2, 3], [1, 2, 3, 4, 5, 6]), b.floats('c', [3], [1, 2, 3]), b.integers('flat', [1], [-1]),
        ...[0, 1, 2, 3].map(place => b.integers(`at${place}`, [1], [place]))],
      inputs: [b.value('x', ['n', 2])],
      outputs: [b.value('label', ['n', 1], b.INT64), ...places.map((_, i) => b.value(`c${i}`, ['n']))],
    })).outputs
  t.same(columns([0, 1, 2]), ['p'])
  t.same(columns([1, 0, 2]), ['c0', 'c1', 'c2'], 'another order is no array of the network')
  t.end()
})
