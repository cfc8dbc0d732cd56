/** @file `polylaplace fit`: a network and training data become a posterior file. */
import type { InputSummary, PosteriorSummary } from '../../core/answer/posterior-summary.js'
import { inLanguage } from '../../core/errors/option-names.js'
import { type Graph, isBatch } from '../../core/graph/graph.js'
import { laplace } from '../../core/laplace/laplace.js'
import { summarizeNetwork } from '../../core/laplace/network-summary.js'
import { withLabels } from '../../core/storage/posterior-labels.js'
import type { Batch } from '../../core/tensor/batch.js'
import { parametersText, trainingText } from '../../node/describe.js'
import { nodeRuntime } from '../../node/runtime/runtime.js'
import { formatCount, formatNumber } from '../../report/numbers.js'
import type { Arguments } from '../arguments/arguments.js'
import { LAPLACE_OPTIONS, laplaceOptions } from '../arguments/laplace-options.js'
import { MODEL_OPTIONS } from '../arguments/network-options.js'
import { checkClasses, CLASSES_OPTION, classNames } from '../data/classes.js'
import { ANSWERED_DATA_OPTIONS, DATA_FORMATS, type DataPurpose, readAnswered } from '../data/data-options.js'
import { checkSorted, type KnownLabels, SORTED_NOTE } from '../data/targets.js'
import { writeBytes } from '../files/files.js'
import { readNetworkFile } from '../files/network-file.js'
import { choiceText } from '../output/choice.js'
import { toJson } from '../output/json.js'
import { formatSeconds, pairs } from '../output/table.js'
import { noteRemark, progressLine, type Terminal } from '../output/terminal.js'
import type { Command } from './command.js'

/** The command `fit`. */
export const fit: Command = {
  name: 'fit',
  summary: 'a posterior from a trained network and its training data',
  positionals: ['MODEL'],
  options: {
    data: { type: 'string', value: 'FILE', required: true, help: `training data: ${DATA_FORMATS}` },
    ...ANSWERED_DATA_OPTIONS,
    ...CLASSES_OPTION,
    weights: { type: 'string', value: 'NAME',
      help: 'column (or array) of how often each row counts; a .npy file beside a .npy file of rows' },
    validation: { type: 'string', value: 'FILE|SHARE',
      help: 'rows that the network has not seen: a file, or a share of --data such as 0.1; --tune is validated then' },
    out: { type: 'string', value: 'FILE', required: true, help: 'where the posterior goes' },
    ...LAPLACE_OPTIONS,
    ...MODEL_OPTIONS,
    json: { type: 'boolean', help: 'print JSON' },
  },
  run: async (args, terminal) => {
    const options = laplaceOptions(args)
    const [data, out] = [args.required('data'), args.required('out')]
    const { likelihood } = options
    const { graph, classes: own } = await readNetworkFile(args.positionals[0], args)
    const classes = await classNames(args, likelihood, await own())
    const purpose = { likelihood, inputs: openInputs(graph) }
    const examples = await readAnswered(data, args, purpose, classes, args.text('weights'))
    const labels = examples.labels ?? classes
    if (labels !== undefined) checkClasses(labels, likelihood, outputCount(graph, args), classes === undefined)
    const validation = await validationOf(args, purpose, labels ?? 'none')
    const started = performance.now()
    const progress = progressLine(terminal)
    try {
      const posterior = await laplace(graph, { ...options, ...(validation === undefined ? {} : { validation }) },
        nodeRuntime)
        .fit(examples.x, examples.y, { onProgress: progress.onProgress, sampleWeight: examples.weights?.data })
      progress.clear()
      const seconds = (performance.now() - started) / 1000
      const sorted = classes === undefined && labels !== undefined
      if (sorted) checkSorted(labels, posterior.notes)
      await writeBytes(out, labels === undefined ? posterior.save() : withLabels(posterior.save(), labels))
      const summary = posterior.summary()
      if (args.flag('json')) {
        terminal.write(
          toJson({ file: out, seconds, ...(examples.target === undefined ? {} : { target: examples.target }),
            ...(labels === undefined ? {} : { labels }), ...summary }),
        )
      } else report(terminal, summary, seconds, out, { target: examples.target, labels })
      if (sorted) noteRemark(terminal, SORTED_NOTE)
    } finally {
      progress.clear()
    }
  },
}

/** The network's inputs, 0 for lengths that it leaves open. */
function openInputs({ inputs }: Graph): InputSummary[] {
  return inputs.map(({ name, columns, shape, openAxes = [] }) => ({ name, columns,
    shape: shape.map((dim, axis) => (isBatch(dim) ? -1 : openAxes.includes(axis) ? 0 : dim)) })
  )
}

/** How many classes the output that is used has, where the network shows it. */
function outputCount(graph: Graph, args: Arguments): number | undefined {
  const { outputs } = summarizeNetwork(graph)
  const { shape } = outputs.find(({ name }) => name === args.text('output')) ?? outputs[0]
  return shape.length === 2 && shape[1] > 0 ? shape[1] : undefined
}

/** Held-out rows of a file, or the share of the training file that is held out. */
async function validationOf(args: Arguments, purpose: DataPurpose,
  labels: KnownLabels): Promise<Batch | number | undefined> {
  const text = args.text('validation')
  if (text === undefined) return undefined
  const share = text.trim() === '' ? NaN : Number(text)
  return Number.isNaN(share) ? readAnswered(text, args, purpose, labels) : share
}

function report(terminal: Terminal, summary: PosteriorSummary, seconds: number, out: string,
  { labels, target }: { readonly labels: readonly string[] | undefined, readonly target: string | undefined }): void {
  const { likelihood, subset, structure, parameterCount, examples, priorPrecision, tuned, effectiveParameters,
    sigmaNoise, logMarginalLikelihood, training, choice, notes, parameters } = summary
  terminal.write(pairs([
    ['Posterior', `${likelihood}, ${subset}, ${structure}: ${formatCount(parameterCount)} parameters`],
    ['Parameters', parametersText(parameters)],
    ['Fitted to', `${formatCount(examples)} examples in ${formatSeconds(seconds)}`],
    ...(target === undefined ? [] : [['Answers', target] as const]),
    ...(labels === undefined ? [] : [['Labels', labels.map((label, i) => `${label} = ${i}`).join(', ')] as const]),
    ['Prior precision', `${priorPrecisionText(priorPrecision)} (${tuned === 'none' ? 'as given' : `tuned: ${tuned}`})`],
    ...(typeof effectiveParameters === 'number'
      ? [['Effective parameters', formatNumber(effectiveParameters)] as const]
      : []),
    ...(likelihood === 'regression'
      ? [
        ['Noise', `standard deviation ${
          typeof sigmaNoise === 'number'
            ? formatNumber(sigmaNoise)
            : Array.from(sigmaNoise, sigma => formatNumber(sigma)).join(', ')
        }`] as const,
      ]
      : []),
    ['Log marginal likelihood', formatNumber(logMarginalLikelihood, 6)],
    ...(training === undefined ? [] : trainingText(training)),
    ['Written to', out],
  ], terminal.columns))
  if (choice !== undefined) terminal.write(choiceText(choice, terminal.columns))
  for (const note of notes) noteRemark(terminal, inLanguage(note, 'cli'))
}

/** One number, or the range of several. */
function priorPrecisionText(values: Float64Array): string {
  if (values.length === 1) return formatNumber(values[0])
  const sorted = values.slice().sort()
  return `${formatNumber(sorted[0])} to ${formatNumber(sorted[sorted.length - 1])} (${
    formatCount(values.length)
  } values)`
}
