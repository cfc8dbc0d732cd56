/**
 * @file Processor time and memory of all weights of a large convolutional network, and of a prediction of one row.
 *
 *     node bench/resnet50.mjs FILE.onnx [--rows 8] [--engine typescript] [--threads 1] [--curvature mc_fisher]
 *     node bench/resnet50.mjs FILE.onnx --forecast     # what it would take, and no fit
 *
 * The file has one input, N x channels x height x width, and class scores as its output. Rows and labels are drawn.
 */
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { laplace, readNetwork } from 'polylaplace'
import { randomGenerator } from '../dist/core/tensor/random.js'
import { tensor } from '../dist/core/tensor/tensor.js'
import { peakSince } from './peak-memory.mjs'

const { values: options, positionals: [path] } = parseArgs({ allowPositionals: true,
  options: { rows: { type: 'string', default: '8' }, engine: { type: 'string', default: 'typescript' },
    threads: { type: 'string', default: '1' }, curvature: { type: 'string', default: 'ggn' },
    forecast: { type: 'boolean' } } })
const rows = Number(options.rows)
const random = randomGenerator(3)
const graph = await readNetwork(await readFile(path))
const shape = graph.inputs[0].shape.slice(1)
const draw = count => {
  const own = [count, ...shape]
  return tensor('float32', own, random.fillNormal(new Float32Array(own.reduce((a, b) => a * b, 1))))
}
const y = Float64Array.from({ length: rows }, (_, i) => i % 2)
const prepared = laplace(graph, { likelihood: 'classification', subset: 'all', structure: 'kron', priorPrecision: 1,
  engine: options.engine, threads: Number(options.threads), curvature: options.curvature })
for (const { stage, bytes, seconds } of prepared.forecast({ rows, batch: rows, predict: 1 }).stages) {
  say({ forecast: stage, mb: bytes / 1e6, seconds })
}
if (options.forecast) process.exit(0)
const posterior = await measured('fit', () => prepared.fit(draw(rows), y, { onProgress: progressOf() }))
const x = draw(1)
for (const what of ['first prediction', 'another']) await measured(what, () => posterior.predict(x))

async function measured(what, work) {
  const [start, taken] = [cpuSeconds(), peakSince()]
  const result = await work()
  say({ what, cpu: cpuSeconds() - start, mb: taken().taken_mb })
  return result
}

/** Says when a stage of the fit begins. */
function progressOf() {
  let before
  return ({ stage }) => {
    if (stage !== before) say({ stage, cpu: cpuSeconds() })
    before = stage
  }
}

function cpuSeconds() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

function say(record) {
  process.stdout.write(`${JSON.stringify(record)}\n`)
}
