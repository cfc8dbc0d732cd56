/** @file 58: every function with options refuses unknown names, values of another type, and what is no object. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { LaplaceError } from '../../core/errors/errors.js'
import * as library from '../../index.js'
import { laplace, loadPosterior, Mixture, Posterior, readNetwork } from '../../index.js'
import { PosteriorQuantities } from '../../node/posterior-quantities.js'
import { Predictor } from '../../node/predictor.js'

const iris = new URL('../fixtures/cases/tabular-iris/model.onnx', import.meta.url)
const x = Array.from({ length: 30 }, (_, i) => [5 + i % 3, 3, 1 + i % 4, 0.2 * (i % 5)])
const y = Array.from({ length: 30 }, (_, i) => i % 3)

type Call = (options: never) => unknown

/** Every call with options, by the name under which it is exported. */
async function calls(): Promise<{ functions: Map<string, Call>, methods: Map<string, Call>, fits: Map<string, Call> }> {
  const network = await readNetwork(readFileSync(iris))
  const prepared = laplace(network, { likelihood: 'classification', subset: 'last_layer', structure: 'kron',
    priorPrecision: 1 })
  const posterior = await prepared.fit(x, y)
  const partial = await prepared.fitPartial(x, y)
  return {
    functions: new Map<string, Call>([
      ['laplace', options => laplace(network, options)],
      ['readNetwork', options => readNetwork(readFileSync(iris), options)],
      ['loadPosterior', options => loadPosterior(posterior.save(), options)],
    ]),
    fits: new Map<string, Call>([
      ['fit', options => prepared.fit(x, y, options)],
      ['fitPartial', options => prepared.fitPartial(x, y, options)],
      ['fitMerged', options => prepared.fitMerged(partial, undefined, options)],
      ['forecast', options => prepared.forecast(options)],
    ]),
    methods: new Map<string, Call>([
      ['logMarginalLikelihood', options => posterior.logMarginalLikelihood(options)],
      ['Mixture.predict', options => new Mixture([posterior, posterior]).predict(x, options)],
      ['save', options => posterior.save(options)],
      ['saveTo', options => posterior.saveTo(`${t.testdir({})}/p`, options)],
      ['withPrior', options => posterior.withPrior(options)],
      ['predict', options => posterior.predict(x, options)],
      ['addRows', options => posterior.addRows(x, y, options)],
      ['forget', options => posterior.forget(x.slice(3), y.slice(3), options)],
      ['conformalize', options => posterior.conformalize(x, y, options)],
      ['influence', options => posterior.influence(x, y, options)],
      ['inputGradients', options => posterior.inputGradients(x, options)],
      ['functionalVariance', options => posterior.functionalVariance(x, options)],
      ['compare', options => posterior.compare(x, y, options)],
      ['figures', options => posterior.figures(x, y, options)],
      ['report', options => posterior.report(x, y, options)],
      ['forward', options => posterior.forward(x, options)],
      ['sample', options => posterior.sample(3, options)],
      ['functionalSamples', options => posterior.functionalSamples(x, 3, options)],
      ['predictiveSamples', options => posterior.predictiveSamples(x, 3, options)],
      ['tune', options => posterior.tune(options)],
      ['toOnnx', options => posterior.toOnnx(options)],
      ['exportTo', options => posterior.exportTo(`${t.testdir({})}/m.onnx`, options)],
    ]),
  }
}

/** Without options. */
const PLAIN = ['auroc', 'memoryTable', 'mergePartialFits', 'mergePartials', 'metrics', 'readPartialFit',
  'subtractPartialFit', 'summarizeNetwork', 'writePartialFit', 'toNdArray', 'toTensor', 'writeWhole']
const PLAIN_METHODS = ['constructor', 'marginals', 'posteriorVariance', 'posteriorCovariance', 'summary', 'logProb',
  'toString']
/** Classes, and functions whose options have tests of their own. */
const OTHERS = ['LaplaceError', 'Posterior', 'Mixture', 'arrowBatches', 'predictBatches']

t.test('58 the audit knows every export and every method', async t => {
  const { functions, methods } = await calls()
  const exported = Object.entries(library).filter(([, value]) => typeof value === 'function').map(([name]) => name)
  t.same(exported.filter(name => !functions.has(name) && !PLAIN.includes(name) && !OTHERS.includes(name)), [])
  const classes = [Posterior, PosteriorQuantities, Predictor]
  const own = classes.flatMap(({ prototype }) => Object.entries(Object.getOwnPropertyDescriptors(prototype)))
    .filter(([, { value }]) => typeof value === 'function').map(([name]) => name)
  t.same(own.filter(name => !methods.has(name) && !PLAIN_METHODS.includes(name)), [])
})

