import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import type { Likelihood } from '../../../core/options/words.js'
import { logitsOf, type StrippedNetwork } from '../../../core/passes/link-function.js'
import { float64 } from '../../../core/tensor/tensor.js'

function strip(end: (b: GraphBuilder, logits: string) => string, likelihood: Likelihood = 'classification'): {
  logits: string
} & StrippedNetwork {
  const b = new GraphBuilder('float64')
  const logits = b.node('MatMul', [b.input('x', [BATCH, 3]),
    b.parameter('w', float64([3, 2], [1, 2, 3, 4, 5, 6]), true)])
  const output = end(b, logits)
  return { logits, ...logitsOf(b.build([output]), output, likelihood) }
}

t.test('a sigmoid is taken away, also behind renaming nodes', async t => {
  const plain = strip((b, z) => b.node('Sigmoid', [z]), 'multilabel')
  t.match(plain, { output: plain.logits, link: 'Sigmoid', note: /ends in Sigmoid/ })
  t.same(plain.graph.outputs, [plain.logits])
  t.same(plain.graph.nodes.map(node => node.op), ['MatMul'])
  t.match(
    strip((b, z) => b.node('Identity', [b.node('Reshape', [b.node('Sigmoid', [z]), b.integers([-1, 2])])]),
      'multilabel'),
    {
      link: 'Sigmoid',
    },
  )
})

t.test('sigmoids of classes and a softmax of labels are other probabilities than the network has', async t => {
  t.throws(() => strip((b, z) => b.node('Sigmoid', [z])), { code: 'BAD_COMBINATION', message: /'multilabel'/ })
  t.throws(() => strip((b, z) => b.node('Softmax', [z]), 'multilabel'), { code: 'BAD_COMBINATION',
    message: /'classification'/ })
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

t.test('the means of a regression stay as they are', async t => {
  const sigmoid = strip((b, z) => b.node('Sigmoid', [z]), 'regression')
  t.same(sigmoid.graph.nodes.map(node => node.op), ['MatMul', 'Sigmoid'])
  t.equal(sigmoid.note, undefined)
  t.match(strip((b, z) => b.node('Softmax', [z]), 'regression'), { note: /likelihood 'classification'/ })
})

const clamped = (b: GraphBuilder, z: string): string =>
  b.node('Clip', [b.node('Softmax', [z]), b.scalar(1e-6), b.scalar(1 - 1e-6)])
const share = (b: GraphBuilder, e: string, sum: string): string => b.node('Div', [e, sum])
const total = (b: GraphBuilder, e: string): string => b.node('ReduceSum', [e, b.integers([1])])
const column = (b: GraphBuilder, z: string): string => b.node('Gather', [z, b.integers([0])], { axis: 1 })

t.test('probabilities made in other ways get a logarithm, under the name of the output', async t => {
  const ends: Record<string, (b: GraphBuilder, z: string) => string> = {
    clamped,
    'exp, sum, divide': (b, z) => {
      const e = b.node('Exp', [z])
      return share(b, e, total(b, e))
    },
    'with a small number in the divisor': (b, z) => {
      const e = b.node('Softplus', [z])
      return share(b, e, b.node('Add', [total(b, e), b.scalar(1e-9)]))
    },
    'the mean of three members': (b, z) =>
      b.node('Div', [b.node('Sum', [1, 2, 3].map(t => b.node('Softmax', [b.node('Mul', [z, b.scalar(t)])]))),
        b.scalar(3)]),
    '[1 - p, p]': (b, z) => {
      const p = b.node('Sigmoid', [column(b, z)])
      return b.node('Concat', [b.node('Sub', [b.scalar(1), p]), p], { axis: 1 })
    },
    'smoothed labels': (b, z) => b.node('Add', [b.node('Mul', [b.node('Softmax', [z]), b.scalar(.9)]), b.scalar(.05)]),
    'exp of log-softmax': (b, z) => b.node('Exp', [b.node('LogSoftmax', [z])]),
    'through tanh': (b, z) => b.node('Mul', [b.node('Add', [b.node('Tanh', [z]), b.scalar(1)]), b.scalar(.5)]),
  }
  for (const [name, end] of Object.entries(ends)) {
    const { graph, output, note } = strip(end)
    t.same(graph.outputs, [output], name)
    t.match(note, /probabilities of the classes; their logarithm is used/, name)
    t.ok(graph.nodes.some(({ op }) => op === 'Log'), name)
  }
})

t.test('one probability gets its logit', async t => {
  const ends: Record<string, (b: GraphBuilder, z: string) => string> = {
    'clamped sigmoid': (b, z) => b.node('Clip', [b.node('Sigmoid', [z]), b.scalar(.01), b.scalar(.99)]),
    '1 / (1 + exp(-z))': (b, z) =>
      b.node('Reciprocal', [b.node('Add', [b.node('Exp', [b.node('Neg', [z])]), b.scalar(1)])]),
    'e / (1 + e)': (b, z) => {
      const e = b.node('Exp', [z])
      return share(b, e, b.node('Add', [b.scalar(1), e]))
    },
    probit: (b, z) => b.node('Mul', [b.node('Add', [b.node('Erf', [z]), b.scalar(1)]), b.scalar(.5)]),
  }
  for (const [name, end] of Object.entries(ends)) {
    t.match(strip((b, z) => end(b, column(b, z)), 'binary').note, /probability of each label; its logit/, name)
    t.equal(strip((b, z) => end(b, column(b, z)), 'regression').note, undefined, name)
  }
})

t.test('outputs that may be any number are no probabilities', async t => {
  for (const end of [(b: GraphBuilder, z: string) => b.node('Relu', [z]),
    (b: GraphBuilder, z: string) => share(b, z, total(b, z)),
    (b: GraphBuilder, z: string) => b.node('Mul', [b.node('Sigmoid', [z]), b.scalar(2)]),
    (b: GraphBuilder, z: string) => {
      const e = b.node('Exp', [z])
      return share(b, e, b.node('Sub', [total(b, e), b.scalar(1e-3)]))
    }]) {
    t.equal(strip(end).note, undefined)
  }
})
