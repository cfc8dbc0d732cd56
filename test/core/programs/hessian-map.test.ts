/** @file The rows of the exact Hessian's second part, several a run, are its products with unit vectors, one a run. */
import t from 'tap'
import { typescriptEngine } from '../../../core/engine/typescript.js'
import { networkInputs } from '../../../core/network/input-rows.js'
import { prepareNetwork } from '../../../core/network/network.js'
import { parameterCount } from '../../../core/network/parameter-slot.js'
import { parameterSlots } from '../../../core/network/parameters.js'
import { hessianMap } from '../../../core/programs/hessian-map.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer, mixedNetworks } from '../../support/random-network.js'

for (const kind of Object.keys(mixedNetworks)) {
  t.test(`rows of ${kind}`, async t => {
    const { graph, x: examples, outputs } = mixedNetworks[kind](drawer(3))
    const network = prepareNetwork(graph, 'classification')
    const slots = parameterSlots(graph, graph.parameters.map(({ name }) => name))
    const size = parameterCount(slots)
    const n = examples.shape[0]
    // All rows in one run, and rows in blocks of which the last is not full.
    for (const times of [1, 40]) {
      const draw = drawer(times)
      const repeated = { ...examples, shape: [n * times, ...examples.shape.slice(1)],
        data: Float64Array.from({ length: examples.data.length * times }, (_, i) =>
          Number(examples.data[i % examples.data.length])) }
      const x = networkInputs(repeated, network, 'float64', () => undefined)
      const map = hessianMap(network, slots, typescriptEngine(), 'float64')
      const u = Float64Array.from(draw(n * times, outputs).data, Number)
      const visited: number[] = []
      const rows = new Float64Array(size * size)
      await map.eachRow(u, x, (i, row) => {
        visited.push(i)
        rows.set(row, i * size)
      })
      t.same(visited, Array.from({ length: size }, (_, i) => i), 'each once, in order')
      const units = Float64Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0))
      const sums = new Float64Array(size * size)
      await map.addTimes(u, units, x, sums)
      t.ok(relativeDifference(rows, sums) < 1e-12, `${size} rows of ${n * times} examples`)
      map.dispose()
    }
  })
}
