/** @file Partial fits know the chunks of data that they have summed: none counts twice, in any order of merging. */
import fc from 'fast-check'
import t from 'tap'
import { laplace, type LaplaceOptions, type PartialFit, readPartialFit, writePartialFit } from '../../../core/index.js'
import { chunkCount, chunkDigest } from '../../../core/sums/chunks.js'
import { mergePartialFits, mergePartials } from '../../../core/sums/partial-fit.js'
import { exampleRange } from '../../../core/tensor/examples.js'
import { rows, type Tensor } from '../../../core/tensor/tensor.js'
import { referenceCase } from '../../support/reference-case.js'

const { graph, x, y } = referenceCase('tabular-iris')
const OPTIONS = { likelihood: 'classification', structure: 'kron', priorPrecision: 1 } as const
const fits = laplace(graph, OPTIONS)
const part = (from: number, to: number, chunk?: string, prepared = fits): Promise<PartialFit> =>
  prepared.fitPartial(exampleRange(x, from, to), rows(y, from, to), { chunk })

t.test('a chunk is named by rows, labels and name, whatever array they are a part of', async t => {
  const own = (await part(10, 20)).chunks
  const copy: Tensor = { ...rows(x, 10, 20), data: rows(x, 10, 20).data.slice() as Float64Array }
  t.same(own, chunkDigest(copy, rows(y, 10, 20)))
  t.notSame(own, (await part(10, 21)).chunks)
  t.notSame(own, chunkDigest(copy, rows(y, 9, 19)))
  const named = (await part(10, 20, 'partition 3')).chunks
  t.notSame(own, named)
  t.same(own?.subarray(0, 16), named?.subarray(0, 16), 'rows come first')
  await t.rejects(part(0, 3, 'x'.repeat(1001)), { code: 'BAD_ARRAY' })
})

t.test('the same chunk twice is refused, skipped or counted', async t => {
  const [a, b, c] = await Promise.all([part(0, 10), part(10, 31), part(31, 60)])
  const whole = mergePartials([a, b, c])
  t.equal(chunkCount(whole.chunks!), 3)
  for (const again of [a, mergePartialFits(a, b), whole]) {
    t.throws(() => mergePartialFits(whole, again), { code: 'DUPLICATE_CHUNK', message: /would count twice/ })
  }
  t.same(writePartialFit(mergePartials([b, a, c, a, b], 'skip')), writePartialFit(whole), 'copies change no bit')
  t.equal(mergePartials([b, mergePartialFits(a, b), c, whole], 'skip').examples, 60)
  t.throws(() => mergePartials([mergePartialFits(a, b), mergePartialFits(b, c)], 'skip'), { code: 'DUPLICATE_CHUNK' })
  t.equal(mergePartials([a, a, b], 'count').examples, 41)
  t.throws(() => mergePartials([]), { code: 'EMPTY_DATA' })
  t.equal(mergePartialFits(await part(0, 10, 'first'), await part(0, 10, 'second')).examples, 20, 'equal rows, meant')
})

t.test('the order of a merge changes no bit', async t => {
  const parts = await Promise.all(Array.from({ length: 9 }, (_, i) => part(7 * i, 7 * i + 7)))
  const expected = writePartialFit(mergePartials(parts))
  fc.assert(fc.property(fc.shuffledSubarray(parts, { minLength: 9 }), shuffled => {
    t.same(writePartialFit(mergePartials(shuffled)), expected)
  }), { numRuns: 20 })
})

t.test('a part without rows is neutral, also as bytes', async t => {
  const [a, nothing] = [await part(0, 10), readPartialFit(writePartialFit(await part(5, 5)))]
  t.equal(nothing.examples, 0)
  for (const sum of [mergePartialFits(a, nothing), mergePartialFits(nothing, a),
    mergePartials([nothing, a, nothing])]) {
    t.same(sum.curvature, a.curvature)
    t.equal(sum.examples, 10)
  }
  await t.rejects(fits.fitMerged(nothing), { code: 'EMPTY_DATA' })
})

t.test('what does not belong together is refused by its name', async t => {
  const own = await part(0, 10)
  const other = (options: Partial<LaplaceOptions>, network = graph): Promise<PartialFit> =>
    part(0, 10, 'other', laplace(network, { ...OPTIONS, ...options }))
  for (const [options, message] of [[{ structure: 'diag' }, /structure 'kron', the second with 'diag'/], [{
    subset: 'all',
  }, /subset 'last_layer', the second with 'all'/], [{ precision: 'float32' },
    /precision 'float64', the second with 'float32'/]] as const) {
    const others = await other(options)
    t.throws(() => mergePartialFits(own, others), { code: 'DIGEST_MISMATCH', message })
    await t.rejects(fits.fitMerged(others), { code: 'DIGEST_MISMATCH' })
  }
  const weights = new Map(graph.initializers)
  const [name, tensor] = [...weights][0]
  weights.set(name, { ...tensor, data: tensor.data.map(value => value + 1) as Float64Array })
  const trained = await other({}, { ...graph, initializers: weights })
  t.throws(() => mergePartialFits(own, trained), { code: 'DIGEST_MISMATCH', message: /different networks \(digests/ })
})
