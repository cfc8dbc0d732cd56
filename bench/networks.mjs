/**
 * @file Measures networks that are not dense beside laplace-torch and ONNX Runtime, in seconds of one processor, and
 * writes the tables between the comments `networks`, `forward` and `profile` of docs/performance.md.
 *
 *     node bench/networks.mjs [--only res8,vit] [--environment .venv-bench] [--rounds 1] [--quick]
 *
 * Tables hold the last results of every network. Quick runs measure once after a first run, not three times or more.
 * Processor time instead of the clock's, so that other work on the machine disturbs less; every library has one thread.
 * Profiles name kernels where they were built with their names: KERNEL_NAMES=1 npm run build:kernels.
 */
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { markdownTable, memoryText, ratioText, replaceTable, timeText } from './format.mjs'
import { runMeasured } from './measured-process.mjs'
import { median, relativeDifference } from './statistics.mjs'
import { readSpec } from './workload-data.mjs'

const NAMES = ['W4', 'res8', 'resnet18', 'vit', 'transformer', 'lstm']
const LIBRARIES = ['typescript', 'auto', 'laplace-torch']
/** Which part of the work a function of a profile belongs to, by its name and file; the first that fits. */
const PARTS = [
  ['products', /microKernel|multiply|gemm|kernels\/product|mirrorLower|scale32/],
  ['packing, transforming',
    /pack|winograd|transformPanel|finishRow|spreadPlanes|gather|convolve|patches|kernels\/arena/],
  ['decompositions', /eigen|tridiagonal|reflect|cholesky|triangular|divide-and-conquer|secular|vector\//i],
  ['element by element',
    /arithmetic|elementwise|erf|rows\/|gate|pool|walk|strided|broadcast|scatter|copy|recurrence|repeatRow/i],
  ['reading, compiling',
    /passes\/|graph\/|onnx|protobuf|loader|esm|node:|compile|engine\/fuse|programs\/|FileHandle|ModuleStat/],
  ['reading, compiling', /estimate-memory|finite-weights|^ (read|parse|fstat|lstat|close)$/],
  ['garbage', /garbage/],
]

const root = fileURLToPath(new URL('..', import.meta.url))
const here = name => join(root, 'bench', name)
const { values: options } = parseArgs({
  options: { only: { type: 'string' }, rounds: { type: 'string', default: '1' },
    environment: { type: 'string', default: '.venv-bench' }, quick: { type: 'boolean', default: false },
    timeout: { type: 'string', default: '1800' } },
})
const quick = options.quick ? ['--quick'] : []
const names = options.only?.split(',') ?? NAMES
const python = join(root, options.environment, 'bin/python')
const [data, results] = [join(root, 'bench/results/data-networks'), join(root, 'bench/results/networks')]
const oneThread = { BENCH_CLOCK: 'cpu', OMP_NUM_THREADS: '1', MKL_NUM_THREADS: '1' }
await mkdir(results, { recursive: true })
execFileSync(python, [here('workloads.py'), data, ...names], { stdio: ['ignore', 'ignore', 2] })
for (const name of names) await measureNetwork(name)
await writeTables()

async function measureNetwork(name) {
  const path = join(data, name)
  const spec = await readSpec(path)
  const forward = JSON.parse(execFileSync(process.execPath, [here('forward.mjs'), path, '--rows', '16']))
  const cells = []
  for (const pair of spec.cells) {
    const cell = pair.join('/')
    const own = {}
    for (const library of LIBRARIES) own[library] = await measured(library, path, cell)
    cells.push({ cell, own, profile: await profile(path, cell) })
  }
  await writeFile(join(results, `${name}.json`), `${JSON.stringify({ name, spec, forward, cells }, null, 1)}\n`)
}

async function measured(library, path, cell) {
  const [program, args] = library === 'laplace-torch'
    ? [python, [here('peers/laplace_torch.py'), path, cell, ...quick]]
    : [process.execPath, [here('ours.mjs'), path, cell, '--engine', library, ...quick]]
  const records = []
  for (let round = 0; round < Number(options.rounds); round++) {
    const record = await runMeasured(program, args, { timeout: Number(options.timeout), env: oneThread })
    process.stderr.write(
      `${path.split('/').at(-1)} ${cell} ${library}: ${record.failure ?? JSON.stringify(record.done)}\n`,
    )
    if (record.done === undefined) return { failure: record.failure ?? 'not available' }
    records.push(record)
  }
  const middle = pick => median(records.map(pick))
  return { fit: middle(record => record.done.fit), tune: middle(record => record.done.tune),
    predict: middle(record => record.done.predict), peakMb: middle(record => record.first.peak_mb),
    importMb: middle(record => record.ready.import_mb), results: records[0].first.results }
}

/** Shares of the time of a first fit and prediction. */
async function profile(path, cell) {
  const folder = await mkdtemp(join(tmpdir(), 'polylaplace-profile-'))
  try {
    execFileSync(process.execPath, ['--cpu-prof', '--cpu-prof-dir', folder, here('ours.mjs'), path, cell, '--engine',
      'typescript', '--quick'], { env: { ...process.env, ...oneThread }, stdio: 'ignore' })
    const [file] = (await readdir(folder)).filter(name => name.endsWith('.cpuprofile'))
    return shares(JSON.parse(await readFile(join(folder, file), 'utf8')))
  } finally {
    await rm(folder, { recursive: true })
  }
}

function shares({ nodes, samples, timeDeltas }) {
  const parts = new Map(nodes.map(({ id, callFrame: { functionName, url } }) => [id, partOf(functionName, url)]))
  const times = {}
  samples.forEach((id, i) => {
    const part = parts.get(id)
    if (part !== undefined) times[part] = (times[part] ?? 0) + timeDeltas[i]
  })
  const total = Object.values(times).reduce((a, b) => a + b, 0)
  return Object.fromEntries(Object.entries(times).map(([part, time]) => [part, time / total]))
}

function partOf(name, url) {
  if (name === '(idle)' || name === '(root)') return undefined
  const own = `${url.replace(root, '')} ${name}`
  return PARTS.find(([, pattern]) => pattern.test(own))?.[0] ?? 'rest'
}

async function writeTables() {
  const files = (await readdir(results)).filter(name => name.endsWith('.json'))
  const records = await Promise.all(files.map(async name => JSON.parse(await readFile(join(results, name), 'utf8'))))
  records.sort((a, b) => NAMES.indexOf(a.name) - NAMES.indexOf(b.name))
  const page = join(root, 'docs/performance.md')
  let text = await readFile(page, 'utf8')
  text = replaceTable(text, 'networks', cellsTable(records))
  text = replaceTable(text, 'forward', forwardTable(records))
  text = replaceTable(text, 'profile', profileTable(records))
  await writeFile(page, text)
}

function cellsTable(records) {
  const rows = records.flatMap(({ name, spec, cells }) =>
    cells.flatMap(({ cell, own }) =>
      LIBRARIES.map(library => {
        const each = own[library]
        const first = [`${name}: ${spec.title}, N=${spec.n}, predict ${spec.test}`, cell, library]
        if (each.fit === undefined) return [...first, `failed: ${String(each.failure).split('\n').at(-1)}`]
        const other = own['laplace-torch']
        const versus = phase =>
          library === 'laplace-torch' || other.fit === undefined
            ? timeText(each[phase])
            : `${timeText(each[phase])} (${ratioText(other[phase] / each[phase])})`
        const difference = library === 'typescript' || own.typescript.results === undefined
          ? ''
          : relativeDifference(own.typescript.results, each.results).toExponential(0)
        return [...first, ...['fit', 'tune', 'predict'].map(versus), memoryText(each.peakMb), memoryText(each.importMb),
          difference]
      })
    )
  )
  return `${cpus()[0].model}, Node ${process.versions.node}, ${new Date().toISOString().slice(0, 10)}\n\n${
    markdownTable(['network', 'cell', 'library', 'fit', 'tune', 'predict', 'peak memory', 'of it import', 'difference'],
      rows)
  }`
}

function forwardTable(records) {
  return markdownTable(['network', 'rows at once', 'TypeScript, a row', 'ONNX Runtime, a row', 'ratio', 'difference'],
    records.map((
      { name, forward: { rows, ours, onnxruntime, difference } },
    ) => [name, String(rows), timeText(ours), timeText(onnxruntime), ratioText(ours / onnxruntime),
      difference.toExponential(0)]
    ))
}

function profileTable(records) {
  const parts = [...new Set(PARTS.map(([part]) => part)), 'rest']
  return markdownTable(['network', 'cell', ...parts], records.flatMap(({ name, cells }) =>
    cells.map((
      { cell, profile: own },
    ) => [name, cell, ...parts.map(part => `${Math.round(100 * (own[part] ?? 0))} %`)])
  ))
}
