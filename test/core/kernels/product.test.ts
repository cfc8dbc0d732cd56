import t from 'tap'
import { watched } from '../../../core/kernels/interruption.js'
import { kernelBuild, useKernelBuild } from '../../../core/kernels/kernel-module.js'
import * as plain from '../../../core/kernels/plain.js'
import { gemm, syrk } from '../../../core/kernels/product.js'
import { allBuilds } from './builds.js'
import { differenceOf, filled, generator } from './random-matrix.js'

const builds = allBuilds()
const EDGES = [0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 31, 64, 65, 127, 129, 255, 257]
const SCALES = [[1, 0], [1, 1], [-0.5, 1], [2, -0.25], [0, 3], [1, 0.5]]
const KINDS = [
  { name: 'float64', array: Float64Array, result: Float64Array, tolerance: 1e-14 },
  { name: 'float32', array: Float32Array, result: Float32Array, tolerance: 3e-6 },
  { name: 'float32 summed in float64', array: Float32Array, result: Float64Array, tolerance: 3e-6 },
]

t.ok(builds.includes('simd'), 'the runtime runs the SIMD build')

for (const build of builds) {
  for (const { name, array, result, tolerance } of KINDS) {
    t.test(`gemm, ${name}, ${build}`, async t => {
      useKernelBuild(build)
      const random = generator(1)
      const pick = <V>(list: readonly V[]): V => list[Math.floor(random() * list.length)]!
      for (let trial = 0; trial < 120; trial++) {
        const [m, n, k, transA, transB, [alpha, beta]] = [pick(EDGES), pick(EDGES), pick(EDGES), random() < 0.5,
          random() < 0.5, pick(SCALES) as [number, number]] as const
        const a = filled(new array(m * k), random)
        const b = filled(new array(k * n), random)
        const expected = filled(new result(m * n), random)
        const actual = expected.slice()
        if (beta === 0) actual.fill(NaN)
        plain.gemm(transA, transB, m, n, k, alpha!, a, b, beta!, expected)
        gemm(transA, transB, m, n, k, alpha!, a, b, beta!, actual)
        const error = differenceOf(actual, expected)
        if (!(error <= tolerance * (k + 1))) {
          t.fail('differs from the plain product', { m, n, k, transA, transB, alpha, beta, error })
        }
      }
      t.equal(kernelBuild(), build)
    })

    t.test(`syrk, ${name}, ${build}`, async t => {
      useKernelBuild(build)
      const random = generator(2)
      for (const n of EDGES) {
        const k = EDGES[Math.floor(random() * EDGES.length)]!
        for (const [alpha, beta] of SCALES as [number, number][]) {
          const a = filled(new array(n * k), random)
          const expected = filled(new result(n * n), random)
          for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) expected[j * n + i] = expected[i * n + j]
          const actual = expected.slice()
          plain.syrk(n, k, alpha, a, beta, expected)
          syrk(n, k, alpha, a, beta, actual)
          const error = differenceOf(actual, expected)
          if (!(error <= tolerance * (k + 1))) t.fail('differs from the plain product', { n, k, alpha, beta, error })
          for (let i = 0; i < n; i++) {
            for (let j = 0; j < i; j++) {
              if (actual[i * n + j] !== actual[j * n + i]) t.fail('is not symmetric', { n, k, i, j })
            }
          }
        }
      }
      t.equal(kernelBuild(), build)
    })
  }

  if (build !== 'plain') {
    t.test(`products larger than one block of kernel memory, ${build}`, async t => {
      useKernelBuild(build)
      const random = generator(3)
      for (const [m, n, k] of [[1030, 6, 5], [6, 1030, 5], [5, 6, 2100], [1027, 1029, 3]] as const) {
        for (const transA of [false, true]) {
          for (const transB of [false, true]) {
            const a = filled(new Float64Array(m * k), random)
            const b = filled(new Float64Array(k * n), random)
            const expected = filled(new Float64Array(m * n), random)
            const actual = expected.slice()
            plain.gemm(transA, transB, m, n, k, 1.5, a, b, 0.5, expected)
            gemm(transA, transB, m, n, k, 1.5, a, b, 0.5, actual)
            t.ok(differenceOf(actual, expected) < 1e-12, `${m} x ${n} x ${k}`)
          }
        }
      }
      const n = 1100
      const a = filled(new Float64Array(n * 4), random)
      const expected = new Float64Array(n * n)
      const actual = new Float64Array(n * n)
      plain.syrk(n, 4, 1, a, 0, expected)
      syrk(n, 4, 1, a, 0, actual)
      t.ok(differenceOf(actual, expected) < 1e-13, 'syrk of several blocks')
    })
  }

  t.test(`the same call gives the same bytes, ${build}`, async t => {
    useKernelBuild(build)
    const random = generator(4)
    const a = filled(new Float64Array(70 * 90), random)
    const b = filled(new Float64Array(90 * 80), random)
    const [first, second] = [new Float64Array(70 * 80), new Float64Array(70 * 80)]
    gemm(false, false, 70, 80, 90, 1, a, b, 0, first)
    gemm(true, true, 90, 90, 70, 1, a, b.subarray(0, 6300), 0, new Float64Array(8100))
    gemm(false, false, 70, 80, 90, 1, a, b, 0, second)
    t.strictSame(first, second)
  })

  t.test(`views into larger arrays are left alone around them, ${build}`, async t => {
    useKernelBuild(build)
    const random = generator(5)
    const store = filled(new Float64Array(5000), random)
    const before = store.slice()
    gemm(false, false, 30, 20, 10, 1, store.subarray(1000, 1300), store.subarray(2000, 2200), 0,
      store.subarray(3000, 3600))
    t.strictSame(store.subarray(0, 3000), before.subarray(0, 3000))
    t.strictSame(store.subarray(3600), before.subarray(3600))
    const expected = new Float64Array(600)
    plain.gemm(false, false, 30, 20, 10, 1, before.subarray(1000, 1300), before.subarray(2000, 2200), 0, expected)
    t.ok(differenceOf(store.subarray(3000, 3600), expected) < 1e-13)
  })
}

