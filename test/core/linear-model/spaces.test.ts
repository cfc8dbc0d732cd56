/** @file The linear model over all weights in function space and in weight space, against dense matrices. */
import t from 'tap'
import { denseJacobian } from '../../../core/curvature/jacobian.js'
import { layeredBlocks, layeredHessian, plainLayers } from '../../../core/curvature/plain-layers.js'
import { chosenEngine } from '../../../core/engine/chosen-engine.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { cholesky, choleskyInverse, gemm } from '../../../core/kernels/linear-algebra.js'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import { functionSpace } from '../../../core/linear-model/function-space.js'
import { hessianRoots } from '../../../core/linear-model/hessian-roots.js'
import { linearProblem } from '../../../core/linear-model/linear-problem.js'
import { tuneDelta } from '../../../core/linear-model/mackay.js'
import { weightSpace } from '../../../core/linear-model/weight-space.js'
import { prepareNetwork } from '../../../core/network/network.js'
import { createEvaluator } from '../../../core/programs/evaluator.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'

const random = randomGenerator(11)
const normals = (count: number): Float64Array => random.fillNormal(new Float64Array(count))
const [examples, inputs, hidden, outputs] = [40, 4, 6, 3]

async function problem() {
  const b = new GraphBuilder('float64')
  const x = b.input('x', [BATCH, inputs])
  const layer = (from: string, name: string, rows: number, columns: number): string =>
    b.node('Gemm', [from, b.parameter(`${name}.w`, tensor('float64', [rows, columns], normals(rows * columns))),
      b.parameter(`${name}.b`, tensor('float64', [rows], normals(rows)))], { transB: 1 })
  const network = prepareNetwork(
    b.build([layer(b.node('Tanh', [layer(x, 'one', hidden, inputs)]), 'two', outputs, hidden)]),
    'classification',
  )
  const evaluator = createEvaluator(network, 'all', chosenEngine({ name: 'typescript', threads: 1 }, 'float64', {}),
    'float64')
  const { f, jacobian } = await evaluator.jacobian(
    new Map([['x', tensor('float64', [examples, inputs], normals(examples * inputs))]]),
  )
  const labels = Float64Array.from({ length: examples }, () => Math.floor(random.uniform() * outputs))
  return linearProblem(likelihoodModel('classification'), evaluator.slots, jacobian, Float64Array.from(f), labels,
    evaluator.theta)
}

/** J, and H = sum J' Lambda J at outputs f, by loops over the whole matrices. */
function dense(own: Awaited<ReturnType<typeof problem>>, f: Float64Array) {
  const rows = denseJacobian(own.slots, own.jacobian)
  const size = own.deviation.length
  const p = own.likelihood.inverseLink(f, examples, outputs)
  const mixed = new Float64Array(rows.length)
  for (let n = 0; n < examples; n++) {
    for (let c = 0; c < outputs; c++) {
      for (let d = 0; d < outputs; d++) {
        const lambda = Number(c === d) * p[n * outputs + c] - p[n * outputs + c] * p[n * outputs + d]
        for (let i = 0; i < size; i++) {
          mixed[(n * outputs + c) * size + i] += lambda * rows[(n * outputs + d) * size + i]
        }
      }
    }
  }
  const hessian = new Float64Array(size * size)
  gemm(true, false, size, size, examples * outputs, 1, rows, mixed, 0, hessian)
  return { rows, size, hessian }
}

t.test('both spaces find the fixed point, where the gradient vanishes', async t => {
  const own = await problem()
  for (const space of [functionSpace(own), weightSpace(own)]) {
    const { delta, mode, effectiveParameters, converged } = await tuneDelta(space, {})
    t.ok(converged)
    const { rows, size, hessian } = dense(own, mode.f)
    const w = space.weights()
    const residual = own.likelihood.residual(mode.f, own.labels, examples, outputs)
    const pull = new Float64Array(size)
    gemm(true, false, size, 1, residual.length, -1 / delta, rows, residual, 0, pull)
    t.ok(relativeDifference(w, pull) < 1e-6, `gradient ${relativeDifference(w, pull)}`)
    const moved = own.f0.slice()
    gemm(false, false, moved.length, 1, size, 1, rows, w, 1, moved)
    t.ok(relativeDifference(mode.f, moved) < 1e-10, 'f = f0 + J w')
    const precision = hessian.slice()
    for (let i = 0; i < size; i++) precision[i * size + i] += delta
    t.equal(cholesky(size, precision), -1)
    const inverse = choleskyInverse(size, precision)
    let gamma = size
    for (let i = 0; i < size; i++) gamma -= delta * inverse[i * size + i]
    t.ok(Math.abs(effectiveParameters / gamma - 1) < 1e-8, 'gamma')
    t.ok(Math.abs(Math.log(gamma / w.reduce((sum, v) => sum + v * v, 0) / delta)) < 1e-5, 'MacKay')
    const image = new Float64Array(rows.length)
    gemm(false, false, examples * outputs, size, size, 1, rows, inverse, 0, image)
    const wanted = new Float64Array(examples * outputs * outputs)
    for (let n = 0; n < examples; n++) {
      const part = (values: Float64Array) => values.subarray(n * outputs * size, (n + 1) * outputs * size)
      gemm(false, true, outputs, outputs, size, 1, part(image), part(rows), 0,
        wanted.subarray(n * outputs * outputs, (n + 1) * outputs * outputs))
    }
    t.ok(relativeDifference(space.covariances(), wanted) < 1e-8, 'covariances')
  }
})

t.test('sums over dense layers are those of the Jacobian written out', async t => {
  const own = await problem()
  const layers = plainLayers(own.slots, own.jacobian)
  if (layers === undefined) return t.fail('two dense layers')
  const { rows, size, hessian } = dense(own, own.f)
  const { roots, rank } = hessianRoots(own, own.f)
  t.ok(relativeDifference(layeredHessian(layers, own.jacobian, roots, rank, size), hessian) < 1e-12, 'H')
  const matrix = new Float64Array(size * size)
  const root = normals(size * 3)
  gemm(false, true, size, size, 3, 1, root, root, 0, matrix)
  const blocks = layeredBlocks(layers, own.jacobian, matrix)
  const image = new Float64Array(examples * outputs * 3)
  gemm(false, false, examples * outputs, 3, size, 1, rows, root, 0, image)
  for (const n of [0, 7, 39]) {
    const part = image.subarray(n * outputs * 3, (n + 1) * outputs * 3)
    const wanted = new Float64Array(outputs * outputs)
    gemm(false, true, outputs, outputs, 3, 1, part, part, 0, wanted)
    t.ok(relativeDifference(blocks.subarray(n * outputs ** 2, (n + 1) * outputs ** 2), wanted) < 1e-12, `row ${n}`)
  }
  t.end()
})
