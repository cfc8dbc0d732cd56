import t from 'tap'
import { beginArena } from '../../../core/kernels/arena.js'
import { gateRows } from '../../../core/kernels/arithmetic.js'
import { byTable } from '../../../core/kernels/elementwise.js'
import { useKernelBuild } from '../../../core/kernels/kernel-module.js'
import type { RealArray } from '../../../core/kernels/plain.js'
import { normaliseRows, placeNumbers, softmaxRows, sumRows, sumSquares } from '../../../core/kernels/rows.js'
import { copyWalk } from '../../../core/kernels/walk.js'
import { erf, erfTables } from '../../../core/ops/erf.js'
import { allBuilds } from './builds.js'
import { moved } from './moved.js'
import { differenceOf, filled, generator } from './random-matrix.js'

const near = (t: { ok(value: boolean, name: string): unknown }, own: RealArray, expected: readonly number[],
  tolerance: number, what: string): void => {
  const most = Math.max(1, ...expected.filter(Number.isFinite).map(Math.abs))
  t.ok(expected.every((value, i) => Object.is(value, own[i]) || Math.abs(value - own[i]!) <= tolerance * most), what)
}

for (const build of allBuilds().filter(build => build !== 'plain')) {
  for (const Numbers of [Float64Array, Float32Array]) {
    const tolerance = Numbers === Float64Array ? 1e-14 : 1e-6
    t.test(`rows, ${build}, ${Numbers.name}`, async t => {
      useKernelBuild(build)
      const random = generator(6)
      for (const [rows, n] of [[1, 5], [7, 16], [3, 33], [300, 2]] as const) {
        beginArena()
        const x = moved(filled(new Numbers(rows * n), random))
        const [scale, shift, out] = [filled(new Numbers(n), random), filled(new Numbers(n), random),
          moved(new Numbers(rows * n))]
        const row = (r: number): number[] => Array.from(x.subarray(r * n, (r + 1) * n))
        const all = (of: (own: number[]) => number[]): number[] =>
          Array.from({ length: rows }, (_, r) => of(row(r))).flat()
        const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0)
        t.ok(softmaxRows(n, x, out))
        near(t, out, all(own => own.map(value => Math.exp(value) / sum(own.map(Math.exp)))), tolerance, 'softmax')
        // A mean that float32 holds with few digits of the differences from it.
        if (Numbers === Float64Array) { for (let i = 0; i < x.length; i++) x[i]! += 1000 }
        for (const centred of [true, false]) {
          t.ok(normaliseRows({ centred, epsilon: 1e-5, scale, shift }, x, out))
          near(t, out, all(own => {
            const mean = centred ? sum(own) / n : 0
            const deviation = Math.sqrt(sum(own.map(value => (value - mean) ** 2)) / n + 1e-5)
            return own.map((value, i) => (value - mean) / deviation * scale[i]! + shift[i]!)
          }), 1e3 * tolerance, `normalised, centred ${centred}`)
        }
        const sums = moved(new Numbers(rows))
        t.ok(sumRows(n, 0.5, x, sums))
        near(t, sums, all(own => [sum(own) / 2]), tolerance * 1e3, 'sums')
      }
    })

    t.test(`squares and places, ${build}, ${Numbers.name}`, async t => {
      useKernelBuild(build)
      const random = generator(7)
      for (const [blocks, rows, n] of [[1, 3, 5], [4, 2, 16], [3, 5, 67]] as const) {
        beginArena()
        const x = moved(filled(new Numbers(blocks * rows * n), random))
        const squares = moved(new Numbers(blocks * n).fill(9))
        t.ok(sumSquares(n, x, squares))
        near(t, squares, Array.from(squares, (_, at) => {
          let sum = 0
          for (let r = 0; r < rows; r++) sum += x[(Math.floor(at / n) * rows + r) * n + at % n]! ** 2
          return sum
        }), tolerance, 'sums of squares')
        for (const shared of [true, false]) {
          const [count, length] = [rows * n, 4]
          // What names no place is passed over: nothing beside the blocks is written to.
          const indices = moved(
            Float64Array.from({ length: shared ? count : blocks * count }, (_, i) =>
              [0, -1, 3, 2, -4, 4, -5, NaN, Infinity, 1][i % 10]!),
          )
          const guarded = moved(new Numbers((blocks + 2) * length).fill(1))
          const out = guarded.subarray(length, (blocks + 1) * length)
          const expected = Array.from(guarded, Number)
          for (let i = 0; i < x.length; i++) {
            const index = indices[shared ? i % count : i]!
            const place = index < 0 ? index + length : index
            if (place >= 0 && place < length) expected[length + Math.floor(i / count) * length + place]! += x[i]!
          }
          t.ok(placeNumbers({ blocks, count, length, step: shared ? 0 : count }, x, indices, out))
          near(t, guarded, expected, 10 * tolerance, `places, shared ${shared}`)
        }
      }
    })

    t.test(`numbers one by one, ${build}, ${Numbers.name}`, async t => {
      useKernelBuild(build)
      beginArena()
      const special = [0, -0, 1e-9, NaN, Infinity, -Infinity, 5.9, -6.1, 0.125, 3]
      const values = Numbers.from([...special, ...Array.from({ length: 301 }, (_, i) => (i - 150) / 20)])
      const [x, out] = [moved(values), moved(new Numbers(values.length))]
      t.ok(byTable('erf', x, out, erfTables))
      near(t, out, Array.from(values, erf), tolerance, 'erf')
      t.ok(Object.is(out[1], -0))
      t.ok(Math.abs(out[2]! / (2 / Math.sqrt(Math.PI) * values[2]!) - 1) < tolerance, 'small numbers keep their digits')
      t.ok(byTable('gelu', x, out, erfTables))
      near(t, out, Array.from(values, v => 0.5 * v * (1 + erf(v * Math.SQRT1_2))).map(v => v), tolerance, 'gelu')
      const c = moved(values)
      const limit = { limit: 0.5, below: false }
      t.ok(gateRows(limit, c.length, c, x, out, visit => {
        visit(0, 0, 0)
      }))
      t.same(Array.from(out), Array.from(values, v => v * (v > 0.5 ? 1 : 0)), 'what is not finite is not hidden')
    })

    t.test(`copies in another order, ${build}, ${Numbers.name}`, async t => {
      useKernelBuild(build)
      const random = generator(7)
      for (const [extents, steps, from] of [[[2, 3, 9, 7], [189, 63, 7, 1], 0], [[2, 3, 9, 7], [189, 63, 1, 9], 0], [[3,
        2, 5, 4], [1, 60, 12, 3], 0], [[1, 1, 3, 6], [0, 0, -6, -1], 17], [[2, 1, 4, 5], [0, 0, 0, 1], 2]] as const) {
        beginArena()
        const data = moved(filled(new Numbers(400), random))
        const out = moved(new Numbers(extents.reduce<number>((size, extent) => size * extent, 1)))
        t.ok(copyWalk(data, from, extents, steps, out))
        const expected: number[] = []
        for (let a = 0; a < extents[0]; a++) {
          for (let b = 0; b < extents[1]; b++) {
            for (let i = 0; i < extents[2]; i++) {
              for (let j = 0; j < extents[3]; j++) {
                expected.push(data[from + a * steps[0] + b * steps[1] + i * steps[2] + j * steps[3]]!)
              }
            }
          }
        }
        t.ok(differenceOf(out, Numbers.from(expected)) === 0, JSON.stringify([extents, steps]))
      }
    })
  }
}
