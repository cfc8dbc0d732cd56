/** @file The goals that were set for speed and memory, and whether measured cells meet them. */
import { ratioText } from './format.mjs'
import { ENGINES } from './libraries.mjs'

const PHASES = ['fit', 'tune', 'predict']
/** Peak memory counts as flat when a hundred times as many examples need at most so many times as much. */
const FLAT = 1.25
/** What the pipe of the Python client may cost. */
const PIPE = 1.1

/**
 * The results of this library's engines that were measured; `reduced`: at the sizes of the peer, where those are
 * smaller.
 */
export function engineResults({ results }, reduced = false) {
  return ENGINES.map(engine => ({ engine,
    ...(reduced ? results[`${engine} reduced`] ?? results[engine] : results[engine]) })
  ).filter(result => result.fit !== undefined)
}

/** A result's seconds of a phase at the full size; of a reduced run in proportion to its examples. */
export function fullSize(record, result, phase) {
  if (phase === 'fit') return result.fit * record.n / result.n
  return phase === 'predict' ? result.predict * record.test / result.test : result[phase]
}

/**
 * Every goal as { goal, met, detail }; met is undefined where nothing was measured.
 * @param records cells, as bench/measure-cell.mjs makes them
 * @param kernels rows of bench/kernels.mjs
 */
export function goals(records, kernels) {
  return [
    verdict('1. Every phase of every cell is faster than laplace-torch, steady state, by the faster engine',
      records.flatMap(record => speedups(record, 'laplace-torch', PHASES)), 1),
    verdict('1. The same against laplax, where it has the cell (fit and predict)',
      records.flatMap(record => speedups(record, 'laplax', ['fit', 'predict'])), 1),
    verdict('1. W1 and W2: from process start to result at least 5 times faster',
      records.filter(named('W1', 'W2')).flatMap(startSpeedups), 5),
    verdict('2. Prediction all/kron and all/diag of W3, and of W5, at least 100 times faster',
      predictions(records.filter(named('W3')), isAll).concat(predictions(records.filter(named('W5')), () => true)),
      100),
    verdict('2. Prediction all/kron and all/diag of W2 and W6 at least 20 times faster',
      predictions(records.filter(named('W2', 'W6')), isAll), 20),
    verdict('3. Fit of W3 within 2 times of the limit of its engine', records.filter(named('W3')).flatMap(fitLimits), 2,
      'most'),
    verdict("4. Peak memory at most half of laplace-torch's, the imports of both not counted",
      records.flatMap(memoryShares), 0.5, 'most'),
    verdict('4. Peak memory flat in N (W8, largest against 10,000 examples)', flatness(records), FLAT, 'most'),
    verdict('5. Eigen-decomposition within 3 times of LAPACK on one core, n = 512 to 2,048',
      kernelRatios(kernels, 'eigen'), 3, 'most'),
    verdict('5. Cholesky and triangular solve within 2 times', [...kernelRatios(kernels, 'cholesky'),
      ...kernelRatios(kernels, 'triangular-solve')], 2, 'most'),
    verdict('6. Through the Python client no cell loses more than 10 %', records.flatMap(pipeLosses), PIPE, 'most'),
  ]
}

/** Whether all measured values are at least (or at most) the bound; the detail names the worst one. */
function verdict(goal, values, bound, sense = 'least') {
  if (values.length === 0) return { goal, met: undefined, detail: 'not measured' }
  const good = ({ value }) => (sense === 'least' ? value >= bound : value <= bound)
  const worst = values.reduce((a, b) => ((sense === 'least' ? b.value < a.value : b.value > a.value) ? b : a))
  const count = values.filter(good).length
  return { goal, met: count === values.length,
    detail: `${count} of ${values.length}; worst: ${worst.where} ${ratioText(worst.value)}` }
}

function named(...names) {
  return ({ workload }) => names.some(name => workload === name || workload.startsWith(`${name}-`))
}

function isAll({ cell }) {
  return cell === 'all/kron' || cell === 'all/diag'
}

function where({ workload, cell }, what) {
  return `${workload} ${cell} ${what}`
}

/**
 * Times of a peer over those of the faster engine, at the full size; and where that is scaled, at the peer's size too.
 */
function speedups(record, peer, phases) {
  const other = record.results[peer]
  const own = engineResults(record)
  if (other?.fit === undefined || own.length === 0) return []
  const faster = (results, phase) => Math.min(...results.map(result => result[phase]))
  const full = phases.map(phase => ({ value: fullSize(record, other, phase) / faster(own, phase),
    where: where(record, phase) })
  )
  if (other.n === record.n && other.test === record.test) return full
  const reduced = engineResults(record, true)
  return [...full,
    ...phases.map(phase => ({ value: other[phase] / faster(reduced, phase),
      where: where(record, `${phase}, reduced`) })
    )]
}

function startSpeedups(record) {
  const other = record.results['laplace-torch']
  const own = engineResults(record, true)
  return other?.start === undefined || own.length === 0
    ? []
    : [{ value: other.start / Math.min(...own.map(result => result.start)), where: where(record, 'start to result') }]
}

function predictions(records, filter) {
  return records.filter(filter).flatMap(record => speedups(record, 'laplace-torch', ['predict']))
}

function fitLimits(record) {
  return engineResults(record).filter(({ engine }) => record.limits[engine] !== undefined)
    .map(({ engine, fit }) => ({ value: fit / record.limits[engine].fit, where: where(record, engine) }))
}

/** At the same size, what this library needs beside its import over what laplace-torch needs beside its own. */
function memoryShares(record) {
  const other = record.results['laplace-torch']
  if (other?.peakMb === undefined) return []
  return engineResults(record, true).map(({ engine, peakMb, importMb }) => ({
    value: (peakMb - importMb) / (other.peakMb - other.importMb),
    where: where(record, engine),
  }))
}

function flatness(records) {
  const series = records.filter(named('W8')).filter(({ n }) => n >= 10000).sort((a, b) => a.n - b.n)
  if (series.length < 2) return []
  const [small, large] = [series[0], series[series.length - 1]]
  return engineResults(large).flatMap(({ engine, peakMb }) => {
    const base = small.results[engine]?.peakMb
    return base === undefined ? [] : [{ value: peakMb / base, where: where(large, engine) }]
  })
}

/** Our time over numpy's, of both WebAssembly builds. */
function kernelRatios(kernels, kernel) {
  return kernels.filter(row => row.kernel === kernel && row.order >= 512 && row.seconds.numpy !== undefined).flatMap((
    { order, seconds },
  ) =>
    ['relaxed-simd', 'simd'].filter(build => seconds[build] !== undefined).map(build => ({
      value: seconds[build] / seconds.numpy,
      where: `${kernel} ${order} ${build}`,
    }))
  )
}

function pipeLosses(record) {
  const { client, typescript } = record.results
  if (client?.fit === undefined || typescript?.fit === undefined) return []
  const total = result => PHASES.reduce((sum, phase) => sum + result[phase], 0)
  return [{ value: total(client) / total(typescript), where: where(record, 'fit + tune + predict') }]
}