t.test('many small products are looked at from time to time, and can be ended between two of them', async t => {
  useKernelBuild('simd')
  const [a, b, c] = [new Float64Array(64 * 64).fill(1), new Float64Array(64 * 64).fill(1), new Float64Array(64 * 64)]
  let looks = 0
  const work = (): void => {
    for (let i = 0; i < 2000; i++) gemm(false, false, 64, 64, 64, 1, a, b, 0, c)
  }
  watched(() => looks++, work)
  t.ok(looks >= 5, `${looks} looks at 500 million multiplications`)
  t.ok(looks <= 50)
  t.throws(() => {
    watched(() => {
      throw new Error('enough')
    }, work)
  }, { message: 'enough' })
  gemm(false, false, 64, 64, 64, 1, a, b, 0, c)
  t.ok(c.every(value => value === 64))
})

t.test('blocks of 1,024 numbers a row, which are copied with gaps', async t => {
  const random = generator(5)
  for (const build of builds) {
    useKernelBuild(build)
    for (const [transA, transB] of [[false, false], [true, true]] as const) {
      const [m, n, k] = [9, 1024 + 128, 1024]
      const [a, b] = [filled(new Float64Array(m * k), random), filled(new Float64Array(k * n), random)]
      const [expected, actual] = [new Float64Array(m * n).fill(1), new Float64Array(m * n).fill(1)]
      plain.gemm(transA, transB, m, n, k, 2, a, b, -1, expected)
      gemm(transA, transB, m, n, k, 2, a, b, -1, actual)
      t.ok(differenceOf(actual, expected) < 1e-11, `${build} ${transA}`)
    }
    const rows = filled(new Float64Array(6 * 1152), random)
    const [expected, actual] = [new Float64Array(1152 ** 2), new Float64Array(1152 ** 2)]
    plain.syrk(1152, 6, 1, rows, 1, expected)
    syrk(1152, 6, 1, rows, 1, actual)
    t.ok(differenceOf(actual, expected) < 1e-12, `${build} symmetric`)
  }
})
