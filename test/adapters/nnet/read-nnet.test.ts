import { readFileSync } from 'node:fs'
import t from 'tap'
import { readNnet } from '../../../adapters/nnet/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import type { Graph } from '../../../core/graph/graph.js'
import { prepareNetwork } from '../../../core/network/network.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { referenceCase } from '../../support/reference-case.js'

/* eslint-disable @typescript-eslint/no-explicit-any */
const caseFile = (name: string, file: string): any =>
  JSON.parse(readFileSync(new URL(`../../fixtures/cases/${name}/${file}`, import.meta.url), 'utf8'))
const run = (graph: Graph, x: Tensor): Tensor => runGraph(graph, new Map([['x', x]]), 'float64').get(graph.outputs[0])!
const CASES = [['nnet-iris-binary', 'binary'], ['nnet-iris-softmax', 'classification'], ['nnet-regression-linout',
  'regression']] as const

t.test("fits of R give R's fitted values, and theta in the order of the reference", async t => {
  for (const [name, likelihood] of CASES) {
    const fit = caseFile(name, 'nnet.json')
    const { expected, xTest, x } = referenceCase(name)
    const graph = readNnet(fit)
    const theta = graph.parameters.flatMap(({ name }) => Array.from(graph.initializers.get(name)!.data))
    t.same(theta, expected.theta.data ?? expected.theta, `${name}: theta`)
    const perm: number[] = expected.nnet.torch_theta_i_is_nnet_wts.data
    t.same(theta, perm.map(i => fit.wts[i]), `${name}: theta from wts`)
    t.ok(relativeDifference(run(graph, x).data, fit.fitted_values.flat?.(2) ?? fit.fitted_values.data) < 1e-12,
      `${name}: fitted values`)
    t.ok(
      relativeDifference(run(graph, xTest).data, fit.predict_raw_test.flat?.(2) ?? fit.predict_raw_test.data) < 1e-12,
      `${name}: predictions`,
    )
    const { graph: logits, output } = prepareNetwork(graph, likelihood)
    t.ok(
      relativeDifference(runGraph(logits, new Map([['x', xTest]]), 'float64').get(output)!.data,
        expected.f.x_test.data) < 1e-12,
      `${name}: logits or means`,
    )
    t.match(graph.notes[0], new RegExp(`likelihood ${likelihood}`), `${name}: hint`)
    t.match(graph.notes.join(), new RegExp(
      `decay of ${fit.decay} corresponds to the prior precision ${
        likelihood === 'regression' ? fit.decay : 2 * fit.decay
      }`,
    ), `${name}: decay`)
    const { conn: _, nconn: __, nsunits: ___, ...bare } = fit
    t.same(readNnet(bare).initializers, graph.initializers, `${name}: the same without conn, nconn and nsunits`)
  }
})

// nnet(x, y, size = 2, linout = TRUE, skip = TRUE) of R's nnet 7.3-18 makes these connections.
const skip = { n: [3, 2, 1], nconn: [0, 0, 0, 0, 0, 4, 8, 14], conn: [0, 1, 2, 3, 0, 1, 2, 3, 0, 4, 5, 1, 2, 3],
  nsunits: 6, linout: true, skip: true, wts: Array.from({ length: 14 }, (_, i) => Math.sin(i + 1)) }
const sigmoid = (z: number): number => 1 / (1 + Math.exp(-z))

t.test('skip-layer connections: weights of hidden units, then of inputs', async t => {
  const graph = readNnet(skip)
  t.same(graph.parameters.map(({ name, shape }) => [name, shape]), [['hidden.weight', [2, 3]], ['hidden.bias', [2]], [
    'output.weight',
    [1, 5],
  ], ['output.bias', [1]]])
  const x = [0.3, -1.2, 2]
  const w = skip.wts
  const h = [0, 4].map(at => sigmoid(w[at] + w[at + 1] * x[0] + w[at + 2] * x[1] + w[at + 3] * x[2]))
  const expected = w[8] + w[9] * h[0] + w[10] * h[1] + w[11] * x[0] + w[12] * x[1] + w[13] * x[2]
  t.ok(Math.abs(run(graph, float64([1, 3], x)).data[0] - expected) < 1e-14)
  t.same(readNnet({ n: skip.n, wts: skip.wts, linout: true, skip: true }).initializers, graph.initializers,
    'connections as nnet makes them')
})

