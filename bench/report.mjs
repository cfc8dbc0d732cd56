/**
 * @file Puts the stored results into docs/performance.md, between the comments that mark its tables; everything else
 * there is written by hand.
 *
 *     node bench/report.mjs [quick]
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { markdownTable, memoryText, rateText, ratioText, replaceTable, timeText } from './format.mjs'
import { fullSize, goals } from './goals.mjs'
import { ENGINES, LIBRARIES } from './libraries.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const PAGE = join(root, 'docs/performance.md')
const PHASES = ['fit', 'tune', 'predict']
const CELLS = ['all/full', 'all/kron', 'all/diag', 'last_layer/kron', 'last_layer/full', 'last_layer/diag']

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(`${await writeReport(process.argv[2] === 'quick' ? 'quick' : 'full')}\n`)
}

/** Writes the page from the stored results, a quick one beside them; returns its path. */
export async function writeReport(kind) {
  const folder = join(root, 'bench/results', kind)
  const records = await stored(folder)
  const kernels = await readFile(join(root, 'bench/results', `kernels-${kind}.json`), 'utf8').then(JSON.parse, () => [])
  // What was not measured keeps its table.
  const tables = {
    ...records.length > 0 &&
      { machine: machineTable(records), goals: goalsTable(records, kernels), cells: cellSections(records),
        scaling: scalingTable(records), client: clientTable(records) },
    ...kernels.length > 0 && { kernels: kernelsTable(kernels) },
  }
  let page = await readFile(PAGE, 'utf8')
  for (const [name, table] of Object.entries(tables)) page = replaceTable(page, name, table)
  const target = kind === 'full' ? PAGE : join(folder, 'performance.md')
  await writeFile(target, page)
  return target
}

/** The cells of the last runs, in order. */
async function stored(folder) {
  const names = (await readdir(folder).catch(() => [])).filter(name => name.endsWith('.json'))
  const records = await Promise.all(names.map(async name => JSON.parse(await readFile(join(folder, name), 'utf8'))))
  return records.sort((a, b) =>
    a.workload.localeCompare(b.workload, 'en', { numeric: true }) || CELLS.indexOf(a.cell) - CELLS.indexOf(b.cell)
  )
}

/** One row for each run that results come from. */
function machineTable(records) {
  const runs = new Map(
    records.map(({ machine, rates, seed }) => [JSON.stringify([machine, rates, seed]), { machine, rates, seed }]),
  )
  return markdownTable(
    ['date', 'commit', 'seed', 'processor', 'Node', 'product float32, our kernels', 'float64', 'float32, onnxruntime',
      'float64'],
    [...runs.values()].map(({ machine, rates, seed }) => [
      machine.date,
      machine.commit,
      String(seed),
      `${machine.processor}, ${machine.cores} cores, ${machine.memoryGb} GB`,
      machine.node,
      ...ENGINES.flatMap(engine => ['float32', 'float64'].map(dtype => rateText(rates[engine]?.[dtype]))),
    ]),
  )
}

function goalsTable(records, kernels) {
  const words = new Map([[true, 'met'], [false, 'not met'], [undefined, '']])
  return markdownTable(['goal', '', 'values that meet it'],
    goals(records, kernels).map(({ goal, met, detail }) => [goal, words.get(met), detail]))
}

/** A heading and a table for each workload. */
function cellSections(records) {
  const workloads = [...new Set(records.map(({ workload }) => workload))]
  return workloads.map(workload => {
    const cells = records.filter(record => record.workload === workload)
    return `\n### ${workload}: ${cells[0].title}\n\n${cellTable(cells)}\n`
  }).join('')
}

function cellTable(records) {
  const header = ['cell', 'library', 'fit', 'tune', 'predict', 'start to result', 'peak memory', 'of it import',
    'difference', 'fit / limit', 'predict / limit']
  return markdownTable(header,
    records.flatMap(record =>
      LIBRARIES.filter(({ key }) => key !== 'client').flatMap(library => libraryRows(record, library))
    ))
}

