/** @file The method `compare`: network, temperature scaling and posterior side by side on held-out rows. */
import type { CalibrationReport } from '../../core/metrics/calibration-report.js'
import type { WireMap } from '../frames/encode.js'
import { batchOf, optionalExamples } from './arguments.js'
import { type Method, workOf } from './method.js'
import { predictorOf } from './mixtures.js'
import { plain } from './plain-values.js'

/** The reports of the three on the same rows. */
export const compare: Method = async (params, context, state) => {
  const { x, y } = batchOf(params, state)
  const compared = await predictorOf(params, state).compare(x, y, {
    outliers: optionalExamples(params, 'outliers', state),
  }, workOf(context))
  const { network, temperature, posterior, temperatureFrom, temperatureValue, temperatureNote, rows, outliers } =
    compared
  return {
    network: reportToWire(network),
    temperature: temperature === undefined ? null : reportToWire(temperature),
    posterior: reportToWire(posterior),
    temperatureFrom: temperatureFrom ?? null,
    temperatureValue: temperatureValue ?? null,
    ...(temperatureNote === undefined ? {} : { temperatureNote }),
    rows,
    ...(outliers === undefined ? {} : { outliers: outliers.map(report => ({ ...report })) }),
  }
}

function reportToWire(report: CalibrationReport): WireMap {
  return Object.fromEntries(Object.entries(report).map(([key, value]) => [key, plain(value)]))
}
