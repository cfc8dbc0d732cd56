/** @file `polylaplace fit`: a network and training data become a posterior file. */
import { oneOf } from '../../core/errors/suggest.js'
import { laplace } from '../../core/laplace/laplace.js'
import type { PosteriorSummary } from '../../core/laplace/posterior-summary.js'
import type { LaplaceOptions } from '../../core/options/laplace-options.js'
import { CURVATURES, ENGINES, KFAC_APPROXIMATIONS, type Likelihood, LIKELIHOODS, PRECISIONS, PRIOR_STRUCTURES,
  STRUCTURES, SUBSETS, TUNE_METHODS } from '../../core/options/words.js'
import { nodeRuntime } from '../../node/runtime/runtime.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments/arguments.js'
import { type Examples, readExamples } from '../data/data-file.js'
import type { KnownLabels } from '../data/targets.js'
import { writeBytes } from '../files/files.js'
import { CHOICE_OPTIONS, MODEL_OPTIONS, readNetworkFile } from '../files/network-file.js'
import { withLabels } from '../files/posterior-labels.js'
import { toJson } from '../output/json.js'
import { formatCount, formatNumber, formatSeconds, pairs } from '../output/table.js'
import { progressLine, type Terminal } from '../output/terminal.js'
import type { Command } from './command.js'

const words = (list: readonly string[]): string => list.join(' | ')

/** The options of `laplace`, as flags: their names in the Node interface follow from these. */
const LAPLACE_OPTIONS: OptionTable = {
  likelihood: { type: 'string', value: 'NAME', required: true, help: words(LIKELIHOODS) },
  subset: { type: 'string', value: 'NAME', help: words(SUBSETS) },
  structure: { type: 'string', value: 'NAME', help: words(STRUCTURES) },
  curvature: { type: 'string', value: 'NAME', help: words(CURVATURES) },
  'kfac-approx': { type: 'string', value: 'NAME', help: words(KFAC_APPROXIMATIONS) },
  'prior-precision': { type: 'string', value: 'NUMBERS',
    help: 'one, or one per tensor or parameter, separated by commas; not tuned then' },
  'prior-mean': { type: 'string', value: 'NUMBERS', help: 'one, or one per parameter; 0 by default' },
  'sigma-noise': { type: 'string', value: 'NUMBER', help: 'noise of the observations (regression); tuned by default' },
  temperature: { type: 'string', value: 'NUMBER', help: '1 by default' },
  tune: { type: 'string', value: 'NAME', help: words(TUNE_METHODS) },
  'prior-structure': { type: 'string', value: 'NAME', help: words(PRIOR_STRUCTURES) },
  seed: { type: 'string', value: 'NUMBER', help: '0 by default' },
  engine: { type: 'string', value: 'NAME', help: words(ENGINES) },
  precision: { type: 'string', value: 'NAME', help: `${words(PRECISIONS)}; the network's own by default` },
  threads: { type: 'string', value: 'NUMBER', help: 'as many as there are processors by default' },
  ...CHOICE_OPTIONS,
  'batch-size': { type: 'string', value: 'NUMBER', help: 'examples computed at once' },
  'memory-limit': { type: 'string', value: 'BYTES', help: 'what the posterior may need' },
}

export const fit: Command = {
  name: 'fit',
  summary: 'a posterior from a trained network and its training data',
  positionals: ['MODEL'],
  options: {
    data: { type: 'string', value: 'FILE', required: true, help: 'training data: CSV, .npy, .npz or safetensors' },
    target: { type: 'string', value: 'NAME',
      help: 'column (or array) of the answers; by default the last column, or y' },
    inputs: { type: 'string', value: 'NAME', help: 'array of the inputs, in files of several arrays; by default x' },
    validation: { type: 'string', value: 'FILE', help: 'held-out data, which --tune grid needs' },
    out: { type: 'string', value: 'FILE', required: true, help: 'where the posterior goes' },
    ...LAPLACE_OPTIONS,
    ...MODEL_OPTIONS,
    json: { type: 'boolean', help: 'print JSON' },
  },
  run: async (args, terminal) => {
    const options = laplaceOptions(args)
    const [data, out] = [args.required('data'), args.required('out')]
    const { graph } = await readNetworkFile(args.positionals[0], args)
    const examples = await answered(data, args, options.likelihood)
    const validationFile = args.text('validation')
    const validation = validationFile === undefined
      ? undefined
      : await answered(validationFile, args, options.likelihood, examples.labels ?? 'none')
    const started = performance.now()
    const progress = progressLine(terminal)
    try {
      const posterior = await laplace(graph, { ...options, ...(validation === undefined ? {} : { validation }) },
        nodeRuntime)
        .fit(examples.x, examples.y, { onProgress: progress.onProgress })
      progress.clear()
      const seconds = (performance.now() - started) / 1000
      await writeBytes(out,
        examples.labels === undefined ? posterior.save() : withLabels(posterior.save(), examples.labels))
      const summary = posterior.summary()
      if (args.flag('json')) {
        terminal.write(
          toJson({ file: out, seconds, ...(examples.labels === undefined ? {} : { labels: examples.labels }),
            ...summary }),
        )
      } else report(terminal, summary, seconds, out, examples.labels)
    } finally {
      progress.clear()
    }
  },
}

