/**
 * @file How fits grow: with the rows N, the weights P, the classes C, and with one thread or two. Each cell runs in a
 * process of its own; the table has processor seconds (user and system, all threads), the time that passed, the peak
 * memory, and the slope from the cell before: 1 is growth in proportion.
 *
 *     node bench/scaling.mjs [rows|weights|classes] [--most N] [--threads 1,2]
 *
 * With other work on the machine the time that passed says nothing; processor seconds grow by a half at most.
 */
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { laplace } from 'polylaplace'
import { BATCH, GraphBuilder, tensor } from 'polylaplace/core'
import { randomGenerator } from '../dist/core/tensor/random.js'

/** What grows, from where to where, and what is fitted at each size. */
const SERIES = {
  rows: { from: 1e3, to: 1e6, expected: 'N: 1',
    cell: n => ({ sizes: [64, 64, 32, 10], rows: n, subset: 'all', structure: 'kron' }) },
  weights: { from: 1e3, to: 1e8, expected: 'P: 1',
    cell: p => ({ sizes: [Math.round(Math.sqrt(p / 2)), Math.round(Math.sqrt(p / 2)), Math.round(Math.sqrt(p / 2)), 10],
      rows: 64, subset: 'all', structure: 'diag' }) },
  classes: { from: 1, to: 1e4, expected: 'C: 1, then 2 where C x C factors are summed',
    cell: c => ({ sizes: [128, c], rows: 2000, subset: 'last_layer', structure: 'kron' }) },
}
const BATCH_ROWS = 4096

const { values: options, positionals: [name] } = parseArgs({ allowPositionals: true,
  options: { most: { type: 'string' }, threads: { type: 'string' }, cell: { type: 'string' } } })

if (options.cell === undefined) {
  for (const series of name === undefined ? Object.keys(SERIES) : [name]) table(series)
} else console.log(JSON.stringify(await measure(JSON.parse(options.cell))))

/** Prints the rows of one series. */
function table(series) {
  const { from, to, expected, cell } = SERIES[series]
  console.log(`\n| ${series} (slope expected: ${expected}) | threads | processor s | time s | peak MB | slope |`)
  console.log('| ---: | ---: | ---: | ---: | ---: | ---: |')
  for (const threads of (options.threads ?? '1,2').split(',').map(Number)) {
    let before
    for (let size = from; size <= Math.min(to, Number(options.most ?? to)); size *= 10) {
      const { cpu, wall, peak } = inOwnProcess({ ...cell(size), threads })
      const slope = before === undefined ? '' : Math.log10(cpu / before).toFixed(2)
      console.log(
        `| ${size.toLocaleString('en')} | ${threads} | ${cpu.toFixed(2)} | ${wall.toFixed(2)} | ${peak} | ${slope} |`,
      )
      before = cpu
    }
  }
}

function inOwnProcess(cell) {
  const own = fileURLToPath(import.meta.url)
  return JSON.parse(execFileSync(process.execPath, [own, '--cell', JSON.stringify(cell)], { encoding: 'utf8' }))
}

/** Processor and passed seconds of one fit with a given prior, and the largest resident memory in MB. */
async function measure({ sizes, rows, subset, structure, threads }) {
  const random = randomGenerator(1)
  const normals = (count, scale) => random.fillNormal(new Float32Array(count)).map(value => value * scale)
  const outputs = sizes[sizes.length - 1]
  const b = new GraphBuilder('float32')
  let value = b.input('x', [BATCH, sizes[0]])
  sizes.slice(1).forEach((out, i) => {
    const weight = tensor('float32', [out, sizes[i]], normals(out * sizes[i], 1 / Math.sqrt(sizes[i])))
    value = b.node('Gemm', [value, b.parameter(`${i}.weight`, weight),
      b.parameter(`${i}.bias`, tensor('float32', [out], new Float32Array(out)))], { transB: 1 })
    if (i < sizes.length - 2) value = b.node('Relu', [value])
  })
  const likelihood = outputs === 1 ? 'binary' : 'classification'
  const classes = Math.max(2, outputs)
  const block = normals(Math.min(rows, BATCH_ROWS) * sizes[0], 1)
  async function* batches() {
    for (let from = 0; from < rows; from += BATCH_ROWS) {
      const count = Math.min(BATCH_ROWS, rows - from)
      const y = Float64Array.from({ length: count }, (_, i) => (from + i) % classes)
      yield { x: { data: block.subarray(0, count * sizes[0]), shape: [count, sizes[0]] },
        y: { data: y, shape: outputs === 1 ? [count, 1] : [count] } }
    }
  }
  const fit = laplace(b.build([value]), { likelihood, subset, structure, threads, priorPrecision: 1 })
  const [cpu, start] = [process.cpuUsage(), performance.now()]
  await fit.fit(batches())
  const { user, system } = process.cpuUsage(cpu)
  return { cpu: (user + system) / 1e6, wall: (performance.now() - start) / 1000,
    peak: Math.round(process.resourceUsage().maxRSS / 1e3) }
}
