/**
 * @file The rate of this machine's matrix products, flop/s on all cores: by our kernels (one thread for each core), and
 * by onnxruntime.
 */
import { availableParallelism } from 'node:os'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { kernelBuild } from '../dist/core/kernels/kernel-module.js'
import { gemm } from '../dist/core/kernels/linear-algebra.js'
import { matMulModel } from './matmul-model.mjs'

if (!isMainThread && workerData?.gemmRate !== undefined) parentPort.postMessage(await ownRate(workerData.gemmRate))

/** All rates: { cores, build, typescript: { float32, float64 }, onnxruntime?: { float32, float64 } }. */
export async function gemmRates({ quick }) {
  const [order, seconds, cores] = quick ? [128, 0.05, availableParallelism()] : [768, 4, availableParallelism()]
  const rates = { cores, build: kernelBuild(), typescript: {}, onnxruntime: {} }
  const runtime = await import('onnxruntime-node').catch(() => undefined)
  for (const dtype of ['float32', 'float64']) {
    const each = await Promise.all(Array.from({ length: cores }, () => inThread({ dtype, order, seconds })))
    rates.typescript[dtype] = each.reduce((a, b) => a + b, 0)
    if (runtime !== undefined) rates.onnxruntime[dtype] = await runtimeRate(runtime, dtype, order, seconds)
  }
  return runtime === undefined ? { ...rates, onnxruntime: undefined } : rates
}

function inThread(task) {
  return new Promise((resolve, reject) => {
    new Worker(new URL(import.meta.url), { workerData: { gemmRate: task } }).on('message', resolve).on('error', reject)
  })
}

/** One core's rate. */
function ownRate({ dtype, order, seconds }) {
  const [a, b, c] = [0.5, 0.25, 0].map(value => new (arrayOf(dtype))(order * order).fill(value))
  return fastest(order, seconds, () => {
    gemm(false, false, order, order, order, 1, a, b, 0, c)
  })
}

async function runtimeRate(runtime, dtype, order, seconds) {
  const session = await runtime.InferenceSession.create(matMulModel(dtype))
  const tensor = value => new runtime.Tensor(dtype, new (arrayOf(dtype))(order * order).fill(value), [order, order])
  const feeds = { a: tensor(0.5), b: tensor(0.25) }
  return fastest(order, seconds, () => session.run(feeds))
}

function arrayOf(dtype) {
  return dtype === 'float64' ? Float64Array : Float32Array
}

/** flop/s of the fastest run: the limit is what the machine can do when nothing else disturbs it. */
async function fastest(order, seconds, run) {
  let best = Infinity
  for (const end = performance.now() + 1000 * seconds; performance.now() < end;) {
    const start = performance.now()
    await run()
    best = Math.min(best, performance.now() - start)
  }
  return 2 * order ** 3 / best * 1000
}
