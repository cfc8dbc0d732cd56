import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { type Attribute, BATCH, type Dim } from '../../../core/graph/graph.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { relativeDifference } from '../../support/compare.js'
import { checkDerivative } from './check-derivative.js'
import { draw } from './draw.js'

type Attributes = Record<string, Attribute>

const derivative = (op: string, dims: readonly Dim[], weight: number[], attributes: Attributes,
  bias?: number): Promise<void> =>
  checkDerivative(`${op} ${JSON.stringify(attributes)} by ${weight.join(' x ')}`, b =>
    b.node(op, [b.input('x', dims), b.parameter('w', draw(...weight)),
      ...(bias === undefined ? [] : [b.parameter('b', draw(bias))])], attributes), { n: 2 })

await derivative('Conv', [BATCH, 2, 5], [3, 2, 3], { pads: [1, 0], strides: [2] }, 3)
await derivative('Conv', [BATCH, 2, 4, 5], [3, 2, 2, 3], { pads: [0, 1, 1, 0], strides: [2, 1], dilations: [1, 2] }, 3)
await derivative('Conv', [BATCH, 4, 3, 4], [2, 2, 2, 2], { group: 2, pads: [1, 1, 0, 0] }, 2)
await derivative('Conv', [BATCH, 2, 4, 4], [4, 1, 3, 3], { group: 2, pads: [1, 1, 1, 1], strides: [2, 2] }, 4)
await derivative('Conv', [BATCH, 2, 5, 5], [2, 2, 2, 2], { auto_pad: 'SAME_UPPER', strides: [3, 2] })
await derivative('Conv', [BATCH, 1, 2, 3, 3], [2, 1, 2, 2, 2], { pads: [0, 1, 0, 0, 0, 1] }, 2)
await derivative('Conv', [{ outer: 1, inner: 2 }, 2, 4], [2, 2, 3], {}, 2)
await derivative('Conv', [{ outer: 2, inner: 1 }, 2, 4], [4, 1, 3], { group: 2 }, 4)
await derivative('ConvTranspose', [BATCH, 2, 4], [2, 3, 3], { strides: [2], pads: [1, 0], output_padding: [1] }, 3)
await derivative('ConvTranspose', [BATCH, 4, 3, 2], [4, 1, 2, 3], { group: 2, dilations: [2, 1] }, 2)
await derivative('ConvTranspose', [BATCH, 2, 3, 2], [2, 2, 3, 3], { strides: [2, 2], pads: [1, 1, 1, 1],
  output_padding: [1, 0] })
await derivative('ConvTranspose', [BATCH, 2, 3, 3], [2, 2, 3, 3], { group: 2, strides: [2, 1] }, 4)
await derivative('ConvTranspose', [{ outer: 2, inner: 1 }, 2, 3], [2, 2, 2], { strides: [2] }, 2)
await checkDerivative('Conv of parameters',
  b =>
    b.node('Mul', [b.input('x', [BATCH, 2, 3, 4]),
      b.node('Conv', [b.parameter('u', draw(2, 2, 6)), b.parameter('v', draw(3, 2, 3)), b.parameter('c', draw(3))])]))
await checkDerivative('ConvTranspose of parameters',
  b =>
    b.node('Mul', [b.input('x', [BATCH, 2, 3, 8]),
      b.node('ConvTranspose', [b.parameter('u', draw(2, 2, 6)), b.parameter('v', draw(2, 3, 3)),
        b.parameter('c', draw(3))])]))

const unfold = (space: number[], attributes: Attributes): Promise<void> =>
  checkDerivative(`Unfold ${JSON.stringify(attributes)} of ${space.join(' x ')}`, b => {
    const y = b.node('Unfold', [b.input('x', [BATCH, 4, ...space])], attributes)
    return b.node('Mul', [y, y])
  }, { n: 2 })
await unfold([7], { kernel_shape: [3], strides: [2], dilations: [1], pads: [1, 2], group: 1 })
await unfold([6, 5], { kernel_shape: [3, 2], strides: [1, 2], dilations: [2, 1], pads: [0, 1, 1, 0], group: 2 })
await unfold([3, 4, 3], { kernel_shape: [2, 3, 2], strides: [1, 1, 1], dilations: [1, 1, 1], pads: [1, 1, 0, 0, 1, 1],
  group: 4 })
await checkDerivative('Unfold of a parameter',
  b =>
    b.node('Mul', [b.input('x', [BATCH, 2, 1, 4, 6]),
      b.node('Unfold', [b.parameter('w', draw(2, 3, 5))], { kernel_shape: [2] })]))

