/** @file The method `toOnnx`: a posterior as a plain ONNX model, and the files that belong beside it. */
import { modelFiles, ONNX_EXPORT_OPTIONS } from '../../adapters/onnx/index.js'
import { flagParameter, optionalText } from '../messages/parameters.js'
import { optionalBatch, optionsOf } from './arguments.js'
import { type Method, workOf } from './method.js'

const encoder = new TextEncoder()

/** The files by their paths relative to the model's folder; x and y are rows that the card is to be measured on. */
export const toOnnx: Method = async (params, context, state) => {
  const posterior = state.objects.get('posterior', params)
  const options = optionsOf(params, 'toOnnx', ONNX_EXPORT_OPTIONS, state)
  const rows = optionalBatch(params, state)
  const comparison = rows && await posterior.compare(rows.x, rows.y, {}, workOf(context))
  const stem = optionalText(params, 'stem') ?? 'model'
  const files = modelFiles(posterior, options, { stem, comparison, card: flagParameter(params, 'card', false),
    mlflow: flagParameter(params, 'mlflow', false) })
  return {
    files: Object.fromEntries(
      [...files].map(([path, content]) => [path, typeof content === 'string' ? encoder.encode(content) : content]),
    ),
  }
}
