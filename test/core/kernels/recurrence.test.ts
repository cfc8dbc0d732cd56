import t from 'tap'
import { beginArena } from '../../../core/kernels/arena.js'
import { useKernelBuild } from '../../../core/kernels/kernel-module.js'
import { gemm } from '../../../core/kernels/linear-algebra.js'
import { addGates, packedGatesLength, packGates, stepGru, stepLstm } from '../../../core/kernels/recurrence.js'
import { allBuilds } from './builds.js'
import { moved } from './moved.js'
import { differenceOf, filled, generator } from './random-matrix.js'

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

for (const build of allBuilds().filter(build => build !== 'plain')) {
  for (const Numbers of [Float64Array, Float32Array]) {
    const tolerance = Numbers === Float64Array ? 1e-14 : 1e-6
    t.test(`recurrences, ${build}, ${Numbers.name}`, async t => {
      useKernelBuild(build)
      const random = generator(9)
      // A part of a panel and of a block, more rows than a block, more than one pass over what is summed.
      for (const [gates, m, n, k] of [[4, 1, 5, 5], [3, 7, 16, 3], [2, 130, 9, 40], [1, 3, 33, 600]] as const) {
        beginArena()
        const shape = { gates, n, k }
        const [a, c] = [moved(filled(new Numbers(m * k), random)), moved(filled(new Numbers(gates * m * n), random))]
        const weights = filled(new Numbers(gates * n * k), random)
        const packed = moved(new Numbers(packedGatesLength(shape, weights)))
        const expected = c.slice()
        for (let gate = 0; gate < gates; gate++) {
          gemm(false, true, m, n, k, 1, a.slice(), weights.subarray(gate * n * k, (gate + 1) * n * k), 1,
            expected.subarray(gate * m * n, (gate + 1) * m * n))
        }
        t.ok(packGates(shape, weights, packed) && addGates(shape, m, a, packed, c))
        t.ok(differenceOf(c, expected) <= tolerance * k, `gates of ${n} x ${k}`)
      }
      for (const count of [1, 2, 3, 8, 131]) {
        beginArena()
        const values = moved(filled(new Numbers(4 * count), random))
        const [c, h, w] = [1, 2, 3].map(() => moved(filled(new Numbers(count), random)))
        const cells = Array.from(c!, (value, i) =>
          sigmoid(values[2 * count + i]!) * value + sigmoid(values[i]!) * Math.tanh(values[3 * count + i]!))
        const states = cells.map((value, i) =>
          sigmoid(values[count + i]!) * Math.tanh(value)
        )
        t.ok(stepLstm(values, c!, h!))
        t.ok(differenceOf(c!, Numbers.from(cells)) <= 4 * tolerance, `cells of ${count}`)
        t.ok(differenceOf(h!, Numbers.from(states)) <= 4 * tolerance, `states of ${count}`)
        const next = states.map((value, i) => {
          const update = sigmoid(values[i]!)
          const sum = values[2 * count + i]! + sigmoid(values[count + i]!) * w![i]!
          return (1 - update) * Math.tanh(sum) + update * value
        })
        t.ok(stepGru(values.subarray(0, 3 * count), w!, h!))
        t.ok(differenceOf(h!, Numbers.from(next)) <= 4 * tolerance, `states of a GRU of ${count}`)
      }
    })
  }
}

t.test('arrays of the heap', async t => {
  const array = new Float64Array(8)
  t.notOk(packGates({ gates: 1, n: 2, k: 2 }, array, array))
  t.notOk(addGates({ gates: 1, n: 2, k: 2 }, 2, array, array, array))
  t.notOk(stepLstm(array, array.subarray(0, 2), array.subarray(2, 4)))
  t.notOk(stepGru(array, array.subarray(0, 2), array.subarray(2, 4)))
})
