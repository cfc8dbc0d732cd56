import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph, type Node } from '../../../core/graph/graph.js'
import { removeDead, simplify, sortNodes } from '../../../core/passes/fold.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'

const ops = (graph: Graph): string[] => graph.nodes.map(node => node.op)

function network(): { graph: Graph, output: string } {
  const b = new GraphBuilder('float64')
  const h = b.node('Identity', [b.node('Relu', [b.input('x', [BATCH, 2])])])
  const w = b.node('Transpose', [b.parameter('w', float64([3, 2], [1, 2, 3, 4, 5, 6]))], { perm: [1, 0] })
  const scale = b.node('Add', [b.scalar(1), b.node('Exp', [b.scalar(0)])])
  b.node('Tanh', [h])
  const output = b.node('Dropout', [b.node('Mul', [b.node('MatMul', [h, w]), scale])])
  return { graph: b.build([output]), output }
}

t.test('constants are worked out, parameters only when asked', async t => {
  const { graph } = network()
  t.same(ops(simplify(graph)), ['Relu', 'Transpose', 'MatMul', 'Mul', 'Dropout'])
  const folded = simplify(graph, { foldParameters: true })
  t.same(ops(folded), ['Relu', 'MatMul', 'Mul', 'Dropout'])
  t.same(folded.parameters, graph.parameters)
  t.ok(folded.initializers.has('w'), 'parameters stay, since they make up theta')
})

t.test('identities and dead nodes go, names of outputs stay', async t => {
  const { graph, output } = network()
  t.same(ops(removeDead(graph)).includes('Tanh'), false)
  const simple = simplify(graph)
  t.same(ops(simple), ['Relu', 'Transpose', 'MatMul', 'Mul', 'Dropout'])
  t.same(simple.outputs, [output])
  const x = new Map([['x', float64([2, 2], [1, -2, 3, 4])]])
  t.same(runGraph(simple, x, 'float64').get(output), runGraph(graph, x, 'float64').get(output))
})

t.test('reshapes to the same shape and transpositions that move nothing go', async t => {
  const b = new GraphBuilder('float64')
  const x = b.input('x', [BATCH, 2, 2])
  const same = b.node('Reshape', [b.node('Transpose', [x], { perm: [0, 1, 2] }), b.integers([0, 2, -1])])
  t.same(ops(simplify(b.build([b.node('Neg', [same])]))), ['Neg'])
})

t.test('a static part of a symbolic shape is a constant', async t => {
  const b = new GraphBuilder('float64')
  const x = b.input('x', [BATCH, 6])
  const columns = b.node('Shape', [x], { start: 1 })
  const y = b.node('Mul', [x, b.node('Cast', [columns], { to: 11 })])
  t.same(ops(simplify(b.build([y]))), ['Mul'])
})

t.test('nodes in any order are sorted; a sorted list stays as it is', async t => {
  const { graph, output } = network()
  t.same(sortNodes(graph).nodes, graph.nodes)
  const reversed = { ...graph, nodes: [...graph.nodes].reverse() }
  const x = new Map([['x', float64([1, 2], [1, 2])]])
  t.same(runGraph(reversed, x, 'float64').get(output), runGraph(graph, x, 'float64').get(output))
})

const node = (op: string, inputs: string[], outputs: string[]): Node => ({ op, inputs, outputs, attributes: {} })
const graphOf = (nodes: Node[], outputs = ['y']): Graph => ({
  inputs: [{ name: 'x', dtype: 'float64', shape: [BATCH] }],
  outputs,
  nodes,
  initializers: new Map([['c', tensor('float64', [], [1])]]),
  parameters: [],
  notes: [],
})

t.test('what is not a graph is refused', async t => {
  const bad = { code: 'BAD_GRAPH' }
  t.throws(() => sortNodes(graphOf([node('Neg', ['x'], ['y']), node('Abs', ['x'], ['y'])])), { ...bad,
    message: /named 'y'/ })
  t.throws(() => sortNodes(graphOf([node('Neg', ['x'], ['c'])])), { ...bad, message: /named 'c'/ })
  t.throws(() => sortNodes(graphOf([node('Neg', ['z'], ['y'])])), { ...bad, message: /'z' is neither/ })
  t.throws(() => sortNodes(graphOf([node('Neg', ['x'], ['z'])])), { ...bad, message: /output 'y'/ })
  t.throws(() => sortNodes(graphOf([node('Neg', ['b'], ['y']), node('Add', ['x', 'y'], ['b'])])), { ...bad,
    message: /cycle/ })
  t.throws(() => sortNodes(graphOf([node('Add', ['x', 'y'], ['y'])])), { ...bad, message: /cycle/ })
  t.throws(
    () =>
      sortNodes({ ...graphOf([node('Neg', ['x'], ['y'])]),
        parameters: [{ name: 'w', shape: [1], transposed: false }] }),
    { ...bad, message: /'w' has no value/ },
  )
  t.throws(() => simplify(graphOf([node('Frobnicate', ['x'], ['y'])])), { code: 'UNSUPPORTED_OPERATOR',
    message: /'Frobnicate'.*Abs, / })
  t.throws(() => simplify(graphOf([node('Add', ['x'], ['y'])])), { ...bad, message: /input 1 is missing/ })
})

t.test('very deep networks do not exhaust the stack', async t => {
  const nodes = Array.from({ length: 20000 },
    (_, i) => node('Neg', [i === 0 ? 'x' : `h${i - 1}`], [i === 19999 ? 'y' : `h${i}`])).reverse()
  t.equal(sortNodes(graphOf(nodes)).nodes[0].outputs[0], 'h0')
})

t.test('of a simple graph nothing is made again, and what is known of its nodes is found again', async t => {
  const { graph, output } = network()
  const simple = simplify(graph)
  const again = simplify({ ...simple, outputs: [output] })
  t.equal(again.nodes, simple.nodes)
  t.equal(again.initializers, simple.initializers)
  t.equal(inferTypes(again), inferTypes(simple))
  // What was handed on is what would be found.
  t.same([...inferTypes({ ...simple, nodes: [...simple.nodes] })].sort(), [...inferTypes(simple)].sort())
  const other = new Map([...simple.initializers].map(([name, value]) => [name, name === 'w'
    ? float64([2, 2], [1, 2, 3, 4])
    : value]
  ))
  t.same(inferTypes({ ...simple, initializers: other }).get('w')?.shape, [2, 2], 'other weights are looked at')
})