t.test('no hidden units: a linear model', async t => {
  const graph = readNnet({ n: [2, 0, 2], wts: [1, 2, 3, 4, 5, 6], softmax: true })
  const { data } = run(graph, float64([1, 2], [0.1, 0.2]))
  const z = [1 + 0.2 + 0.6, 4 + 0.5 + 1.2].map(Math.exp)
  t.ok(relativeDifference(data, z.map(each => each / (z[0] + z[1]))) < 1e-14)
})

t.test('hidden units are exactly 0 below -15 and exactly 1 above 15', async t => {
  const graph = readNnet({ n: [1, 1, 1], wts: [0, 1, 0, 1], linout: true })
  const z = [-15.1, -15, -14.9, 0, 14.9, 15, 15.1]
  const y = run(graph, float64([7, 1], z)).data
  t.same([y[0], y[6]], [0, 1])
  t.ok(z.slice(1, 6).every((each, i) => Math.abs(y[i + 1] / sigmoid(each) - 1) < 1e-15 && y[i + 1] < 1))
})

t.test('a plain logistic output is a sigmoid, with a note', async t => {
  const graph = readNnet({ n: [1, 1, 1], wts: [0, 1, 0.5, 1] })
  t.ok(Math.abs(run(graph, float64([1, 1], [0.3])).data[0] - sigmoid(0.5 + sigmoid(0.3))) < 1e-15)
  t.match(graph.notes.join(), /linout = TRUE/)
  t.match(readNnet({ n: [1, 1, 2], wts: [0, 1, 0.5, 1, 0.5, 1], entropy: true }).notes.join(), /multilabel/)
  t.match(readNnet({ n: [1, 1, 2], wts: [0, 1, 0.5, 1, 0.5, 1], softmax: true, censored: true }).notes.join(),
    /censored/)
})

t.test('fields that are wrong are refused by name', async t => {
  const refused = (fields: Record<string, unknown>, code: string, message: RegExp): void => {
    t.throws(() => readNnet({ ...skip, ...fields }), { code, message }, String(message))
  }
  refused({ n: [3, 2] }, 'BAD_ARRAY', /three numbers/)
  refused({ n: undefined }, 'BAD_ARRAY', /three numbers/)
  refused({ n: [3, 2, -1] }, 'BAD_ARRAY', /non-negative/)
  refused({ wts: [1, 2, NaN] }, 'NOT_FINITE', /element 2 is NaN/)
  refused({ wts: 'abc' }, 'BAD_ARRAY', /list of numbers/)
  refused({ wts: skip.wts.slice(1) }, 'BAD_ARRAY', /14.*13|13 weights/)
  refused({ wts: skip.wts.slice(1), conn: undefined, nconn: undefined }, 'BAD_ARRAY', /has 14 weights; wts has 13/)
  refused({ conn: skip.conn.map(each => (each === 5 ? 4 : each)) }, 'BAD_ARRAY', /fully connected/)
  refused({ nconn: [0, 0, 0, 0, 0, 8, 4, 14] }, 'BAD_ARRAY', /nconn/)
  refused({ nsunits: 7 }, 'BAD_COMBINATION', /logistic outputs/)
  refused({ nsunits: 5 }, 'BAD_COMBINATION', /must be 6/)
  refused({ linout: 'yes' }, 'BAD_ARRAY', /true or false/)
  refused({ entropy: true }, 'BAD_COMBINATION', /entropy needs logistic/)
  refused({ entropy: true, softmax: true }, 'BAD_COMBINATION', /both/)
})
