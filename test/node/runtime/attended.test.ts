/** @file Calls with a signal run in threads of their own: the same answers, and an end at any moment. */
import fc from 'fast-check'
import t from 'tap'
import { CancelledError, DataError, ShapeError } from '../../../core/errors/errors.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { laplace, type LaplaceOptions, mergePartialFits, Mixture, type Posterior } from '../../../index.js'

const random = randomGenerator(3)
const draw = (...shape: number[]) =>
  tensor('float32', shape, Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0.3 * random.normal()))

function network(inputs: number, hidden: number, outputs: number) {
  const b = new GraphBuilder('float32')
  const tanh = b.node('Tanh', [
    b.node('Gemm', [b.input('x', [BATCH, inputs]), b.parameter('0.weight', draw(hidden, inputs)),
      b.parameter('0.bias', draw(hidden))], { transB: 1 }),
  ])
  return b.build([
    b.node('Gemm', [tanh, b.parameter('2.weight', draw(outputs, hidden)), b.parameter('2.bias', draw(outputs))], {
      transB: 1,
    }),
  ])
}

const graph = network(6, 12, 3)
const x = draw(80, 6)
const y = Float64Array.from({ length: 80 }, (_, i) => i % 3)
const numbers = draw(80, 3)
const draws = Array.from({ length: 80 }, (_, n) => Array.from(x.data.slice(6 * n, 6 * n + 6)))
const unseen = draw(9, 6)
const held = { x: draw(40, 6), y: Float64Array.from({ length: 40 }, (_, i) => i % 3) }
const classes = { likelihood: 'classification' } as const
const attended = () => ({ signal: new AbortController().signal })

/** Everything that a prediction says, what waits until it is read included. */
const said = (answer: object) =>
  JSON.parse(
    JSON.stringify(answer,
      (_, value: unknown) => ArrayBuffer.isView(value) ? Array.from(value as Float64Array) : value),
  ) as unknown

const FITS: Record<string, LaplaceOptions> = {
  'no option': classes,
  'no option, regression': { likelihood: 'regression' },
  'all/kron': { ...classes, subset: 'all', structure: 'kron', priorPrecision: 1 },
  'all/ekfac': { ...classes, subset: 'all', structure: 'ekfac', priorPrecision: 1 },
  'all/diag': { ...classes, subset: 'all', structure: 'diag', tune: 'marglik' },
  'all/full': { ...classes, subset: 'all', structure: 'full', tune: 'marglik' },
  'last layer': { ...classes, subset: 'last_layer' },
  'functional': { ...classes, structure: 'functional', priorPrecision: 1 },
  'samples': { ...classes, structure: 'samples' },
  'held-out rows': { ...classes, validation: held, tune: 'validated' },
}

for (const [name, options] of Object.entries(FITS)) {
  t.test(`${name}: the same numbers`, async t => {
    const labels = options.likelihood === 'regression' ? numbers : y
    const plain = await laplace(graph, options).fit(x, labels)
    const watched = await laplace(graph, options).fit(x, labels, attended())
    t.same(watched.summary(), plain.summary())
    t.same(watched.notes, plain.notes)
    t.ok(Buffer.from(watched.save()).equals(Buffer.from(plain.save())), 'the same file')
    for (const posterior of [plain, watched]) {
      t.same(said(await posterior.predict(unseen, attended())), said(await plain.predict(unseen)))
    }
  })
}

const kron = { ...classes, subset: 'all', structure: 'kron', priorPrecision: 1 } as const

t.test('batches, partial fits, methods and mixtures: the same numbers', async t => {
  const batches = () =>
    [0, 20, 40, 60].map(from => ({ x: draws.slice(from, from + 20), y: y.slice(from, from + 20),
      sampleWeight: new Float64Array(20).fill(2) })
    )
  const posterior = await laplace(graph, kron).fit(batches(), undefined, attended())
  t.ok(Buffer.from(posterior.save()).equals(Buffer.from((await laplace(graph, kron).fit(batches())).save())))
  const parts = await Promise.all(
    [0, 40].map(from =>
      laplace(graph, kron).fitPartial(draws.slice(from, from + 40), y.slice(from, from + 40), attended())
    ),
  )
  const merged = mergePartialFits(parts[0], parts[1])
  t.same((await laplace(graph, kron).fitMerged(merged, undefined, attended())).summary(),
    (await laplace(graph, kron).fitMerged(merged)).summary())
  const plain = await laplace(graph, kron).fit(x, y)
  t.same(said(await answers(plain, attended())), said(await answers(plain, {})))
  const mixture = new Mixture([posterior, plain], [1, 2])
  t.same(said(await mixture.predict(unseen, attended())), said(await mixture.predict(unseen)))
  t.same(said(await (await mixture.conformalize(held.x, held.y, attended())).predict(unseen, { level: 0.9 })),
    said(await (await mixture.conformalize(held.x, held.y)).predict(unseen, { level: 0.9 })))
})

