/**
 * @file Large fits with no option set: CPU time, wall time and the largest resident memory.
 *
 *     node bench/large.mjs head|stream|weights|exact [--rows N] [--threads T] [--sizes A,B,C] [--progress]
 *     node bench/large.mjs stream --making     # what making the rows costs of it, without a fit
 *
 * Networks are drawn by a seed and labels from networks nearby, so that the networks know their rows and nothing has to
 * be trained.
 */
import { parseArgs } from 'node:util'
import { laplace } from 'polylaplace'
import { BATCH, forward, GraphBuilder, tensor } from 'polylaplace/core'
import { randomGenerator } from '../dist/core/tensor/random.js'

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
    progress: { type: 'boolean' }, making: { type: 'boolean' } } })
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
if (options.making) {
  for await (const { y } of batches()) if (y.data.length === 0) break
  console.log(JSON.stringify({ name, rows, making: spent() }))
  process.exit(0)
}
const work = { onProgress: ({ stage, done, total }) => {
  if (options.progress) {
    const { cpu, wall } = spent()
    const resident = Math.round(process.memoryUsage().rss / 1e6)
    console.error(
      `${stage} ${done}/${total ?? '?'} ${wall.toFixed(1)} s, ${cpu.toFixed(1)} s of a processor, ${resident} MB`,
    )
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
  // Float32 throughout and nothing between: what making takes of memory is not the fit's.
  const x = random.fillNormal(new Float32Array(count * width))
  const latent = random.fillNormal(new Float32Array(LATENT))
  for (let n = 0; n < count; n++, random.fillNormal(latent)) {
    const row = x.subarray(n * width, (n + 1) * width)
    for (let i = 0; i < width; i++) row[i] *= 0.1
    for (let k = 0; k < LATENT; k++) {
      const z = latent[k]
      const factor = factors.subarray(k * width, (k + 1) * width)
      for (let i = 0; i < width; i++) row[i] += z * factor[i]
    }
  }
  const input = tensor('float32', [count, width], x)
  const { data: logits } = await forward(teacher, input)
  const y = Float64Array.from({ length: count }, (_, n) => drawn(logits.subarray(n * classes, (n + 1) * classes)))
  return { x: input, y: { dtype: 'int64', shape: [count], data: y } }
}

/** A class by the softmax of its logits. */
function drawn(logits) {
  let most = -Infinity
  for (let c = 0; c < classes; c++) most = Math.max(most, logits[c])
  let sum = 0
  for (let c = 0; c < classes; c++) sum += Math.exp(logits[c] - most)
  let rest = sum * random.uniform()
  for (let c = 0; c < classes; c++) {
    rest -= Math.exp(logits[c] - most)
    if (rest < 0) return c
  }
  return classes - 1
}

async function* batches() {
  for (let from = 0; from < rows; from += batch) yield await labelled(Math.min(batch, rows - from))
}

function nll(p, y) {
  let sum = 0
  for (let n = 0; n < y.length; n++) sum -= Math.log(Math.max(1e-12, p[n * classes + y[n]])) / y.length
  return sum
}
