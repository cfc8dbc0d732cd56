import t from 'tap'
import { arenaBlock, beginArena, inArena } from '../../../core/kernels/arena.js'
import { combineRows, rectify } from '../../../core/kernels/arithmetic.js'
import { tanh } from '../../../core/kernels/elementwise.js'
import { useKernelBuild } from '../../../core/kernels/kernel-module.js'
import { packedLength, packedProducts } from '../../../core/kernels/packed-products.js'
import { gemm, syrk } from '../../../core/kernels/product.js'
import { addRowDots, addWeightedRowDots } from '../../../core/kernels/row-dots.js'
import { allBuilds } from './builds.js'
import { moved } from './moved.js'
import { differenceOf, filled, generator } from './random-matrix.js'

const builds = allBuilds().filter(build => build !== 'plain')

/** More than the arena ever holds. */
const TOO_MUCH = 1 << 30

for (const build of builds) {
  for (const Numbers of [Float64Array, Float32Array]) {
    t.test(`products in the arena are those on the heap to the last bit, ${build}, ${Numbers.name}`, async t => {
      useKernelBuild(build)
      const random = generator(3)
      const size = (): number => 1 + Math.floor(40 * random())
      for (let trial = 0; trial < 60; trial++) {
        beginArena()
        const [m, n, k, transA, transB, beta] = [size(), size(), 1 + Math.floor(700 * random()), random() < 0.5,
          random() < 0.5, trial % 3 / 2]
        const [a, b, c] = [filled(new Numbers(m * k), random), filled(new Numbers(k * n), random),
          filled(new Numbers(m * n), random)]
        const expected = c.slice()
        gemm(transA, transB, m, n, k, 1, a, b, beta, expected)
        // Any of the operands may live elsewhere.
        const operands = [a, b, c].map((array, i) => ((trial >> i) % 2 === 0 ? moved(array) : array))
        gemm(transA, transB, m, n, k, 1, operands[0], operands[1], beta, operands[2])
        if (!operands[2].every((value, i) => value === expected[i])) {
          t.fail('a product differs', { m, n, k, transA, transB, beta, trial })
        }
        const [gram, sum] = [new Float64Array(n * n).fill(0.5), new Float64Array(n * n).fill(0.5)]
        syrk(n, k, 1, b, 1, gram)
        syrk(n, k, 1, moved(b), 1, sum)
        if (!sum.every((value, i) => value === gram[i])) t.fail('a Gram matrix differs', { n, k, trial })
      }
      t.pass()
    })

    t.test(`arithmetic and activations in the arena, ${build}, ${Numbers.name}`, async t => {
      useKernelBuild(build)
      const random = generator(4)
      for (const [rows, count] of [[1, 256], [16, 16], [9, 33], [3, 1001]] as const) {
        beginArena()
        const [a, b] = [filled(new Numbers(rows * count), random), filled(new Numbers(count), random)]
        for (const [operation, apply] of [['add', (x: number, y: number) => x + y], ['subtract',
          (x: number, y: number) => x - y], ['multiply', (x: number, y: number) => x * y], ['divide',
          (x: number, y: number) => x / y]] as const) {
          for (const [stepA, stepB] of [[1, 1], [1, 0], [0, 1]] as const) {
            const out = moved(new Numbers(rows * count).fill(NaN))
            const done = combineRows(operation, count, { array: moved(a), step: stepA }, { array: b, step: stepB }, out,
              visit => {
                for (let row = 0; row < rows; row++) visit(row * count, 0, row * count)
              })
            const expected = new Numbers(rows * count).map((_, i) =>
              apply(a[i - i % count + stepA * (i % count)]!, b[stepB * (i % count)]!)
            )
            t.equal(done, true)
            t.same(out, expected, `${operation}, steps ${stepA} and ${stepB}, ${rows} rows of ${count}`)
          }
        }
        const [values, image] = [filled(new Numbers(rows * count), random), moved(new Numbers(rows * count))]
        values.set([NaN, -0, Infinity, -Infinity])
        t.equal(rectify(values, image), true)
        t.same(image, values.map(x => (x < 0 ? 0 : x)), 'rectify')
        const products = moved(new Float64Array(rows))
        addRowDots(count, moved(a), a, products)
        addWeightedRowDots(count, moved(a), a, a, products)
        const dots = Float64Array.from({ length: rows }, (_, r) =>
          Array.from(a.subarray(r * count, (r + 1) * count)).reduce((sum, x) => sum + x * x + x * x * x, 0))
        t.ok(differenceOf(products, dots) <= 1e-12 * count, 'row dots')
        const elsewhere = new Float64Array(rows)
        addRowDots(count, a, a, elsewhere)
        addWeightedRowDots(count, a, a, a, elsewhere)
        t.same(elsewhere, products, 'the same on the heap')
        const packed = moved(new Numbers(rows * packedLength(count)))
        packedProducts(count, moved(a), packed)
        const pairs = Array.from({ length: rows }, (_, r) =>
          Array.from({ length: count }, (_i, i) =>
            Array.from({ length: count - i }, (_j, j) =>
              Numbers.of(a[r * count + i]! * a[r * count + i + j]!)[0])).flat()).flat()
        t.ok(packed.every((value, i) =>
          value === pairs[i]
        ), 'products of all pairs')
        const [guard, wanted] = [moved(new Numbers(8).fill(7)), new Numbers(count)]
        tanh(values.subarray(0, count), wanted)
        const own = moved(new Numbers(count))
        const next = moved(new Numbers(8).fill(7))
        tanh(values.subarray(0, count), own)
        t.same(own, wanted, 'tanh')
        t.ok([...guard, ...next].every(x => x === 7), 'the neighbours are left alone')
      }
    })
  }

  t.test(`room, ${build}`, async t => {
    useKernelBuild(build)
    beginArena()
    const a = new Float64Array(100)
    t.equal(inArena([{ array: a, use: 'write' }], () => {
      t.fail('nothing lives in the arena')
    }), false)
    const inside = moved(a)
    t.equal(inArena([{ array: inside, use: 'read' }, { array: new Float64Array(TOO_MUCH / 8), use: 'read' }], () => {
      t.fail('there is no room for the copy')
    }), false)
    const { buffer, byteOffset } = inside
    beginArena()
    const again = moved(a)
    t.same([again.buffer === buffer, again.byteOffset], [true, byteOffset], 'the next run takes the same memory')
    t.equal(arenaBlock(TOO_MUCH), undefined)
    const large = arenaBlock(TOO_MUCH / 4)
    t.ok(large, 'there is room in the first run')
    new Uint8Array(large!.buffer, large!.offset, TOO_MUCH / 4).fill(1)
    beginArena()
    t.not(moved(a).buffer, undefined)
    beginArena()
    t.not(moved(a).buffer, buffer, 'memory that a large run has written to is given up after a small one')
  })
}

t.test('a product of an arena array with a large one outside of it copies that block by block', async t => {
  useKernelBuild('simd')
  const random = generator(9)
  beginArena()
  const [m, n] = [2100, 2100]
  const a = filled(new Float64Array(2 * m), random)
  const b = filled(new Float64Array(2 * n), random)
  const [inArenaA, inArenaB] = [moved(a), moved(b)]
  const before = arenaBlock(8)?.offset ?? 0
  const [c, expected] = [new Float64Array(m * n), new Float64Array(m * n)]
  t.notOk(inArena([{ array: inArenaA, use: 'read' }, { array: c, use: 'update' }], () => undefined, 32 << 20))
  gemm(true, false, m, n, 2, 1, inArenaA, inArenaB, 1, c)
  gemm(true, false, m, n, 2, 1, a, b, 1, expected)
  t.strictSame(c.subarray(0, 4096), expected.subarray(0, 4096))
  t.equal(differenceOf(c, expected), 0)
  t.ok((arenaBlock(8)?.offset ?? 0) - before < 1 << 16)
})
