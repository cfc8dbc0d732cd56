import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Dim } from '../../../core/graph/graph.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { vjpProgram } from '../../../core/programs/vjp-program.js'
import { float64, tensor } from '../../../core/tensor/tensor.js'
import { checkDerivative } from './check-derivative.js'
import { draw } from './draw.js'

const slice = (b: GraphBuilder, x: string, starts: number[], ends: number[], axes: number[],
  steps?: number[]): string =>
  b.node('Slice', [x, b.integers(starts), b.integers(ends), b.integers(axes),
    ...(steps === undefined ? [] : [b.integers(steps)])])

await checkDerivative('Slice', b => slice(b, b.input('x', [BATCH, 4, 5]), [1, 0], [3, -1], [1, 2]))
await checkDerivative('Slice with steps',
  b => slice(b, b.input('x', [BATCH, 4, 5]), [-1, 0], [-100, 5], [1, 2], [-2, 2]))
await checkDerivative('Slice in steps and not',
  b => slice(b, b.input('x', [BATCH, 4, 5]), [1, 4], [3, 0], [1, 2], [1, -1]))
await checkDerivative('Slice in steps, examples behind',
  b => slice(b, b.input('x', [4, BATCH, 2]), [3], [-100], [0], [-1]))
await checkDerivative('Slice of a parameter',
  b => b.node('Mul', [b.input('x', [BATCH, 2, 2]), slice(b, b.parameter('w', draw(2, 5)), [0], [4], [1], [2])]))
await checkDerivative('Slice of nothing', b => slice(b, b.input('x', [BATCH, 4]), [0], [100], [1]))

await checkDerivative('Gather, constant indices',
  b => b.node('Gather', [b.input('x', [BATCH, 4, 3]), b.constant(tensor('int64', [2, 2], [1, 3, -1, 0]))], { axis: 1 }))
await checkDerivative('Gather of one position',
  b => b.node('Gather', [b.input('x', [BATCH, 4, 3]), b.constant(tensor('int64', [], [-1]))], { axis: 1 }))
await checkDerivative('Gather, examples behind',
  b => b.node('Gather', [b.input('x', [4, BATCH]), b.constant(tensor('int64', [3], [1, 3, 1]))], { axis: 0 }))
await checkDerivative('Gather of a parameter by constants',
  b =>
    b.node('Mul', [b.input('x', [BATCH, 3, 2]),
      b.node('Gather', [b.parameter('w', draw(5, 2)), b.integers([4, 0, 4])])]))
const ids = (dims: readonly Dim[], shape: number[], axis = 0, table = [5, 2]): Promise<void> =>
  checkDerivative(`Gather as an embedding, indices of ${shape.join(' x ')}, axis ${axis}`, b => {
    const y = b.node('Gather', [b.parameter('table', draw(...table)), b.input('ids', dims, 'int64')], { axis })
    return b.node('Mul', [y, y])
  }, {
    values: {
      ids: tensor('int64', shape, Array.from({ length: shape.reduce((a, c) =>
        a * c, 1) }, (_, i) => (i * 3) % 4 - (i % 2))),
    },
  })
await ids([BATCH], [3])
await ids([BATCH, 4], [3, 4])
await ids([4, BATCH], [4, 3])
await ids([{ outer: 1, inner: 4 }], [12])
await ids([BATCH, 2], [3, 2], 1, [2, 4, 3])
await ids([2, BATCH], [2, 3], 2, [2, 3, 5])

const scatter = (name: string, dims: readonly Dim[], indices: (b: GraphBuilder) => string,
  values = {}): Promise<void> =>
  checkDerivative(`ScatterRows ${name}`, b => {
    const y = b.node('ScatterRows', [b.input('x', dims), indices(b)], { rows: 6 })
    return b.node('Mul', [y, y])
  }, { values })
await scatter('by the same indices', [2, BATCH, 4, 2], b => b.integers([1, 5, -1, 1]))
await scatter('by indices of some leading axes', [BATCH, 2, 3, 2],
  b => b.constant(tensor('int64', [2, 3], [0, 2, 0, -1, 3, 3])))
await scatter('by indices of each example', [2, BATCH, 3, 1], b => b.input('ids', [BATCH, 3], 'int64'), {
  ids: tensor('int64', [3, 3], [0, 2, 0, -1, 3, 3, 4, 5, 4]),
})
await checkDerivative('ScatterRows of a parameter',
  b =>
    b.node('Mul', [b.input('x', [BATCH, 2, 5, 2]),
      b.node('ScatterRows', [b.parameter('w', draw(2, 3, 2)), b.constant(tensor('int64', [2, 3], [0, 2, 0, 4, 3, 3]))],
        { rows: 5 })]))

for (const mode of ['constant', 'reflect', 'edge', 'wrap']) {
  await checkDerivative(`Pad, ${mode}`, b =>
    b.node('Pad', [b.input('x', [BATCH, 4, 3]), b.integers([0, 2, 1, 0, 1, 2])], { mode }))
  await checkDerivative(`Pad, ${mode}, cutting`, b =>
    b.node('Pad', [b.input('x', [4, BATCH]), b.integers([-1, 2]), b.scalar(3), b.integers([0])], { mode }))
  await checkDerivative(`Pad of a parameter, ${mode}`, b =>
    b.node('Mul', [b.input('x', [BATCH, 6]), b.node('Pad', [b.parameter('w', draw(3)), b.integers([1, 2])], { mode })]))
}

const infer = (build: (b: GraphBuilder) => string) => () => {
  const b = new GraphBuilder('float64')
  return inferTypes(b.build([build(b)]))
}

