/**
 * @file How soon long work can be cancelled, and whether it says how long it will still take. Each case runs once, in
 * one thread, and looks at its signal as often as it likes; the longest time of a processor between two looks is the
 * longest that a cancelled call can go on. Kernels are watched as the server of the clients watches them. Then, as in
 * Node, each call runs with a signal, in a thread of its own: how long is the calling thread's event loop held, by the
 * processor time of that thread between two turns, and how long does a call go on that is cancelled half way?
 *
 *     node bench/cancel.mjs [CASE ...] [--scale 1]
 *
 * Prints a table. `--scale` multiplies the rows.
 */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { withTimeLeft } from '../dist/core/budget/progress.js'
import { BATCH, GraphBuilder, laplace as core, tensor } from '../dist/core/index.js'
import { watchKernels } from '../dist/core/kernels/interruption.js'
import { randomGenerator } from '../dist/core/tensor/random.js'
import { laplace } from '../dist/index.js'
import { Posterior } from '../dist/node/posterior.js'
import { nodeRuntime } from '../dist/node/runtime/runtime.js'
import { markdownTable } from './format.mjs'

const { values: options, positionals: wanted } = parseArgs({ allowPositionals: true,
  options: { scale: { type: 'string', default: '1' } } })
const random = randomGenerator(3)
const normals = (count, scale) => random.fillNormal(new Float32Array(count)).map(value => value * scale)

/** Networks (sizes of dense layers, or a convolutional one), rows, and the options of the fit. */
const CASES = {
  'all/kron': { sizes: [784, 256, 128, 10], rows: 6000, fit: { subset: 'all', structure: 'kron', priorPrecision: 1 } },
  'all/kron, factors of 2,401': { sizes: [2400, 64, 10], rows: 3000,
    fit: { subset: 'all', structure: 'kron', priorPrecision: 1 } },
  'all/full': { sizes: [40, 48, 10], rows: 2000, fit: { subset: 'all', structure: 'full', tune: 'marglik' } },
  'all/diag, layers tuned': { sizes: [400, 300, 10], rows: 4000,
    fit: { subset: 'all', structure: 'diag', tune: 'marglik', priorStructure: 'layerwise' } },
  'last_layer/full': { sizes: [64, 200, 10], rows: 4000,
    fit: { subset: 'last_layer', structure: 'full', tune: 'marglik' } },
  'last layer of 256 x 100, no option': { sizes: [256, 100], rows: 300, fit: {} },
  'all weights, no option': { sizes: [18, 48, 32, 5], rows: 400, fit: {} },
  'all weights and more rows, no option': { sizes: [30, 60, 30, 3], rows: 4000, fit: {} },
  'regression, no option': { sizes: [10, 50, 50, 1], rows: 1500, fit: {} },
  'convolutions, all/kron': { channels: 32, rows: 200, fit: { subset: 'all', structure: 'kron', priorPrecision: 1 } },
}

const rows = []
for (const [name, given] of Object.entries(CASES)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue
  const { graph, x, y, likelihood } = given.channels === undefined ? dense(given) : convolutional(given)
  const start = work => laplace(graph, { likelihood, threads: 1, engine: 'typescript', ...given.fit }).fit(x, y, work)
  const fit = watchedWork()
  // The core's own calls compute in the calling thread, whatever signal they have.
  const posterior = await core(graph, { likelihood, threads: 1, engine: 'typescript', ...given.fit }, nodeRuntime)
    .fit(x, y, fit.work)
  const fitted = fit.done()
  const prediction = watchedWork()
  await posterior.predict(x, {}, prediction.work)
  const predicted = prediction.done()
  const ours = new Posterior(posterior)
  for (const [what, each, run] of [['fit', fitted, start], ['predict', predicted, work => ours.predict(x, work)]]) {
    const { held, end } = await fromOutside(run, 500 * each.seconds)
    rows.push([name, what, each.seconds.toFixed(1), String(Math.round(1000 * each.longest)), each.stage,
      `${each.told} of ${each.reports}`, String(Math.round(held)), String(Math.round(end))])
    process.stderr.write(`${rows.at(-1).join(' | ')}\n`)
  }
}
process.stdout.write(
  `${
    markdownTable(['case', 'call', 'processor s', 'longest time to a look, ms', 'in stage',
      'reports with the time left', 'event loop held in Node, ms', 'cancelled half way, ms to the end'], rows)
  }\n`,
)

