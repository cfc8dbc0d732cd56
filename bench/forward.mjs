/**
 * @file Processor time of a network's outputs, in the TypeScript engine and in ONNX Runtime with one thread.
 *
 *     node bench/forward.mjs FOLDER/res8 [--rows 16]
 *
 * Writes one line: { ours, onnxruntime } in seconds a row, and the largest difference relative to the largest output.
 */
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { readNetwork } from '../dist/adapters/network/index.js'
import { compileGraph } from '../dist/core/engine/typescript.js'
import { median } from './statistics.mjs'
import { openWorkload } from './workload-data.mjs'

/** Seconds for each engine, after runs that warm it up. */
const [BUDGET, WARM] = [1, 3]

const { values: options, positionals: [path] } = parseArgs({ allowPositionals: true,
  options: { rows: { type: 'string', default: '16' } } })
const rows = Number(options.rows)
const file = await readFile(`${path}.onnx`)
const workload = await openWorkload(path)
const { data, shape } = await workload.rows('x', 0, rows)
await workload.close()

const graph = await readNetwork(file)
const program = compileGraph(graph, 'float32')
const inputs = new Map([[graph.inputs[0].name, { dtype: 'float32', shape, data }]])
const [ours, own] = await timed(() => program.run(inputs).get(graph.outputs[0]).data)
const runtime = await import('onnxruntime-node').then(module => module.default ?? module, () => undefined)
const session = await runtime?.InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 })
const feeds = runtime && { [session.inputNames[0]]: new runtime.Tensor('float32', data, shape) }
const [onnxruntime, other] = runtime === undefined
  ? []
  : await timed(async () => (await session.run(feeds))[session.outputNames[0]].data)
const largest = Math.max(...own.map(Math.abs))
const difference = other && Math.max(...own.map((value, i) => Math.abs(value - other[i]))) / largest
process.stdout.write(`${JSON.stringify({ rows, ours, onnxruntime, difference })}\n`)

/** Median seconds a row of this process' processors, and the last result. */
async function timed(run) {
  let result
  for (let i = 0; i < WARM; i++) result = await run()
  const times = []
  for (let total = 0; total < BUDGET || times.length < 3;) {
    const start = cpuSeconds()
    result = await run()
    times.push(cpuSeconds() - start)
    total += times.at(-1)
  }
  return [median(times) / rows, result]
}

function cpuSeconds() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
