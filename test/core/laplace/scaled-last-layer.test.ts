/**
 * @file A last layer that is multiplied behind it (logits over a temperature, Gemm's alpha and beta), tuned by its
 * linear model: as the network whose weights are multiplied, and prior precision by the general path.
 */
import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { float64, sizeOf, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { uniform } from '../ops/check-derivative.js'

const random = uniform(5)
const draw = (...shape: number[]): Tensor =>
  float64(shape, Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1))
const [hidden, weight, bias] = [draw(4, 3), draw(3, 4), draw(3)]
const times = ({ shape, data }: Tensor, by: number): Tensor =>
  float64([...shape], Array.from(data, v => Number(v) * by))

/** tanh(x V) W' + b, and what `end` makes of it. */
function build(end: (b: GraphBuilder, h: string) => string): Graph {
  const b = new GraphBuilder('float64')
  return b.build([
    end(b, b.node('Tanh', [b.node('Gemm', [b.input('x', [BATCH, 3]), b.parameter('v', hidden)], { transB: 1 })])),
  ])
}

const layer = (b: GraphBuilder, h: string, w = weight, c = bias, attributes = {}): string =>
  b.node('Gemm', [h, b.parameter('w', w), b.parameter('b', c)], { transB: 1, ...attributes })
const plain = (w: number, c = w): Graph => build((b, h) => layer(b, h, times(weight, w), times(bias, c)))

const SCALED: Readonly<Record<string, { readonly graph: Graph, readonly w: number, readonly b?: number }>> = {
  'over a temperature': { w: 0.4, graph: build((b, h) => b.node('Div', [layer(b, h), b.scalar(2.5)])) },
  'over a temperature of its own': { w: 0.4,
    graph: build((b, h) => b.node('Div', [layer(b, h), b.parameter('temperature', float64([1], [2.5]))])) },
  'over a temperature, with a softmax': { w: 0.4,
    graph: build((b, h) => b.node('Softmax', [b.node('Mul', [layer(b, h), b.scalar(0.4)])])) },
  'alpha and beta, equal': { w: -0.5, graph: build((b, h) => layer(b, h, weight, bias, { alpha: -0.5, beta: -0.5 })) },
  'a bias behind the factor': { w: 0.7, b: 1, graph: build((b, h) => {
    const product = b.node('MatMul', [h,
      b.parameter('w',
        float64([4, 3], Array.from({ length: 12 }, (_, i) => Number(weight.data[i % 3 * 4 + Math.floor(i / 3)]))),
        true)])
    return b.node('Add', [b.node('Mul', [product, b.scalar(0.7)]), b.parameter('b', bias)])
  }) },
  'alpha and beta': { w: 0.5, b: 3, graph: build((b, h) => layer(b, h, weight, bias, { alpha: 0.5, beta: 3 })) },
}

const x = draw(60, 3)
const y = { dtype: 'int64', shape: [60],
  data: Float64Array.from({ length: 60 },
    (_, n) => Number(x.data[3 * n]) + 0.6 * random() > 0.3 ? 0 : Number(x.data[3 * n + 1]) > 0 ? 1 : 2) } as const

for (const [title, { graph, w, b }] of Object.entries(SCALED)) {
  t.test(title, async t => {
    const priorStructure = b === undefined ? 'scalar' : 'layerwise'
    const ways = b === undefined
      ? [{ tune: 'linearized' }, { tune: 'linearized', structure: 'full' }, { structure: 'kron' }, { structure: 'full',
        tune: 'auto' }] as const
      : [{ tune: 'linearized' }, { tune: 'linearized', structure: 'full' }, { tune: 'auto',
        structure: 'kron' }] as const
    for (const way of ways) {
      const options = { likelihood: 'classification', subset: 'last_layer', priorStructure, ...way } as const
      const [scaled, expected] = [await laplace(graph, options).fit(x, y),
        await laplace(plain(w, b), options).fit(x, y)]
      const [ours, theirs] = [await scaled.predict(x), await expected.predict(x)]
      for (const key of ['probabilities', 'variance'] as const) {
        const [a, c] = [ours[key]?.data, theirs[key]?.data]
        t.equal(a === undefined, c === undefined)
        if (a !== undefined && c !== undefined) {
          t.ok(relativeDifference(a as Float64Array, c as Float64Array) < 1e-9, `${JSON.stringify(way)} ${key}`)
        }
      }
      t.equal(scaled.summary().tuned, expected.summary().tuned)
      t.match(scaled.notes.join(' '), /multiplied by/)
      t.same((await loadPosterior(scaled.save()).predict(x)).probabilities?.data, ours.probabilities?.data, 'saved')
      t.same((await loadPosterior(scaled.save({ network: false }), { network: graph }).predict(x)).probabilities?.data,
        ours.probabilities?.data, 'saved without its network')
    }
  })
}

t.test('the prior precision times the square of the factor is that of the general path', async t => {
  const { graph, w } = SCALED['over a temperature']
  const [closed, general] = [
    await laplace(graph, { likelihood: 'classification', subset: 'last_layer', tune: 'linearized', structure: 'full' })
      .fit(x, y),
    await laplace(graph, { likelihood: 'classification', subset: 'last_layer' }).fit(x, y),
  ]
  t.ok(Math.abs(Number(closed.summary().priorPrecision) * w * w / Number(general.summary().priorPrecision) - 1) < 1e-4)
})

t.test('one prior of differently multiplied weights and biases is no prior of the layer', async t => {
  const { graph } = SCALED['alpha and beta']
  t.throws(() => laplace(graph, { likelihood: 'classification', subset: 'last_layer', tune: 'linearized' }), {
    code: 'BAD_COMBINATION',
    message: /auto/,
  })
})
