import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { stripLinkFunction } from '../../../core/passes/link-function.js'
import { float64 } from '../../../core/tensor/tensor.js'

function strip(
  end: (b: GraphBuilder, logits: string) => string,
): { logits: string, output: string } & ReturnType<typeof stripLinkFunction> {
  const b = new GraphBuilder('float64')
  const logits = b.node('MatMul', [b.input('x', [BATCH, 3]),
    b.parameter('w', float64([3, 2], [1, 2, 3, 4, 5, 6]), true)])
  const output = end(b, logits)
  return { logits, ...stripLinkFunction(b.build([output]), output) }
}

t.test('a sigmoid is taken away, also behind renaming nodes', async t => {
  const plain = strip((b, z) => b.node('Sigmoid', [z]))
  t.match(plain, { output: plain.logits, link: 'Sigmoid', note: /ends in Sigmoid/ })
  t.same(plain.graph.outputs, [plain.logits])
  t.same(plain.graph.nodes.map(node => node.op), ['MatMul'])
  t.match(strip((b, z) => b.node('Identity', [b.node('Reshape', [b.node('Sigmoid', [z]), b.integers([-1, 2])])])), {
    link: 'Sigmoid',
  })
})

t.test('other ends are left alone', async t => {
  for (const end of [(_b: GraphBuilder, z: string) => z, (b: GraphBuilder, z: string) => b.node('Tanh', [z]),
    (b: GraphBuilder, z: string) => b.node('Log', [b.node('Exp', [z])])]) {
    const { link, note, output, graph } = strip(end)
    t.equal(link, undefined)
    t.equal(note, undefined)
    t.same(graph.outputs, [output])
  }
})

t.test('softmax and its logarithm', async t => {
  t.match(strip((b, z) => b.node('Softmax', [z])), { link: 'Softmax', note: /ends in Softmax/ })
  t.match(strip((b, z) => b.node('LogSoftmax', [z], { axis: 1 })), { link: 'LogSoftmax' })
  const both = strip((b, z) => b.node('Log', [b.node('Softmax', [z], { axis: -1 })]))
  t.match(both, { link: 'LogSoftmax', output: both.logits })
})
