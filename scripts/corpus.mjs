/**
 * @file Reads every file of a folder of models and writes what came of it as a table, docs/corpus.md.
 *
 * Run `npm run build:js` first. Usage: node scripts/corpus.mjs [FOLDER] [TABLE]; the folder is ../shared/models by
 * default. Networks are run on seeded random examples, and on the examples beside them where there are some (inputs.npz
 * and outputs.npz, test_data_set_0).
 */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, extname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as zlib from 'node:zlib'

const root = fileURLToPath(new URL('..', import.meta.url))
const [folder = join(root, '../shared/models'), table = join(root, 'docs/corpus.md')] = process.argv.slice(2)
const load = path => import(new URL(`../dist/${path}`, import.meta.url).href)
const { describeFile, readNetwork } = await load('adapters/network/index.js')
const { readOnnxTensors } = await load('adapters/onnx/index.js')
const { toTensor } = await load('adapters/tensors/convert.js')
const { openZip } = await load('adapters/zip/index.js')
const { readNpy } = await load('cli/data/npy.js')
const { LaplaceError } = await load('core/errors/errors.js')
const { runGraph } = await load('core/engine/typescript.js')
const { BATCH, concreteShape, isBatch } = await load('core/graph/graph.js')
const { laplace } = await load('core/laplace/laplace.js')
const { isSupported } = await load('core/ops/registry.js')
const architectures = new Map(
  Object.entries(JSON.parse(readFileSync(new URL('corpus-architectures.json', import.meta.url), 'utf8'))),
)

const EXAMPLES = 2
const host = { inflate: (bytes, maxOutput) => zlib.inflateRawSync(bytes, { maxOutputLength: maxOutput }),
  ...(zlib.crc32 === undefined ? {} : { crc32: zlib.crc32 }) }

/** Numbers in (-1, 1), the same in every run. */
function seededRandom(seed) {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 31 - 1
  }
}

function filesBelow(path) {
  return readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(
      entry => (entry.isDirectory()
        ? filesBelow(join(path, entry.name))
        : entry.isFile() && !/^PROVENANCE|^MANIFEST|\.md$/.test(entry.name)
        ? [join(path, entry.name)]
        : []),
    )
}

/** ONNX external data lies beside the model. */
function hintsFor(path) {
  const beside = dirname(path)
  const files = extname(path) === '.onnx'
    ? new Map(
      readdirSync(beside).filter(name => /\.(bin|data|weights)$/.test(name)).map(
        name => [name, readFileSync(join(beside, name))],
      ),
    )
    : new Map()
  const extra = architectures.get(basename(path)) ?? {}
  return { ...host, ...(files.size === 0 ? {} : { files }), ...extra }
}

/** A TensorProto is the initialiser of a model: field 7 of the model is the graph, field 5 of the graph the tensor. */
function readTensorProto(bytes) {
  const field = (number, content) => Buffer.concat([Buffer.from([number << 3 | 2]), varint(content.length), content])
  // Field 8 is the name, which PyTorch leaves out.
  const [value] = readOnnxTensors(field(7, field(5, Buffer.concat([bytes, field(8, Buffer.from('data'))])))).values()
  return toTensor(value, 'data')
}

function varint(value) {
  const bytes = []
  for (; value > 127; value = Math.floor(value / 128)) bytes.push(value % 128 | 128)
  return Buffer.from([...bytes, value])
}

/** Inputs and outputs beside a model, in order, or undefined. */
function examplesBeside(path) {
  const beside = dirname(path)
  const archive = name => {
    const zip = openZip(readFileSync(join(beside, name)), host)
    return zip.names.map(entry => [entry.replace(/\.npy$/, ''), readNpy(zip.read(entry))])
  }
  if (existsSync(join(beside, 'inputs.npz'))) return { inputs: archive('inputs.npz'), outputs: archive('outputs.npz') }
  const set = join(beside, 'test_data_set_0')
  if (!existsSync(set)) return undefined
  const numbered = kind =>
    readdirSync(set).filter(name => name.startsWith(kind)).sort().map(
      name => ['', readTensorProto(readFileSync(join(set, name)))],
    )
  return { inputs: numbered('input'), outputs: numbered('output') }
}

const precisionFor = graph => (graph.inputs.some(input => input.dtype === 'float64') ? 'float64' : 'float32')

/** Random examples; integers become 0, which every table of tokens has. */
function randomInputs(graph, examples) {
  const random = seededRandom(1)
  const inputs = new Map(graph.inputs.map(({ name, dtype, shape }) => {
    const extents = concreteShape(shape, examples)
    const length = extents.reduce((a, b) => a * b, 1)
    const data = dtype === 'float32'
      ? new Float32Array(length)
      : dtype === 'bool'
      ? new Uint8Array(length)
      : new Float64Array(length)
    if (dtype === 'float32' || dtype === 'float64') { for (let i = 0; i < length; i++) data[i] = random() }
    return [name, { dtype, shape: extents, data }]
  }))
  return { inputs }
}

