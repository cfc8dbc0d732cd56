import t from 'tap'
import { exp, sigmoid, tanh } from '../../../core/kernels/elementwise.js'
import { useKernelBuild } from '../../../core/kernels/kernel-module.js'
import * as plain from '../../../core/kernels/plain-elementwise.js'
import { allBuilds } from './builds.js'
import { generator } from './random-matrix.js'

const functions = { exp: [exp, plain.exp], tanh: [tanh, plain.tanh], sigmoid: [sigmoid, plain.sigmoid] } as const
const kinds = [
  { name: 'float64', array: Float64Array, tolerance: 8e-16, smallest: 5e-324 },
  { name: 'float32', array: Float32Array, tolerance: 3e-7, smallest: 1.5e-45 },
] as const
const SPECIAL = [0, -0, 1, -1, Infinity, -Infinity, NaN, 710, 709.78, -745, -746, -1000, 1000, 88.7, 89, -87, -103,
  -104, 1e-300, -1e-300, 1e-40, 1e-8, -1e-8, 0.3466, -0.3466, 19, 20, 21, 0.5 * Math.LN2]

for (const build of allBuilds()) {
  for (const [name, [kernel, twin]] of Object.entries(functions)) {
    for (const kind of kinds) {
      t.test(`${name}, ${kind.name}, ${build}`, async t => {
        useKernelBuild(build)
        const random = generator(1)
        const x = new kind.array(20001)
        for (let i = 0; i < x.length; i++) {
          const spread = [1, 10, 100, 800, 1e-3, 1e-6][i % 6]!
          x[i] = (2 * random() - 1) * spread
        }
        x.set(SPECIAL, 101)
        const expected = new kind.array(x.length)
        const actual = new kind.array(x.length)
        twin(x, expected)
        kernel(x, actual)
        let worst = 0
        for (let i = 0; i < x.length; i++) {
          if (Object.is(actual[i], expected[i])) continue
          const allowed = kind.tolerance * Math.abs(expected[i]!) + kind.smallest
          const ratio = Math.abs(actual[i]! - expected[i]!) / allowed
          if (!(ratio <= 1)) {
            t.fail('differs from the plain twin', { x: x[i], actual: actual[i], expected: expected[i] })
          }
          worst = Math.max(worst, ratio)
        }
        t.ok(worst <= 1, `worst ${worst} of what is allowed`)
        for (const length of [0, 1, 2, 3, 5, 8193]) {
          const part = new kind.array(length + 2).fill(7)
          part.set(x.subarray(97, 97 + length), 1)
          kernel(part.subarray(1, 1 + length), part.subarray(1, 1 + length))
          t.strictSame(part.subarray(1, 1 + length), actual.subarray(97, 97 + length),
            `in place, ${length} numbers, elsewhere in memory: the same bytes`)
          t.equal(part[0]! + part[length + 1]!, 14, 'the neighbours are left alone')
        }
      })
    }
  }
}
