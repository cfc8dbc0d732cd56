/** @file Products with a factored Jacobian against the Jacobian written out. */
import t from 'tap'
import { jacobianGram, ownGram } from '../../../core/curvature/jacobian-gram.js'
import { addTransposedProduct, jacobianTimes } from '../../../core/curvature/jacobian-products.js'
import { denseJacobian, joinJacobians, outputJacobian, selectExamples } from '../../../core/curvature/jacobian.js'
import { joinVectors, splitVectors, zeroVectors } from '../../../core/curvature/parameter-vectors.js'
import { relativeDifference } from '../../support/compare.js'
import { jacobianOf } from '../../support/linear-problems.js'
import { drawer, mixedNetworks } from '../../support/random-network.js'

/** A B' for A of m x k and B of n x k. */
function product(a: Float64Array, b: Float64Array, k: number): Float64Array {
  const [m, n] = [a.length / k, b.length / k]
  const result = new Float64Array(m * n)
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) for (let l = 0; l < k; l++) result[i * n + j] += a[i * k + l] * b[j * k + l]
  }
  return result
}

function transpose(a: Float64Array, columns: number): Float64Array {
  const rows = a.length / columns
  return Float64Array.from(a, (_, at) => a[(at % rows) * columns + Math.floor(at / rows)])
}

for (const [name, network] of Object.entries(mixedNetworks)) {
  t.test(name, async t => {
    const draw = drawer(5)
    const { graph, x, outputs } = network(draw)
    const { jacobian, slots } = jacobianOf(graph, x, outputs)
    const dense = denseJacobian(slots, jacobian)
    const size = dense.length / (jacobian.examples * outputs)
    const near = (actual: Float64Array, expected: Float64Array, what: string): void => {
      t.ok(relativeDifference(actual, expected) < 1e-13, what)
    }

    // Many vectors: rows of J are sums over positions, in place of every vector's images at each.
    for (const count of [3, 60]) {
      const vectors = Float64Array.from(draw(count, size).data)
      near(jacobianTimes(jacobian, splitVectors(slots, vectors, count)), product(dense, vectors, size),
        `J V', ${count}`)
      near(joinVectors(slots, splitVectors(slots, vectors, count)), vectors, 'split and joined')

      const coefficients = Float64Array.from(draw(jacobian.examples * outputs, count).data)
      const sums = zeroVectors(slots, count)
      addTransposedProduct(sums, jacobian, coefficients)
      near(joinVectors(slots, sums),
        product(transpose(coefficients, count), transpose(dense, size), dense.length / size), `A' J, ${count}`)
    }

    near(jacobianGram(slots, jacobian, jacobian), product(dense, dense, size), "J J'")
    const few = selectExamples(jacobian, Int32Array.of(3, 1))
    const fewDense = denseJacobian(slots, few)
    near(fewDense.subarray(0, outputs * size), dense.subarray(3 * outputs * size, 4 * outputs * size), 'chosen rows')
    near(jacobianGram(slots, jacobian, few), product(dense, fewDense, size), "J1 J2'")
    near(denseJacobian(slots, joinJacobians([jacobian, few])), Float64Array.from([...dense, ...fewDense]), 'joined')

    const own = Float64Array.from({ length: jacobian.examples }, (_, n) => n).reduce<number[]>((all, n) => {
      const rows = dense.subarray(n * outputs * size, (n + 1) * outputs * size)
      return [...all, ...product(rows, rows, size)]
    }, [])
    near(ownGram(slots, jacobian), Float64Array.from(own), "J_n J_n'")

    const last = denseJacobian(slots, outputJacobian(jacobian, outputs - 1))
    near(last.subarray(size, 2 * size), dense.subarray((2 * outputs - 1) * size, 2 * outputs * size), 'one output')
  })
}
