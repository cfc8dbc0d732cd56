import t from 'tap'
import { compileGraph, prepareGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { factorsProgram } from '../../../core/programs/factors-program.js'
import { float64, sizeOf, type Tensor } from '../../../core/tensor/tensor.js'
import { generator } from '../kernels/random-matrix.js'

const random = generator(8)
const draw = (...shape: number[]): Tensor =>
  float64(shape, Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1))

/** A residual block with pools, with each of its values as a name. */
function block() {
  const b = new GraphBuilder('float64')
  const x = b.input('x', [BATCH, 3, 6, 6])
  const conv = (from: string, name: string, out: number, inputs: number): string =>
    b.node('Conv', [from, b.parameter(`${name}.weight`, draw(out, inputs, 3, 3)),
      b.parameter(`${name}.bias`, draw(out))], { pads: [1, 1, 1, 1] })
  const first = b.node('Relu', [conv(x, 'a', 4, 3)])
  const sum = b.node('Add', [conv(first, 'b', 4, 4), conv(x, 'c', 4, 3)])
  const second = b.node('Relu', [sum])
  const capped = b.node('Clip', [b.node('MaxPool', [second], { kernel_shape: [2, 2], strides: [2, 2] }), b.scalar(0),
    b.scalar(1.5)])
  const f = b.node('Gemm', [b.node('Flatten', [capped]), b.parameter('d.weight', draw(36, 2)),
    b.parameter('d.bias', draw(2))])
  return { b, f, all: [first, sum, second, capped, f] }
}

const operators = (graph: { readonly nodes: readonly { readonly op: string }[] }): string[] =>
  graph.nodes.map(node => node.op)

t.test('what follows a convolution is fused, and gives the same numbers', async t => {
  const { b, f, all } = block()
  const alone = prepareGraph(b.build([f]), 'float64')
  t.notOk(operators(alone).includes('Relu'))
  t.notOk(operators(alone).includes('Add'))
  const x = new Map([['x', draw(5, 3, 6, 6)]])
  // Values that are outputs are not fused away.
  const apart = compileGraph(b.build(all), 'float64').run(x)
  const fused = compileGraph(b.build([f]), 'float64').run(x)
  t.ok(apart.get(f)!.data.every((value, i) => Math.abs(value - fused.get(f)!.data[i]!) < 1e-13))
})

t.test('masks become selections, and the places of maxima are found once', async t => {
  const { b, f } = block()
  const program = factorsProgram(b.build([f]), f, ['a.weight', 'b.weight', 'c.weight', 'd.weight'], 2)
  const ops = operators(prepareGraph(program.graph, 'float64'))
  t.equal(ops.filter(op => op === 'MaxPool').length, 1)
  t.ok(ops.includes('Gate'))
  for (const op of ['Greater', 'Less', 'Cast']) t.notOk(ops.includes(op), `${op} is gone`)
})
