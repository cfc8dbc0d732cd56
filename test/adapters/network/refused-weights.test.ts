/** @file 51, 57 and 58 of the list of attacks: weights that are no numbers, kinds that are dictionaries, attributes. */
import t from 'tap'
import { readNetwork } from '../../../adapters/network/index.js'
import { LaplaceError } from '../../../core/errors/errors.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { laplace } from '../../../core/laplace/laplace.js'
import type { LaplaceOptions } from '../../../core/options/laplace-options.js'
import { float64 } from '../../../core/tensor/tensor.js'
import { fixture } from '../../support/fixture.js'
import * as b from '../onnx/onnx-bytes.js'

t.test('51 NaN in weights is refused by name, in every format', async t => {
  for (const file of ['nan_lastbias.pt', 'nan_lastbias.safetensors']) {
    await t.rejects(readNetwork(fixture(`attacks/${file}`), { activation: 'relu' }), { code: 'UNTRUSTED_INPUT',
      message: /'2\.bias' of the network holds NaN at element 0/ }, file)
  }
})

/** f = w x + b. */
function line(weight: number, bias: number): Graph {
  const builder = new GraphBuilder('float64')
  return builder.build([
    builder.node('Gemm', [builder.input('x', [BATCH, 1]), builder.parameter('w', float64([1, 1], [weight])),
      builder.parameter('b', float64([1], [bias]))], { transB: 1 }, 'line'),
  ])
}

const x = float64([4, 1], [1, 2, 3, 4])
const y = float64([4, 1], [1, 2, 3, 5])

t.test('51 weights of a graph that are no numbers, or that single precision cannot hold', async t => {
  for (const [weight, bias, array] of [[NaN, 0, 'w'], [1, Infinity, 'b']] as const) {
    t.throws(() => laplace(line(weight, bias), { likelihood: 'regression' }), { code: 'NOT_FINITE', data: { array } })
  }
  t.throws(() => laplace(line(1e39, 0), { likelihood: 'regression', precision: 'float32' }), { code: 'NOT_FINITE',
    message: /set precision to float64/ })
  await t.rejects(
    laplace(line(1, 0), { likelihood: 'regression', precision: 'float32' }).fit(float64([4, 1], [1, 2, 3, 1e39]), y),
    {
      code: 'NOT_FINITE',
      message: /row 3.*cannot hold/,
    },
  )
})

t.test('51 outputs that overflow name the layer', async t => {
  const posterior = await laplace(line(1e10, 0), { likelihood: 'regression', subset: 'last_layer', structure: 'kron',
    tune: 'none' }).fit(x, y)
  await t.rejects(posterior.predict(float64([2, 1], [1, 1e300])), { code: 'OVERFLOW', data: { layer: 'line', row: 1 } })
})

t.test('a network that gives NaN for a row is named before its curvature', async t => {
  const builder = new GraphBuilder('float64')
  const rows = builder.input('x', [BATCH, 1])
  const graph = builder.build([builder.node('Div', [builder.node('Gemm', [rows, builder.parameter('w', float64([1, 1], [
    1,
  ]))], { transB: 1 }), rows])])
  await t.rejects(
    laplace(graph, { likelihood: 'regression', subset: 'all', structure: 'full', priorPrecision: 1, sigmaNoise: 1 })
      .fit(float64([4, 1], [1, 0, 3, 4]), y),
    { code: 'OVERFLOW', message: /gives NaN for some row/ },
  )
})

const SETTINGS = [1e-300, 1e-160, 1e-30, 5e-324, 1, 1e30, 1e160, 1e300, -1, 0, NaN, Infinity]

t.test('51 settings from 1e-300 to 1e300 end in numbers or in a typed error', async t => {
  const bad: string[] = []
  for (const option of ['priorPrecision', 'priorMean', 'sigmaNoise', 'temperature']) {
    for (const value of SETTINGS) {
      for (const structure of ['kron', 'full', 'diag'] as const) {
        for (const tune of ['none', 'marglik'] as const) {
          const problem = await outcome({ likelihood: 'regression', subset: 'all', structure, tune, [option]: value })
          if (problem !== undefined) bad.push(`${option} ${value} ${structure} ${tune}: ${problem}`)
        }
      }
    }
  }
  t.same(bad, [])
})

