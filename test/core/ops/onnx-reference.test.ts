import { readFileSync } from 'node:fs'
import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import type { Attribute } from '../../../core/graph/graph.js'
import { isSupported } from '../../../core/ops/registry.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { type DType, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'

interface Values {
  dtype: DType
  shape: number[]
  data: number[]
}
/** One node with what ONNX' reference implementation computes for it; `single` marks numbers of float32. */
interface Case {
  op: string
  attributes: Record<string, number | string | number[] | Values>
  inputs: (Values | null)[]
  outputs: Values[]
  single?: boolean
}

const CASES = JSON.parse(
  readFileSync(new URL('../../fixtures/operators/expected.json', import.meta.url), 'utf8'),
) as Case[]

const tensorOf = ({ dtype, shape, data }: Values): Tensor => tensor(dtype, shape, data)
const attributeOf = (
  value: Case['attributes'][string],
): Attribute => (typeof value === 'object' && 'data' in value ? tensorOf(value) : value)

/** Real inputs are fed; integers (indices, axes, shapes), scalars and scales are constants. */
function nodeOf(
  { op, attributes, inputs, outputs }: Case,
): { graph: ReturnType<GraphBuilder['build']>, fed: Map<string, Tensor> } {
  const b = new GraphBuilder('float64')
  const fed = new Map<string, Tensor>()
  const names = inputs.map((value, i) => {
    if (value === null) return ''
    if (value.dtype === 'int64' || value.shape.length === 0 || (op === 'Resize' && i > 0)) {
      return b.constant(tensorOf(value))
    }
    fed.set(`x${i}`, tensorOf(value))
    return b.input(`x${i}`, value.shape, value.dtype)
  })
  return {
    graph: b.build(
      b.nodeOutputs(op, names, outputs.length,
        Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, attributeOf(value)]))),
    ),
    fed,
  }
}

const describe = ({ op, attributes, inputs }: Case): string =>
  `${op} ${JSON.stringify(attributes)} of ${inputs.map(value => value?.shape.join('x') ?? 'nothing').join(', ')}`

for (const example of CASES) {
  t.test(describe(example), async t => {
    t.ok(isSupported(example.op))
    const { graph, fed } = nodeOf(example)
    const types = inferTypes(graph)
    const results = runGraph(graph, fed, 'float64')
    graph.outputs.forEach((name, i) => {
      const { dtype, shape, data } = example.outputs[i]
      const actual = results.get(name)!
      t.same(types.get(name)?.shape, shape, 'inferred shape')
      t.same([actual.dtype, actual.shape], [dtype, shape])
      t.ok(relativeDifference(actual.data, data) <= (example.single === true ? 2e-6 : 1e-11),
        `values (${relativeDifference(actual.data, data).toExponential(1)})`)
    })
  })
}

t.test('the file holds its cases', async t => {
  t.ok(CASES.length > 30)
})
