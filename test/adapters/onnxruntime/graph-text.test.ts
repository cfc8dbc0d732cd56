import t from 'tap'
import { graphText } from '../../../adapters/onnxruntime/graph-text.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { type Attribute, BATCH, type Graph } from '../../../core/graph/graph.js'
import { tensor } from '../../../core/tensor/tensor.js'

function graph(weights: Float32Array, attributes: Readonly<Record<string, Attribute>> = {}, width = 4): Graph {
  const b = new GraphBuilder('float32')
  const x = b.input('x', [BATCH, width])
  const w = b.constant(tensor('float32', [weights.length], weights))
  return b.build([b.node('Clip', [b.node('Mul', [x, w])], attributes)])
}

const weights = Float32Array.of(1, 2, 3, 4)

t.test('equal graphs have one text', async t => {
  t.equal(graphText(graph(weights)), graphText(graph(weights.slice())))
})

t.test('every weight counts, in tensors of every size', async t => {
  for (const length of [1, 4, 2000]) {
    const own = Float32Array.from({ length }, (_, i) => i)
    const before = graphText(graph(own))
    for (const at of [0, length - 1]) {
      const kept = own[at]!
      own[at] = at === 0 ? -0 : kept + 1
      t.not(graphText(graph(own)), before, `${at} of ${length}`)
      own[at] = kept
    }
    t.equal(graphText(graph(own)), before)
  }
})

t.test('attributes count, numbers that JSON confuses too', async t => {
  const given: Attribute[] = [0, -0, NaN, Infinity, -Infinity, '0', 'NaN', [], [0], [-0], ['0'],
    tensor('float32', [1], Float32Array.of(0)), tensor('float64', [1], Float64Array.of(0))]
  const texts = given.map(value => graphText(graph(weights, { value })))
  t.equal(new Set(texts).size, given.length)
})

t.test('so do shapes and names', async t => {
  const own = graph(weights)
  const [input] = own.inputs
  const others: Graph[] = [own, graph(weights, {}, 1), { ...own, inputs: [{ ...input!, name: 'y' }] }, { ...own,
    inputs: [{ ...input!, dtype: 'float64' }] }, { ...own, inputs: [{ ...input!, shape: [1, 4] }] }, { ...own,
    inputs: [{ ...input!, shape: [{ outer: 2, inner: 1 }, 4] }] }, { ...own,
    inputs: [{ ...input!, shape: [{ outer: 1, inner: 2 }, 4] }] }, { ...own, outputs: own.nodes[0]!.outputs }, { ...own,
    nodes: own.nodes.slice(0, 1) }]
  t.equal(new Set(others.map(graphText)).size, others.length)
})
