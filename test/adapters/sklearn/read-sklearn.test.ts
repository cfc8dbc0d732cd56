import t from 'tap'
import { readSklearn } from '../../../adapters/sklearn/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import type { Graph } from '../../../core/graph/graph.js'
import { prepareNetwork } from '../../../core/network/network.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'

const run = (graph: Graph, x: number[]): ArrayLike<number> =>
  runGraph(graph, new Map([['input', float64([1, x.length], x)]]), 'float64').get(graph.outputs[0])!.data
const fit = { coefs: [float64([2, 3], [1, 2, 3, -1, 0.5, 0.25]), float64([3, 2], [0.5, -0.5, 1, 2, -1, 0.3])],
  intercepts: [float64([3], [0.1, 0.2, -0.3]), float64([2], [0.7, -0.2])] }
const x = [0.4, -0.9]
const functions = { relu: (z: number) => Math.max(z, 0), tanh: Math.tanh,
  logistic: (z: number) => 1 / (1 + Math.exp(-z)), identity: (z: number) => z }

function logits(f: (z: number) => number): number[] {
  const [w0, w1] = fit.coefs.map(({ data }) => data)
  const h = [0, 1, 2].map(j => f(fit.intercepts[0].data[j] + w0[j] * x[0] + w0[3 + j] * x[1]))
  return [0, 1].map(k => fit.intercepts[1].data[k] + h[0] * w1[k] + h[1] * w1[2 + k] + h[2] * w1[4 + k])
}

t.test('every activation of scikit-learn, coefs in x out', async t => {
  for (const activation of ['relu', 'tanh', 'logistic', 'identity'] as const) {
    const graph = readSklearn({ ...fit, activation, outActivation: 'identity' })
    t.same(graph.parameters.map(({ name, shape }) => [name, shape]), [['0.weight', [3, 2]], ['0.bias', [3]], [
      '1.weight',
      [2, 3],
    ], ['1.bias', [2]]])
    t.ok(relativeDifference(run(graph, x), logits(functions[activation])) < 1e-14, activation)
  }
})

t.test('softmax and logistic outputs, whose logits the likelihoods find', async t => {
  const z = logits(functions.relu)
  const softmax = readSklearn({ ...fit, activation: 'relu', outActivation: 'softmax' })
  const total = Math.exp(z[0]) + Math.exp(z[1])
  t.ok(relativeDifference(run(softmax, x), z.map(each => Math.exp(each) / total)) < 1e-14)
  const { graph, output } = prepareNetwork(softmax, 'classification')
  t.ok(
    relativeDifference(runGraph(graph, new Map([['input', float64([1, 2], x)]]), 'float64').get(output)!.data, z) <
      1e-14,
  )
  const logistic = readSklearn({ ...fit, activation: 'relu', outActivation: 'logistic' })
  t.ok(relativeDifference(run(logistic, x), z.map(functions.logistic)) < 1e-14)
  t.equal(prepareNetwork(logistic, 'multilabel').outputs, 2)
})

t.test('float32 networks stay float32; wrong fields are refused by name', async t => {
  const single = { coefs: fit.coefs.map(each => tensor('float32', each.shape, Array.from(each.data))),
    intercepts: fit.intercepts.map(each => tensor('float32', each.shape, Array.from(each.data))) }
  t.equal(readSklearn({ ...single, activation: 'relu', outActivation: 'identity' }).inputs[0].dtype, 'float32')
  const refused = (fields: Record<string, unknown>, code: string, message: RegExp): void => {
    t.throws(() => readSklearn({ ...fit, activation: 'relu', outActivation: 'identity', ...fields }), { code, message },
      String(message))
  }
  refused({ coefs: [] }, 'BAD_ARRAY', /coefs.*list of arrays/)
  refused({ coefs: [1, 2] }, 'BAD_ARRAY', /element 0 is none/)
  refused({ coefs: [fit.coefs[0]] }, 'BAD_ARRAY', /1 weight matrices and 2 bias vectors/)
  refused({ coefs: [fit.coefs[0], float64([2, 2], [1, 2, 3, 4])] }, 'BAD_ARRAY',
    /layer 1 takes 2 inputs, and layer 0 has 3/)
  refused({ intercepts: [fit.intercepts[0], float64([1], [0])] }, 'BAD_ARRAY', /bias of layer 1 must have 2/)
  refused({ intercepts: [fit.intercepts[0], float64([2], [0, Infinity])] }, 'NOT_FINITE', /intercepts\[1\].*element 1/)
  refused({ activation: 'rleu' }, 'BAD_OPTION', /Did you mean 'relu'/)
  refused({ outActivation: 'relu' }, 'BAD_OPTION', /identity, logistic, softmax, exp/)
})
