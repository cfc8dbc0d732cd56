/** @file The options of a Laplace approximation, as flags. */
import { oneOf } from '../../core/errors/suggest.js'
import type { LaplaceOptions } from '../../core/options/laplace-options.js'
import type { SubnetworkChoice } from '../../core/options/parameter-choice.js'
import { BLOCKS, CALIBRATIONS, CURVATURES, ENGINES, KFAC_APPROXIMATIONS, PRECISIONS, PRIOR_STRUCTURES, ROW_LIKELIHOODS,
  STRUCTURES, SUBSET_CHOICES, TUNE_METHODS } from '../../core/options/words.js'
import { type Arguments, UsageError } from './arguments.js'
import { CHOICE_OPTIONS } from './network-options.js'
import type { OptionTable } from './option-table.js'

const words = (list: readonly string[]): string => list.join(' | ')

/** The options of `laplace`, as flags: their names in the Node interface follow from these. */
export const LAPLACE_OPTIONS: OptionTable = {
  likelihood: { type: 'string', value: 'NAME', required: true, help: words(ROW_LIKELIHOODS) },
  subset: { type: 'string', value: 'NAME', help: words(SUBSET_CHOICES) },
  subnetwork: { type: 'string', value: 'WHICH',
    help: 'its parameters: numbers and ranges (0-5,9), names of tensors or modules, magnitude:COUNT or random:COUNT' },
  structure: { type: 'string', value: 'NAME', help: `chosen with the subset by default; ${words(STRUCTURES)}` },
  curvature: { type: 'string', value: 'NAME', help: words(CURVATURES) },
  blocks: { type: 'string', value: 'NAME', help: `of blockdiag: ${words(BLOCKS)}` },
  rank: { type: 'string', value: 'NUMBER',
    help: "of lowrank at the network's weights: eigenvectors, or below 1 the share of the trace that they have" },
  'n-subset': { type: 'string', value: 'NUMBER', help: 'of functional: examples whose rows are kept; all by default' },
  'independent-outputs': { type: 'boolean', help: 'of functional: each output has a process of its own' },
  nystroem: { type: 'boolean',
    help: 'of functional: all rows count, in the span of the Jacobians of n-subset examples' },
  samples: { type: 'string', value: 'NUMBER', help: 'of samples: draws of the weights that are solved for; 64' },
  draws: { type: 'string', value: 'NUMBER', help: 'labels that mc_fisher draws for each row; 1 by default' },
  'kfac-approx': { type: 'string', value: 'NAME', help: words(KFAC_APPROXIMATIONS) },
  'prior-precision': { type: 'string', value: 'NUMBERS',
    help: 'one, or one per tensor or parameter, separated by commas; not tuned then' },
  'prior-mean': { type: 'string', value: 'NUMBERS', help: 'one, or one per parameter; 0 by default' },
  'sigma-noise': { type: 'string', value: 'NUMBERS',
    help: 'noise of the observations (regression), one or one an output; rows separated by ; a covariance, '
      + 'full finds one' },
  temperature: { type: 'string', value: 'NUMBER', help: '1 by default' },
  'label-smoothing': { type: 'string', value: 'NUMBER', help: 'of classes and labels: the share of label smoothing' },
  'class-weight': { type: 'string', value: 'NUMBERS',
    help: 'how much each class counts, separated by commas, or balanced: each class the same' },
  tune: { type: 'string', value: 'NAME', help: words(TUNE_METHODS) },
  calibrate: { type: 'string', value: 'NAME',
    help: `${words(CALIBRATIONS)}: the baseline in place of the posterior's answer; needs --validation` },
  'prior-structure': { type: 'string', value: 'NAME', help: words(PRIOR_STRUCTURES) },
  seed: { type: 'string', value: 'NUMBER', help: '0 by default' },
  engine: { type: 'string', value: 'NAME', help: words(ENGINES) },
  precision: { type: 'string', value: 'NAME', help: `${words(PRECISIONS)}; the network's own by default` },
  threads: { type: 'string', value: 'NUMBER', help: 'as many as there are processors by default' },
  ...CHOICE_OPTIONS,
  'last-layer-name': { type: 'string', value: 'NAME',
    help: 'the layer that last_layer means: of a module, a parameter or a node; the last one by default' },
  positions: { type: 'string', value: 'NAME',
    help: 'of networks that answer at several positions of an example: each | first | last | mean' },
  'class-axis': { type: 'string', value: 'NUMBER', help: 'the axis of such answers that holds the classes' },
  'batch-size': { type: 'string', value: 'NUMBER', help: 'examples computed at once' },
  'memory-limit': { type: 'string', value: 'BYTES', help: 'what the posterior may need' },
}

const camelCase = (flag: string): string => flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** The flags that are numbers, and those that may be several. */
const LISTS: readonly string[] = ['prior-precision', 'prior-mean', 'sigma-noise', 'class-weight']

const NUMBERS: readonly string[] = ['class-axis', 'draws', 'rank', 'n-subset', 'samples', 'temperature',
  'label-smoothing', 'seed', 'threads', 'batch-size', 'memory-limit']

/**
 * The flags under their names in the Node interface; `laplace` checks words and ranges.
 * @throws UsageError for what is no number, OptionError for an unknown likelihood
 */
export function laplaceOptions(args: Arguments): LaplaceOptions {
  const likelihood = oneOf('likelihood', args.required('likelihood'), ROW_LIKELIHOODS)
  const given = Object.keys(LAPLACE_OPTIONS).filter(flag => args.text(flag) !== undefined || args.flag(flag))
  const value = (
    flag: string,
  ): unknown => (flag === 'subnetwork' ? subnetworkOf(args.required(flag), args.number('seed')) : LISTS.includes(flag)
    ? numbers(flag, args.required(flag))
    : NUMBERS.includes(flag)
    ? args.number(flag)
    : args.text(flag) ?? args.flag(flag))
  return { ...Object.fromEntries(given.map(flag => [camelCase(flag), value(flag)])), likelihood }
}

/** Numbers and ranges of parameters, names, or how many by what. */
function subnetworkOf(text: string, seed: number | undefined): SubnetworkChoice {
  const rule = /^(magnitude|random):(\d+)$/.exec(text)
  if (rule !== null) return { count: Number(rule[2]), by: rule[1] as 'magnitude' | 'random', seed }
  const parts = text.split(',').map(part => part.trim())
  const indices = parts.map(part => /^(\d+)(?:-(\d+))?$/.exec(part))
  if (!indices.every(part => part !== null)) return parts
  return indices.flatMap(([, from, to = from]) =>
    Array.from({ length: Math.max(0, Number(to) - Number(from) + 1) }, (_, i) => Number(from) + i)
  )
}

function numbers(flag: string, text: string): number | number[] | string | number[][] {
  if (flag === 'sigma-noise' && text.includes(';')) {
    return text.split(';').map(row => [numbers(flag, row)].flat().map(Number))
  }
  if (flag === 'class-weight' && text === 'balanced' || flag === 'sigma-noise' && text === 'full') return text
  const values = text.split(',').map(part => (part.trim() === '' ? NaN : Number(part)))
  if (values.some(value => !Number.isFinite(value))) {
    throw new UsageError(`--${flag} must be a number, or numbers separated by commas; got '${text}'.`)
  }
  return values.length === 1 ? values[0] : values
}
