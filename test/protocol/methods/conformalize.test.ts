/** @file Calibrated intervals and sets of classes over the wire. */
import t from 'tap'
import { tensorToWire } from '../../../protocol/frames/arrays.js'
import type { DecodedMap } from '../../../protocol/frames/decoded-map.js'
import { arrayIn, caseFiles, createCaller } from './method-calls.js'

const fitted = async (name: string, options: Record<string, string>) => {
  const { bytes, x, y, xTest, yTest } = caseFiles(name)
  const caller = createCaller()
  const { handle: model } = await caller.call('readNetwork', { bytes })
  const { handle } = await caller.call('fit', { model: model as string, options, x, y })
  return { caller, posterior: handle as string, x, y, xTest, yTest }
}

t.test('sets of classes: calibrated, saved, loaded, and the same afterwards', async t => {
  const { caller, posterior, x, xTest, yTest } = await fitted('classification-4', { likelihood: 'classification' })
  await t.rejects(caller.call('predict', { posterior, x, options: { level: 0.9 } }), { code: 'BAD_COMBINATION' })
  const calibrated = await caller.call('conformalize', { posterior, x: xTest, y: yTest, score: 'lac' })
  const rows = arrayIn({ y: yTest } as unknown as DecodedMap, 'y').shape[0]
  t.same((calibrated['summary'] as DecodedMap)['conformal'], { kind: 'split', score: 'lac', rows })
  const { handle } = calibrated
  const answer = await caller.call('predict', { posterior: handle as string, x, options: { level: 0.8 } })
  const sets = arrayIn(answer, 'sets')
  t.same(sets.shape, [arrayIn(answer, 'probabilities').shape[0], 4])
  t.equal(sets.dtype, 'bool')
  t.match(answer, { level: 0.8, interval: 'conformal' })
  const { data } = await caller.call('save', { posterior: handle as string })
  const loaded = await caller.call('load', { data: data as Uint8Array })
  const again = await caller.call('predict', { posterior: loaded['handle'] as string, x, options: { level: 0.8 },
    parts: ['sets'] })
  t.same(arrayIn(again, 'sets').data, sets.data)
  t.notOk('mean' in again, 'only what was asked for')
  t.match(await caller.call('get', { posterior: handle as string, names: ['conformal'] }), {
    conformal: { kind: 'split' },
  })
})

t.test('intervals, quantiles and the parts of a regression', async t => {
  const { caller, posterior, xTest } = await fitted('regression-1d', { likelihood: 'regression' })
  const options = { level: 0.9,
    quantiles: tensorToWire({ dtype: 'float64', shape: [3], data: Float64Array.of(0.05, 0.5, 0.95) }) }
  const answer = await caller.call('predict', { posterior, x: xTest, options })
  const [n] = arrayIn(answer, 'mean').shape
  t.match(answer, { interval: 'gaussian', level: 0.9 })
  const quantiles = arrayIn(answer, 'quantiles')
  t.same(quantiles.shape, [n, 1, 3])
  const [lower, upper] = [arrayIn(answer, 'lower'), arrayIn(answer, 'upper')]
  for (let i = 0; i < n; i++) {
    t.ok(Math.abs(lower.data[i] - quantiles.data[3 * i]) < 1e-12)
    t.ok(Math.abs(upper.data[i] - quantiles.data[3 * i + 2]) < 1e-12)
  }
  const { handle, summary } = await caller.call('conformalize', { posterior })
  t.match(summary, { conformal: { kind: 'jackknife', score: 'residual' } })
  t.match(await caller.call('predict', { posterior: handle as string, x: xTest, options: { level: 0.9 } }), {
    interval: 'jackknife',
    notes: [/approximate/],
  })
  t.match(
    await caller.call('predict', { posterior: handle as string, x: xTest, options: { level: 0.9, noise: false } }),
    { interval: 'credible' },
  )
  await t.rejects(caller.call('conformalize', { posterior, x: xTest }), { code: 'BAD_ARRAY' })
})
