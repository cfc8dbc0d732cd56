/** @file Small networks of every kind, with random weights in float64. */
import { type GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { float64, sizeOf, type Tensor } from '../../../core/tensor/tensor.js'
import { uniform } from '../ops/check-derivative.js'

const random = uniform(5)

/** Numbers between -1 and 1. */
export const draw = (...shape: number[]): Tensor =>
  float64(shape, Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1))

const dense = (b: GraphBuilder, x: string, name: string, inputs: number, out: number): string =>
  b.node('Gemm', [x, b.parameter(`${name}.weight`, draw(out, inputs)), b.parameter(`${name}.bias`, draw(out))], {
    transB: 1,
  })

const layerNorm = (b: GraphBuilder, x: string, name: string, width: number): string =>
  b.node('LayerNormalization', [x, b.parameter(`${name}.scale`, draw(width)),
    b.parameter(`${name}.shift`, draw(width))])

const batchNorm = (b: GraphBuilder, x: string, name: string, channels: number): string =>
  b.node('BatchNormalization', [x, b.parameter(`${name}.scale`, draw(channels)),
    b.parameter(`${name}.shift`, draw(channels)), b.constant(draw(channels)),
    b.constant(float64([channels], new Array<number>(channels).fill(0.7)))])

/** X W with a weight that is stored in x out. */
const projection = (b: GraphBuilder, x: string, name: string, inputs: number, out: number): string =>
  b.node('MatMul', [x, b.parameter(name, draw(inputs, out), true)])

/** The last state of a recurrence over T x N x 3, with initial states of zero. */
function recurrent(op: 'LSTM' | 'GRU' | 'RNN', gates: number, attributes = {}) {
  return (b: GraphBuilder): string => {
    const [, last] = b.nodeOutputs(op, [b.input('x', [4, BATCH, 3]), b.parameter('w', draw(1, gates * 2, 3)),
      b.parameter('r', draw(1, gates * 2, 2)), b.parameter('b', draw(1, 2 * gates * 2))], 2, { hidden_size: 2,
      ...attributes })
    return dense(b, b.node('Squeeze', [last, b.integers([0])]), 'head', 2, 2)
  }
}

/** A network: how it is built (its input is named x), and the shape of a batch of its input. */
export interface Example {
  readonly x: (examples: number) => readonly number[]
  readonly build: (b: GraphBuilder) => string
  /** Values of the input where they must be whole numbers below this one. */
  readonly below?: number
}

