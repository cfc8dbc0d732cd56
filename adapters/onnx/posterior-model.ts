/** @file A fitted posterior as a plain ONNX model: its graph, and what the file says of itself. */
import { type CalibrationSummary } from '../../core/conformal/calibration.js'
import { textsOption } from '../../core/errors/demand.js'
import { knownOptions } from '../../core/errors/suggest.js'
import type { Comparison } from '../../core/laplace/compare.js'
import { EXPORT_OPTIONS, type ExportedGraph, type ExportOptions } from '../../core/laplace/export-graph.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { LIBRARY_VERSION } from '../../core/options/library-version.js'
import { hasLogits } from '../../core/options/likelihood-kinds.js'
import { withDoubleKernels } from './double-kernels.js'
import { mlflowFiles } from './mlflow.js'
import { calibrationPicture, modelCard, SUBSETS } from './model-card.js'
import { writeOnnx } from './write-onnx.js'

/** The options of `toOnnx`. */
export interface OnnxExportOptions extends ExportOptions {
  /** The operator set, 13 to 24; by default the oldest from 17 on that can hold the network. */
  readonly opset?: number | undefined
  /** The names of the classes, in the order of the outputs, for the file's metadata. */
  readonly labels?: readonly string[] | undefined
}

/** The names of the options of `toOnnx`. */
export const ONNX_EXPORT_OPTIONS: readonly (keyof OnnxExportOptions)[] = [...EXPORT_OPTIONS, 'opset', 'labels']

/**
 * The bytes of an ONNX file that gives a posterior's predictions from the network's inputs, by standard operators
 * alone: what `predict` gives, in the same layout. The network's weights are in it as they are.
 * @throws OptionError for outputs that the posterior does not have, and what a graph cannot compute; GraphError
 *   UNSUPPORTED_OPERATOR for an operator set that cannot hold the network
 */
export function posteriorModel(posterior: LaplacePosterior, options: OnnxExportOptions = {}): Uint8Array {
  return exportModel(posterior, options).model
}

/** What is written beside a model. */
export interface BesideOptions {
  /** Name of the model's file, without its ending; default `model`. */
  readonly stem?: string
  /** A model card. */
  readonly card?: boolean | undefined
  /** A folder that MLflow loads. */
  readonly mlflow?: boolean | undefined
  /** Scores on rows that neither network nor posterior has seen, for the card. */
  readonly comparison?: Comparison | undefined
}

/** The files of an export by their paths: model, card and picture, MLflow folder. @throws as posteriorModel */
export function modelFiles(posterior: LaplacePosterior, options: OnnxExportOptions,
  { stem = 'model', card = false, mlflow = false, comparison }: BesideOptions): Map<string, Uint8Array | string> {
  const { model, exported, metadata } = exportModel(posterior, options)
  const files = new Map<string, Uint8Array | string>([[`${stem}.onnx`, model]])
  const picture = `${stem}.calibration.svg`
  const text = card || mlflow ?
    modelCard({ posterior, exported, comparison, labels: options.labels, file: `${stem}.onnx`, picture }) :
    ''
  if (card) {
    files.set(`${stem}.md`, text)
    if (comparison !== undefined) files.set(picture, calibrationPicture(comparison))
  }
  if (mlflow) {
    const folder = `${stem}.mlflow`
    files.set(`${folder}/model.onnx`, model)
    for (const [path, content] of mlflowFiles({ graph: exported.graph, metadata })) {
      files.set(`${folder}/${path}`, content)
    }
    files.set(`${folder}/README.md`, text)
    if (comparison !== undefined) files.set(`${folder}/${picture}`, calibrationPicture(comparison))
  }
  return files
}

function exportModel(posterior: LaplacePosterior,
  options: OnnxExportOptions): { model: Uint8Array, exported: ExportedGraph, metadata: Record<string, string> } {
  knownOptions('toOnnx', options, ONNX_EXPORT_OPTIONS)
  textsOption('labels', options.labels)
  const { opset, labels, ...rest } = options
  const exported = posterior.exportGraph(rest)
  const metadata = { ...metadataOf(posterior, exported),
    ...(labels === undefined ? {} : { 'polylaplace.labels': JSON.stringify(labels) }) }
  const model = writeOnnx(withDoubleKernels(exported.graph), { name: 'posterior', opset: opset ?? 'least',
    description: describe(posterior), metadata })
  return { model, exported, metadata }
}

/** In a sentence. */
function describe({ likelihood, structure, subset, examples, digest }: LaplacePosterior): string {
  return `A neural network with its Laplace approximation (likelihood ${likelihood}; ${structure} posterior over ${
    SUBSETS[subset]
  }; ${examples} training rows; network ${digest.slice(0, 12)}).`
}

/** What the file says of itself; lists and objects as JSON. */
function metadataOf(posterior: LaplacePosterior,
  { outputs, precision, level, link, seed }: ExportedGraph): Record<string, string> {
  const { likelihood, subset, structure, choice, conformal, training } = posterior
  const answer = link === undefined && choice !== undefined ?
    { link: choice.link, varianceScale: choice.varianceScale, networkWeight: choice.networkWeight,
      linearWeight: choice.linearWeight, ...(choice.halfwayWeight === undefined
        ? {}
        : { halfwayWeight: choice.halfwayWeight, halfwayScale: choice.halfwayScale }) }
    : { link: hasLogits(likelihood) ? link ?? 'probit' : undefined }
  const entries: Record<string, unknown> = {
    producer: 'polylaplace',
    version: LIBRARY_VERSION,
    digest: posterior.digest,
    likelihood,
    subset,
    structure,
    tuned: posterior.tuned,
    prior_precision: plain(posterior.priorPrecision),
    prior_mean: plain(posterior.priorMean),
    temperature: posterior.temperature,
    ...(likelihood === 'regression' ? { sigma_noise: plain(posterior.sigmaNoise) } : {}),
    examples: posterior.examples,
    parameters: posterior.parameterCount,
    inputs: posterior.inputs,
    outputs,
    precision,
    answer,
    ...(outputs.some(name => name === 'lower' || name === 'upper' || name === 'sets')
      ? { level, interval: intervalOf(conformal) }
      : {}),
    ...(seed === undefined ? {} : { seed }),
    ...(conformal === undefined ? {} : { calibration: conformal }),
    coverage: posterior.measuredCoverage(level),
    training,
    notes: posterior.notes,
  }
  return Object.fromEntries(
    Object.entries(entries).flatMap(([key, value]) =>
      value === undefined ? [] : [[`polylaplace.${key}`, typeof value === 'string' ? value : JSON.stringify(value)]]
    ),
  )
}

function plain(value: number | Float64Array): number | number[] {
  // A precision for each of many weights would be as long as the network.
  return typeof value === 'number' ? value : Array.from(value.subarray(0, 1000))
}

function intervalOf(conformal: CalibrationSummary | undefined): string {
  if (conformal === undefined) return 'gaussian'
  return conformal.kind === 'jackknife' ? 'jackknife' : 'conformal'
}
