/** @file `polylaplace predict`: what a posterior says of new inputs. */
import type { PredictOptions } from '../../core/answer/posterior-options.js'
import type { Prediction } from '../../core/answer/prediction.js'
import { LaplaceError } from '../../core/errors/errors.js'
import { inLanguage } from '../../core/errors/option-names.js'
import { oneOf } from '../../core/errors/suggest.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { Mixture } from '../../core/laplace/posterior-mixture.js'
import { type Metrics, metrics } from '../../core/metrics/index.js'
import type { ScoredMember, ScoredPrediction } from '../../core/metrics/scored-prediction.js'
import { hasLogits } from '../../core/options/likelihood-kinds.js'
import { LINKS, PREDICTIVES } from '../../core/options/words.js'
import { column } from '../../core/tensor/column.js'
import type { Examples } from '../../core/tensor/examples.js'
import { float64 } from '../../core/tensor/tensor.js'
import type { NumberedPrediction } from '../../node/prediction-columns.js'
import { formatNumber } from '../../report/numbers.js'
import { type Arguments, UsageError } from '../arguments/arguments.js'
import { MODEL_OPTIONS } from '../arguments/network-options.js'
import { readExamples } from '../data/data-file.js'
import { ANSWERED_DATA_OPTIONS, DATA_FORMATS, READING_OPTIONS, readingOptions } from '../data/data-options.js'
import { writeNpy } from '../data/npy.js'
import { writeParquet } from '../data/parquet.js'
import { writeBytes } from '../files/files.js'
import { type LabelledPosterior, NETWORK_OPTION, readPosteriorFile } from '../files/posterior-file.js'
import { toJson } from '../output/json.js'
import { labelsOfRows, predictionCsv, predictionJson, predictionRows, predictionTable } from '../output/predictions.js'
import { noteRemark, progressLine, type Terminal } from '../output/terminal.js'
import type { Command } from './command.js'

const FORMATS = ['csv', 'json', 'npy', 'parquet'] as const

/** The command `predict`. */
export const predict: Command = {
  name: 'predict',
  summary: 'mean, standard deviation and probabilities for new inputs',
  positionals: ['POSTERIOR'],
  options: {
    data: { type: 'string', value: 'FILE', required: true, help: `inputs: ${DATA_FORMATS}; - for stdin` },
    target: { type: 'string', value: 'NAME',
      help: 'column (or array) of the answers, when the file has them: the predictions are scored' },
    inputs: ANSWERED_DATA_OPTIONS['inputs'],
    ...READING_OPTIONS,
    out: { type: 'string', value: 'FILE',
      help: 'writes every number to a .csv, .json, .npy or .parquet file; - for stdout' },
    with: { type: 'string', value: 'FILES',
      help: 'further posteriors, separated by commas: all of them predict as one (a mixture)' },
    shares: { type: 'string', value: 'NUMBERS', help: 'of the mixture: one for each posterior; equal ones by default' },
    link: { type: 'string', value: 'NAME', help: `the posterior's own by default; ${LINKS.join(' | ')}` },
    predictive: { type: 'string', value: 'NAME', help: `${PREDICTIVES.join(' (linearised) | ')} (sampled weights)` },
    samples: { type: 'string', value: 'NUMBER', help: 'draws, where the link or the predictive draws' },
    seed: { type: 'string', value: 'NUMBER', help: 'of the draws; 0 by default' },
    level: { type: 'string', value: 'SHARE',
      help: 'such as 0.9: intervals of that probability; sets of classes after polylaplace conformalize' },
    quantiles: { type: 'string', value: 'SHARES', help: 'regression: such as 0.1,0.5,0.9' },
    'without-noise': { type: 'boolean',
      help: 'regression: intervals of the function, without the noise of observations' },
    ...NETWORK_OPTION,
    ...MODEL_OPTIONS,
    // Of the predictions: that of the network is told from its content.
    format: { type: 'string', value: 'NAME',
      help: `of --out, by its ending where it is a file; ${FORMATS.join(' | ')}; without --out to stdout` },
    json: { type: 'boolean', help: 'print JSON' },
  },
  run: async (args, terminal) => {
    const data = args.required('data')
    const [out, write] = writingOf(args)
    const { posterior, labels } = await readPosteriorFile(args.positionals[0], { ...args,
      text: name => (name === 'format' ? undefined : args.text(name)) })
    const { likelihood } = posterior
    const target = args.text('target')
    const progress = progressLine(terminal)
    const { examples, prediction, predictor } = await hintingAtTarget(target, async () => {
      const examples = await readExamples(data, { likelihood, inputs: posterior.inputs, target,
        arrays: args.text('inputs'), answered: false, labels: labels ?? 'none', ...readingOptions(args) })
      const predictor = await predicting(posterior, args)
      const answer = await predictor.predict(examples.x, predictOptions(args), { onProgress: progress.onProgress })
      return { examples, predictor, prediction: withProbabilities(answer, args.numbers('quantiles')) }
    }).finally(progress.clear)
    if (examples.leftOut !== undefined) noteRemark(terminal, leftOutNote(examples.leftOut))
    const scores = examples.y === undefined
      ? undefined
      : metrics(likelihood, examples.y, await scoredBy(predictor, examples.x, prediction, args), posterior.sigmaNoise)
    if (out === '-' && write !== undefined) {
      terminal.write(await write(prediction, posterior, labels))
      for (const note of prediction.notes) noteRemark(terminal, inLanguage(note, 'cli'))
      return
    }
    if (out !== undefined && write !== undefined) await writeBytes(out, await write(prediction, posterior, labels))
    if (args.flag('json')) {
      terminal.write(
        toJson({ likelihood, ...(labels === undefined ? {} : { labels }), ...predictionJson(prediction),
          ...(scores === undefined ? {} : { metrics: scores }) }),
      )
    } else report(terminal, { posterior, labels }, prediction, scores, out)
  },
}

