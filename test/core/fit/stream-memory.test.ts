/** @file A fit with no option set to rows that come batch by batch keeps a sample of them, and no more. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t from 'tap'
import { BATCH, GraphBuilder, laplace, tensor } from '../../../core/index.js'
import { randomGenerator } from '../../../core/tensor/random.js'

const [INPUTS, CLASSES, ROWS, BATCHES] = [1024, 100, 2048, 14]
const BATCH_BYTES = 4 * ROWS * INPUTS

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

t.test('the memory of arrays does not grow with the batches', async t => {
  const random = randomGenerator(1)
  const b = new GraphBuilder('float32')
  const normals = (count: number): Float32Array => Float32Array.from(random.fillNormal(new Float64Array(count)))
  const weight = normals(CLASSES * INPUTS).map(value => value / 30)
  const logits = b.node('Gemm', [b.input('x', [BATCH, INPUTS]),
    b.parameter('weight', tensor('float32', [CLASSES, INPUTS], weight)),
    b.parameter('bias', tensor('float32', [CLASSES], new Float32Array(CLASSES)))], { transB: 1 })
  const stream = laplace(b.build([logits]), { likelihood: 'classification', threads: 1 }).stream()
  const held: number[] = []
  for (let i = 0; i < BATCHES; i++) {
    await stream.add(tensor('float32', [ROWS, INPUTS], normals(ROWS * INPUTS)),
      tensor('int64', [ROWS], Float64Array.from({ length: ROWS }, () => Math.floor(CLASSES * random.uniform()))))
    collectGarbage()
    held.push(process.memoryUsage().arrayBuffers)
  }
  // The sample that tunes the prior is halved whenever it is full, so that the smallest of several are compared.
  const grown = Math.min(...held.slice(BATCHES / 2)) - Math.min(...held.slice(2, BATCHES / 2))
  t.ok(grown < 2 * BATCH_BYTES, `${(grown / BATCH_BYTES).toFixed(1)} batches more after ${BATCHES / 2} more of them`)
})
