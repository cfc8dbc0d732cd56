/**
 * @file Large fits with no option set: CPU time, wall time and the largest resident memory.
 *
 *     node bench/large.mjs head|stream|weights|exact [--rows N] [--threads T] [--sizes A,B,C] [--progress]
 *
 * Networks are drawn by a seed and labels from networks nearby, so that the networks know their rows and nothing has to
 * be trained.
 */
import { parseArgs } from 'node:util'
import { BATCH, forward, GraphBuilder, tensor } from '../dist/core/index.js'
import { randomGenerator } from '../dist/core/tensor/random.js'
import { laplace } from '../dist/index.js'

/** Sizes of the layers, rows, and how many are given at once where they come piece by piece. */
const CASES = {
  head: { sizes: [2048, 1000], rows: 1100 },
  stream: { sizes: [2048, 1000], rows: 1_280_000, batch: 2048 },
  weights: { sizes: [200, 800, 1000, 40, 10], rows: 100_000 },
  exact: { sizes: [18, 64, 36, 7], rows: 448 },
}
const LATENT = 20

const { values: options, positionals: [name] } = parseArgs({ allowPositionals: true,
  options: { rows: { type: 'string' }, threads: { type: 'string' }, sizes: { type: 'string' },
    progress: { type: 'boolean' } } })
const { sizes: usual, rows: usualRows, batch } = CASES[name]
const sizes = options.sizes?.split(',').map(Number) ?? usual
const rows = Number(options.rows ?? usualRows)
const [width, classes] = [sizes[0], sizes[sizes.length - 1]]
const random = randomGenerator(1)
const normals = (count, scale) => random.fillNormal(new Float32Array(count)).map(value => value * scale)
const weights = sizes.slice(1).map((out, i) => normals(out * sizes[i], Math.sqrt(2 / sizes[i])))
const nearby = weights.map((own, i) => normals(own.length, 0.3 * Math.sqrt(2 / sizes[i])).map((d, j) => d + own[j]))
const [graph, teacher] = [networkOf(weights), networkOf(nearby)]
const factors = normals(LATENT * width, 1 / Math.sqrt(LATENT))

const threads = options.threads === undefined ? {} : { threads: Number(options.threads) }
const fit = laplace(graph, { likelihood: 'classification', ...threads })
const given = batch === undefined ? await labelled(rows) : undefined
let before = now()
const work = { onProgress: ({ stage, done, total }) => {
  if (options.progress) {
    console.error(`${stage} ${done}/${total ?? '?'} ${((performance.now() - before.wall) / 1000).toFixed(1)} s`)
  }
} }
const posterior = given === undefined
  ? await fit.fit(batches(), undefined, work)
  : await fit.fit(given.x, given.y, work)
const fitted = spent()
const test = await labelled(200)
before = now()
const { probabilities } = await posterior.predict(test.x)
const { choice, notes } = posterior.summary()
console.log(
  JSON.stringify({ name, sizes: sizes.join('-'), rows, fit: fitted, predict: spent(),
    nll: nll(probabilities.data, test.y.data), choice, notes }, undefined, 1),
)

function now() {
  return { cpu: process.cpuUsage(), wall: performance.now(), memory: process.memoryUsage().rss }
}

/** Seconds since `before`, and the largest resident memory so far, in MB. */
function spent() {
  const { user, system } = process.cpuUsage(before.cpu)
  return { cpu: (user + system) / 1e6, wall: (performance.now() - before.wall) / 1000,
    memoryBefore: Math.round(before.memory / 1e6), peak: Math.round(process.resourceUsage().maxRSS / 1e3) }
}

/** Dense layers with ReLU between them. */
function networkOf(own) {
  const b = new GraphBuilder('float32')
  let value = b.input('x', [BATCH, width])
  own.forEach((data, i) => {
    const [out, inputs] = [sizes[i + 1], sizes[i]]
    value = b.node('Gemm', [value, b.parameter(`${i}.weight`, tensor('float32', [out, inputs], data)),
      b.parameter(`${i}.bias`, tensor('float32', [out], new Float32Array(out)))], { transB: 1 })
    if (i < own.length - 1) value = b.node('Relu', [value])
  })
  return b.build([value])
}

/** Rows near a surface of few dimensions, as real ones are, with labels that the other network draws. */
async function labelled(count) {
  const x = normals(count * width, 0.1)
  const latent = normals(count * LATENT, 1)
  for (let n = 0; n < count; n++) {
    for (let k = 0; k < LATENT; k++) {
      const z = latent[n * LATENT + k]
      for (let i = 0; i < width; i++) x[n * width + i] += z * factors[k * width + i]
    }
  }
  const input = tensor('float32', [count, width], x)
  const { data: logits } = await forward(teacher, input)
  const y = Float64Array.from({ length: count }, (_, n) => {
    let [best, most] = [0, -Infinity]
    for (let c = 0; c < classes; c++) {
      // The largest logit with Gumbel's noise is a draw from the softmax.
      const value = logits[n * classes + c] - Math.log(-Math.log(random.uniform()))
      if (value > most) [best, most] = [c, value]
    }
    return best
  })
  return { x: input, y: { dtype: 'int64', shape: [count], data: y } }
}

async function* batches() {
  for (let from = 0; from < rows; from += batch) yield await labelled(Math.min(batch, rows - from))
}

function nll(p, y) {
  let sum = 0
  for (let n = 0; n < y.length; n++) sum -= Math.log(Math.max(1e-12, p[n * classes + y[n]])) / y.length
  return sum
}
