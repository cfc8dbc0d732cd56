/** @file 58: every function with options refuses unknown names, values of another type, and what is no object. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { LaplaceError } from '../../core/errors/errors.js'
import * as library from '../../index.js'
import { laplace, loadPosterior, Mixture, Posterior, readNetwork } from '../../index.js'

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
  const own = Object.entries(Object.getOwnPropertyDescriptors(Posterior.prototype)).filter(([, { value }]) =>
    typeof value === 'function'
  ).map(([name]) => name)
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

/** Options of every kind with a value of another type. */
const WRONG: Record<string, readonly object[]> = {
  laplace: [{ likelihood: 'classification', structure: 3 }, { likelihood: 5 }, { likelihood: 'classification',
    priorPrecision: 'one' }, { likelihood: 'classification', memoryLimit: 'much' }, { likelihood: 'classification',
    seed: '1' }, { likelihood: 'classification', batchSize: '8' }, { likelihood: 'classification', threads: 'two' }],
  predict: [{ link: 7 }, { samples: '5', link: 'mc' }, { seed: '1', link: 'mc' }, { level: 'high' }, { joint: 'yes' }, {
    covariance: 1,
  }, { uncertainty: 'no' }],
  conformalize: [{ score: 1 }, { randomised: 'yes' }, { seed: 'x', randomised: true }],
  functionalVariance: [{ joint: 'yes' }],
  sample: [{ seed: 'x' }],
  functionalSamples: [{ seed: 'x' }, { predictive: 3 }],
  predictiveSamples: [{ seed: -1 }, { predictive: 3 }],
  tune: [{ tune: 4 }, { priorStructure: 4 }],
  save: [{ network: 'no' }],
  withPrior: [{ priorPrecision: 'one' }, { temperature: '2' }],
  fit: [{ signal: 5 }, { onProgress: 'print' }, { sampleWeight: 'w' }],
  forecast: [{ rows: '5' }, { rows: 5, batch: 'x' }],
}

t.test('58 options of the wrong type are refused by name', async t => {
  const { functions, methods, fits } = await calls()
  const all = new Map([...functions, ...methods, ...fits])
  for (const [name, list] of Object.entries(WRONG)) {
    for (const options of list) {
      const error = await refusal(all.get(name)!, options)
      t.ok(error instanceof LaplaceError && error.code !== 'INTERNAL',
        `${name} ${JSON.stringify(options)}: ${String(error)}`)
    }
  }
  for (const [name, call] of all) {
    if (PLAIN_OF_WORK.includes(name)) continue
    const error = await refusal(call, { onProgress: 'print' })
    t.ok(error instanceof LaplaceError && /onProgress/.test(error.message), `${name}: ${String(error)}`)
  }
})

/** Options that are no long work. */
const PLAIN_OF_WORK = ['laplace', 'readNetwork', 'loadPosterior', 'forecast', 'logMarginalLikelihood', 'save', 'saveTo',
  'withPrior', 'sample', 'toOnnx', 'exportTo']