function outputsOf(graph, inputs) {
  const values = runGraph(graph, inputs, precisionFor(graph))
  return graph.outputs.map(name => values.get(name))
}

/**
 * The largest difference to the outputs beside the model, relative to the largest output; NaN where shapes or sizes
 * differ.
 */
function compare(graph, { inputs, outputs }) {
  const floats = graph.inputs.map(input => input.name)
  const named = new Map(graph.inputs.map(({ name, shape }, i) => {
    const value = inputs.find(([key]) => key === name)?.[1] ?? inputs[i]?.[1]
    const n = batchOf(shape, value)
    return [name, { ...value, dtype: graph.inputs[i].dtype, shape: concreteShape(shape, n),
      data: converted(value, graph.inputs[i].dtype) }]
  }))
  if (floats.length > inputs.length) return NaN
  const results = outputsOf(graph, named)
  let worst = 0
  results.forEach((result, i) => {
    const expected = outputs.find(([key]) => key === graph.outputs[i])?.[1] ?? outputs[i]?.[1]
    if (expected === undefined || expected.data.length !== result.data.length) {
      worst = NaN
      return
    }
    const scale = expected.data.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-30)
    for (let j = 0; j < expected.data.length; j++) {
      worst = Math.max(worst, Math.abs(Number(expected.data[j]) - result.data[j]) / scale)
    }
  })
  return worst
}

function batchOf(shape, value) {
  const fixed = shape.filter(dim => !isBatch(dim)).reduce((a, b) => a * b, 1)
  return value.data.length / fixed
}

function converted({ data }, dtype) {
  return dtype === 'float32'
    ? Float32Array.from(data)
    : dtype === 'bool'
    ? Uint8Array.from(data)
    : Float64Array.from(data)
}

/** Weights beyond which a file is not fitted here: it may take minutes. */
const MOST_WEIGHTS = 15_000

/** Rows of an input that has its examples on another axis. */
function examplesFirst(values, { name, dtype, shape }) {
  const axis = shape.findIndex(isBatch)
  if (axis < 1) return values
  const perm = [axis, ...shape.keys()].filter((each, i) => i === 0 || each !== axis)
  const graph = { inputs: [{ name, dtype, shape: values.shape }], outputs: ['first'], initializers: new Map(),
    parameters: [], notes: [], nodes: [{ op: 'Transpose', inputs: [name], outputs: ['first'], attributes: { perm } }] }
  return runGraph(graph, new Map([[name, values]]), 'float32').get('first')
}

/** What comes of a fit with the network's own outputs as targets: true, or the error's words. */
async function fitted(graph, subset, structure) {
  const chosen = graph.outputs[0]
  const { inputs } = randomInputs(graph, 6)
  const rows = graph.inputs.map(input => ({ name: input.name, values: examplesFirst(inputs.get(input.name), input) }))
  const x = rows.length > 1 ? rows : rows[0]?.values
  try {
    const options = { likelihood: 'regression', subset, structure, output: chosen, tune: 'none', priorPrecision: 1,
      sigmaNoise: 1 }
    const task = laplace(graph, options)
    const outputs = runGraph({ ...graph, outputs: [chosen] }, inputs, precisionFor(graph)).get(chosen)
    const axis = outputs.shape[0] === 6 ? 0 : outputs.shape.indexOf(6)
    const y = examplesFirst(outputs, { ...outputs, name: 'y',
      shape: outputs.shape.map((n, i) => (i === axis ? BATCH : n)) })
    const posterior = await task.fit(x, { dtype: 'float64', shape: y.shape, data: Float64Array.from(y.data, Number) })
    const { variance } = await posterior.predict(x)
    return variance.data.every(Number.isFinite) ? true : 'variances that are no numbers'
  } catch (error) {
    if (!(error instanceof LaplaceError) || error.code === 'INTERNAL') throw error
    return `${error.code}: ${error.message}`
  }
}

/** Fits of the last layer and of all weights, where there are weights and not too many. */
async function fits(graph, parameters) {
  if (parameters === 0 || parameters > MOST_WEIGHTS) return {}
  return { lastLayer: await fitted(graph, 'last_layer', 'kron'), all: await fitted(graph, 'all', 'kron') }
}

