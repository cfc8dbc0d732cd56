import t from 'tap'
import { followsFormula } from '../../../adapters/onnx/code-constants.js'
import { findParameters, openChoices } from '../../../adapters/onnx/parameters.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { describeOpenChoice } from '../../../core/graph/open-choice.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { type Tensor, tensor } from '../../../core/tensor/tensor.js'

const learnt = (...shape: number[]): Tensor => {
  const count = shape.reduce((a, b) => a * b, 1)
  return tensor('float32', shape, [...randomGenerator(shape.length + count).fillNormal(new Float64Array(count))])
}
const matrix = (rows: number, columns: number, at: (i: number, j: number) => number): Tensor =>
  tensor('float32', [rows, columns], Array.from({ length: rows * columns }, (_, k) =>
    at(Math.floor(k / columns), k % columns)))

t.test('numbers that a formula has made are told from learnt ones', async t => {
  const formulas = {
    'cosine transform': matrix(16, 16, (i, j) => Math.cos(Math.PI / 16 * (j + 0.5) * i) * (i === 0 ? Math.SQRT1_2 : 1)),
    'Fourier': matrix(100, 100, (i, j) => Math.cos(2 * Math.PI * i * j / 100)),
    'average': matrix(6, 2, (i, j) => (i % 2 === j ? 1 / 3 : 0)),
    'neighbours': matrix(3, 3, (i, j) => (i === j ? 0.5 : 0.25)),
    'walk': matrix(20, 20, (i, j) => (i + j) / (20 * i + 190)),
    'moving average': matrix(30, 20, (i, j) => Math.exp(-0.01 * (i - j) ** 2)),
    'kernel': tensor('float32', [1, 1, 3, 3], [1, 2, 1, 2, 4, 2, 1, 2, 1].map(each => each / 16)),
    'whole': matrix(2, 2, (i, j) => 2 * i + j + 1),
  }
  for (const [name, value] of Object.entries(formulas)) t.ok(followsFormula(value), name)
  for (const shape of [[4, 3], [3, 3], [2, 2], [64, 10], [50, 50], [8, 1], [5], [4, 3, 3, 3]]) {
    t.notOk(followsFormula(learnt(...shape)), shape.join(' x '))
  }
})

/** x through a weight of the file, and one more layer whose tensors are constants of the code. */
function network(layer: (b: GraphBuilder, h: string) => string, constants: Readonly<Record<string, Tensor>>): Graph {
  const b = new GraphBuilder('float32')
  for (const [name, value] of Object.entries({ w: learnt(4, 6), ...constants })) b.initializers.set(name, value)
  return b.build([layer(b, b.node('Tanh', [b.node('MatMul', [b.input('x', [BATCH, 4]), 'w'])]))])
}

t.test('a constant of the code is a weight by its use, where no formula has made it', async t => {
  const choose = (graph: Graph): { names: string[], notes: string[] } => {
    const origins = new Map(
      [...graph.initializers.keys()].filter(name => name !== 'w').map(name =>
        [name, { kind: 'code', from: [], computed: false }] as const
      ),
    )
    const names = findParameters(graph, origins)
    return { names, notes: openChoices(graph, names, [], origins).map(describeOpenChoice) }
  }
  const layer = choose(
    network((b, h) => b.node('Add', [b.node('MatMul', [h, b.node('Transpose', ['c'], { perm: [1, 0] })]), 'd']), {
      c: learnt(3, 6),
      d: learnt(3),
    }),
  )
  t.same(layer.names, ['w', 'c', 'd'])
  t.match(layer.notes, [/^Counted as parameters.*'c', 'd'\. .*option freeze/])
  const mean = choose(
    network((b, h) => b.node('MatMul', [h, 'c']), { c: matrix(6, 3, (i, j) => i % 3 === j ? 0.5 : 0) }),
  )
  t.same(mean.names, ['w'])
  t.match(mean.notes, [/^Not counted.*'c'\. The option parameters/])
  const left = choose(network((b, h) => b.node('MatMul', ['c', h]), { c: learnt(3, 6) }))
  t.same(left.names, ['w'], 'what mixes positions')
  const added = choose(network((b, h) => b.node('Add', [h, 'c']), { c: learnt(1, 6) }))
  t.same(added.names, ['w'], 'added to what is no product')
})