function leftOutNote(column: string): string {
  return `The column '${column}' is none of the network's inputs and is left out; if it holds the answers, --target `
    + 'scores the predictions.'
}

/** What is scored: the prediction, or of a mixture of numbers the distributions of its members, by their own noise. */
async function scoredBy(predictor: LaplacePosterior | Mixture, x: Examples, prediction: Prediction,
  args: Arguments): Promise<ScoredPrediction> {
  if (!(predictor instanceof Mixture) || hasLogits(predictor.likelihood)) return prediction
  const { level: _level, quantiles: _quantiles, noise: _noise, ...options } = predictOptions(args)
  const members: ScoredMember[] = []
  for (const [k, member] of predictor.members.entries()) {
    const { mean, variance } = await member.predict(x, options)
    members.push({ weight: predictor.weights[k], mean, variance, sigmaNoise: member.sigmaNoise })
  }
  return { members }
}

/** The posterior, or its mixture with others. */
async function predicting(posterior: LaplacePosterior, args: Arguments): Promise<LaplacePosterior | Mixture> {
  const [files, weights] = [args.text('with'), args.numbers('shares')]
  if (files === undefined) {
    if (weights !== undefined) throw new UsageError('--shares are those of a mixture: name its posteriors (--with).')
    return posterior
  }
  const others = await Promise.all(files.split(',').map(file => readPosteriorFile(file.trim(), args)))
  return new Mixture([posterior, ...others.map(other => other.posterior)], weights)
}

/** Parts that are worked out when they are read stay so. */
function withProbabilities(prediction: Prediction,
  quantileProbabilities: readonly number[] | undefined): NumberedPrediction {
  return quantileProbabilities === undefined
    ? prediction
    : Object.defineProperties({} as NumberedPrediction, {
      ...Object.getOwnPropertyDescriptors(prediction),
      quantileProbabilities: { enumerable: true, value: quantileProbabilities },
    })
}

