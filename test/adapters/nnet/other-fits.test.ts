import t from 'tap'
import { readBrulee, readNeuralnet } from '../../../adapters/nnet/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import type { Graph } from '../../../core/graph/graph.js'
import { float64 } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'

const run = (graph: Graph, x: number[]): ArrayLike<number> =>
  runGraph(graph, new Map([['input', float64([1, x.length], x)]]), 'float64').get(graph.outputs[0])!.data
const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z))

t.test('neuralnet: the first row of each matrix is the bias', async t => {
  const weights = [float64([3, 2], [0.1, 0.2, 1, -1, 0.5, 2]), float64([3, 1], [0.3, -0.7, 1.5])]
  const x = [0.4, -0.9]
  const h = [0, 1].map(j => sigmoid([0.1, 0.2][j] + [1, -1][j] * x[0] + [0.5, 2][j] * x[1]))
  const z = 0.3 - 0.7 * h[0] + 1.5 * h[1]
  const linear = readNeuralnet({ weights, activation: 'logistic', linearOutput: true })
  t.same(linear.parameters.map(({ name, shape }) => [name, shape]), [['0.weight', [2, 2]], ['0.bias', [2]], ['1.weight',
    [1, 2]], ['1.bias', [1]]])
  t.ok(relativeDifference(run(linear, x), [z]) < 1e-14)
  t.ok(
    relativeDifference(run(readNeuralnet({ weights, activation: 'logistic', linearOutput: false }), x), [sigmoid(z)]) <
      1e-14,
  )
  t.ok(Math.abs(run(readNeuralnet({ weights, activation: 'tanh', linearOutput: false }), x)[0]) < 1)
  t.throws(() => readNeuralnet({ weights, activation: 'sine', linearOutput: true }), { code: 'BAD_OPTION' })
  t.throws(() => readNeuralnet({ weights: [], activation: 'tanh', linearOutput: true }), { code: 'BAD_ARRAY' })
  t.throws(() => readNeuralnet({ weights: [float64([1, 2], [1, 2])], activation: 'tanh', linearOutput: true }), {
    code: 'BAD_ARRAY',
    message: /first row/,
  })
  t.throws(() => readNeuralnet({ weights: [weights[1], weights[1]], activation: 'tanh', linearOutput: true }), {
    code: 'BAD_ARRAY',
    message: /layer 1 takes 2 inputs, and layer 0 has 1 outputs/,
  })
})

t.test('brulee: the standardised outcome is folded into the last layer', async t => {
  const fit = { weights: [float64([2, 2], [1, 0.5, -1, 2]), float64([1, 2], [-0.7, 1.5])],
    biases: [float64([2], [0.1, 0.2]), float64([1], [0.3])] }
  const x = [0.4, -0.9]
  const h = [1 * x[0] + 0.5 * x[1] + 0.1, -x[0] + 2 * x[1] + 0.2].map(each => Math.max(each, 0))
  const z = 0.3 - 0.7 * h[0] + 1.5 * h[1]
  const plain = readBrulee({ ...fit, activation: 'relu' })
  t.ok(relativeDifference(run(plain, x), [z]) < 1e-14)
  t.same(plain.notes, [])
  const scaled = readBrulee({ ...fit, activation: ['relu'], yMean: 12.5, ySd: 3 })
  t.ok(relativeDifference(run(scaled, x), [12.5 + 3 * z]) < 1e-14)
  t.match(scaled.notes.join(), /standardised/)
  t.throws(() => readBrulee({ ...fit, activation: ['relu', 'tanh'] }), { code: 'BAD_ARRAY',
    message: /1 hidden layers and 2 activations/ })
  t.throws(() => readBrulee({ ...fit, activation: 'rleu' }), { code: 'BAD_OPTION', message: /Did you mean 'ReLU'/ })
  const classes = readBrulee({ weights: [float64([2, 2], [1, 0.5, -1, 2])], biases: [float64([2], [0.1, 0.2])],
    activation: [], softmax: true })
  const p = run(classes, x)
  t.ok(Math.abs(p[0] + p[1] - 1) < 1e-15)
})
