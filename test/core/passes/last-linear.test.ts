import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { isSupported } from '../../../core/ops/registry.js'
import { lastLinear } from '../../../core/passes/last-linear.js'
import { featuresProgram } from '../../../core/programs/features-program.js'
import { float64, sizeOf, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { caseNames, referenceCase } from '../../support/reference-case.js'
import { uniform } from '../ops/check-derivative.js'

const random = uniform(5)
const draw = (...shape: number[]): Tensor =>
  float64(shape, Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1))

t.test('f = W phi + b for every reference case', async t => {
  for (const name of caseNames()) {
    const { graph, input, output, xTest, expected } = referenceCase(name)
    if (!graph.nodes.every(node => isSupported(node.op))) continue
    const program = featuresProgram(graph, output)
    t.equal(program.weight, `${expected.last_layer}.weight`, name)
    t.equal(program.bias, `${expected.last_layer}.bias`, name)
    const results = runGraph(program.graph, new Map([[input, xTest]]), 'float64')
    const [phi, f] = [results.get(program.features)!, results.get(program.output)!]
    t.same(phi.shape, [xTest.shape[0], program.in])
    const [w, b] = [graph.initializers.get(program.weight)!.data, graph.initializers.get(program.bias!)!.data]
    const product = Array.from({ length: f.data.length }, (_, i) => {
      const [n, c] = [Math.floor(i / program.out), i % program.out]
      let sum = b[c]
      for (let d = 0; d < program.in; d++) sum += w[c * program.in + d] * phi.data[n * program.in + d]
      return sum
    })
    t.ok(relativeDifference(f.data, product) < 1e-12, name)
  }
})

function build(end: (b: GraphBuilder, h: string) => string): { graph: Graph, output: string } {
  const b = new GraphBuilder('float64')
  const h = b.node('Tanh', [b.input('x', [BATCH, 3])])
  const output = end(b, h)
  return { graph: b.build([output]), output }
}

t.test('nodes that only rename, reshape or add a constant may follow', async t => {
  const ends: Readonly<Record<string, (b: GraphBuilder, z: string) => string>> = {
    'Identity and Cast': (b, z) => b.node('Cast', [b.node('Identity', [z])], { to: 1 }),
    Unsqueeze: (b, z) => b.node('Unsqueeze', [z, b.integers([1])]),
    'Transpose to outputs x examples': (b, z) => b.node('Transpose', [z], { perm: [1, 0] }),
    'a constant shift': (b, z) => b.node('Add', [b.constant(draw(2)), z]),
  }
  for (const [name, end] of Object.entries(ends)) {
    const { graph, output } = build((b, h) =>
      end(b, b.node('Gemm', [h, b.parameter('w', draw(2, 3)), b.parameter('b', draw(2))], { transB: 1 }))
    )
    t.same(lastLinear(graph, output), { weight: 'w', bias: 'b', in: 3, out: 2 }, name)
    const { graph: program, features, output: f } = featuresProgram(graph, output)
    const results = runGraph(program, new Map([['x', draw(5, 3)]]), 'float64')
    t.same([results.get(features)!.shape, results.get(f)!.shape], [[5, 3], [5, 2]], name)
  }
})

t.test('the scale of a product belongs to the features', async t => {
  const { graph, output } = build((b, h) => b.node('Gemm', [h, b.parameter('w', draw(2, 3))], { transB: 1, alpha: 2 }))
  const program = featuresProgram(graph, output)
  t.equal(program.bias, undefined)
  const results = runGraph(program.graph, new Map([['x', float64([1, 3], [0, 1, -1])]]), 'float64')
  t.ok(relativeDifference(results.get(program.features)!.data, [0, 2 * Math.tanh(1), -2 * Math.tanh(1)]) < 1e-15)
})

