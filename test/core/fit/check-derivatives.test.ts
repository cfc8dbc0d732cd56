import t from 'tap'
import { networkFromLayers } from '../../../adapters/layers/index.js'
import type { FileTensor } from '../../../adapters/tensors/file-tensor.js'
import { checkDerivatives } from '../../../core/fit/check-derivatives.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'

const X = [0.3, -1.2, 0.7, 2.1]
const W = [0.5, -0.4, 1.5, 0.2]
const S = [0.9, 1.1]

/** y = (x W') s of two rows, the second use of s without a derivative where `stopped`. */
function network(stopped: boolean): Graph {
  const b = new GraphBuilder('float64')
  b.initializers.set('w', tensor('float64', [2, 2], W)).set('s', tensor('float64', [2], S))
  const rows = b.node('Gemm', [b.input('x', [BATCH, 2]), 'w'], { transB: 1 })
  const scaled = b.node('Mul', [rows, 's'])
  const y = b.node('Mul', [scaled, stopped ? b.node('StopGradient', ['s']) : 's'])
  const parameters = [{ name: 'w', shape: [2, 2], transposed: false }, { name: 's', shape: [2], transposed: false }]
  return { ...b.build([y]), parameters }
}

/** The slopes by their definition: y_nc = (sum_k w_ck x_nk) s_c^2, its weight cos(n + 1) cos(c + 1). */
function slopes(uses: number): Map<string, number> {
  const [ofW, ofS] = [[0, 0, 0, 0], [0, 0]]
  for (const n of [0, 1]) {
    for (const c of [0, 1]) {
      const weight = Math.cos(n + 1) * Math.cos(c + 1)
      const z = W[2 * c] * X[2 * n] + W[2 * c + 1] * X[2 * n + 1]
      for (const k of [0, 1]) ofW[2 * c + k] += weight * X[2 * n + k] * S[c] ** 2
      ofS[c] += weight * z * uses * S[c]
    }
  }
  const along = (gradient: readonly number[], values: readonly number[]): number =>
    gradient.reduce((sum, g, i) => sum + g * Math.cos(1000 * values[i]), 0)
  return new Map([['w', along(ofW, W)], ['s', along(ofS, S)]])
}

const check = (graph: Graph, expected: ReadonlyMap<string, number>): Promise<void> =>
  checkDerivatives(graph, { inputs: new Map([['x', float64([2, 2], X)]]), output: graph.outputs[0], slopes: expected },
    {})

t.test('a derivative that is the same passes, also where one of two uses has none', async t => {
  await check(network(false), slopes(2))
  await check(network(true), slopes(1))
  t.pass('nothing failed')
})

t.test('another derivative is refused with the parameters that differ', async t => {
  await t.rejects(check(network(false), slopes(1)), { code: 'NOT_DIFFERENTIABLE', message: /derivative by 's' is/ })
  await t.rejects(check(network(true), slopes(2)), { code: 'NOT_DIFFERENTIABLE', message: /derivative by 's' is/ })
})

t.test('only parameters that are compared count', async t => {
  await check({ ...network(false), parameters: network(false).parameters.slice(0, 1) }, slopes(1))
  await check(network(false), new Map([...slopes(1)].filter(([name]) => name === 'w')))
  t.pass('nothing failed')
})

t.test('the row of padding of an embedding does not learn', async t => {
  const rows = [0.4, -0.3, 1.1]
  const weight: FileTensor = { dtype: 'float64', shape: [3, 1], bytes: new Uint8Array(Float64Array.from(rows).buffer) }
  const ids = [2, 1, 0, 2]
  for (const [padding, row] of [[1, 1], [-1, 2]] as const) {
    const graph = networkFromLayers([{ type: 'Embedding', name: '0', padding_idx: padding }, { type: 'Flatten' }],
      new Map([['0.weight', weight]]), { inputSize: 2 })
    const slope = ids.reduce(
      (sum, id, i) =>
        sum + (id === row ? 0 : Math.cos(Math.floor(i / 2) + 1) * Math.cos(i % 2 + 1) * Math.cos(1000 * rows[id])),
      0,
    )
    await checkDerivatives(graph, { inputs: new Map([['input', tensor('int64', [2, 2], ids)]]),
      output: graph.outputs[0], slopes: new Map([[graph.parameters[0].name, slope]]) }, {})
  }
  t.pass('nothing failed')
})
