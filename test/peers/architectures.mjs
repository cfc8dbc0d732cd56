/**
 * What can be done with each export that architectures.py has written: read, freed of a fixed batch, run with the same
 * outputs, differentiated, fitted. `node architectures.mjs FOLDER/exports.json` writes `results.json` beside it.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import * as ort from 'onnxruntime-node'
import { readOnnx } from 'polylaplace/adapters/onnx'
import { convertPrecision } from '../../dist/core/engine/precision.js'
import { compileGraph } from '../../dist/core/engine/typescript.js'
import { isBatch } from '../../dist/core/graph/graph.js'
import { laplace } from '../../dist/core/laplace/laplace.js'
import { jvpProgram } from '../../dist/core/programs/jvp-program.js'
import { cast, tensor } from '../../dist/core/tensor/tensor.js'

const [list] = process.argv.slice(2)

function largestDifference(a, b) {
  if (a.length !== b.length) return Infinity
  const scale = b.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30)
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]) / scale), 0)
}

/** Values of T x N x ... as N x T x ..., where the examples are on the second axis. */
function examplesFirst(values, [times, rows, ...rest], batch) {
  if (batch === 0) return Array.from(values)
  const width = rest.reduce((a, b) => a * b, 1)
  return Array.from({ length: values.length }, (_, i) => {
    const [n, t] = [Math.floor(i / (times * width)), Math.floor(i / width) % times]
    return values[(t * rows + n) * width + i % width]
  })
}

/** The outputs of ONNX Runtime, examples first, as many rows at a time as the file is made for. */
async function inOnnxRuntime(path, { inputs, output, batch }, rows) {
  const session = await ort.InferenceSession.create(path, { logSeverityLevel: 4, intraOpNumThreads: 1 })
  const given = inputs.slice(0, session.inputNames.length)
  const at = Object.fromEntries(session.inputMetadata.map(each => [each.name, each]))
  const fixed = Number(at[session.inputNames[0]]?.shape?.[0])
  const size = Number.isInteger(fixed) ? fixed : rows
  const found = []
  for (let row = 0; row < rows; row += size) {
    const part = given.map(({ shape, integers, data }, i) => {
      const width = data.length / shape[0]
      const values = data.slice(row * width, (row + size) * width)
      return [session.inputNames[i], integers
        ? new ort.Tensor('int64', BigInt64Array.from(values, BigInt), [size, ...shape.slice(1)])
        : new ort.Tensor('float32', Float32Array.from(values), [size, ...shape.slice(1)])]
    })
    const results = await session.run(Object.fromEntries(part))
    const { data, dims } = results[session.outputNames[0]]
    found.push(...examplesFirst(data, dims, batch))
  }
  await session.release()
  return found.length === output.data.length ? found : []
}

const fed = (graph, entry) =>
  new Map(graph.inputs.map(({ name, dtype }, i) => {
    const { shape, data } = entry.inputs[name === 'z' ? 1 : name === 'x' ? 0 : i]
    return [name, tensor(dtype, shape, dtype === 'int64' ? Float64Array.from(data) : data)]
  }))

/** J v of all parameters for one direction, against a central difference in double precision. */
function derivative(graph, entry) {
  const network = convertPrecision(graph, 'float64')
  const inputs = new Map([...fed(network, entry)])
  const names = network.parameters.map(({ name }) => name)
  const direction = new Map(names.map((name, k) => {
    const { shape, data } = network.initializers.get(name)
    return [name, tensor('float64', shape, Array.from(data, (_, i) => Math.sin(i * (k + 1) + k)))]
  }))
  const program = jvpProgram(network, network.outputs[0], names, 1)
  const given = new Map(inputs)
  for (const [name, input] of program.tangents) {
    const { shape, data } = direction.get(name)
    given.set(input, tensor('float64', [1, ...shape], data))
  }
  const product = compileGraph(program.graph, 'float64').run(given).get(program.product).data
  const step = 1e-6
  const moved = sign =>
    compileGraph({ ...network, initializers: new Map([...network.initializers].map(([name, value]) => {
      const own = direction.get(name)
      return [name, own === undefined
        ? value
        : tensor('float64', value.shape, value.data.map((each, i) => each + sign * step * own.data[i]))]
    })) }, 'float64').run(inputs).get(network.outputs[0]).data
  const [up, down] = [moved(1), moved(-1)]
  const expected = Array.from(up, (value, i) => (value - down[i]) / (2 * step))
  return largestDifference(Array.from(product), examplesFirst(expected, entry.output.shape, entry.batch))
}

const tensorOf = ({ shape, integers, data }) =>
  tensor(integers ? 'int64' : 'float32', shape, integers ? Float64Array.from(data) : data)

async function fitted(graph, entry, subset) {
  const options = { likelihood: entry.likelihood, subset, structure: 'kron', tune: 'none', priorPrecision: 1 }
  const given = [...fed(graph, entry)].map(([name, values]) => ({ name, values }))
  const x = given.length > 1 ? given : given[0].values
  const posterior = await laplace(graph, options).fit(x, tensorOf(entry.labels))
  const { mean, probabilities } = await posterior.predict(x)
  const values = (probabilities ?? mean).data
  if (!values.every(Number.isFinite)) throw new Error('predictions that are no numbers')
}

async function attempt(work) {
  try {
    return await work() ?? true
  } catch (error) {
    return { error: `${error.code ?? 'FAULT'}: ${String(error.message).replace(/Supported are.*/, '')}`,
      ...(error.code === undefined ? { stack: String(error.stack) } : {}) }
  }
}

async function examine(entry) {
  if (entry.failed !== undefined) return { failed: entry.failed }
  const read = await attempt(() => readOnnx(new Uint8Array(readFileSync(entry.path))))
  if (read.error !== undefined) return { read }
  const result = { read: true, notes: read.notes, free: read.inputs.every(({ shape }) => shape.some(isBatch)),
    parameters: read.parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0) }
  const rows = entry.inputs[0].shape[0]
  const ours = await attempt(() => {
    const found = compileGraph(read, 'float32').run(fed(read, entry)).get(read.outputs[0])
    return cast(found, 'float64')
  })
  if (ours.error !== undefined) return { ...result, outputs: ours }
  const theirs = await attempt(() => inOnnxRuntime(entry.path, entry, rows))
  return {
    ...result,
    outputs: largestDifference(Array.from(ours.data), entry.output.data),
    runtime: theirs.error === undefined && theirs.length > 0
      ? largestDifference(examplesFirst(ours.data, entry.output.shape, entry.batch), Array.from(theirs))
      : theirs,
    derivative: await attempt(() => derivative(read, entry)),
    lastLayer: await attempt(() => fitted(read, entry, 'last_layer')),
    all: await attempt(() => fitted(read, entry, 'all')),
  }
}

const results = []
for (const entry of JSON.parse(readFileSync(list, 'utf8'))) {
  results.push({ architecture: entry.architecture, export: entry.export, inputs: entry.inputs.length,
    declared: entry.parameters, ...await examine(entry) })
}
writeFileSync(join(dirname(list), 'results.json'), JSON.stringify(results))