function predictOptions(args: Arguments): PredictOptions {
  const [link, predictive] = [args.text('link'), args.text('predictive')]
  return {
    seed: args.number('seed') ?? 0,
    samples: args.number('samples'),
    ...(args.text('level') === undefined ? {} : { level: args.number('level') }),
    ...(args.text('quantiles') === undefined ? {} : { quantiles: args.numbers('quantiles') }),
    ...(args.flag('without-noise') ? { noise: false } : {}),
    link: link === undefined ? undefined : oneOf('link', link, LINKS),
    predictive: predictive === undefined ? undefined : oneOf('predictive', predictive, PREDICTIVES),
  }
}

/**
 * Adds to an error what the commonest slip is: the file has the answers too, and their column is taken for an input.
 */
async function hintingAtTarget<R>(target: string | undefined, work: () => Promise<R>): Promise<R> {
  try {
    return await work()
  } catch (error) {
    const slip = target === undefined && error instanceof LaplaceError &&
      ['SHAPE_MISMATCH', 'BAD_DATA_FILE', 'BAD_ARRAY'].includes(error.code)
    throw slip
      ? new LaplaceError(error.code,
        `${error.message} If the file holds the answers too, name their column with --target.`, error.data)
      : error
  }
}

type Content = string | Uint8Array
type Writer = (prediction: NumberedPrediction, posterior: LaplacePosterior, labels: readonly string[] | undefined) =>
  | Content
  | Promise<Content>

/** Where every number goes, and how; stdout where a format is named and no file. */
function writingOf(args: Arguments): [out: string | undefined, write: Writer | undefined] {
  const [out, format] = [args.text('out'), args.text('format')]
  if (out === undefined && format === undefined) return [undefined, undefined]
  if (format !== undefined && args.flag('json')) throw new UsageError('Give --format or --json, not both.')
  const ending = out === undefined ? undefined : /\.(csv|json|npy|parquet)$/i.exec(out)?.[1].toLowerCase()
  const named = format === undefined ? ending : oneOf('format', format, FORMATS)
  if (named === undefined) {
    throw new UsageError(out === '-'
      ? `--out - needs --format, one of ${FORMATS.join(', ')}.`
      : `--out ${out ?? ''}: the ending must be .csv, .json, .npy or .parquet, or name it with --format.`)
  }
  const write = WRITERS[named as (typeof FORMATS)[number]]
  return [out ?? '-', write]
}

const WRITERS: Readonly<Record<(typeof FORMATS)[number], Writer>> = {
  csv: (prediction, { likelihood }, labels) => predictionCsv(prediction, likelihood, labels),
  json: prediction => toJson(predictionJson(prediction)),
  npy: (prediction, { likelihood }) => {
    const { names, values } = predictionRows(prediction, likelihood)
    return writeNpy(float64([values.length / names.length, names.length], values))
  },
  parquet: (prediction, { likelihood }, labels) => {
    const { names, values } = predictionRows(prediction, likelihood)
    const words = labelsOfRows(prediction, likelihood, labels)
    return writeParquet([
      ...names.map((name, c) => ({ name, values: column(values, c, names.length) })),
      ...(words === undefined ? [] : [{ name: 'label', values: words }]),
    ])
  },
}

/** Rows that a watched terminal shows. */
const ROWS_SHOWN = 20

function report(terminal: Terminal, { posterior, labels }: LabelledPosterior, prediction: NumberedPrediction,
  scores: Metrics | undefined, out: string | undefined): void {
  const [n] = prediction.mean.shape
  const cut = out !== undefined || (terminal.watched && n > 2 * ROWS_SHOWN)
  const rows = cut ? Math.min(n, ROWS_SHOWN) : n
  terminal.write(
    `${
      predictionTable(prediction, posterior.likelihood, rows, labels, terminal.watched ? terminal.columns : Infinity)
    }\n`,
  )
  if (rows < n) {
    terminal.write(`  ... ${n - rows} more rows${out === undefined ? '; --out FILE writes all of them' : ''}\n`)
  }
  if (scores !== undefined) {
    terminal.write(
      `\n  ${Object.entries(scores).map(([name, value]) => `${name} ${formatNumber(value)}`).join('   ')}\n`,
    )
  }
  if (out !== undefined) terminal.write(`\n  Every number is in ${out}.\n`)
  for (const note of prediction.notes) noteRemark(terminal, inLanguage(note, 'cli'))
}
