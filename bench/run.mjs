/**
 * @file Measures this library beside laplace-torch and laplax, and writes bench/results/ and docs/performance.md: the
 * cells here, then networks that are not dense, kernels, and memory beside its forecast, each by its own program.
 *
 *     npm run bench                          everything: about an hour, on a machine that does nothing else
 *     npm run bench -- --only W3,W6/all/diag these workloads or cells; the others keep their last results
 *     npm run bench -- --seed 5              other data and other weights
 *     npm run bench -- --quick               small sizes, to see that everything runs; no table is written
 *     npm run bench -- --quick --ours        without peers, torch and training
 *
 * Further options: --libraries typescript,laplace-torch; --rounds 3; --timeout 1800 (seconds of one process);
 * --environment .venv-bench.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gemmRates } from './gemm-rate.mjs'
import { LIBRARIES } from './libraries.mjs'
import { measureCell } from './measure-cell.mjs'
import { writeReport } from './report.mjs'
import { readSpec } from './workload-data.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const { values: options } = parseArgs({
  options: {
    'only': { type: 'string' },
    'seed': { type: 'string', default: '0' },
    'quick': { type: 'boolean', default: false },
    'ours': { type: 'boolean', default: false },
    'libraries': { type: 'string' },
    'rounds': { type: 'string' },
    'timeout': { type: 'string', default: '1800' },
    'environment': { type: 'string', default: '.venv-bench' },
  },
})
const kind = options.quick ? 'quick' : 'full'
const results = join(root, 'bench/results', kind)
const wanted = options.only?.split(',')
const libraries = options.libraries?.split(',') ??
  LIBRARIES.filter(library => !options.ours || library.peer !== true).map(library => library.key)
const unknown = libraries.filter(key => !LIBRARIES.some(library => library.key === key))
if (unknown.length > 0) {
  throw new Error(`There is no library '${unknown[0]}'; there are ${LIBRARIES.map(library => library.key).join(', ')}.`)
}

const python = options.ours ? ownPython() : peersPython()
const data = join(root, 'bench/results', `data-${kind}-${options.ours ? 'untrained-' : ''}${options.seed}`)
say('Writing the workloads')
run(python, [join(root, 'bench/workloads.py'), data, '--seed', options.seed, ...options.quick ? ['--quick'] : [],
  ...options.ours ? ['--untrained'] : [], ...workloadNames()])
const cells = await selectedCells()
if (cells.length === 0) throw new Error(`No cell is named '${options.only}'.`)
say('Measuring the rate of matrix products')
const rates = await gemmRates(options)
const machine = describeMachine()
await mkdir(results, { recursive: true })
let failures = 0
for (const [i, cell] of cells.entries()) {
  say(`${i + 1} of ${cells.length}: ${cell.workload} ${cell.cell} (${cell.spec.title})`)
  const rounds = Number(options.rounds ?? (options.quick ? 1 : 3))
  const record = await measureCell(cell, { python, libraries, rounds, timeout: Number(options.timeout),
    quick: options.quick, rates, progress: line => {
      process.stderr.write(`  ${line}\n`)
    } })
  failures += Object.values(record.results).filter(result => result.failure !== undefined).length
  await writeFile(join(results, `${cell.workload}.${cell.cell.replace('/', '-')}.json`),
    `${JSON.stringify({ ...record, rates, machine, seed: Number(options.seed) }, null, 1)}\n`)
}
say(`Written: ${await writeReport(kind)}`)
if (wanted === undefined && !options.quick && !options.ours) measureTheRest()
if (failures > 0) {
  say(`${failures} processes failed.`)
  process.exitCode = 1
}

/** Networks that are not dense, kernels, and memory of all of them; each writes its tables. */
function measureTheRest() {
  const { environment } = options
  const program = (name, ...args) => {
    say(`bench/${name}`)
    run(process.execPath, [join(root, 'bench', name), ...args], { POLYLAPLACE_PYTHON: python })
  }
  program('networks.mjs', '--environment', environment)
  program('kernels.mjs')
  for (const folder of [data, join(root, 'bench/results/data-networks')]) program('memory.mjs', folder)
}

/** The tests' environment where there is one: it has numpy, msgpack and safetensors. */
function ownPython() {
  const tests = join(root, '.venv/bin/python')
  return process.env.POLYLAPLACE_PYTHON ?? (existsSync(tests) ? tests : 'python3')
}

/** Makes the environment with torch, laplace-torch and laplax. */
function peersPython() {
  run('bash', [join(root, 'bench/setup.sh'), options.environment])
  return join(root, options.environment, 'bin/python')
}

/** Names of workloads from names of workloads and cells: W3/all/diag is in W3. */
function workloadNames() {
  return wanted === undefined ? [] : [...new Set(wanted.map(name => name.split('/')[0]))]
}

async function selectedCells() {
  const names = (await readdir(data)).filter(name => name.endsWith('.json')).map(name => name.slice(0, -5))
  const list = []
  for (const workload of names.sort(byNumber)) {
    const path = join(data, workload)
    const spec = await readSpec(path)
    for (const pair of spec.cells) list.push({ path, workload, spec, cell: pair.join('/') })
  }
  return list.filter(({ workload, cell }) =>
    wanted === undefined ||
    wanted.some(name => `${workload}/${cell}/`.startsWith(`${name}/`) || workload.startsWith(`${name}-`))
  )
}

/** W8-1000 before W8-10000. */
function byNumber(a, b) {
  return a.localeCompare(b, 'en', { numeric: true })
}

function describeMachine() {
  const git = (...args) => {
    try {
      return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim()
    } catch {
      return ''
    }
  }
  const commit = git('rev-parse', '--short', 'HEAD')
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: git('status', '--porcelain', '--untracked-files=no') === '' ? commit : `${commit} with changes`,
    processor: cpus()[0].model,
    cores: availableParallelism(),
    memoryGb: Math.round(totalmem() / 1e9),
    node: process.versions.node,
  }
}

function run(program, args, environment = {}) {
  execFileSync(program, args, { cwd: root, stdio: ['ignore', 2, 2], env: { ...process.env, ...environment } })
}

function say(line) {
  process.stderr.write(`${line}\n`)
}
