/**
 * @file Low-rank, functional and sampled posteriors of a network whose P x P can never be stored: CPU time, wall time
 * and the largest resident memory of fit and prediction.
 *
 *     node bench/large-posterior.mjs lowrank|functional|samples [--sizes A,B,C] [--rows N] [--rank R] [--samples K]
 *       [--threads T]
 *
 * The network and its rows are drawn by a seed; 10,006,004 weights by default.
 */
import { parseArgs } from 'node:util'
import { laplace } from 'polylaplace'
import { BATCH, GraphBuilder, tensor } from 'polylaplace/core'
import { randomGenerator } from '../dist/core/tensor/random.js'

const { values: options, positionals: [structure = 'lowrank'] } = parseArgs({ allowPositionals: true,
  options: { sizes: { type: 'string', default: '1000,2500,3000,4' }, rows: { type: 'string', default: '500' },
    rank: { type: 'string', default: '8' }, samples: { type: 'string', default: '16' }, threads: { type: 'string' } } })
const sizes = options.sizes.split(',').map(Number)
const [rows, rank] = [Number(options.rows), Number(options.rank)]
const random = randomGenerator(1)
const normals = (shape, scale) =>
  tensor('float32', shape, random.fillNormal(new Float32Array(shape.reduce((a, b) => a * b))).map(v => v * scale))
const b = new GraphBuilder('float32')
let h = b.input('x', [BATCH, sizes[0]])
sizes.slice(1).forEach((out, i) => {
  const z = b.node('Gemm', [h, b.parameter(`${i}.weight`, normals([out, sizes[i]], Math.sqrt(2 / sizes[i]))),
    b.parameter(`${i}.bias`, normals([out], 0.1))], { transB: 1 })
  h = i + 2 < sizes.length ? b.node('Relu', [z]) : z
})
const classes = sizes[sizes.length - 1]
const [x, xNew] = [normals([rows, sizes[0]], 1), normals([50, sizes[0]], 1)]
const started = performance.now()
const own = structure === 'lowrank'
  ? { rank }
  : structure === 'samples'
  ? { samples: Number(options.samples) }
  : { nSubset: Math.max(1, Math.floor(rank / classes)) }
const posterior = await laplace(b.build([h]), { likelihood: 'classification', subset: 'all', structure,
  priorPrecision: 100, ...own, ...(options.threads === undefined ? {} : { threads: Number(options.threads) }) })
  .fit(nested(x), Array.from({ length: rows }, (_, n) => n % classes))
const fitted = spent()
const { variance } = await posterior.predict(nested(xNew), { uncertainty: false })
console.log(
  JSON.stringify({ structure, parameters: posterior.parameterCount, rows, rank, fit: fitted, all: spent(),
    logDetRatio: posterior.core.logDetRatio, variance: Array.from(variance.data.slice(0, 3)), notes: posterior.notes },
    undefined, 1),
)

function nested({ data, shape: [n, width] }) {
  return Array.from({ length: n }, (_, i) => data.subarray(i * width, (i + 1) * width))
}

function spent() {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  return { cpuSeconds: (userCPUTime + systemCPUTime) / 1e6, wallSeconds: (performance.now() - started) / 1000,
    peakGiB: maxRSS / 2 ** 20 }
}