/** What is wrong with how a fit ends; undefined for finite numbers and typed errors. */
async function outcome(options: LaplaceOptions): Promise<string | undefined> {
  try {
    const posterior = await laplace(line(1.2, -0.1), options).fit(x, y)
    const { mean, variance } = await posterior.predict(x)
    const numbers = [...mean.data, ...variance.data, posterior.logMarginalLikelihood(), posterior.logLikelihood]
    return numbers.every(Number.isFinite) ? undefined : numbers.join()
  } catch (error) {
    return error instanceof LaplaceError && error.code !== 'INTERNAL' ? undefined : String(error)
  }
}

t.test('57 a dictionary where a word is due', async t => {
  await t.rejects(readNetwork(fixture('attacks/tag-is-dict.bson')), { code: 'UNTRUSTED_INPUT',
    message: /a dictionary/ })
})

t.test('58 attributes that an operator does not have, or of another kind', async t => {
  await t.rejects(readNetwork(fixture('attacks/attr_typo.onnx')), { code: 'UNTRUSTED_INPUT',
    message: /Gemm has no attribute 'alphaa' in operator set 17; 'alpha' may be meant/ })
  const gemm = (attributes: Parameters<typeof b.node>[3]): Uint8Array =>
    b.smallModel({ nodes: [b.node('Gemm', ['x', 'w', 'b'], ['y'], attributes)] })
  await t.resolves(readNetwork(gemm({ transB: 1 })))
  await t.rejects(readNetwork(gemm({ transB: 'yes' })), { code: 'UNTRUSTED_INPUT', message: /an integer as 'transB'/ })
  await t.rejects(readNetwork(gemm({ transB: 1, axis: 1 })), { code: 'UNTRUSTED_INPUT',
    message: /no attribute 'axis'/ })
  // The type says a number, and the value is an integer: the number would be taken for 0.
  const both = b.message([[1, 'alpha'], [3, 2], [20, 1]])
  await t.rejects(
    readNetwork(b.smallModel({ nodes: [b.message([[1, ['x', 'w', 'b']], [2, 'y'], [4, 'Gemm'], [5, both]])] })),
    { code: 'UNTRUSTED_INPUT' },
  )
})

t.test('58 flags that are neither 0 nor 1, which readers take for either', async t => {
  const gemm = (transB: number): Uint8Array =>
    b.smallModel({ nodes: [b.node('Gemm', ['x', 'w', 'b'], ['y'], { transB })] })
  await t.resolves(readNetwork(gemm(1)))
  for (const flag of [2, -1, -2, 2 ** 31]) {
    await t.rejects(readNetwork(gemm(flag)), { code: 'UNTRUSTED_INPUT',
      message: new RegExp(`Gemm takes 0 or 1 as 'transB', and the file has ${flag}`) })
  }
})

t.test('51 NaN and infinity in attributes, by name; a bound may be infinite', async t => {
  const gemm = b.node('Gemm', ['x', 'w', 'b'], ['h'], { transB: 1 })
  const followed = (op: string, attribute: string, float: number): Promise<unknown> =>
    readNetwork(b.smallModel({ nodes: [gemm, b.node(op, ['h'], ['y'], { [attribute]: { float } })] }))
  for (const value of [NaN, Infinity, -Infinity]) {
    await t.rejects(followed('LeakyRelu', 'alpha', value), { code: 'UNTRUSTED_INPUT',
      message: new RegExp(`LeakyRelu has the attribute 'alpha' with the value ${value}`) })
  }
  const clipped = (float: number): Promise<unknown> =>
    readNetwork(b.smallModel({ opset: 6, nodes: [gemm, b.node('Clip', ['h'], ['y'], { max: { float } })] }))
  await t.resolves(clipped(Infinity))
  await t.rejects(clipped(NaN), { code: 'UNTRUSTED_INPUT' })
})