t.test('many positions and many channels, in tiles', async t => {
  for (const [x, w, attributes] of [[[2, 3, 40, 50], [4, 3, 3, 3], {}], [[70, 3, 4, 5], [5, 3, 2, 2], {}], [[3, 8, 33,
    41], [16, 1, 3, 3], { group: 8 }], [[3, 8, 33, 41], [16, 4, 3, 3], { group: 2 }]] as [number[], number[],
      Attributes][]) {
    const [image, weight] = [draw(...x), draw(...w)]
    const b = new GraphBuilder('float64')
    const y = b.node('Conv', [b.input('x', [BATCH, ...x.slice(1)]), b.constant(weight)], attributes)
    const result = runGraph(b.build([y]), new Map([['x', image]]), 'float64').get(y)!
    const groups = Number(attributes['group'] ?? 1)
    const [channels, height, width] = x.slice(1)
    const [outs, own, kh, kw] = w
    const expected: number[] = []
    for (let n = 0; n < x[0]; n++) {
      for (let o = 0; o < outs; o++) {
        for (let i = 0; i + kh <= height; i++) {
          for (let j = 0; j + kw <= width; j++) {
            let sum = 0
            const first = Math.floor(o / (outs / groups)) * own
            for (let c = 0; c < own; c++) {
              for (let p = 0; p < kh; p++) {
                for (let q = 0; q < kw; q++) {
                  sum += weight.data[((o * own + c) * kh + p) * kw + q] *
                    image.data[((n * channels + first + c) * height + i + p) * width + j + q]
                }
              }
            }
            expected.push(sum)
          }
        }
      }
    }
    t.ok(relativeDifference(result.data, expected) < 1e-13, `${x.join(' x ')} by ${w.join(' x ')}`)
  }
})

t.test('what does not fit is refused', async t => {
  const infer = (op: string, dims: readonly Dim[], weight: number[], attributes: Attributes = {}, bias = 0) => () => {
    const b = new GraphBuilder('float64')
    return inferTypes(
      b.build([
        b.node(op, [b.input('x', dims), b.parameter('w', draw(...weight)),
          ...(bias === 0 ? [] : [b.parameter('b', draw(bias))])], attributes),
      ]),
    )
  }
  t.throws(infer('Conv', [BATCH, 3, 5], [2, 4, 3]), { code: 'BAD_GRAPH', message: /does not fit 3 channels/ })
  t.throws(infer('Conv', [BATCH, 3, 5], [2, 3, 3, 3]), { code: 'BAD_GRAPH', message: /3 axes of its input/ })
  t.throws(infer('Conv', [BATCH, 3, 5], [2, 3, 7]), { code: 'BAD_GRAPH', message: /covers 7 elements of an axis of 5/ })
  t.throws(infer('Conv', [BATCH, 3, 5], [2, 3, 3], { group: 2 }), { code: 'BAD_GRAPH', message: /2 groups/ })
  t.throws(infer('Conv', [BATCH, 3, 5], [2, 3, 3], { strides: [0] }), { code: 'BAD_GRAPH', message: /'strides'/ })
  t.throws(infer('Conv', [BATCH, 3, 5], [2, 3, 3], { pads: [1] }), { code: 'BAD_GRAPH', message: /'pads'/ })
  t.throws(infer('Conv', [BATCH, 3, 5], [2, 3, 3], { auto_pad: 'SAME' }), { code: 'BAD_GRAPH', message: /'SAME'/ })
  t.throws(infer('Conv', [BATCH, 3, 5], [2, 3, 3], { kernel_shape: [2] }), { code: 'BAD_GRAPH',
    message: /kernel_shape 2 differs/ })
  t.throws(infer('Conv', [BATCH, 3, 5], [2, 3, 3], {}, 3), { code: 'BAD_GRAPH', message: /bias/ })
  t.throws(infer('Conv', [3, BATCH, 5], [2, 3, 3]), { code: 'BATCH_AXIS' })
  t.throws(infer('Conv', [3, 3, BATCH], [2, 3, 3]), { code: 'BATCH_AXIS' })
  t.throws(infer('Conv', [BATCH, 3], [2, 3]), { code: 'BAD_GRAPH', message: /spatial axes/ })
  t.throws(infer('ConvTranspose', [BATCH, 3, 5], [2, 3, 3]), { code: 'BAD_GRAPH', message: /3 channels/ })
  t.throws(infer('ConvTranspose', [BATCH, 3, 2], [3, 3, 3], { pads: [3, 3] }), { code: 'BAD_GRAPH',
    message: /leaves nothing/ })
  t.throws(infer('ConvTranspose', [BATCH, 3, 2], [3, 3, 3], { output_padding: [2] }), { code: 'BAD_GRAPH',
    message: /longer than/ })
})
