/** @file Measures one cell: every library in its own process, one after another, several rounds. */
import { ENGINES, LIBRARIES } from './libraries.mjs'
import { limits } from './limits.mjs'
import { runMeasured } from './measured-process.mjs'
import { median, relativeDifference } from './statistics.mjs'

/** A process that took longer than this is not started again in later rounds (seconds). */
const LONGEST_REPEATED = 60

/**
 * The record of a cell: what bench/report.mjs reads.
 * @param cell { path, workload, spec, cell }
 * @param how { python, libraries, rounds, timeout, quick, rates, progress }
 */
export async function measureCell(cell, how) {
  const reduced = cell.spec.peer?.[cell.cell]
  const runs = new Map(processes(cell, how.libraries, reduced !== undefined).map(each => [each, []]))
  for (let round = 0; round < how.rounds; round++) {
    for (const [each, records] of runs) {
      if (records.some(({ failure, unavailable, seconds }) =>
        failure !== undefined || unavailable !== undefined || seconds > LONGEST_REPEATED
      )) continue
      const begin = performance.now()
      const [program, args, env] = each.library.command(cell, { ...how, reduced: each.reduced })
      const record = await runMeasured(program, args, { timeout: how.timeout, env })
      records.push({ ...record, seconds: (performance.now() - begin) / 1000 })
      how.progress(`${cell.workload} ${cell.cell}, ${each.key}: ${describe(record)}`)
    }
  }
  const results = Object.fromEntries([...runs].map(([{ key }, records]) => [key, summarise(records)]))
  const { spec: { title, sizes, n, test, batch }, workload } = cell
  return {
    workload,
    cell: cell.cell,
    title,
    sizes,
    n,
    test,
    batch,
    reduced,
    results: withDifferences(results, runs),
    // Networks that are not dense have no formula here.
    limits: sizes === undefined ? {} : Object.fromEntries(
      ENGINES.filter(engine => how.rates[engine] !== undefined).map(
        engine => [engine, limits(cell.spec, cell.cell, cell.spec, how.rates[engine])],
      ),
    ),
  }
}

/**
 * What is started for a cell; where peers run at reduced sizes this library does too, so that something is compared
 * like with like.
 */
function processes(cell, libraries, reduced) {
  const wanted = LIBRARIES.filter(library => libraries.includes(library.key) && library.has(cell))
  const list = wanted.map(library => ({ key: library.key, library, reduced: reduced && library.peer === true }))
  if (!reduced) return list
  return [...list,
    ...wanted.filter(library => ENGINES.includes(library.key)).map(library => ({ key: `${library.key} reduced`, library,
      reduced: true })
    )]
}

/** One line about one process. */
function describe({ failure, unavailable, done, first, start }) {
  if (failure !== undefined) return `failed: ${failure.split('\n').at(-1)}`
  if (unavailable !== undefined) return `not available: ${unavailable.reason}`
  const { fit, tune, predict } = done
  const { forecast_mb: forecast, taken_mb: taken, before_mb: before } = first
  const memory = forecast === undefined ?
    '' :
    `; ${forecast.toFixed(0)} MB forecast, ${taken.toFixed(0)} taken: ${
      ((before + forecast) / (before + taken)).toFixed(2)
    } times the peak`
  return `fit ${fit.toPrecision(3)} s, tune ${tune.toPrecision(3)} s, predict ${
    predict.toPrecision(3)
  } s; first result after ${start.toPrecision(3)} s${memory}`
}

/** The medians over the rounds. */
function summarise(records) {
  const failed = records.find(({ failure, unavailable }) => failure !== undefined || unavailable !== undefined)
  if (failed?.unavailable !== undefined) return { unavailable: failed.unavailable.reason }
  if (failed !== undefined) return { failure: failed.failure }
  const middle = pick => median(records.map(pick))
  const { n, test, marglik, tuned_marglik: tunedMarglik } = records[0].first
  return {
    rounds: records.length,
    n,
    test,
    marglik,
    tunedMarglik,
    start: middle(record => record.start),
    fit: middle(record => record.done.fit),
    tune: middle(record => record.done.tune),
    predict: middle(record => record.done.predict),
    importMb: middle(record => record.ready.import_mb),
    ...records[0].first.forecast_mb !== undefined && {
      forecastMb: middle(record => record.first.forecast_mb),
      takenMb: middle(record => record.first.taken_mb),
      beforeMb: middle(record => record.first.before_mb),
    },
    peakMb: middle(record => record.first.peak_mb),
    steadyPeakMb: middle(record => record.done.peak_mb),
  }
}

/**
 * Adds to every result its largest difference from this library's at the same size; the client is compared with the
 * engine that it used.
 */
function withDifferences(results, runs) {
  const numbers = Object.fromEntries([...runs].map(([{ key }, records]) => [key, records[0]?.first?.results]))
  const reference = key =>
    (key.startsWith('laplace-torch') ? numbers['typescript reduced'] : undefined) ?? numbers.typescript
  for (const [key, result] of Object.entries(results)) {
    const ours = key === 'onnxruntime reduced' ? numbers['typescript reduced'] : reference(key)
    if (key.startsWith('typescript') || numbers[key] === undefined || ours === undefined) continue
    result.difference = relativeDifference(ours, numbers[key])
  }
  return results
}
