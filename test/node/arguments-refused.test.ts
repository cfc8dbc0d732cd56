/** @file 57, 58: arguments by place of every export of the package and of the core: another type is a typed error. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { LaplaceError } from '../../core/errors/errors.js'
import * as core from '../../core/index.js'
import * as library from '../../index.js'

const iris = readFileSync(new URL('../fixtures/cases/tabular-iris/model.onnx', import.meta.url))
const x = Array.from({ length: 30 }, (_, i) => [5 + i % 3, 3, 1 + i % 4, 0.2 * (i % 5)])
const y = Array.from({ length: 30 }, (_, i) => i % 3)
const options = { likelihood: 'classification', subset: 'all', structure: 'full', priorPrecision: 1 } as const

const VALUES: readonly unknown[] = [undefined, null, NaN, -1, 2.5, 'nonsense', true, 5n, Symbol('a'), () => 1, {}, [], [
  [1],
  [2, 3],
], [[[1]]], [[]], { nonsense: 1 }, new Float64Array(0), new Date(0), new Uint8Array(3), ['1'], [NaN]]

type Call = (value: never) => unknown

/** Every export that is a function or a class, with a call for each of its places. */
async function places(): Promise<Map<string, readonly Call[]>> {
  const network = await library.readNetwork(iris)
  const fit = library.laplace(network, options)
  const posterior = await fit.fit(x, y)
  const partial = await fit.fitPartial(x, y)
  const own = core.laplace(network, options)
  const rows = core.float64([30, 4], x.flat())
  const labels = core.float64([30], y)
  const fitted = await own.fit(rows, labels)
  return new Map<string, readonly Call[]>([
    ['laplace', [v => library.laplace(v, options), v => library.laplace(network, v), v => fit.fit(v, y),
      v => fit.fit(x, v), v => fit.fitPartial(v, y), v => fit.fitPartial(x, v), v => fit.fitMerged(v),
      v => fit.fitMerged(partial, v), v => fit.fit(v)]],
    ['readNetwork', [v => library.readNetwork(typeof v === 'string' ? [v] as never : v)]],
    ['loadPosterior', [v => library.loadPosterior(v)]],
    ['metrics', [v => library.metrics(v, [1], { probabilities: [[1]] }),
      v => library.metrics('classification', v, { probabilities: [[1]] }),
      v => library.metrics('classification', [1], v)]],
    ['Mixture', [v => new library.Mixture(v), v => new library.Mixture([v]),
      v => new library.Mixture([posterior, posterior], v), v => new library.Mixture([posterior]).predict(v)]],
    ['Posterior', [v => posterior.predict(v), v => posterior.forward(v), v => posterior.addRows(v, y),
      v => posterior.addRows(x, v), v => posterior.forget(v, y), v => posterior.forget(x, v),
      v => posterior.conformalize(v, y), v => posterior.conformalize(x, v), v => posterior.influence(v, y),
      v => posterior.influence(x, v), v => posterior.inputGradients(v), v => posterior.functionalVariance(v),
      v => posterior.compare(v, y), v => posterior.compare(x, v), v => posterior.figures(v, y),
      v => posterior.figures(x, v), v => posterior.report(v, y), v => posterior.report(x, v), v => posterior.logProb(v),
      v => posterior.sample(v), v => posterior.functionalSamples(x, v), v => posterior.functionalSamples(v, 3),
      v => posterior.predictiveSamples(x, v), v => posterior.predictiveSamples(v, 3),
      v => posterior.saveTo(typeof v === 'string' ? '/nowhere/at/all' : v),
      v => posterior.exportTo(typeof v === 'string' ? '/nowhere/at/all' : v)]],
    ['auroc', [v => library.auroc(v, [1, 0]), v => library.auroc([1, 0], v)]],
    ['mergePartialFits', [v => library.mergePartialFits(v, partial), v => library.mergePartialFits(partial, v)]],
    ['mergePartials', [v => library.mergePartials(v), v => library.mergePartials([v]),
      v => library.mergePartials([partial], v)]],
    ['subtractPartialFit', [v => library.subtractPartialFit(v, partial), v => library.subtractPartialFit(partial, v)]],
    ['readPartialFit', [v => library.readPartialFit(v)]],
    ['writePartialFit', [v => library.writePartialFit(v)]],
    ['summarizeNetwork', [v => library.summarizeNetwork(v)]],
    ['memoryTable', [v => library.memoryTable(v)]],
    ['toNdArray', [v => library.toNdArray(v)]],
    ['toTensor', [v => library.toTensor(v, 'x')]],
    ['arrowBatches', [v => drained(library.arrowBatches(v, { label: 'y' })),
      v => drained(library.arrowBatches([], v))]],
    ['predictBatches', [v => drained(library.predictBatches(v, [])), v => drained(library.predictBatches(posterior, v)),
      v => drained(library.predictBatches(posterior, [], v))]],
    ['writeWhole', [v => library.writeWhole(v, {} as string), v => library.writeWhole('/nowhere/at/all', v)]],
    ['core.laplace', [v => core.laplace(v, options), v => core.laplace(network, v), v => own.fit(v, labels),
      v => own.fit(rows, v), v => own.fit(v), v => own.fitPartial(v, labels), v => own.fitPartial(rows, v),
      v => own.fitMerged(v), v => own.stream().add(v, labels), v => own.stream().add(rows, v), v => own.forecast(v)]],
    ['core.forward', [v => core.forward(v, rows), v => core.forward(network, v), v => core.forward(network, rows, v)]],
    ['core.LaplacePosterior', [v => fitted.predict(v), v => fitted.predict(rows, v), v => fitted.forward(v),
      v => fitted.conformalize(v, labels), v => fitted.influence(v, labels), v => fitted.compare(v, labels),
      v => fitted.compare(rows, v), v => fitted.logProb(v), v => fitted.sample(v),
      v => fitted.functionalSamples(rows, v)]],
    ['core.loadPosterior', [v => core.loadPosterior(v), v => core.loadPosterior(fitted.save(), v)]],
    ['core.metrics', [v => core.metrics(v, labels, {}), v => core.metrics('classification', v, {}),
      v => core.metrics('classification', labels, v)]],
    ['core.Mixture', [v => new core.Mixture(v), v => new core.Mixture([v]),
      v => new core.Mixture([fitted, fitted], v)]],
    ['core.graphDigest', [v => core.graphDigest(v)]],
    ['core.chunkCount', [v => core.chunkCount(v)]],
    ['core.chunkDigest', [v => core.chunkDigest(v, labels), v => core.chunkDigest(rows, v)]],
    ['core.float64', [v => core.float64(v, [1, 2]), v => core.float64([2], v)]],
    ['core.tensor', [v => core.tensor(v, [2], [1, 2]), v => core.tensor('float32', v, [1, 2]),
      v => core.tensor('float32', [2], v)]],
  ])
}

