/** @file What all rows cost where only a sample of them is solved exactly, and the posterior that comes of it. */
import t from 'tap'
import { planAllRows } from '../../../core/fit/all-rows-fit.js'
import { BATCH, GraphBuilder, laplace, tensor } from '../../../core/index.js'
import { resolveOptions } from '../../../core/options/resolved-options.js'
import type { Evaluator } from '../../../core/programs/evaluator.js'
import { randomGenerator } from '../../../core/tensor/random.js'

const options = resolveOptions({ likelihood: 'classification' })

/** What a plan reads of a network of dense layers. */
function evaluatorOf(sizes: readonly number[], precision: 'float32' | 'float64'): Evaluator {
  const linears = sizes.slice(1).map((out, i) => ({ positions: 1, in: sizes[i], out, weight: 2 * i, bias: 2 * i + 1 }))
  const theta = new Float64Array(linears.reduce((sum, layer) => sum + layer.out * (layer.in + 1), 0))
  return { network: { outputs: sizes[sizes.length - 1] }, precision, theta, linears } as unknown as Evaluator
}

t.test('a million weights and a hundred thousand rows are planned within ten minutes', t => {
  const plan = planAllRows(evaluatorOf([200, 800, 1000, 40, 10], 'float32'), options, 100_000, 278, 67)
  t.ok(plan !== undefined && plan.seconds <= 600 && plan.rank >= 16, JSON.stringify(plan))
  t.ok(plan !== undefined && plan.curvatureRows > 5000 && plan.curvatureRows < 100_000, 'H comes from a sample')
  const small = planAllRows(evaluatorOf([40, 80, 40, 3], 'float32'), options, 6000, 1250, 900)
  t.equal(small?.curvatureRows, 6000)
  t.equal(small?.passes, 2)
  t.equal(planAllRows(evaluatorOf([3000, 8000, 8000, 10], 'float32'), options, 1_000_000, 278, 8), undefined,
    'what takes hours is left to the sample')
  t.end()
})

t.test('a fit of more rows than are solved exactly is that of all rows', async t => {
  const random = randomGenerator(4)
  const [inputs, hidden, outputs, rows] = [12, 420, 3, 600]
  const normals = (count: number, scale: number): Float32Array =>
    Float32Array.from(random.fillNormal(new Float64Array(count)), value => value * scale)
  const b = new GraphBuilder('float32')
  const x = b.input('x', [BATCH, inputs])
  const layer = (from: string, name: string, out: number, width: number): string =>
    b.node('Gemm', [from,
      b.parameter(`${name}.w`, tensor('float32', [out, width], normals(out * width, 1 / Math.sqrt(width)))),
      b.parameter(`${name}.b`, tensor('float32', [out], normals(out, 0.1)))], { transB: 1 })
  const graph = b.build([layer(b.node('Tanh', [layer(x, 'one', hidden, inputs)]), 'two', outputs, hidden)])
  const data = normals(rows * inputs, 1)
  const y = Float64Array.from({ length: rows },
    (_, n) => (data[n * inputs] > 0.5 ? 2 : Number(data[n * inputs + 1] > random.uniform())))
  const posterior = await laplace(graph, { likelihood: 'classification', memoryLimit: 2 ** 26, threads: 1 }).fit(
    tensor('float32', [rows, inputs], data),
    tensor('int64', [rows], y),
  )
  const { choice, structure } = posterior.summary()
  t.equal(structure, 'lowrank')
  t.match(choice?.reason, /are those of all 600 rows/)
  const { probabilities } = await posterior.predict(tensor('float32', [2, inputs], data.slice(0, 2 * inputs)))
  t.ok(probabilities?.data.every(p => p >= 0 && p <= 1))
})

t.test('partial fits of the linear model are refused, as nothing of it adds up', async t => {
  const b = new GraphBuilder('float64')
  const graph = b.build([
    b.node('MatMul', [b.input('x', [BATCH, 2]), b.parameter('w', tensor('float64', [2, 3], new Float64Array(6)))]),
  ])
  const fit = laplace(graph, { likelihood: 'classification', structure: 'lowrank' })
  await t.rejects(
    fit.fitPartial(tensor('float64', [3, 2], new Float64Array(6)), tensor('int64', [3], Float64Array.of(0, 1, 2))),
    { code: 'BAD_COMBINATION', message: /at once, in batches/ },
  )
})
