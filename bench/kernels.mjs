/**
 * @file Times every kernel, build by build, beside numpy (LAPACK) and onnxruntime on one core: GFLOP/s, and
 * milliseconds for the decompositions.
 *
 *     npm run bench:kernels [-- --quick] [-- --only eigen]
 *
 * numpy is taken from the interpreter named by POLYLAPLACE_PYTHON, else from the environment of bench/setup.sh, else
 * from `python3`; its column stays empty where there is none. A run of all kernels is kept in bench/results/ for
 * docs/performance.md.
 * Node 20 has relaxed SIMD behind a flag, which is set here.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import v8 from 'node:v8'

if (Number(process.versions.node.split('.')[0]) < 22) v8.setFlagsFromString('--experimental-wasm-relaxed-simd')
const { useKernelBuild } = await import('../dist/core/kernels/kernel-module.js')
const { cholesky, gemm, symmetricEigen, syrk, triangularSolve } = await import('../dist/core/kernels/linear-algebra.js')
const elementwise = await import('../dist/core/kernels/elementwise.js')
const { combineRows, rectify } = await import('../dist/core/kernels/arithmetic.js')
const { addWeightedRowDots } = await import('../dist/core/kernels/row-dots.js')
const { packedLength, packedProducts } = await import('../dist/core/kernels/packed-products.js')
const { arenaArray, beginArena } = await import('../dist/core/kernels/arena.js')
const { matMulModel } = await import('./matmul-model.mjs')

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, only: { type: 'string' } },
})
/** Seconds for one case on one engine. */
const BUDGET = options.quick ? 0.02 : 0.5
/** The plain twins take minutes on the large cases; they run those of up to so many flops. */
const PLAIN_FLOPS = options.quick ? 2e7 : 6e8

/**
 * Kernels that work in the arena alone, on two arrays in rows of 256; the plain twin is the loop that runs elsewhere.
 */
const IN_ARENA = {
  'multiply': (x, y, out) =>
    combineRows('multiply', x.length, { array: x, step: 1 }, { array: y, step: 1 }, out, visit => {
      visit(0, 0, 0)
    }) || loop(out, i => x[i] * y[i]),
  'relu': (x, _y, out) => rectify(x, out) || loop(out, i => (x[i] < 0 ? 0 : x[i])),
  'row dots': (x, y, _out, sums) => addWeightedRowDots(256, x, y, y, sums),
  'packed products': (x, _y, out) =>
    packedProducts(15, x.subarray(0, Math.floor(out.length / packedLength(15)) * 15), out),
}

const cases = makeCases().filter(({ kernel }) => options.only === undefined || options.only === kernel)
const numpy = await numpySeconds(cases.filter(each => each.kernel !== 'elementwise'))
const runtime = await import('onnxruntime-node').catch(() => undefined)
const builds = ['relaxed-simd', 'simd', 'plain'].filter(useKernelBuild)
const header = ['kernel', 'type', 'shape', 'unit', ...builds, 'numpy', 'onnxruntime', 'numpy time / ours']
const rows = []
const records = []
for (const each of cases) {
  process.stderr.write(`\r${each.kernel} ${each.label} ${each.dtype}            `)
  const ours = []
  for (const build of builds) {
    useKernelBuild(build)
    ours.push(build === 'plain' && each.flops > PLAIN_FLOPS ? undefined : await seconds(prepare(each)))
  }
  const others = [numpy.get(each), await runtimeSeconds(each)]
  records.push(record(each, [...builds, 'numpy', 'onnxruntime'], [...ours, ...others]))
  const ratio = others[0] && ours[0] ? (others[0] / ours[0]).toFixed(2) : ''
  rows.push([each.kernel, each.dtype, each.label, each.unit, ...[...ours, ...others].map(time =>
    time === undefined ? '' : shown(each, time)
  ), ratio])
}
process.stderr.write('\r\n')
process.stdout.write(table([header, ...rows]))
if (options.only === undefined) {
  const { writeReport } = await import('./report.mjs')
  const kind = options.quick ? 'quick' : 'full'
  const file = new URL(`results/kernels-${kind}.json`, import.meta.url)
  await mkdir(new URL('.', file), { recursive: true })
  await writeFile(file, `${JSON.stringify(records, null, 1)}\n`)
  await mkdir(new URL(`${kind}/`, file), { recursive: true })
  process.stderr.write(`Written: ${await writeReport(kind)}\n`)
}

