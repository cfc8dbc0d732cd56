/** @file Intervals and sets of the Node interface: arrays of every usual kind in, ndarrays out. */
import t from 'tap'
import { laplace, loadPosterior } from '../../index.js'
import { referenceCase } from '../support/reference-case.js'

t.test('intervals and quantiles are ndarrays; arrays of any kind calibrate', async t => {
  const { graph, x, y, xTest, yTest } = referenceCase('regression-1d')
  const posterior = await laplace(graph, { likelihood: 'regression', sigmaNoise: [0.25] }).fit(x, y)
  t.equal(posterior.sigmaNoise, 0.25)
  const nested = Array.from(xTest.data, value => [value])
  const calibrated = await posterior.conformalize(nested, Float64Array.from(yTest.data))
  t.same(calibrated.conformal, { kind: 'split', score: 'residual', rows: xTest.shape[0] })
  const { lower, upper, quantiles, level, interval } = await calibrated.predict(xTest, { level: 0.8,
    quantiles: Float64Array.of(0.1, 0.9) })
  t.same([lower!.shape, upper!.shape, quantiles!.shape], [xTest.shape, xTest.shape, [...xTest.shape, 2]])
  t.same([level, interval], [0.8, 'conformal'])
  // ceil((n + 1) level) of the rows of calibration themselves lie within.
  const inside =
    Array.from(yTest.data).filter((value, i) => value >= lower!.get(i, 0) - 1e-12 && value <= upper!.get(i, 0) + 1e-12)
      .length
  t.equal(inside, Math.ceil((xTest.shape[0] + 1) * 0.8 - 1e-9))
  t.equal(quantiles!.get(3, 0, 1), upper!.get(3, 0))
  const again = await loadPosterior(calibrated.save()).predict(xTest, { level: 0.8 })
  t.same(again.upper!.data, upper!.data)
})

t.test('sets of classes; without rows by the training rows', async t => {
  const { graph, x, y, xTest } = referenceCase('classification-4')
  const posterior = await (await laplace(graph, { likelihood: 'classification' }).fit(x, y)).conformalize()
  t.match(posterior.conformal, { kind: 'jackknife', score: 'aps' })
  const { sets, notes } = await posterior.predict(xTest, { level: 0.9 })
  t.same(sets!.shape, [xTest.shape[0], 4])
  t.match(notes.join(), /approximate/)
  const lac = await posterior.conformalize(undefined, undefined, { score: 'lac' })
  t.match(lac.summary().conformal, { kind: 'jackknife', score: 'lac' })
})
