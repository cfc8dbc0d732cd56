/**
 * @file A fit of the last layer with ONNX Runtime beside ONNX Runtime's own pass over the same rows, in turns: minima
 * of processor seconds.
 *
 *     node bench/fit-forward.mjs FOLDER/vit [--rows 64] [--runs 12]
 */
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { laplace, readNetwork } from 'polylaplace'
import { openWorkload, readSpec } from './workload-data.mjs'

const { values: options, positionals: [path] } = parseArgs({ allowPositionals: true,
  options: { rows: { type: 'string', default: '64' }, runs: { type: 'string', default: '12' } } })
const rows = Number(options.rows)
const file = await readFile(`${path}.onnx`)
const [spec, workload] = [await readSpec(path), await openWorkload(path)]
const { x, y } = (await workload.batches(rows, rows).next()).value
await workload.close()
const graph = await readNetwork(file)
const runtime = await import('onnxruntime-node').then(module => module.default ?? module)
const session = await runtime.InferenceSession.create(file, { intraOpNumThreads: 1, interOpNumThreads: 1 })
const feeds = { [session.inputNames[0]]: new runtime.Tensor('float32', x.data, x.shape) }

let [fit, forward] = [Infinity, Infinity]
for (let run = 0; run < Number(options.runs); run++) {
  forward = Math.min(forward, await seconds(() => session.run(feeds)))
  fit = Math.min(fit, await seconds(() =>
    laplace(graph, { likelihood: spec.likelihood, subset: 'last_layer', structure: 'kron', engine: 'onnxruntime',
      threads: 1, priorPrecision: 1 }).fit(x, y)
  ))
}
console.log(JSON.stringify({ path, rows, fit, forward, ratio: fit / forward }))

async function seconds(work) {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}
