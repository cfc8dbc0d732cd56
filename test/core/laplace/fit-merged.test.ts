/** @file Merged sums with the rows once more are the fit of one machine, whatever the way of tuning. */
import t from 'tap'
import { laplace, type LaplaceOptions, mergePartials } from '../../../core/index.js'
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
