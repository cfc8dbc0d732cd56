import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Dim } from '../../../core/graph/graph.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { checkDerivative } from './check-derivative.js'
import { draw } from './draw.js'

const derivative = (equation: string, inputs: readonly (readonly Dim[])[], ...parameters: number[][]): Promise<void> =>
  checkDerivative(`Einsum ${equation}`, b => {
    const names = [...inputs.map((dims, i) => b.input(`x${i}`, dims)), ...parameters.map((shape, i) =>
      b.parameter(`w${i}`, draw(...shape))
    )]
    return b.node('Einsum', names, { equation })
  })

await derivative('nij,njk->nik', [[BATCH, 2, 3], [BATCH, 3, 2]])
await derivative('nij,jk->nik', [[BATCH, 2, 3]], [3, 2])
await derivative('nqhd,nkhd->nhqk', [[BATCH, 2, 2, 3], [BATCH, 3, 2, 3]])
await derivative('tni,oi->nto', [[2, BATCH, 3]], [4, 3])
await derivative('...i,ij->...j', [[BATCH, 2, 3]], [3, 2])
await derivative('nij->nj', [[BATCH, 2, 3]])
await derivative('ni,ij,jk->nk', [[BATCH, 2]], [2, 3], [3, 2])
await derivative('ni,ij->n', [[BATCH, 2]], [2, 3])
await derivative('ni,ijk->n', [[{ outer: 1, inner: 2 }, 2], [2, 2, 2]])
await checkDerivative('Einsum of parameters',
  b =>
    b.node('Mul', [b.input('x', [BATCH, 2, 2]),
      b.node('Einsum', [b.parameter('u', draw(2, 3)), b.parameter('v', draw(3, 2))], { equation: 'ij,jk->ik' })]))

t.test('what does not fit is refused', async t => {
  const infer = (equation: string, ...shapes: (readonly Dim[])[]) => () => {
    const b = new GraphBuilder('float64')
    return inferTypes(b.build([b.node('Einsum', shapes.map((dims, i) => b.input(`x${i}`, dims)), { equation })]))
  }
  t.throws(infer('ni,ni->i', [BATCH, 2], [BATCH, 2]), { code: 'BATCH_AXIS', message: /sums over the examples/ })
  t.throws(infer('ni,in->n', [BATCH, 2], [BATCH, 2]), { code: 'BATCH_AXIS' })
  t.throws(infer('ni,jk->nik', [BATCH, 2], [BATCH, 2]), { code: 'BATCH_AXIS' })
  t.throws(infer('ni,ij->nj', [BATCH, 2], [3, 2]), { code: 'BAD_GRAPH', message: /differ along 'i'/ })
  t.throws(infer('ni->n', [BATCH, 2], [3, 2]), { code: 'BAD_GRAPH', message: /2 operand/ })
  t.throws(infer('nij->n', [BATCH, 2]), { code: 'BAD_GRAPH', message: /names 3 axes/ })
  t.throws(infer('ni->nn', [BATCH, 2]), { code: 'BAD_GRAPH', message: /each once/ })
  t.throws(infer('ni->k', [BATCH, 2]), { code: 'BAD_GRAPH', message: /each once/ })
  t.throws(infer('n.i->n', [BATCH, 2]), { code: 'BAD_GRAPH' })
})
