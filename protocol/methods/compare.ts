/** @file The method `compare`: network, temperature scaling and posterior side by side on held-out rows. */
import type { CalibrationReport } from '../../core/metrics/calibration-report.js'
import type { WireMap, WireValue } from '../frames/encode.js'
import { optional } from '../messages/parameters.js'
import { batchOf, examplesParameter } from './arguments.js'
import { type Method, workOf } from './method.js'

/** The reports of the three on the same rows. */
export const compare: Method = async (params, context, state) => {
  const { x, y } = batchOf(params, state)
  const others = optional(params, 'outliers') === undefined ? undefined : examplesParameter(params, state, 'outliers')
  const { network, temperature, posterior, temperatureFrom, temperatureValue, rows, outliers } = await state.objects
    .get('posterior', params)
    .compare(x, y, { outliers: others }, workOf(context))
  return {
    network: reportToWire(network),
    temperature: temperature === undefined ? null : reportToWire(temperature),
    posterior: reportToWire(posterior),
    temperatureFrom: temperatureFrom ?? null,
    temperatureValue: temperatureValue ?? null,
    rows,
    ...(outliers === undefined ? {} : { outliers: outliers.map(report => ({ ...report })) }),
  }
}

function reportToWire(report: CalibrationReport): WireMap {
  return Object.fromEntries(Object.entries(report).map(([key, value]) => [key, plain(value)]))
}

/** Reports are plain data: numbers, words, lists and maps of them. */
function plain(value: unknown): WireValue {
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
  }
  return typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean' ? value : null
}
