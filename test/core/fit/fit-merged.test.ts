/** @file Merged sums with the rows once more are the fit of one machine, whatever the way of tuning. */
import t from 'tap'
import { laplace, type LaplaceOptions, mergePartials, subtractPartialFit } from '../../../core/index.js'
import { readPartialFit, writePartialFit } from '../../../core/storage/partial-fit-file.js'
import { exampleRange } from '../../../core/tensor/examples.js'
import { rows } from '../../../core/tensor/tensor.js'
import { referenceCase } from '../../support/reference-case.js'

for (const name of ['regression-1d', 'tabular-iris']) {
  const { graph, x, y } = referenceCase(name)
  const likelihood = name === 'tabular-iris' ? 'classification' : 'regression'
  const [count] = x.shape
  const validation = { x: exampleRange(x, 0, 30), y: rows(y, 0, 30) }
  const ways: LaplaceOptions[] = [
    { likelihood, subset: 'last_layer', structure: 'kron' },
    { likelihood, subset: 'last_layer', structure: 'full', tune: 'linearized' },
    { likelihood, subset: 'last_layer', structure: 'kron', tune: 'validated', validation },
    { likelihood, subset: 'all', structure: 'kron' },
  ]
  for (const options of ways) {
    t.test(`${name}: ${options.subset}, ${options.structure}, ${options.tune ?? 'auto'}`, async t => {
      const prepared = laplace(graph, options)
      const cuts = [0, 17, 64, count]
      const parts = await Promise.all(
        cuts.slice(1).map((end, i) => prepared.fitPartial(exampleRange(x, cuts[i], end), rows(y, cuts[i], end))),
      )
      const merged = await prepared.fitMerged(mergePartials(parts), { x, y })
      const alone = await prepared.fit(x, y)
      t.equal(merged.tuned, alone.tuned)
      t.ok(Math.abs(Number(merged.priorPrecision) / Number(alone.priorPrecision) - 1) < 1e-8)
      t.ok(Math.abs(Number(merged.sigmaNoise) / Number(alone.sigmaNoise) - 1) < 1e-8)
      const [one, other] = await Promise.all([merged.predict(x), alone.predict(x)])
      for (const part of ['mean', 'variance', 'probabilities'] as const) {
        const expected = other[part]?.data
        if (expected === undefined) continue
        t.ok(one[part]!.data.every((value, i) => Math.abs(value - expected[i]) <= 1e-8 * Math.abs(expected[i])), part)
      }
    })
  }
}

t.test('columns are those that the parts were summed by', async t => {
  const { graph, x, y } = referenceCase('tabular-iris')
  const columns = Array.from({ length: x.shape[1] }, (_, i) => `column ${i}`)
  const prepared = laplace(graph, { likelihood: 'classification', subset: 'all', structure: 'diag', priorPrecision: 1 })
  const part = (from: number, to: number, names?: readonly string[]): ReturnType<typeof prepared.fitPartial> =>
    prepared.fitPartial([{ values: rows(x, from, to), ...(names && { columns: names }) }], rows(y, from, to))
  const [one, bare, turned] = await Promise.all([part(0, 40, columns), part(40, 60),
    part(60, 90, columns.toReversed())])
  t.throws(() => mergePartials([one, turned]), { code: 'DIGEST_MISMATCH', message: /same columns in the same order/ })
  t.throws(() => subtractPartialFit(one, { ...turned, chunks: one.chunks, examples: 1 }), { code: 'DIGEST_MISMATCH' })
  const sum = readPartialFit(writePartialFit(mergePartials([one, bare])))
  t.same(sum.columns, one.columns)
  const merged = await prepared.fitMerged(sum)
  const values = rows(x, 0, 5)
  const width = columns.length
  const other = { ...values, data: values.data.map((_, i) => values.data[i - i % width + width - 1 - i % width]) }
  const [expected, found] = await Promise.all([merged.predict(values),
    merged.predict([{ values: other, columns: columns.toReversed() }])])
  t.same(found.mean.data, expected.mean.data)
  await t.rejects(merged.predict([{ values, columns: columns.map(name => `${name}s`) }]), { code: 'BAD_ARRAY' })
})
