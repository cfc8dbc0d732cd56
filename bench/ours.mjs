/**
 * @file Runs one cell of a workload with polylaplace.
 *
 *     node bench/ours.mjs FOLDER/W2 all/kron [--engine typescript] [--reduced] [--quick] [--memory]
 *
 * Writes the lines that bench/measure.py describes, and { event: 'unavailable' } where the engine is not installed.
 * Data of several batches are streamed from the file, others are given at once.
 */
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { laplace, readNetwork } from 'polylaplace'
import { networkFromLayers } from 'polylaplace/adapters/layers'
import { peakMb, peakSince } from './peak-memory.mjs'
import { median } from './statistics.mjs'
import { openWorkload, readSpec } from './workload-data.mjs'

/** As in bench/measure.py. */
const [LONGEST_REPEATED, LEAST_RUNS, MOST_RUNS, BUDGET, COMPARED] = [20, 3, 15, 3, 2000]
const threads = process.env.BENCH_CLOCK === 'cpu' ? { threads: 1 } : {}
const ACTIVATIONS = { tanh: 'Tanh', relu: 'ReLU' }

const { values: options, positionals: [path, cell] } = parseArgs({
  allowPositionals: true,
  options: { engine: { type: 'string', default: 'auto' }, reduced: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false }, memory: { type: 'boolean', default: false } },
})
say('ready', { import_mb: peakMb() })
const spec = await readSpec(path)
const { n = spec.n, test = spec.test } = options.reduced ? spec.peer?.[cell] ?? {} : {}
const workload = await openWorkload(path)
const weights = await workload.weights()
const xTest = await workload.rows('x_test', 0, test)
/** Data of one batch; of several none are held. */
const whole = n > spec.batch ? undefined : (await workload.batches(n, n).next()).value
const layers = spec.sizes?.slice(1).flatMap((_,
  i) => [{ type: 'Linear', name: String(2 * i) }, { type: ACTIVATIONS[spec.activation] }]
).slice(0, -1)
/** As laplace-torch is given a module, this library is given a network that is read. */
const read = spec.network === undefined ? undefined : await readNetwork(await readFile(`${path}.onnx`))
try {
  await measure()
} catch (error) {
  if (error.code !== 'MISSING_DEPENDENCY') throw error
  say('unavailable', { reason: error.message })
}
await workload.close()

/** Runs the work once, and then several times. */
async function measure() {
  const taken = peakSince()
  const first = await once()
  const held = { peak_mb: peakMb(), ...taken() }
  // From shapes alone, so the same number as before; the memory of asking is none of the work's.
  say('first', { ...held, forecast_mb: forecastMb(), n, test, ...first })
  if (options.memory) return
  let runs = [first]
  if (first.fit + first.tune + first.predict < LONGEST_REPEATED) {
    runs = []
    const start = performance.now()
    const [least, most] = options.quick ? [1, 1] : [LEAST_RUNS, MOST_RUNS]
    while (runs.length < least || (runs.length < most && performance.now() - start < 1000 * BUDGET)) {
      runs.push(await once())
    }
  }
  const times = Object.fromEntries(
    ['fit', 'tune', 'predict'].map(phase => [phase, median(runs.map(run => run[phase]))]),
  )
  say('done', { runs: runs.length, peak_mb: peakMb(), ...times })
}

function prepare(settings) {
  const [subset, structure] = cell.split('/')
  return laplace(read ?? networkFromLayers(layers, weights), { likelihood: spec.likelihood, subset, structure,
    engine: options.engine, ...threads, ...noiseOf(spec), ...settings })
}

/** What is to be expected of fit, tuning and predictions, beyond what the process holds before. */
function forecastMb() {
  const { stages } = prepare({ tune: 'marglik' }).forecast({ rows: n, batch: Math.min(n, spec.batch), predict: test })
  return Math.max(...stages.filter(({ stage }) => stage !== 'save').map(({ bytes }) => bytes)) / 1e6
}

/** Everything from the tensors to the predictions; seconds of each phase. */
async function once() {
  const [fit, posterior] = await timed(async () => {
    const prepared = prepare({ priorPrecision: 1 })
    return whole === undefined ? prepared.fit(workload.batches(n, spec.batch)) : prepared.fit(whole.x, whole.y)
  })
  const [tune, tuned] = await timed(() =>
    posterior.tune({ tune: 'marglik', priorStructure: spec.prior_structure ?? 'scalar' })
  )
  // The compared numbers use a fixed prior, so that they do not depend on how far tuning went.
  const fixed = tuned.withPrior({ priorPrecision: 1 })
  const [predict, prediction] = await timed(() => fixed.predict(xTest, { link: 'probit', uncertainty: false }))
  const { mean, variance, probabilities } = prediction
  const results = spec.likelihood === 'regression'
    ? { mean: compared(mean), variance: compared(variance) }
    : { probabilities: compared(probabilities) }
  return { fit, tune, predict, marglik: fixed.logMarginalLikelihood(), tuned_marglik: tuned.logMarginalLikelihood(),
    results }
}

/** laplace-torch keeps a noise of 1 unless it is told to tune it. */
function noiseOf({ likelihood }) {
  return likelihood === 'regression' ? { sigmaNoise: 1 } : {}
}

function compared({ data }) {
  return Array.from(data.subarray(0, COMPARED))
}

/** Seconds; of this process' processors where the machine has other work. */
function clock() {
  if (process.env.BENCH_CLOCK !== 'cpu') return performance.now() / 1000
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

async function timed(work) {
  const start = clock()
  const result = await work()
  return [clock() - start, result]
}

function say(event, values) {
  process.stdout.write(`${JSON.stringify({ event, ...values })}\n`)
}