/** What a posterior says of rows. */
async function answers(posterior: Posterior, work: { signal?: AbortSignal }) {
  return [await posterior.inputGradients(unseen, work), await posterior.functionalVariance(unseen, work),
    await posterior.forward(unseen, work), await posterior.predictiveSamples(unseen, 3, work),
    await posterior.functionalSamples(unseen, 3, { predictive: 'nn', ...work }), await posterior.influence(x, y, work),
    await posterior.compare(held.x, held.y, work), await posterior.figures(held.x, held.y, work),
    (await posterior.tune({ tune: 'marglik', ...work })).summary(),
    (await posterior.addRows(held.x, held.y, work)).summary(),
    (await posterior.forget(draws.slice(0, 20), y.slice(0, 20), work)).summary(),
    await (await posterior.conformalize(held.x, held.y, work)).predict(unseen, { level: 0.9, ...work })]
}

t.test('errors are of the classes that a call without a signal throws', async t => {
  const posterior = await laplace(graph, kron).fit(x, y)
  await t.rejects(posterior.predict(draw(4, 5), attended()), ShapeError)
  await t.rejects(laplace(graph, kron).fit(x, y.map(label => label + 0.5), attended()), DataError)
  await t.rejects(posterior.predict(unseen, { signal: AbortSignal.abort() }), CancelledError)
  const failing = async function*() {
    yield { x: draws.slice(0, 20), y: y.slice(0, 20) }
    throw new RangeError('no more rows')
  }
  for (let i = 0; i < 6; i++) await t.rejects(laplace(graph, kron).fit(failing(), undefined, attended()), RangeError)
})

t.test('the event loop turns while a call computes, and a cancelled one ends at once', async t => {
  const wide = network(20, 60, 5)
  const fit = (signal: AbortSignal) =>
    laplace(wide, { ...classes, subset: 'all', structure: 'full', tune: 'marglik', threads: 1 })
      .fit(draw(200, 20), Float64Array.from({ length: 200 }, (_, i) => i % 5), { signal })
  let [turns, waiting] = [0, true]
  const turn = () => {
    turns++
    if (waiting) setTimeout(turn, 1)
  }
  turn()
  await fit(new AbortController().signal)
  // Where the thread of the caller computed, eigenvalues of 1,565 weights would let none turn for a second.
  t.ok(turns > 50, `${turns} turns`)
  const controller = new AbortController()
  const cancelled = fit(controller.signal)
  setTimeout(() => {
    turns = 0
    controller.abort()
  }, 20)
  await t.rejects(cancelled, CancelledError)
  t.ok(turns < 100, `${turns} turns until it ends`)
  waiting = false
})

t.test('random interleavings: each call gives its own numbers or is cancelled, and the posterior stays', async t => {
  const posterior = await laplace(graph, classes).fit(x, y)
  const file = Buffer.from(posterior.save())
  const sets = [draw(1, 6), draw(30, 6), draw(300, 6)]
  const expected = await Promise.all(sets.map(async rows => said(await posterior.predict(rows))))
  const call = fc.record({ rows: fc.nat({ max: 2 }), signal: fc.boolean(), abort: fc.option(fc.nat({ max: 30 })) })
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 2, maxLength: 8 }), async calls => {
      await Promise.all(calls.map(async ({ rows, signal, abort }) => {
        const controller = new AbortController()
        const answer = posterior.predict(sets[rows], signal ? { signal: controller.signal } : {})
        if (abort !== null) setTimeout(() => controller.abort(), abort)
        try {
          t.strictSame(said(await answer), expected[rows])
        } catch (error) {
          t.ok(error instanceof CancelledError && signal && abort !== null, String(error))
        }
      }))
    }),
    { numRuns: 15 },
  )
  const refit = new AbortController()
  const fitted = posterior.addRows(held.x, held.y, { signal: refit.signal }).catch((error: unknown) => error)
  refit.abort()
  t.ok(await fitted instanceof Error)
  t.ok(Buffer.from(posterior.save()).equals(file), 'untouched')
})