async function drained(batches: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of batches) { /* Nothing is due. */ }
}

/** What is an argument after all, or nothing at all: fits to no batches, arrays of no kind in particular. */
const TAKEN: Record<string, RegExp> = {
  toTensor: /^$|./,
  predictBatches: /^$|./,
  arrowBatches: /^$|./,
  'core.float64': /./,
  'core.tensor': /./,
  'core.chunkCount': /./,
  'core.chunkDigest': /^\[\]$/,
  loadPosterior: /undefined/,
  'core.loadPosterior': /undefined|\[object Object\]/,
  Mixture: /undefined/,
  'core.Mixture': /undefined/,
  mergePartials: /undefined/,
  Posterior: /undefined/,
  'core.LaplacePosterior': /undefined|\[object Object\]/,
  laplace: /undefined/,
  'core.forward': /undefined|\[object Object\]/,
}

t.test('57, 58 arguments of another type are typed errors, in every place of every export', async t => {
  const all = await places()
  const named = (module: object, prefix: string): string[] =>
    Object.entries(module).filter(([, value]) => typeof value === 'function').map(([name]) => prefix + name)
  const known = [...named(library, ''),
    ...named(core, 'core.').filter(name => !(name.slice(5) in library) || all.has(name))]
  t.same(known.filter(name => !all.has(name) && name !== 'LaplaceError' && name !== 'core.GraphBuilder'), [])
  const failed: string[] = []
  for (const [name, calls] of all) {
    for (const [place, call] of calls.entries()) {
      for (const value of VALUES) {
        const problem = await problemOf(call, value, TAKEN[name])
        if (problem !== undefined) failed.push(`${name} ${place} ${shownHere(value)}: ${problem}`)
      }
    }
  }
  t.same(failed, [])
})

async function problemOf(call: Call, value: unknown, taken: RegExp | undefined): Promise<string | undefined> {
  try {
    await call(value as never)
    return taken?.test(shownHere(value)) === true ? undefined : 'accepted'
  } catch (error) {
    const typed = error instanceof LaplaceError && error.code !== 'INTERNAL' && error.message.length < 1000
    return typed ? undefined : String(error)
  }
}

function shownHere(value: unknown): string {
  return Array.isArray(value) ? JSON.stringify(value) : String(value)
}