/** Examples with answers. */
async function answered(path: string, args: Arguments, likelihood: Likelihood,
  labels?: KnownLabels): Promise<Examples & Required<Pick<Examples, 'y'>>> {
  const examples = await readExamples(path, { likelihood, target: args.text('target'), inputs: args.text('inputs'),
    answered: true, labels })
  if (examples.y === undefined) throw new UsageError(`${path} has no answers; name them with --target.`)
  return { ...examples, y: examples.y }
}

const camelCase = (flag: string): string => flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())

const LISTS: readonly string[] = ['prior-precision', 'prior-mean']
const NUMBERS: readonly string[] = ['sigma-noise', 'temperature', 'seed', 'threads', 'batch-size', 'memory-limit']

/** The flags under their names in the Node interface; `laplace` checks words and ranges. */
function laplaceOptions(args: Arguments): LaplaceOptions {
  const likelihood = oneOf('likelihood', args.required('likelihood'), LIKELIHOODS)
  const given = Object.keys(LAPLACE_OPTIONS).filter(flag => args.text(flag) !== undefined)
  const value = (
    flag: string,
  ): unknown => (LISTS.includes(flag)
    ? numbers(flag, args.required(flag))
    : NUMBERS.includes(flag)
    ? args.number(flag)
    : args.text(flag))
  return { ...Object.fromEntries(given.map(flag => [camelCase(flag), value(flag)])), likelihood }
}

function numbers(flag: string, text: string): number | number[] {
  const values = text.split(',').map(part => (part.trim() === '' ? NaN : Number(part)))
  if (values.some(value => !Number.isFinite(value))) {
    throw new UsageError(`--${flag} must be a number, or numbers separated by commas; got '${text}'.`)
  }
  return values.length === 1 ? values[0] : values
}

function report(terminal: Terminal, summary: PosteriorSummary, seconds: number, out: string,
  labels: readonly string[] | undefined): void {
  const { likelihood, subset, structure, parameterCount, examples, priorPrecision, tuned, effectiveParameters,
    sigmaNoise, logMarginalLikelihood } = summary
  terminal.write(pairs([
    ['Posterior', `${likelihood}, ${subset}, ${structure}: ${formatCount(parameterCount)} parameters`],
    ['Fitted to', `${formatCount(examples)} examples in ${formatSeconds(seconds)}`],
    ...(labels === undefined ? [] : [['Labels', labels.map((label, i) => `${label} = ${i}`).join(', ')] as const]),
    ['Prior precision', `${priorPrecisionText(priorPrecision)} (${tuned === 'none' ? 'as given' : `tuned: ${tuned}`})`],
    ...(typeof effectiveParameters === 'number'
      ? [['Effective parameters', formatNumber(effectiveParameters)] as const]
      : []),
    ...(likelihood === 'regression' ? [['Noise', `standard deviation ${formatNumber(sigmaNoise)}`] as const] : []),
    ['Log marginal likelihood', formatNumber(logMarginalLikelihood, 6)],
    ['Written to', out],
  ]))
  for (const note of summary.notes) terminal.remark(`Note: ${note}\n`)
}

/** One number, or the range of several. */
function priorPrecisionText(values: Float64Array): string {
  if (values.length === 1) return formatNumber(values[0])
  const sorted = values.slice().sort()
  return `${formatNumber(sorted[0])} to ${formatNumber(sorted[sorted.length - 1])} (${
    formatCount(values.length)
  } values)`
}