/** What happens with one file. */
async function examine(path) {
  const bytes = readFileSync(path)
  const hints = hintsFor(path)
  const about = await describeFile(bytes, hints)
  const row = { file: relative(folder, path).replaceAll('\\', '/'), format: about.format, tensors: about.tensors.length,
    elements: about.tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0) }
  if (about.problem !== undefined) {
    return { ...row, kind: about.supported && row.tensors > 0 ? 'tensors' : 'refused', code: about.problem.code,
      text: about.problem.message }
  }
  const graph = await readNetwork(bytes, hints)
  const network = { ...row, layers: graph.nodes.length, parameters: about.parameterCount, kind: 'network',
    hinted: architectures.has(basename(path)) }
  const unsupported = [...new Set(graph.nodes.map(node => node.op).filter(op => !isSupported(op)))]
  if (unsupported.length > 0) {
    const said = await fitted(graph, 'last_layer', 'kron')
    return { ...network, kind: 'unsupported', code: 'UNSUPPORTED_OPERATOR',
      text: `read; not supported when it is to run: ${unsupported.sort().join(', ')}. ${said === true ? '' : said}` }
  }
  try {
    const shapes = outputsOf(graph, randomInputs(graph, EXAMPLES).inputs).map(output =>
      `${output.shape.join(' x ') || 'scalar'}${output.data.every(Number.isFinite) ? '' : ' (not finite)'}`
    )
    const beside = examplesBeside(path)
    const difference = beside === undefined || !graphFits(graph, beside) ? undefined : compare(graph, beside)
    return { ...network, text: `runs: ${shapes.join(', ')}`, difference, ...await fits(graph, about.parameterCount) }
  } catch (error) {
    if (!(error instanceof LaplaceError) || error.code === 'INTERNAL') throw error
    return { ...network, kind: 'not run', code: error.code, text: error.message }
  }
}

function graphFits(graph, { inputs }) {
  return graph.inputs.length === inputs.length
}

const cell = text => String(text).replaceAll('|', '\\|').replaceAll('\n', ' ').slice(0, 700)
const agreement = difference => (difference === undefined
  ? ''
  : Number.isNaN(difference)
  ? '; its outputs have another shape than those beside it'
  : difference < 1e-5
  ? '; equal to the outputs beside it'
  : `; differs from the outputs beside it by ${difference.toExponential(0)}`)

/** What of the fits is worth a word. */
function fitting({ lastLayer, all }) {
  if (lastLayer === undefined) return ''
  if (lastLayer === true && all === true) return '; fits'
  return `; last layer ${lastLayer === true ? 'fits' : lastLayer}; all weights ${all === true ? 'fit' : all}`
}

function line(row) {
  const read = row.layers === undefined
    ? (row.tensors > 0 ? `${row.tensors} tensors, ${row.elements} values` : '')
    : `${row.layers} operations, ${row.parameters} parameters${row.hinted ? ' (with hints)' : ''}`
  const outcome = row.code === undefined
    ? `${row.text}${agreement(row.difference)}${fitting(row)}`
    : `${row.code}: ${row.text}`
  return `| ${cell(row.file)} | ${cell(row.format)} | ${read} | ${cell(outcome)} |`
}

const rows = []
for (const path of filesBelow(folder)) {
  const start = performance.now()
  try {
    rows.push(await examine(path))
  } catch (error) {
    rows.push({ file: relative(folder, path), format: '?', tensors: 0, elements: 0, kind: 'failed', code: 'FAULT',
      text: error instanceof Error ? error.stack ?? error.message : String(error) })
  }
  const seconds = (performance.now() - start) / 1000
  if (seconds > 5) process.stderr.write(`${path} (${statSync(path).size} bytes) took ${seconds.toFixed(1)} s\n`)
}

const isRefused = ({ lastLayer, all }) => [lastLayer, all].some(each => typeof each === 'string')
const count = kind => rows.filter(row => row.kind === kind).length
const summary = [
  ['networks read and run', count('network')],
  ['of these compared with outputs beside them and equal', rows.filter(row => row.difference < 1e-5).length],
  [`networks of up to ${MOST_WEIGHTS} weights whose last layer fits`,
    rows.filter(row => row.lastLayer === true).length],
  ['networks of as many in which all weights fit', rows.filter(row => row.all === true).length],
  ['networks in which a fit is refused',
    rows.filter(row => typeof row.lastLayer === 'string' || typeof row.all === 'string').length],
  ['networks read, with operators that are not supported', count('unsupported')],
  ['networks read, refused when they were to run', count('not run')],
  ['files of tensors without a network (an architecture makes one)', count('tensors')],
  ['files refused with a typed error', count('refused')],
  ['faults of the readers', count('failed')],
]
writeFileSync(table, `# What the readers make of real files

Written by \`npm run corpus\` from ${rows.length} files of other projects (their origins are listed with them).
Networks are run on two random examples; where a project keeps inputs and outputs beside a network, the outputs are
compared. The last layer and all weights (structure kron) are fitted to the network's own outputs.
Every refusal is a typed error; its message says what to do. Files of weights that are marked "with hints"
were read with the layers, the activation or the choice of
[corpus-architectures.json](../scripts/corpus-architectures.json).

| outcome | files |
|---|---:|
${summary.map(([what, files]) => `| ${what} | ${files} |`).join('\n')}

| file | format | read | outcome |
|---|---|---|---|
${rows.map(line).join('\n')}
`)
for (const [what, files] of summary) process.stdout.write(`${String(files).padStart(5)} ${what}\n`)
if (count('failed') > 0) {
  for (const row of rows.filter(row => row.kind === 'failed')) process.stderr.write(`${row.file}: ${row.text}\n`)
  process.exitCode = 1
}