/** What bench/report.mjs reads: seconds by build and library, and the texts of the table. */
function record(each, names, times) {
  const { kernel, dtype, label, unit, shape: [order] } = each
  const known = names.map((name, i) => [name, times[i]]).filter(([, time]) => time !== undefined)
  return { kernel, dtype, label, unit, order, seconds: Object.fromEntries(known),
    shown: Object.fromEntries(known.map(([name, time]) => [name, shown(each, time)])) }
}

/** The cases; shape is m, n, k of the product, or n of a square matrix thrice. */
function makeCases() {
  const list = []
  const sizes = options.quick ? [64, 128] : [64, 256, 1024]
  const shapes = [...sizes.map(n => [n, n, n]),
    ...options.quick ? [] : [[512, 256, 784], [512, 10, 128], [784, 256, 512]]]
  for (const dtype of ['float64', 'float32']) {
    for (const shape of shapes) {
      const [m, n, k] = shape
      for (const [label, transA, transB] of [['NN', false, false], ['NT', false, true], ['TN', true, false]]) {
        list.push({ kernel: 'gemm', dtype, shape, transA, transB, label: `${label} ${m}x${n}x${k}`, unit: 'GFLOP/s',
          flops: 2 * m * n * k })
      }
    }
    for (const [n, k] of options.quick ? [[64, 128]] : [[64, 512], [256, 512], [784, 512], [1024, 1024]]) {
      list.push({ kernel: 'syrk', dtype, shape: [n, n, k], label: `${n} from ${k} rows`, unit: 'GFLOP/s',
        flops: n * n * k })
    }
  }
  for (const n of options.quick ? [64, 128] : [128, 256, 512, 1024, 2048]) {
    const square = { dtype: 'float64', shape: [n, n, n], label: String(n), unit: 'ms' }
    list.push({ ...square, kernel: 'cholesky', flops: n ** 3 / 3 })
    list.push({ ...square, kernel: 'triangular-solve', flops: n ** 3 })
    list.push({ ...square, kernel: 'eigen', flops: 9 * n ** 3 })
  }
  for (const dtype of ['float64', 'float32']) {
    for (const label of ['exp', 'tanh', 'sigmoid', ...Object.keys(IN_ARENA)]) {
      list.push({ kernel: 'elementwise', dtype, shape: [65536, 1, 1], label, unit: 'ns each', flops: 65536 })
    }
  }
  return list
}

function loop(out, at) {
  for (let i = 0; i < out.length; i++) out[i] = at(i)
}

/** Arrays in the arena, or on the heap where there are no kernels. */
function prepareInArena(work, random, length) {
  const room = () =>
    [random(length), random(length), random(length), new Float64Array(length / 256)].map(array => {
      const own = arenaArray(array, array.length)
      own.set(array)
      return own
    })
  beginArena()
  room()
  beginArena()
  const arrays = room()
  return () => work(...arrays)
}

