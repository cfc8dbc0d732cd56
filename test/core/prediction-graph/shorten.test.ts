import t from 'tap'
import { BATCH, type Graph, type Node } from '../../../core/graph/graph.js'
import { elementTypeOf } from '../../../core/ops/element-types.js'
import { shortened } from '../../../core/prediction-graph/shorten.js'
import { type Tensor, tensor } from '../../../core/tensor/tensor.js'

const node = (op: string, inputs: string[], output: string, attributes: Node['attributes'] = {}): Node => ({ op, inputs,
  outputs: [output], attributes })

function graph(nodes: readonly Node[], constants: Record<string, Tensor>, ...outputs: string[]): Graph {
  return { inputs: [{ name: 'x', dtype: 'float32', shape: [BATCH, 2] }], outputs, nodes, parameters: [], notes: [],
    initializers: new Map(Object.entries(constants)) }
}

const ops = ({ nodes }: Graph): string[] => nodes.map(({ op, inputs, outputs }) => `${op} ${inputs[0]} ${outputs[0]}`)
const cube = tensor('int64', [3], [-1, 1, 2])
const flat = tensor('int64', [2], [-1, 2])

t.test('reshapes there and back, casts up and down, and copies at the end go', async t => {
  const nodes = [node('Relu', ['x'], 'a'), node('Reshape', ['a', 'cube'], 'b'), node('Reshape', ['b', 'flat'], 'c'),
    node('Cast', ['c'], 'd', { to: elementTypeOf('float64') }),
    node('Cast', ['d'], 'e', { to: elementTypeOf('float32') }), node('Neg', ['e'], 'f'), node('Identity', ['f'], 'y')]
  t.same(ops(shortened(graph(nodes, { cube, flat }, 'y'))), ['Relu x a', 'Neg a y'])
})

t.test('what changes numbers, or is a result itself, stays', async t => {
  const down = [node('Relu', ['x'], 'a'), node('Cast', ['a'], 'b', { to: elementTypeOf('int64') }),
    node('Cast', ['b'], 'y', { to: elementTypeOf('float32') })]
  t.equal(shortened(graph(down, {}, 'y')).nodes.length, 3, 'integers hold less')
  const both = [node('Relu', ['x'], 'a'), node('Identity', ['a'], 'y'), node('Identity', ['a'], 'z')]
  t.same(shortened(graph(both, {}, 'y', 'z')).outputs, ['y', 'z'])
  t.equal(shortened(graph(both, {}, 'y', 'z')).nodes.length, 2)
  t.same(ops(shortened(graph([node('Identity', ['x'], 'y')], {}, 'y'))), ['Identity x y'], 'an input is no result')
})

t.test('(a C + b) D is a (C D) + b D where no element is negative and nothing else needs what is between', async t => {
  const square = tensor('float32', [2, 2], [1, 2, 3, 4])
  const second = tensor('float64', [2, 2], [5, 6, 7, 8])
  const plus = tensor('float32', [2], [1, 2])
  const nodes = [node('MatMul', ['x', 'C'], 'm'), node('Add', ['m', 'b'], 's'), node('Cast', ['s'], 'w', {
    to: elementTypeOf('float64'),
  }), node('MatMul', ['w', 'D'], 'y')]
  const { nodes: short, initializers } = shortened(graph(nodes, { C: square, D: second, b: plus }, 'y'))
  t.same(short.map(({ op }) => op), ['MatMul', 'Add', 'Cast'])
  t.same([initializers.get(short[0].inputs[1])?.data, initializers.get(short[1].inputs[1])?.data], [
    Float32Array.of(19, 22, 43, 50),
    Float32Array.of(19, 22),
  ])
  const negative = { C: square, D: tensor('float64', [2, 2], [5, -6, 7, 8]), b: plus }
  t.equal(shortened(graph(nodes, negative, 'y')).nodes.length, 4, 'terms could cancel')
  t.equal(shortened(graph([...nodes, node('Neg', ['s'], 'z')], { C: square, D: second, b: plus }, 'y', 'z')).nodes
    .length, 5, 'another needs the sum')
})
