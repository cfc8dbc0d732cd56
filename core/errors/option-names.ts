/**
 * @file What the options are called where a message is read: the same things have names of their own in Python, in R
 * and on the command line.
 */

/** Where a message is read. */
export type Language = 'node' | 'python' | 'r' | 'cli'

/** The name of an option in each language; undefined where it does not exist and no message there names it. */
export interface OptionName {
  readonly python?: string
  readonly r?: string
  readonly cli?: string
}

const alike = (name: string): OptionName => ({ python: name, r: name, cli: `--${name.replace(/_/g, '-')}` })

/** By their names in Node: every option that a message names (test/core/errors/option-names.test.ts walks them all). */
export const OPTION_NAMES: Readonly<Record<string, OptionName>> = {
  // How a network is read.
  activation: alike('activation'),
  architecture: alike('architecture'),
  dimensions: alike('dimensions'),
  externalData: alike('external_data'),
  files: { python: 'external_data', r: 'external_data', cli: '--files' },
  freeze: alike('freeze'),
  hdf5: {},
  inflate: {},
  input: alike('input'),
  inputSize: alike('input_size'),
  opset: alike('opset'),
  outputs: alike('outputs'),
  // Python and R call the network itself so.
  model: { python: 'model_name', r: 'model_name', cli: '--model' },
  network: { python: 'model', r: 'model', cli: '--network' },
  output: alike('output'),
  parameters: alike('parameters'),
  // What is fitted.
  batchSize: alike('batch_size'),
  calibrate: alike('calibrate'),
  classAxis: alike('class_axis'),
  classWeight: alike('class_weight'),
  curvature: alike('curvature'),
  draws: alike('draws'),
  dtype: alike('dtype'),
  engine: alike('engine'),
  labelSmoothing: alike('label_smoothing'),
  kfacApprox: alike('kfac_approx'),
  lastLayerName: alike('last_layer_name'),
  likelihood: alike('likelihood'),
  memoryLimit: alike('memory_limit'),
  positions: alike('positions'),
  precision: alike('precision'),
  priorMean: alike('prior_mean'),
  priorPrecision: alike('prior_precision'),
  priorStructure: alike('prior_structure'),
  sampleWeight: { python: 'sample_weight', r: 'weights', cli: '--weights' },
  blocks: alike('blocks'),
  rank: alike('rank'),
  samples: alike('samples'),
  nSubset: alike('n_subset'),
  independentOutputs: alike('independent_outputs'),
  seed: alike('seed'),
  sigmaNoise: alike('sigma_noise'),
  subnetwork: { python: 'subnetwork_indices', r: 'subset', cli: '--subnetwork' },
  structure: { ...alike('structure'), python: 'hessian_structure' },
  subset: { ...alike('subset'), python: 'subset_of_weights' },
  temperature: alike('temperature'),
  threads: alike('threads'),
  tune: { ...alike('tune'), python: 'method' },
  validation: { ...alike('validation'), python: 'X_val' },
  // What is asked of a posterior.
  level: { ...alike('level'), python: 'alpha' },
  quantiles: { python: 'quantiles', r: 'probs' },
  // How long work is followed in Node; elsewhere a callback, or Ctrl-C, does it.
  onProgress: {},
  signal: {},
  // What advice names.
  fitMerged: { python: 'fit_merged' },
}

/** Names that are no words of English, which a message may use without saying that they are options. */
const DISTINCT = Object.keys(OPTION_NAMES).filter(name => /[A-Z]/.test(name))
const AFTER_OPTION = new RegExp(`\\b([Oo]ption) (${Object.keys(OPTION_NAMES).join('|')})\\b`, 'g')
const ALONE = new RegExp(`\\b(?:${DISTINCT.join('|')})\\b`, 'g')
/** "Use subset 'all'", "or structure 'kron'": an option before its value. */
const BEFORE_VALUE = /\b(subset|structure) (?=')/g

/** Examples of values, as they are written in each language. */
const VALUES: readonly (readonly [text: string, Readonly<Record<Language, string>>])[] = [
  ['[1, 28, 28]', { node: '[1, 28, 28]', python: '[1, 28, 28]', r: 'c(1, 28, 28)', cli: '1x28x28' }],
  ['[0.05, 0.95]', { node: '[0.05, 0.95]', python: '[0.05, 0.95]', r: 'c(0.05, 0.95)', cli: '0.05,0.95' }],
  ['validation: { x, y }', { node: 'validation: { x, y }', python: 'X_val=, y_val=', r: 'validation = list(x = , y = )',
    cli: '--validation FILE' }],
  ['conformalize(x, y)', { node: 'conformalize(x, y)', python: 'conformalize(X, y)', r: 'conformalize(la, x, y)',
    cli: 'polylaplace conformalize POSTERIOR --data FILE --out FILE' }],
  ["tune: 'auto'", { node: "tune: 'auto'", python: "method='auto'", r: "tune = 'auto'", cli: '--tune auto' }],
  ['validation: 0.1', { node: 'validation: 0.1', python: 'validation_fraction=0.1', r: 'validation = 0.1',
    cli: '--validation 0.1' }],
]

/** A message as it reads in a language: options under the names that they have there. */
export function inLanguage(message: string, language: Language): string {
  if (language === 'node') return message
  const named = (name: string): string => OPTION_NAMES[name][language] ?? name
  const values = VALUES.reduce((text, [from, to]) => text.replaceAll(from, to[language]), message)
  return values
    .replace(AFTER_OPTION, (_, option: string, name: string) => `${option} ${named(name)}`)
    .replace(ALONE, named)
    .replace(BEFORE_VALUE, (_, name: string) => `${named(name)} `)
}