t.test('other ends are named', async t => {
  const error = (message: RegExp): { code: string, message: RegExp } => ({ code: 'NO_LAST_LAYER', message })
  const check = (end: (b: GraphBuilder, h: string) => string, message: RegExp): void => {
    const { graph, output } = build(end)
    t.throws(() => lastLinear(graph, output), error(message))
  }
  check((b, h) => b.node('Relu', [b.node('MatMul', [h, b.parameter('w', draw(3, 2), true)])], {}, 'last'),
    /Relu node 'last'/)
  check((b, h) => b.node('MatMul', [h, b.constant(draw(3, 2))], {}, 'fixed'), /MatMul node 'fixed'/)
  check(
    (b, h) => b.node('Gemm', [h, b.parameter('w', draw(3, 2), true), b.parameter('b', draw(2))], { beta: 2 }, 'scaled'),
    /Gemm node 'scaled'/,
  )
  check(
    (b, h) =>
      b.node('Gather', [b.node('MatMul', [h, b.parameter('w', draw(3, 2), true)], {}, 'turned'), b.integers([1, 0])], {
        axis: 1,
      }),
    /MatMul node 'turned', whose results are not kept together/,
  )
})

/** Heads at several positions of an example, and which positions answer, in order. */
const HEADS: Readonly<Record<string, { readonly end: (b: GraphBuilder, h: string) => string, places: number[] }>> = {
  'every token': { end: (_, z) => z, places: [0, 1, 2, 3] },
  'the first token': { end: (b, z) => b.node('Gather', [z, b.constant(tensor('int64', [], [0]))], { axis: 1 }),
    places: [0] },
  'the last token, cut out': {
    end: (b, z) =>
      b.node('Squeeze', [b.node('Slice', [z, b.integers([-1]), b.integers([1000]), b.integers([1])]), b.integers([1])]),
    places: [3],
  },
  'all but the first': { end: (b, z) => b.node('Slice', [z, b.integers([1]), b.integers([4]), b.integers([1])]),
    places: [1, 2, 3] },
  'joined with the examples': {
    end: (b, z) => b.node('Reshape', [b.node('Reshape', [z, b.integers([-1, 2])]), b.integers([-1, 4, 2])]),
    places: [0, 1, 2, 3],
  },
}

t.test('heads at positions: the features are those of the positions that answer', async t => {
  for (const [name, { end, places }] of Object.entries(HEADS)) {
    const b = new GraphBuilder('float64')
    const x = b.input('x', [BATCH, 4, 3])
    const output = end(b, b.node('MatMul', [x, b.parameter('w', draw(3, 2), true)]))
    const program = featuresProgram(b.build([output]), output)
    t.same([program.in, program.out], [3, 2], name)
    const rows = draw(5, 4, 3)
    const results = runGraph(program.graph, new Map([['x', rows]]), 'float64')
    const expected = Array.from({ length: 5 }, (_, n) =>
      places.flatMap(place => Array.from(rows.data.subarray((n * 4 + place) * 3, (n * 4 + place + 1) * 3))))
    t.same(Array.from(results.get(program.features)!.data), expected.flat(), name)
  }
})

t.test('a convolution as the head, with its classes brought to the last axis', async t => {
  const b = new GraphBuilder('float64')
  const z = b.node('Conv', [b.input('x', [BATCH, 3, 4, 5]), b.parameter('w', draw(2, 3, 1, 1)),
    b.parameter('b', draw(2))])
  const output = b.node('Reshape', [b.node('Transpose', [z], { perm: [0, 2, 3, 1] }), b.integers([-1, 40])])
  const program = featuresProgram(b.build([output]), output)
  t.same([program.in, program.out], [3, 2])
  const x = draw(2, 3, 4, 5)
  const phi = runGraph(program.graph, new Map([['x', x]]), 'float64').get(program.features)!
  t.same(phi.shape, [40, 3])
  t.ok(
    [0, 7, 19, 20, 39].every(row =>
      [0, 1, 2].every(channel =>
        phi.data[row * 3 + channel] === x.data[(Math.floor(row / 20) * 3 + channel) * 20 + row % 20]
      )
    ),
  )
})