/** A function that does a case's work once. */
function prepare({ kernel, dtype, shape: [m, n, k], label, transA, transB }) {
  const Numbers = dtype === 'float64' ? Float64Array : Float32Array
  const random = length => new Numbers(length).map(() => Math.random() - 0.5)
  if (label in IN_ARENA) return prepareInArena(IN_ARENA[label], random, m)
  if (kernel === 'elementwise') {
    const [x, out] = [random(m), new Numbers(m)]
    return () => elementwise[label](x, out)
  }
  const c = new Numbers(m * n)
  if (kernel === 'gemm') {
    const [a, b] = [random(m * k), random(k * n)]
    return () => gemm(transA, transB, m, n, k, 1, a, b, 0, c)
  }
  if (kernel === 'syrk') {
    const a = random(n * k)
    return () => syrk(n, k, 1, a, 0, c)
  }
  const matrix = new Float64Array(n * n)
  syrk(n, n, 12 / n, random(n * n), 0, matrix)
  for (let i = 0; i < n; i++) matrix[i * n + i] += 1
  if (kernel === 'eigen') return () => symmetricEigen(n, matrix)
  const work = matrix.slice()
  if (kernel === 'cholesky') {
    return () => {
      work.set(matrix)
      cholesky(n, work)
    }
  }
  const factor = matrix.slice()
  cholesky(n, factor)
  return () => {
    work.set(matrix)
    triangularSolve(false, n, n, factor, work)
  }
}

/** The shortest of the runs that fit the budget, after some to let the host optimise. */
async function seconds(run) {
  for (const start = performance.now(); performance.now() - start < 200 * BUDGET;) await run()
  await new Promise(resolve => {
    setTimeout(resolve, 20)
  })
  let best = Infinity
  for (let spent = 0; spent < BUDGET;) {
    const start = performance.now()
    await run()
    const took = (performance.now() - start) / 1000
    best = Math.min(best, took)
    spent += took
  }
  return best
}

/** Seconds of numpy by case; empty where there is no numpy. */
async function numpySeconds(wanted) {
  const script = fileURLToPath(new URL('kernels_numpy.py', import.meta.url))
  const one = { OPENBLAS_NUM_THREADS: '1', OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' }
  process.stderr.write('numpy')
  const environment = fileURLToPath(new URL('../.venv-bench/bin/python', import.meta.url))
  const python = process.env.POLYLAPLACE_PYTHON ?? (existsSync(environment) ? environment : 'python3')
  const child = spawn(python, [script], { env: { ...process.env, ...one }, stdio: ['pipe', 'pipe', 'ignore'] })
  child.stdin.on('error', () => {})
  child.stdin.end(JSON.stringify({ cases: wanted, budget: BUDGET }))
  let text = ''
  child.stdout.on('data', part => {
    text += part
  })
  await new Promise(resolve => {
    child.on('error', resolve).on('close', resolve)
  })
  if (text === '') return new Map()
  const times = JSON.parse(text)
  return new Map(wanted.map((each, i) => [each, times[i] ?? undefined]))
}

/** Seconds of onnxruntime for a product without transposes, or undefined. */
async function runtimeSeconds({ kernel, dtype, shape: [m, n, k], transA, transB }) {
  if (runtime === undefined || kernel !== 'gemm' || transA || transB) return undefined
  const session = await runtime.InferenceSession.create(matMulModel(dtype), { intraOpNumThreads: 1,
    interOpNumThreads: 1 })
  const Numbers = dtype === 'float64' ? Float64Array : Float32Array
  const tensor = (rows, columns) => new runtime.Tensor(dtype, new Numbers(rows * columns).fill(0.5), [rows, columns])
  const feeds = { a: tensor(m, k), b: tensor(k, n) }
  return seconds(() => session.run(feeds))
}

function shown({ unit, flops }, time) {
  if (unit === 'ms') return (time * 1e3).toFixed(time < 0.01 ? 2 : 1)
  if (unit === 'ns each') return (time / flops * 1e9).toFixed(2)
  return (flops / time / 1e9).toFixed(1)
}

function table(lines) {
  const widths = lines[0].map((_, column) => Math.max(...lines.map(line => line[column].length)))
  return lines.map(line =>
    line.map((cell, column) => column < 4 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])).join('  ')
      .trimEnd() + '\n'
  ).join('')
}