t.test('what would mix examples or does not exist is refused', async t => {
  t.throws(infer(b => slice(b, b.input('x', [BATCH, 4]), [0], [2], [0])), { code: 'BATCH_AXIS' })
  t.throws(infer(b => slice(b, b.input('x', [BATCH, 4]), [0], [2 ** 31], [0], [-1])), { code: 'BATCH_AXIS' })
  t.doesNotThrow(infer(b => slice(b, b.input('x', [BATCH, 4]), [0], [2 ** 63], [0])))
  t.throws(infer(b => slice(b, b.input('x', [BATCH, 4]), [0], [2], [1], [0])), { code: 'BAD_GRAPH',
    message: /step is 0/ })
  t.throws(infer(b => slice(b, b.input('x', [BATCH, 4]), [0, 1], [2], [1])), { code: 'BAD_GRAPH',
    message: /2 starts and 1 ends/ })
  t.throws(infer(b => slice(b, b.input('x', [BATCH, 4]), [0], [2], [2])), { code: 'BAD_GRAPH', message: /axis 2/ })
  t.throws(infer(b => b.node('Gather', [b.input('x', [BATCH, 4]), b.integers([0])], { axis: 0 })), {
    code: 'BATCH_AXIS',
  })
  t.throws(infer(b => b.node('Gather', [b.input('x', [BATCH, 4]), b.input('i', [BATCH], 'int64')], { axis: 1 })), {
    code: 'BATCH_AXIS',
  })
  t.throws(infer(b => b.node('Gather', [b.parameter('w', draw(4, 2)), b.input('i', [BATCH])])), { code: 'BAD_GRAPH',
    message: /float64/ })
  t.throws(infer(b => b.node('Pad', [b.input('x', [BATCH, 4]), b.integers([1, 0, 0, 0])])), { code: 'BATCH_AXIS' })
  t.throws(infer(b => b.node('Pad', [b.input('x', [BATCH, 4]), b.integers([1, 0])])), { code: 'BAD_GRAPH',
    message: /4 pads/ })
  t.throws(infer(b => b.node('Pad', [b.input('x', [BATCH, 4]), b.integers([0, 4, 0, 0])], { mode: 'reflect' })), {
    code: 'BAD_GRAPH',
    message: /reflect/,
  })
  t.throws(infer(b => b.node('Pad', [b.input('x', [BATCH, 4]), b.integers([0, -3, 0, -2])])), { code: 'BAD_GRAPH',
    message: /cuts 5/ })
  t.throws(infer(b => b.node('Pad', [b.input('x', [BATCH, 4]), b.integers([0, 1, 0, 0])], { mode: 'mirror' })), {
    code: 'BAD_GRAPH',
    message: /mirror/,
  })
})

t.test('an index outside of the table is named', async t => {
  const b = new GraphBuilder('float64')
  const y = b.node('Gather', [b.parameter('w', draw(4, 2)), b.input('i', [BATCH], 'int64')], {}, 'embedding')
  const run = (index: number) => () =>
    runGraph(b.build([y]), new Map([['i', tensor('int64', [1], [index])]]), 'float64')
  t.throws(run(4), { code: 'BAD_GRAPH', message: /Gather node 'embedding': index 4 is not one of the 4 elements/ })
  t.throws(run(-5), { code: 'BAD_GRAPH' })
  t.doesNotThrow(run(-4))
})

t.test('a row that is picked twice collects both cotangents', async t => {
  const b = new GraphBuilder('float64')
  const y = b.node('Gather', [b.parameter('w', draw(3, 1)), b.input('i', [BATCH, 2], 'int64')])
  const program = vjpProgram(b.build([y]), y, ['w'], 1)
  const results = runGraph(program.graph,
    new Map([['i', tensor('int64', [2, 2], [1, 1, 0, 2])], [program.seed, float64([1, 2, 2], [1, 10, 100, 1000])]]),
    'float64')
  t.same(Array.from(results.get(program.gradients.get('w')!)!.data), [0, 11, 0, 100, 0, 1000])
})

t.test('extents picked out of shapes', async t => {
  const b = new GraphBuilder('float64')
  const x = b.input('x', [BATCH, 3, 4])
  const shape = b.node('Shape', [x])
  const n = b.node('Unsqueeze', [b.node('Gather', [shape, b.constant(tensor('int64', [], [0]))]), b.integers([0])])
  const back = slice(b, shape, [-1], [-100], [0], [-1])
  const types = inferTypes(
    b.build([
      b.node('ConstantOfShape', [b.node('Concat', [n, b.integers([5])], { axis: 0 })], { value: float64([1], [0]) },
        'zeros'),
      back,
    ]),
  )
  t.same(types.get('zeros')?.shape, [BATCH, 5])
  t.same(types.get(back)?.dims, [4, 3, BATCH])
})

t.test('ScatterElements: different numbers at one element are refused, equal ones and sums are not', t => {
  const run = (updates: number[], reduction: string) => {
    const b = new GraphBuilder('float64')
    const y = b.node('ScatterElements', [b.input('x', [BATCH, 3]), b.input('at', [BATCH, 2], 'int64'),
      b.input('updates', [BATCH, 2])], { axis: 1, reduction })
    const inputs = new Map([['x', float64([1, 3], [1, 2, 3])], ['at', tensor('int64', [1, 2], [1, 1])], ['updates',
      float64([1, 2], updates)]])
    return runGraph(b.build([y]), inputs, 'float64').get(y)
  }
  t.throws(() => run([4, 5], 'none'), { code: 'BAD_GRAPH', message: /index_add.*dynamo=True/ })
  t.same(Array.from(run([4, 4], 'none')!.data), [1, 4, 3])
  t.same(Array.from(run([4, 5], 'add')!.data), [1, 11, 3])
  t.end()
})
