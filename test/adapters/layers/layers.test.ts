import { readFileSync } from 'node:fs'
import t from 'tap'
import { type LayerSpec, networkFromLayers } from '../../../adapters/layers/index.js'
import type { FileTensor } from '../../../adapters/tensors/file-tensor.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { settleOpenAxes } from '../../../core/graph/open-axes.js'
import { type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'

interface Stored {
  shape: number[]
  data: string
}
interface Case {
  name: string
  architecture: LayerSpec[]
  inputSize: number | number[] | null
  tensors: Record<string, Stored>
  parameters: string[]
  x: Stored
  y: Stored
}

const cases = JSON.parse(
  readFileSync(new URL('../../fixtures/layers/networks.json', import.meta.url), 'utf8'),
) as Case[]
const bytesOf = ({ data }: Stored): Uint8Array => Uint8Array.from(Buffer.from(data, 'base64'))
const float64 = (stored: Stored): Tensor => tensor('float64', stored.shape, new Float64Array(bytesOf(stored).buffer))

t.test("every layer computes what torch computes, with its parameters in torch's order", async t => {
  t.ok(cases.length > 70)
  for (const { name, architecture, inputSize, tensors, parameters, x, y } of cases) {
    const named = new Map<string, FileTensor>(
      Object.entries(tensors).map((
        [key, stored],
      ) => [key, { dtype: 'float64', shape: stored.shape, bytes: bytesOf(stored) }]),
    )
    const read = networkFromLayers(architecture, named, inputSize === null ? {} : { inputSize })
    t.same(read.parameters.map(parameter => parameter.name), parameters, `${name}: parameters`)
    const graph = settleOpenAxes(read, new Map([['input', x.shape.slice(1)]]))
    const input = { ...float64(x), dtype: graph.inputs[0].dtype }
    const result = runGraph(graph, new Map([['input', input]]), 'float64').get(graph.outputs[0])!
    t.same(result.shape, y.shape, `${name}: shape`)
    t.ok(relativeDifference(result.data, float64(y).data) < 1e-9,
      `${name}: values (${relativeDifference(result.data, float64(y).data)})`)
  }
})

t.test("softplus is the number itself from torch's threshold on", async t => {
  const graph = networkFromLayers([{ type: 'Softplus', beta: 2, threshold: 1 }], new Map(), { inputSize: 4 })
  const x = [-1, 0.2, 0.6, 3]
  const inputs = new Map([['input', tensor('float64', [1, 4], x)]])
  const y = runGraph(graph, inputs, 'float64').get(graph.outputs[0])!
  const want = x.map(value => (2 * value > 1 ? value : Math.log1p(Math.exp(2 * value)) / 2))
  t.ok(relativeDifference(y.data, Float64Array.from(want)) < 1e-12)
})
