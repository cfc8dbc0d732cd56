/**
 * @file Measures what every cell of the benchmark holds at its peak beside what was forecast, without peers and times,
 * and writes the table of docs/performance.md.
 *
 *     npm run bench -- --ours                     writes the workloads (networks that are not dense: by name)
 *     node bench/memory.mjs FOLDER [W3,W6/all]    each cell and engine in a process of its own, once; runs add up
 */
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { markdownTable, replaceTable } from './format.mjs'
import { ENGINES } from './libraries.mjs'
import { readSpec } from './workload-data.mjs'

const here = name => fileURLToPath(new URL(name, import.meta.url))
const [RESULTS, PAGE] = [here('results/memory.json'), here('../docs/performance.md')]
const [folder, only] = process.argv.slice(2)
const wanted = only?.split(',')
const stored = await readFile(RESULTS, 'utf8').then(JSON.parse, () => ({}))
for (const name of (await readdir(folder)).filter(file => file.endsWith('.json')).map(file => file.slice(0, -5))) {
  for (const cell of (await readSpec(join(folder, name))).cells) await measure(name, cell.join('/'))
}
await writeFile(PAGE, replaceTable(await readFile(PAGE, 'utf8'), 'forecasts', table()))

async function measure(workload, cell) {
  if (wanted !== undefined && !wanted.some(prefix => `${workload}/${cell}`.startsWith(prefix))) return
  for (const engine of ENGINES) {
    const lines = execFileSync(process.execPath, [here('ours.mjs'), join(folder, workload), cell, '--engine', engine,
      '--memory'], { encoding: 'utf8' }).trim().split('\n').map(line => JSON.parse(line))
    const first = lines.find(({ event }) => event === 'first')
    if (first === undefined) continue
    const { before_mb: before, forecast_mb: forecast, taken_mb: taken } = first
    // What an earlier forecast said is of no interest; what was taken is.
    const key = `${workload} ${cell} ${engine}`
    stored[key] = { forecast, runs: [...stored[key]?.runs ?? [], { before, taken }] }
    process.stderr.write(`${key}: ${forecast.toFixed(0)} MB forecast, ${taken.toFixed(0)} taken\n`)
  }
  await mkdir(here('results'), { recursive: true })
  await writeFile(RESULTS, JSON.stringify(stored, null, 1))
}

function table() {
  const keys = Object.keys(stored).sort((a, b) =>
    engineOf(a) - engineOf(b) ||
    a.localeCompare(b, 'en', { numeric: true })
  )
  return markdownTable(['cell', 'engine', 'forecast', 'taken', 'forecast peak / measured peak'], keys.map(key => {
    const [workload, cell, engine] = key.split(' ')
    const { forecast, runs } = stored[key]
    const ratios = runs.map(({ before, taken }) => (before + forecast) / (before + taken))
    return [`${workload} ${cell}`, engine, `${forecast.toFixed(0)} MB`,
      `${range(runs.map(({ taken }) => taken), 0)} MB`, range(ratios, 2)]
  }))
}

function engineOf(key) {
  return ENGINES.indexOf(key.split(' ')[2])
}

function range(numbers, digits) {
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)].map(number => number.toFixed(digits))
  return least === most ? least : `${least} to ${most}`
}