/** What a call ends with. */
async function refusal(call: Call, options: unknown): Promise<unknown> {
  try {
    await call(options as never)
    return undefined
  } catch (error) {
    return error
  }
}

t.test('58 unknown options, and what is no object, are refused by name', async t => {
  const { functions, methods, fits } = await calls()
  for (const [name, call] of [...functions, ...methods, ...fits]) {
    const unknown = await refusal(call, { likelihood: 'classification',
      ...name !== 'laplace' && { likelihood: undefined }, sampleWeights: [1] })
    t.ok(unknown instanceof LaplaceError && unknown.code === 'UNKNOWN_OPTION', `${name}: ${String(unknown)}`)
    for (const none of [null, 5, 'probit', true]) {
      const error = await refusal(call, none)
      t.ok(error instanceof LaplaceError && error.code === 'BAD_OPTION', `${name} ${String(none)}: ${String(error)}`)
    }
  }
})

/** Values of every kind. What an option takes of them is in `TAKEN`; all else must be refused by a typed error. */
const VALUES = new Map<string, unknown>([['NaN', NaN], ['infinity', Infinity], ['negative', -1], ['fraction', 2.5], [
  'text',
  'nonsense',
], ['digits', '3'], ['object', { nonsense: 1 }], ['empty', []], ['ragged', [[1], [2, 3]]], ['typed',
  new Float64Array(0)], ['function', () => 1], ['true', true], ['symbol', Symbol('a')], ['big', 5n], ['date',
  new Date(0)], ['misspelt', { count: 2, by: 'magnitude', sed: 1 }]])

/** By option: the kinds above that are values of it. */
const TAKEN: Record<string, readonly string[]> = {
  priorPrecision: ['fraction'],
  priorMean: ['fraction', 'negative'],
  sigmaNoise: ['fraction', 'true'],
  temperature: ['fraction'],
  freeze: ['empty'],
  // From the end; which axes there are is known with the network.
  classAxis: ['negative'],
  joint: ['true'],
  covariance: ['true'],
  uncertainty: ['true'],
  randomised: ['true'],
  network: ['true'],
  card: ['true'],
  mlflow: ['true'],
  onProgress: ['function'],
  title: ['text', 'digits'],
  chunk: ['text', 'digits'],
  activation: ['text', 'digits'],
  model: ['text', 'digits'],
  root: ['text', 'digits'],
  architecture: ['empty', 'ragged'],
  inputSize: ['empty', 'typed'],
  dimensions: ['object', 'date', 'misspelt'],
  files: ['date'],
  maxBytes: [],
  hdf5: ['function'],
  inflate: ['function'],
  crc32: ['function'],
  noise: ['true'],
  labels: ['empty'],
  classes: ['empty'],
}

/** What an option needs beside it to be looked at. */
const BESIDE: Record<string, object> = { draws: { curvature: 'mc_fisher' }, rank: { structure: 'lowrank' }, nSubset: {
  structure: 'functional',
}, samples: { structure: 'samples' }, blocks: { structure: 'blockdiag' }, subnetwork: { subset: 'subnetwork' } }

/** The names of a call's options, as its own error lists them. */
async function namesOf(call: Call, given: object): Promise<string[]> {
  const error = await refusal(call, { ...given, noSuchOption: 1 })
  const allowed: unknown = error instanceof LaplaceError ? error.data['allowed'] : undefined
  return Array.isArray(allowed) ? allowed.map(String) : []
}

t.test('58 every option of every call refuses values of another type', async t => {
  const { functions, methods, fits } = await calls()
  const failed: string[] = []
  for (const [name, call] of [...functions, ...methods, ...fits]) {
    const given = name === 'laplace' ? { likelihood: 'classification' } : {}
    const names = await namesOf(call, given)
    if (names.length === 0) failed.push(`${name} does not list its options`)
    const work = PLAIN_OF_WORK.includes(name) ? [] : ['onProgress', 'signal']
    for (const option of new Set([...names, ...work])) {
      for (const [kind, value] of VALUES) {
        const error = await refusal(call, { ...given, ...BESIDE[option], [option]: value })
        const typed = error instanceof LaplaceError && error.code !== 'INTERNAL' && error.message.length < 1000
        const taken = error === undefined && TAKEN[option]?.includes(kind) === true
        if (!typed && !taken) failed.push(`${name} { ${option}: ${kind} }: ${String(error ?? 'accepted')}`)
      }
    }
  }
  t.same(failed, [])
})

/** Options that are no long work. */
const PLAIN_OF_WORK = ['laplace', 'readNetwork', 'loadPosterior', 'forecast', 'logMarginalLikelihood', 'save', 'saveTo',
  'withPrior', 'sample', 'toOnnx', 'exportTo']
