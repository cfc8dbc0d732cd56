/** @file `polylaplace predict`: what a posterior says of new inputs. */
import { LaplaceError } from '../../core/errors/errors.js'
import { oneOf } from '../../core/errors/suggest.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { loadPosterior } from '../../core/laplace/load-posterior.js'
import type { PredictOptions } from '../../core/laplace/posterior-options.js'
import type { Prediction } from '../../core/laplace/prediction.js'
import { type Metrics, metrics } from '../../core/metrics/index.js'
import { LINKS, PREDICTIVES } from '../../core/options/words.js'
import { float64 } from '../../core/tensor/tensor.js'
import { nodeRuntime } from '../../node/runtime/runtime.js'
import { type Arguments, UsageError } from '../arguments/arguments.js'
import { MODEL_OPTIONS } from '../arguments/network-options.js'
import { readExamples } from '../data/data-file.js'
import { writeNpy } from '../data/npy.js'
import { readBytes, withFileName, writeBytes } from '../files/files.js'
import { readNetworkFile } from '../files/network-file.js'
import { labelsIn } from '../files/posterior-labels.js'
import { toJson } from '../output/json.js'
import { predictionCsv, predictionJson, predictionRows, predictionTable } from '../output/predictions.js'
import { formatNumber } from '../output/table.js'
import { progressLine, type Terminal } from '../output/terminal.js'
import type { Command } from './command.js'

/** The command `predict`. */
export const predict: Command = {
  name: 'predict',
  summary: 'mean, standard deviation and probabilities for new inputs',
  positionals: ['POSTERIOR'],
  options: {
    data: { type: 'string', value: 'FILE', required: true, help: 'inputs: CSV, .npy, .npz or safetensors' },
    target: { type: 'string', value: 'NAME',
      help: 'column (or array) of the answers, when the file has them: the predictions are scored' },
    inputs: { type: 'string', value: 'NAME', help: 'array of the inputs, in files of several arrays; by default x' },
    out: { type: 'string', value: 'FILE', help: 'writes every number to a .csv, .json or .npy file' },
    link: { type: 'string', value: 'NAME', help: LINKS.join(' | ') },
    predictive: { type: 'string', value: 'NAME', help: `${PREDICTIVES.join(' (linearised) | ')} (sampled weights)` },
    samples: { type: 'string', value: 'NUMBER', help: 'draws, where the link or the predictive draws' },
    seed: { type: 'string', value: 'NUMBER', help: 'of the draws; 0 by default' },
    network: { type: 'string', value: 'MODEL', help: 'the network, when the posterior was saved without it' },
    ...MODEL_OPTIONS,
    json: { type: 'boolean', help: 'print JSON' },
  },
  run: async (args, terminal) => {
    const [data, out] = [args.required('data'), args.text('out')]
    const write = out === undefined ? undefined : writerFor(out)
    const { posterior, labels } = await readPosterior(args.positionals[0], args)
    const { likelihood } = posterior
    const target = args.text('target')
    const progress = progressLine(terminal)
    const { examples, prediction } = await hintingAtTarget(target, async () => {
      const examples = await readExamples(data, { likelihood, target, inputs: args.text('inputs'), answered: false,
        labels: labels ?? 'none' })
      return { examples,
        prediction: await posterior.predict(examples.x, predictOptions(args), { onProgress: progress.onProgress }) }
    }).finally(progress.clear)
    const scores = examples.y === undefined
      ? undefined
      : metrics(likelihood, examples.y, prediction, posterior.sigmaNoise)
    if (out !== undefined && write !== undefined) await writeBytes(out, write(prediction, posterior))
    if (args.flag('json')) {
      terminal.write(
        toJson({ likelihood, ...(labels === undefined ? {} : { labels }), ...predictionJson(prediction),
          ...(scores === undefined ? {} : { metrics: scores }) }),
      )
    } else report(terminal, { posterior, labels }, prediction, scores, out)
  },
}

/** A posterior, and the labels of its classes where they were text. */
interface LabelledPosterior {
  readonly posterior: LaplacePosterior
  readonly labels: readonly string[] | undefined
}

async function readPosterior(path: string, args: Arguments): Promise<LabelledPosterior> {
  const bytes = await readBytes(path)
  const network = args.text('network')
  const graph = network === undefined ? undefined : (await readNetworkFile(network, args)).graph
  return withFileName(path,
    () => ({ posterior: loadPosterior(bytes, graph === undefined ? {} : { network: graph }, nodeRuntime),
      labels: labelsIn(bytes) }))
}

function predictOptions(args: Arguments): PredictOptions {
  const [link, predictive] = [args.text('link'), args.text('predictive')]
  return {
    seed: args.number('seed') ?? 0,
    samples: args.number('samples'),
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
      (error.code === 'SHAPE_MISMATCH' || error.code === 'BAD_DATA_FILE')
    throw slip
      ? new LaplaceError(error.code,
        `${error.message} If the file holds the answers too, name their column with --target.`, error.data)
      : error
  }
}

type Writer = (prediction: Prediction, posterior: LaplacePosterior) => string | Uint8Array

function writerFor(path: string): Writer {
  const ending = /\.(csv|json|npy)$/i.exec(path)?.[1].toLowerCase()
  switch (ending) {
    case 'csv':
      return (prediction, { likelihood }) => predictionCsv(prediction, likelihood)
    case 'json':
      return prediction => toJson(predictionJson(prediction))
    case 'npy':
      return (prediction, { likelihood }) => {
        const { names, values } = predictionRows(prediction, likelihood)
        return writeNpy(float64([values.length / names.length, names.length], values))
      }
    default:
      throw new UsageError(`--out ${path}: the ending must be .csv, .json or .npy.`)
  }
}

/** Rows that a watched terminal shows. */
const ROWS_SHOWN = 20

function report(terminal: Terminal, { posterior, labels }: LabelledPosterior, prediction: Prediction,
  scores: Metrics | undefined, out: string | undefined): void {
  const [n] = prediction.mean.shape
  const cut = out !== undefined || (terminal.watched && n > 2 * ROWS_SHOWN)
  const rows = cut ? Math.min(n, ROWS_SHOWN) : n
  terminal.write(`${predictionTable(prediction, posterior.likelihood, rows, labels)}\n`)
  if (rows < n) {
    terminal.write(`  ... ${n - rows} more rows${out === undefined ? '; --out FILE writes all of them' : ''}\n`)
  }
  if (scores !== undefined) {
    terminal.write(
      `\n  ${Object.entries(scores).map(([name, value]) => `${name} ${formatNumber(value)}`).join('   ')}\n`,
    )
  }
  if (out !== undefined) terminal.write(`\n  Every number is in ${out}.\n`)
  for (const note of prediction.notes) terminal.remark(`Note: ${note}\n`)
}