/** The row of a library in a cell; and of its run at a smaller size, where there is one. */
function libraryRows(record, { key, label }) {
  const result = record.results[key]
  if (result === undefined) return []
  const blank = Array(9).fill('')
  if (result.unavailable !== undefined) return [[record.cell, label, 'not available', ...blank.slice(1)]]
  if (result.failure !== undefined) {
    return [[record.cell, label, `failed: ${result.failure.split('\n').at(-1)}`, ...blank.slice(1)]]
  }
  const smaller = result.n < record.n || result.test < record.test
  const rows = [[record.cell, label, ...PHASES.map(phase => phaseText(record, result, key, phase)),
    smaller ? '' : timeText(result.start), ...smaller ? ['', ''] : memory(result), difference(result),
    ...overLimit(record, result, key)]]
  const reduced = smaller ? result : record.results[`${key} reduced`]
  if (reduced?.fit !== undefined) {
    const size = `N=${reduced.n.toLocaleString('en')}, predict ${reduced.test.toLocaleString('en')}`
    rows.push([record.cell, `${label} at ${size}`, ...PHASES.map(phase => sameSizeText(record, reduced, key, phase)),
      timeText(reduced.start), ...memory(reduced), smaller ? '' : difference(reduced), '', ''])
  }
  return rows
}

function memory({ peakMb, importMb }) {
  return [memoryText(peakMb), memoryText(importMb)]
}

function difference({ difference: value }) {
  return value === undefined ? '' : value.toExponential(0)
}

/**
 * A time, and for our engines how many times longer laplace-torch takes; ~ before what is scaled from a smaller size.
 */
function phaseText(record, result, key, phase) {
  const scaled = (each, what) =>
    (what === 'fit' && each.n < record.n) || (what === 'predict' && each.test < record.test)
  const text = `${scaled(result, phase) ? '~' : ''}${timeText(fullSize(record, result, phase))}`
  const other = record.results['laplace-torch']
  if (!ENGINES.includes(key) || other?.fit === undefined) return text
  return `${text} (${scaled(other, phase) ? '~' : ''}${ratioText(fullSize(record, other, phase) / result[phase])})`
}

/** The same at the smaller size, nothing scaled. */
function sameSizeText(record, result, key, phase) {
  const other = record.results['laplace-torch']
  const text = timeText(result[phase])
  return ENGINES.includes(key) && other?.fit !== undefined
    ? `${text} (${ratioText(other[phase] / result[phase])})`
    : text
}

function overLimit(record, result, key) {
  const limit = record.limits[key]
  return limit === undefined ? ['', ''] : [ratioText(result.fit / limit.fit), ratioText(result.predict / limit.predict)]
}

/** W8: does time grow with N, and memory not? */
function scalingTable(records) {
  const rows = records.filter(({ workload }) => workload.startsWith('W8-')).flatMap(record =>
    ENGINES.flatMap(engine => {
      const result = record.results[engine]
      return result?.fit === undefined
        ? []
        : [[engine, record.n.toLocaleString('en'), timeText(result.fit),
          `${(1e6 * result.fit / record.n).toPrecision(3)} us`, memoryText(result.peakMb)]]
    })
  )
  return markdownTable(['engine', 'N', 'fit', 'for each example', 'peak memory'], rows)
}

/** What the pipe of the Python client costs. */
function clientTable(records) {
  const rows = records.flatMap((
    { workload, cell, results: { client, typescript } },
  ) => (client?.fit === undefined || typescript?.fit === undefined ? [] : [[
    `${workload} ${cell}`,
    ...PHASES.map(phase => `${timeText(client[phase])} (${ratioText(client[phase] / typescript[phase])})`),
    timeText(client.start),
    timeText(typescript.start),
  ]]))
  return markdownTable(['cell', 'fit', 'tune', 'predict', 'start to result', 'the same in Node'], rows)
}

function kernelsTable(kernels) {
  const builds = ['relaxed-simd', 'simd', 'plain']
  return markdownTable(
    ['kernel', 'type', 'shape', 'unit', ...builds, 'numpy', 'onnxruntime'],
    kernels.map((
      { kernel, dtype, label, unit, shown },
    ) => [kernel, dtype, label, unit, ...[...builds, 'numpy', 'onnxruntime'].map(name => shown[name] ?? '')]),
  )
}