export const NETWORKS: Readonly<Record<string, Example>> = {
  'a perceptron with tanh and relu': {
    x: n => [n, 3],
    build: b => {
      const h = b.node('Tanh', [dense(b, b.input('x', [BATCH, 3]), 'a', 3, 5)])
      return dense(b, b.node('Relu', [dense(b, h, 'b', 5, 4)]), 'c', 4, 2)
    },
  },
  'weights stored in x out, a scaled product and a bias in front': {
    x: n => [n, 3],
    build: b => {
      const h = b.node('Tanh', [
        b.node('Add', [b.parameter('b1', draw(4)), projection(b, b.input('x', [BATCH, 3]), 'w1', 3, 4)]),
      ])
      return b.node('Gemm', [h, b.parameter('w2', draw(4, 2), true), b.parameter('b2', draw(1, 2))], { alpha: 0.3 })
    },
  },
  'convolutions, with pools and batch norm': {
    x: n => [n, 2, 7, 6],
    build: b => {
      const conv = b.node('Conv', [b.input('x', [BATCH, 2, 7, 6]), b.parameter('k1', draw(3, 2, 3, 3)),
        b.parameter('c1', draw(3))], { pads: [1, 1, 1, 1] })
      const pooled = b.node('MaxPool', [b.node('Relu', [batchNorm(b, conv, 'norm', 3)])], { kernel_shape: [2, 2],
        strides: [2, 2], ceil_mode: 1 })
      const grouped = b.node('Tanh', [
        b.node('Conv', [b.node('Concat', [pooled, pooled], { axis: 1 }), b.parameter('k2', draw(4, 3, 2, 2))], {
          group: 2,
        }),
      ])
      const smaller = b.node('AveragePool', [grouped], { kernel_shape: [2, 2] })
      return dense(b, b.node('Flatten', [smaller]), 'head', 8, 2)
    },
  },
  'a convolution, its transpose and an enlargement': {
    x: n => [n, 2, 6],
    build: b => {
      const down = b.node('Tanh', [
        b.node('Conv', [b.input('x', [BATCH, 2, 6]), b.parameter('k1', draw(3, 2, 3))], { strides: [2] }),
      ])
      const up = b.node('ConvTranspose', [down, b.parameter('k2', draw(3, 2, 3)), b.parameter('c2', draw(2))], {
        strides: [2],
      })
      const large = b.node('Resize', [b.node('Tanh', [up]), '', b.constant(float64([3], [1, 1, 2]))], {
        mode: 'linear',
      })
      return dense(b, b.node('Flatten', [large]), 'head', 20, 2)
    },
  },
  'residual blocks': {
    x: n => [n, 4],
    build: b => {
      const block = (h: string, name: string): string =>
        b.node('Add', [h, dense(b, b.node('Tanh', [dense(b, h, `${name}.1`, 4, 3)]), `${name}.2`, 3, 4)])
      return dense(b, block(block(b.input('x', [BATCH, 4]), 'a'), 'b'), 'head', 4, 3)
    },
  },
  'attention': {
    x: n => [n, 3, 4],
    build: b => {
      const x = b.input('x', [BATCH, 3, 4])
      const normal = layerNorm(b, x, 'before', 4)
      // Two heads of two columns.
      const heads = (name: string, perm: number[]): string =>
        b.node('Transpose', [
          b.node('Reshape', [projection(b, normal, name, 4, 4), b.integers([0, 3, 2, 2])]),
        ], { perm })
      const scores = b.node('MatMul', [heads('q', [0, 2, 1, 3]), heads('k', [0, 2, 3, 1])])
      const mixed = b.node('MatMul', [b.node('Softmax', [b.node('Mul', [scores, b.scalar(0.7)])]),
        heads('v', [0, 2, 1, 3])])
      const joined = b.node('Reshape', [b.node('Transpose', [mixed], { perm: [0, 2, 1, 3] }), b.integers([0, 3, 4])])
      const added = layerNorm(b, b.node('Add', [x, projection(b, joined, 'o', 4, 4)]), 'after', 4)
      return dense(b, b.node('ReduceMean', [b.node('Gelu', [added]), b.integers([1])], { keepdims: 0 }), 'head', 4, 2)
    },
  },
  'an LSTM': { x: n => [4, n, 3], build: recurrent('LSTM', 4) },
  'a GRU': { x: n => [4, n, 3], build: recurrent('GRU', 3, { linear_before_reset: 1 }) },
  'a GRU that resets first': { x: n => [4, n, 3], build: recurrent('GRU', 3) },
  'an RNN': { x: n => [4, n, 3], build: recurrent('RNN', 1) },
  'an embedding': {
    x: n => [n, 4],
    below: 5,
    build: b => {
      const rows = b.node('Gather', [b.parameter('table', draw(5, 3)),
        b.node('Cast', [b.input('x', [BATCH, 4])], { to: 7 })])
      return dense(b, b.node('ReduceMean', [b.node('Tanh', [rows]), b.integers([1])], { keepdims: 0 }), 'head', 3, 2)
    },
  },
  'weights that are shared, as a product, transposed and otherwise': {
    x: n => [n, 3],
    build: b => {
      const w = b.parameter('w', draw(3, 3))
      const bias = b.parameter('b', draw(3))
      const layer = (h: string): string => b.node('Tanh', [b.node('Gemm', [h, w, bias], { transB: 1 })])
      const h = layer(layer(b.input('x', [BATCH, 3])))
      return b.node('Mul', [b.node('Gemm', [h, w]), b.node('ReduceSum', [w, b.integers([0])], { keepdims: 0 })])
    },
  },
  'examples in columns': {
    x: n => [3, n],
    build: b => {
      const h = b.node('Tanh', [
        b.node('Add', [b.node('MatMul', [b.parameter('w1', draw(4, 3)), b.input('x', [3, BATCH])]),
          b.parameter('b1', draw(4, 1))]),
      ])
      return b.node('MatMul', [b.parameter('w2', draw(2, 4)), h])
    },
  },
  'time-major sequences with several positions at the output': {
    x: n => [4, n, 3],
    build: b => {
      const flat = b.node('Reshape', [b.input('x', [4, BATCH, 3]), b.integers([-1, 3])])
      const h = b.node('Reshape', [b.node('Tanh', [dense(b, flat, 'a', 3, 5)]), b.integers([4, -1, 5])])
      return b.node('Add', [projection(b, h, 'w', 5, 2), b.parameter('shift', draw(4, 1, 2))])
    },
  },
}
