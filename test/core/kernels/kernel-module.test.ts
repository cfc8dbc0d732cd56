import { execFileSync } from 'node:child_process'
import t from 'tap'
import { bytes } from '../../../core/kernels/generated/simd.js'
import { kernelBuild, kernels, useKernelBuild, withKernelMemory } from '../../../core/kernels/kernel-module.js'
import { cholesky, gemm, symmetricEigen, triangularSolve } from '../../../core/kernels/linear-algebra.js'
import * as plain from '../../../core/kernels/plain.js'
import { differenceOf, filled, generator } from './random-matrix.js'

const globals = globalThis as unknown as { WebAssembly: unknown }
const original = globals.WebAssembly
t.afterEach(() => {
  globals.WebAssembly = original
  useKernelBuild('simd')
})

t.test("the build that runs is one of the runtime's", async t => {
  t.match(kernelBuild(), /^(relaxed-simd|simd)$/)
  t.ok(kernels())
})

t.test('a runtime without WebAssembly, or whose policy forbids compiling, keeps the build it has', async t => {
  useKernelBuild('plain')
  const refusing = { validate: () => true, Module: class {
    constructor() {
      throw new Error('refused')
    }
  } }
  const old = { validate: () => false }
  for (const replacement of [undefined, refusing, old]) {
    globals.WebAssembly = replacement
    t.equal(useKernelBuild('simd'), false)
    t.equal(useKernelBuild('relaxed-simd'), false)
    t.equal(kernelBuild(), 'plain')
    t.equal(kernels(), undefined)
  }
})

t.test('the plain twins take over where there are no kernels', async t => {
  const n = 40
  const random = generator(1)
  const a = filled(new Float64Array(n * n), random)
  const results = (['simd', 'plain'] as const).map(build => {
    useKernelBuild(build)
    const product = new Float64Array(n * n)
    gemm(false, true, n, n, n, 1, a, a, 0, product)
    const factor = product.slice()
    t.equal(cholesky(n, factor), -1)
    const solution = a.slice()
    triangularSolve(false, n, n, factor, solution)
    return { product, factor, solution, values: symmetricEigen(n, product).values }
  })
  const [fast, slow] = results as [typeof results[0], typeof results[0]]
  t.ok(differenceOf(fast.product, slow.product) < 1e-13)
  t.ok(differenceOf(fast.factor, slow.factor) < 1e-10)
  t.ok(differenceOf(fast.solution, slow.solution) < 1e-8)
  t.ok(differenceOf(fast.values, slow.values) < 1e-12)
})

t.test('memory that is not to be had is answered with undefined', async t => {
  t.equal(withKernelMemory(2 ** 33, () => t.fail('must not run')), undefined)
  useKernelBuild('plain')
  t.equal(withKernelMemory(16, () => t.fail('must not run')), undefined)
})

t.test('memory beyond what is kept is given back', async t => {
  useKernelBuild('simd')
  const size = withKernelMemory(100 << 20, kernel => kernel.memory.buffer.byteLength) ?? 0
  t.ok(size > 100 << 20)
  t.ok((kernels()?.memory.buffer.byteLength ?? Infinity) < 64 << 20)
  withKernelMemory(10 << 20, () => undefined)
  const kept = kernels()?.memory.buffer.byteLength ?? 0
  t.ok(kept > 10 << 20 && kept < 64 << 20, 'smaller memories are kept')
})

t.test('the kernels run where code must not be made from strings', async t => {
  const script = `
    const module = new WebAssembly.Module(Buffer.from('${bytes}', 'base64'))
    const { exports } = new WebAssembly.Instance(module, { host: { pause: () => {} } })
    let refused = false
    try { new Function('return 1')() } catch { refused = true }
    const base = exports.heapBase()
    exports.memory.grow(1)
    new Float64Array(exports.memory.buffer, base, 3).set([2, 3, 0])
    exports.multiply64(0, 0, 0, 1, 1, 1, 1, base, 1, base + 8, 1, base + 16, 1)
    process.stdout.write(refused + ' ' + new Float64Array(exports.memory.buffer, base, 3)[2])`
  t.equal(
    execFileSync(process.execPath, ['--disallow-code-generation-from-strings', '-e', script], { encoding: 'utf8' }),
    'true 6',
  )
})

t.test('arrays of another realm are taken by the size of their numbers', async t => {
  const { runInNewContext } = await import('node:vm')
  const foreign = runInNewContext('Float64Array.from({ length: 400 }, (_, i) => Math.sin(i))') as Float64Array
  const own = Float64Array.from(foreign)
  const [actual, expected] = [new Float64Array(400), new Float64Array(400)]
  gemm(false, false, 20, 20, 20, 1, foreign, own, 0, actual)
  plain.gemm(false, false, 20, 20, 20, 1, own, own, 0, expected)
  t.ok(differenceOf(actual, expected) < 1e-13)
})