/** A signal that is never given and measures when it is looked at. */
function watchedWork() {
  const start = cpuSeconds()
  let [last, longest, stage, at, reports, told] = [start, 0, 'begin', 'begin', 0, 0]
  const look = () => {
    const now = cpuSeconds()
    if (now - last > longest) [longest, at] = [now - last, stage]
    last = now
    return false
  }
  watchKernels(look)
  return {
    work: { signal: { get aborted() {
      return look()
    } }, onProgress: withTimeLeft(({ stage: own, left }) => {
      stage = own
      reports++
      if (left !== undefined) told++
    }) },
    done: () => {
      look()
      watchKernels(undefined)
      return { seconds: cpuSeconds() - start, longest, stage: at, reports, told }
    },
  }
}

/** How long a call holds its caller's event loop, and how long it goes on when it is cancelled after some time. */
async function fromOutside(run, milliseconds) {
  let [last, held, on] = [threadMilliseconds(), 0, true]
  const turn = () => {
    const now = threadMilliseconds()
    ;[last, held] = [now, Math.max(held, now - last)]
    if (on) setTimeout(turn, 2)
  }
  turn()
  await run({ signal: new AbortController().signal })
  turn()
  on = false
  const controller = new AbortController()
  let cancelled = NaN
  setTimeout(() => {
    cancelled = performance.now()
    controller.abort()
  }, milliseconds)
  await run({ signal: controller.signal }).catch(() => undefined)
  return { held, end: performance.now() - cancelled }
}

/** Processor time of the calling thread, where Linux says it; else the clock. */
function threadMilliseconds() {
  try {
    return Number(readFileSync(`/proc/${process.pid}/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6
  } catch {
    return performance.now()
  }
}

function dense({ sizes, rows: count }) {
  const examples = Math.round(count * Number(options.scale))
  const b = new GraphBuilder('float32')
  let value = b.input('x', [BATCH, sizes[0]])
  sizes.slice(1).forEach((out, i) => {
    const inputs = sizes[i]
    value = b.node('Gemm', [value,
      b.parameter(`${i}.weight`, tensor('float32', [out, inputs], normals(out * inputs, Math.sqrt(2 / inputs)))),
      b.parameter(`${i}.bias`, tensor('float32', [out], new Float32Array(out)))], { transB: 1 })
    if (i < sizes.length - 2) value = b.node('Relu', [value])
  })
  const classes = sizes.at(-1)
  return { graph: b.build([value]), x: tensor('float32', [examples, sizes[0]], normals(examples * sizes[0], 1)),
    ...labels(examples, classes) }
}

function convolutional({ channels, rows: count }) {
  const examples = Math.round(count * Number(options.scale))
  const b = new GraphBuilder('float32')
  let value = b.input('x', [BATCH, channels, 16, 16])
  for (const name of ['a', 'b']) {
    const weight = b.parameter(name, tensor('float32', [channels, channels, 3, 3], normals(channels ** 2 * 9, 0.1)))
    value = b.node('Relu', [b.node('Conv', [value, weight], { pads: [1, 1, 1, 1] })])
  }
  const head = b.parameter('head', tensor('float32', [10, channels], normals(10 * channels, 0.3)))
  const graph = b.build([
    b.node('Gemm', [b.node('Flatten', [b.node('GlobalAveragePool', [value])]), head], { transB: 1 }),
  ])
  return { graph, x: tensor('float32', [examples, channels, 16, 16], normals(examples * channels * 256, 1)),
    ...labels(examples, 10) }
}

function labels(examples, classes) {
  if (classes === 1) return { likelihood: 'regression', y: tensor('float32', [examples, 1], normals(examples, 1)) }
  return { likelihood: 'classification',
    y: tensor('int64', [examples],
      Float64Array.from({ length: examples }, () => Math.floor(classes * random.uniform()))) }
}

function cpuSeconds() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
