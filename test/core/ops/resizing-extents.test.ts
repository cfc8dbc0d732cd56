import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { tensor } from '../../../core/tensor/tensor.js'

t.test('extents are the product with scales in single precision, as ONNX Runtime has them', async t => {
  const b = new GraphBuilder('float32')
  const scales = b.constant(tensor('float32', [3], [1, 1, 2.6]), 'scales')
  const y = b.node('Resize', [b.input('x', [BATCH, 1, 5], 'float32'), '', scales], { mode: 'nearest' })
  const x = tensor('float32', [1, 1, 5], [1, 2, 3, 4, 5])
  t.same(runGraph(b.build([y]), new Map([['x', x]]), 'float32').get(y)?.shape, [1, 1, 13])
})
