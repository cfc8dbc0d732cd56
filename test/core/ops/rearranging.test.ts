import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { type Attribute, BATCH, type Dim } from '../../../core/graph/graph.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { checkDerivative } from './check-derivative.js'
import { draw } from './draw.js'

type Attributes = Record<string, Attribute>

for (const mode of ['DCR', 'CRD']) {
  await checkDerivative(`DepthToSpace ${mode}`, b =>
    b.node('DepthToSpace', [b.input('x', [BATCH, 8, 2, 1])], { blocksize: 2, mode }))
}
await checkDerivative('SpaceToDepth', b => b.node('SpaceToDepth', [b.input('x', [BATCH, 1, 4, 2])], { blocksize: 2 }))
await checkDerivative('SpaceToDepth of a parameter',
  b =>
    b.node('Mul', [b.input('x', [BATCH, 4, 2, 1]),
      b.node('SpaceToDepth', [b.parameter('w', draw(1, 1, 4, 2))], { blocksize: 2 })]))
await checkDerivative('Tile', b => b.node('Tile', [b.input('x', [BATCH, 3, 1]), b.integers([1, 2, 3])]))
await checkDerivative('Tile of axes of one element',
  b => b.node('Tile', [b.input('x', [1, BATCH, 2]), b.integers([3, 1, 1])]))
await checkDerivative('Tile of a parameter',
  b => b.node('Mul', [b.input('x', [BATCH, 6]), b.node('Tile', [b.parameter('w', draw(3)), b.integers([2])])]))
await checkDerivative('Tile of a parameter for every example', b => {
  const x = b.input('x', [BATCH, 2, 3])
  const repeats = b.node('Concat', [b.node('Shape', [x], { start: 0, end: 1 }), b.integers([1, 1])], { axis: 0 })
  return b.node('Concat', [b.node('Tile', [b.parameter('token', draw(1, 1, 3)), repeats]), b.node('Mul', [x, x])], {
    axis: 1,
  })
})
for (const upper of [0, 1]) {
  await checkDerivative(`Trilu ${upper}`, b =>
    b.node('Trilu', [b.input('x', [BATCH, 3, 4]), b.constant(tensor('int64', [], [1]))], { upper }))
}
await checkDerivative('Trilu of a parameter',
  b => b.node('MatMul', [b.input('x', [BATCH, 3]), b.node('Trilu', [b.parameter('w', draw(3, 3))])]))
await checkDerivative('GatherElements',
  b => b.node('GatherElements', [b.input('x', [BATCH, 4]), b.input('i', [BATCH, 3], 'int64')], { axis: 1 }), {
  values: { i: tensor('int64', [3, 3], [0, 1, 1, -1, 2, 0, 3, 3, 3]) },
})
await checkDerivative('GatherElements, examples behind',
  b => b.node('GatherElements', [b.input('x', [4, BATCH]), b.input('i', [2, BATCH], 'int64')], { axis: 0 }), {
  values: { i: tensor('int64', [2, 3], [0, 1, 1, -1, 2, 0]) },
})

const resize = (attributes: Attributes, scales?: number[], sizes?: number[]) => (b: GraphBuilder, x: string): string =>
  b.node('Resize', [x, '', scales === undefined ? '' : b.constant(tensor('float32', [scales.length], scales)),
    ...(sizes === undefined ? [] : [b.integers(sizes)])], attributes)
for (const mode of ['nearest', 'linear', 'cubic']) {
  await checkDerivative(`Resize ${mode}`, b => resize({ mode }, [1, 1, 2, 1.5])(b, b.input('x', [BATCH, 2, 2, 3])), {
    n: 2,
  })
  await checkDerivative(`Resize ${mode}, shrinking`, b =>
    resize({ mode, axes: [2] }, undefined, [2])(b, b.input('x', [BATCH, 1, 5])))
}
await checkDerivative('Resize of a parameter',
  b =>
    b.node('Mul', [b.input('x', [BATCH, 1, 1, 6]),
      resize({ mode: 'linear', coordinate_transformation_mode: 'align_corners' }, [1, 1, 2])(b,
        b.parameter('w', draw(1, 1, 3)))]))
await checkDerivative('Resize, examples behind', b => resize({ mode: 'linear' }, [2, 1])(b, b.input('x', [3, BATCH])))

t.test('what does not fit is refused', async t => {
  const infer = (dims: readonly Dim[], build: (b: GraphBuilder, x: string) => string) => () => {
    const b = new GraphBuilder('float64')
    return inferTypes(b.build([build(b, b.input('x', dims))]))
  }
  t.throws(infer([BATCH, 6, 2, 2], (b, x) => b.node('DepthToSpace', [x], { blocksize: 2 })), { code: 'BAD_GRAPH',
    message: /6 channels/ })
  t.throws(infer([BATCH, 4, 2, 2], (b, x) => b.node('DepthToSpace', [x], { blocksize: 2, mode: 'RCD' })), {
    code: 'BAD_GRAPH',
    message: /RCD/,
  })
  t.throws(infer([BATCH, 4, 3, 2], (b, x) => b.node('SpaceToDepth', [x], { blocksize: 2 })), { code: 'BAD_GRAPH',
    message: /3 x 2/ })
  t.throws(infer([BATCH, 4, 2], (b, x) => b.node('SpaceToDepth', [x], { blocksize: 2 })), { code: 'BAD_GRAPH',
    message: /images/ })
  t.throws(infer([BATCH, 2], (b, x) => b.node('Tile', [x, b.integers([2, 1])])), { code: 'BATCH_AXIS' })
  t.throws(infer([BATCH, 2], (b, x) => b.node('Tile', [x, b.integers([1])])), { code: 'BAD_GRAPH',
    message: /2 repeats/ })
  t.throws(infer([BATCH, 2], (b, x) => b.node('Trilu', [x])), { code: 'BATCH_AXIS' })
  t.throws(
    infer([2, BATCH, 2],
      (b, x) => b.node('GatherElements', [x, b.constant(tensor('int64', [2, 1, 1], [0, 0]))], { axis: 2 })),
    { code: 'BATCH_AXIS' },
  )
  t.throws(infer([BATCH, 1, 4], resize({}, [2, 1, 1])), { code: 'BATCH_AXIS' })
  t.throws(infer([BATCH, 1, 4], resize({}, [1, 2])), { code: 'BAD_GRAPH', message: /3 scales/ })
  t.throws(infer([BATCH, 1, 4], resize({})), { code: 'BAD_GRAPH', message: /scales or sizes/ })
  t.throws(infer([BATCH, 1, 4], resize({}, [1, 1, 0.1])), { code: 'BAD_GRAPH', message: /0 elements/ })
  t.throws(infer([BATCH, 1, 4], resize({ coordinate_transformation_mode: 'tf_crop_and_resize' }, [1, 1, 2])), {
    code: 'BAD_GRAPH',
    message: /tf_crop/,
  })
})
