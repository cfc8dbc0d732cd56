/** @file Variances of Keras networks equal those of a Jacobian by central differences, solved densely. */
import ndarray from 'ndarray'
import t from 'tap'
import { readKeras } from '../../../adapters/keras/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import type { Graph } from '../../../core/graph/graph.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { float64, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { fixture } from '../../support/fixture.js'

const { padded, perceptron }: Record<string, { x: { shape: number[], data: number[] } }> = JSON.parse(
  new TextDecoder().decode(fixture('keras/expected.json')),
)
const STEP = 1e-5

/** The same network with weights in float64. */
function inDouble(graph: Graph): Graph {
  const wide = (value: Tensor): Tensor => (value.dtype === 'float32' ? float64(value.shape, value.data) : value)
  return {
    ...graph,
    inputs: graph.inputs.map(input => ({ ...input, dtype: input.dtype === 'float32' ? 'float64' : input.dtype })),
    initializers: new Map([...graph.initializers].map(([name, value]) => [name, wide(value)])),
    nodes: graph.nodes.map(node =>
      node.op === 'Cast' && node.attributes['to'] === 1
        ? { ...node, attributes: { ...node.attributes, to: 11 } }
        : node
    ),
  }
}

/** df/dtheta of all outputs of all examples by central differences: (N C) x P. */
function jacobian(graph: Graph, x: Tensor): number[][] {
  const output = (initializers: ReadonlyMap<string, Tensor>): number[] => {
    const [value] = runGraph({ ...graph, initializers }, new Map([[graph.inputs[0].name, x]]), 'float64').values()
    return Array.from(value.data)
  }
  const columns = graph.parameters.flatMap(({ name }) => {
    const value = graph.initializers.get(name) as Tensor
    return Array.from(value.data, (_, i) => {
      const moved = (by: number): number[] => {
        const data = Float64Array.from(value.data)
        data[i] += by
        return output(new Map(graph.initializers).set(name, { ...value, data }))
      }
      const [above, below] = [moved(STEP), moved(-STEP)]
      return above.map((each, k) => (each - below[k]) / (2 * STEP))
    })
  })
  return columns[0].map((_, row) => columns.map(column => column[row]))
}

/** j (delta I + J'J / sigma^2)^-1 j' through (sigma^2 I + J J' / delta), which is small. */
function variances(rows: readonly number[][], delta: number, noise: number): number[] {
  const dot = (a: readonly number[], b: readonly number[]): number => a.reduce((sum, each, i) => sum + each * b[i], 0)
  const gram = rows.map(a => rows.map(b => dot(a, b) / delta))
  return gram.map((row, i) => {
    const system = gram.map((each, k) => [...each.map((value, l) => value + (k === l ? noise : 0)), row[k]])
    for (let p = 0; p < system.length; p++) {
      for (let q = 0; q < system.length; q++) {
        if (q === p) continue
        const factor = system[q][p] / system[p][p]
        system[q] = system[q].map((value, c) => value - factor * system[p][c])
      }
    }
    return gram[i][i] - dot(row, system.map((each, k) => each[system.length] / each[k]))
  })
}

for (const [name, { x }] of Object.entries({ padded, perceptron })) {
  t.test(`${name}: the whole covariance of all weights`, async t => {
    const graph = inDouble(await readKeras(fixture(`keras/${name}.keras`)))
    const input = tensor(graph.inputs[0].dtype === 'int64' ? 'int64' : 'float64', x.shape, x.data)
    const rows = jacobian(graph, input)
    const classes = rows.length / x.shape[0]
    const targets = ndarray(new Float64Array(rows.length), [x.shape[0], classes])
    const posterior = await laplace(graph, { likelihood: 'regression', subset: 'all', structure: 'full', tune: 'none',
      priorPrecision: 0.7, sigmaNoise: 0.4 }).fit(ndarray(Float64Array.from(x.data), x.shape), targets)
    const { covariance } = await posterior.predict(ndarray(Float64Array.from(x.data), x.shape), { covariance: true })
    const expected = variances(rows, 0.7, 0.16)
    expected.forEach((each, i) => {
      const [n, c] = [Math.floor(i / classes), i % classes]
      const found = covariance?.data[(n * classes + c) * classes + c] ?? NaN
      t.ok(Math.abs(found - each) < 1e-6 * Math.max(1, each), `${found} and ${each}`)
    })
  })
}
