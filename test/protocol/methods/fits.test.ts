/** @file Methods that fit: at once, batch by batch, in parts that are merged, with held-out rows. */

import t from 'tap'
import { float64 } from '../../../core/tensor/tensor.js'
import { doublesToWire, tensorFromWire, tensorToWire } from '../../../protocol/frames/arrays.js'
import type { DecodedMap } from '../../../protocol/frames/decoded-map.js'
import type { WireMap } from '../../../protocol/frames/encode.js'
import { relativeDifference } from '../../support/compare.js'
import { caseFiles, fittedTo } from './method-calls.js'

const iris = caseFiles('tabular-iris')

t.test('R9 streamed, partial and merged fits equal one fit', async t => {
  const { caller, model, summary } = await fittedTo(iris)
  const options = { likelihood: 'classification', priorPrecision: 1 }
  const rows = (from: number, to: number): WireMap => {
    const data = new Float64Array((iris.x['data'] as Uint8Array).slice().buffer)
    const labels = new Float64Array((iris.y['data'] as Uint8Array).slice().buffer)
    return { x: doublesToWire([to - from, 4], data.slice(from * 4, to * 4)),
      y: doublesToWire([to - from], labels.slice(from, to)) }
  }
  const same = (answer: DecodedMap): boolean =>
    relativeDifference([Number((answer['summary'] as DecodedMap)['logMarginalLikelihood'])], [
      Number(summary['logMarginalLikelihood']),
    ]) < 1e-10
  const { handle: fit } = await caller.call('fitBegin', { model, options }) as { handle: string }
  t.equal((await caller.call('fitBatch', { fit, ...rows(0, 50) }))['examples'], 50)
  t.equal((await caller.call('fitBatch', { fit, ...rows(50, 112) }))['examples'], 112)
  t.ok(same(await caller.call('fitEnd', { fit })))
  t.same(caller.dropped, [fit], 'the fit has ended')
  await t.rejects(caller.call('fitEnd', { fit }), { code: 'UNKNOWN_HANDLE' })
  const parts = await Promise.all(
    [[0, 30], [30, 90], [90, 112]].map(([from, to]) =>
      caller.call('fitPartial', { model, options, ...rows(from, to) })
    ),
  )
  const bytes = parts.map(part => part['partial'] as Uint8Array)
  const merged = await caller.call('mergePartials', { partials: bytes })
  t.equal(merged['examples'], 112)
  const backwards = await caller.call('mergePartials', {
    partials: [(await caller.call('mergePartials', { partials: [bytes[2], bytes[1]] }))['partial'] as Uint8Array,
      bytes[0]],
  })
  for (const partial of [merged, backwards]) {
    t.ok(same(await caller.call('fitMerged', { model, options, partial: partial['partial'] as Uint8Array })))
  }
  const tuned = await caller.call('fitMerged', { model, options: { likelihood: 'classification', tune: 'linearized' },
    partial: merged['partial'] as Uint8Array, x: iris.x, y: iris.y })
  t.equal((tuned['summary'] as DecodedMap)['tuned'], 'linearized')
  const other = await caller.call('fitPartial', { model, options: { ...options, structure: 'diag' }, ...rows(0, 30) })
  await t.rejects(caller.call('mergePartials', { partials: [bytes[0], other['partial'] as Uint8Array] }), {
    code: 'DIGEST_MISMATCH',
  })
  await t.rejects(caller.call('mergePartials', { partials: [] }), { code: 'EMPTY_DATA' })
  await t.rejects(caller.call('mergePartials', { partials: [5] }), { code: 'PROTOCOL' })
  const { handle: broken } = await caller.call('fitBegin', { model, options }) as { handle: string }
  await t.rejects(
    caller.call('fitBatch', { fit: broken, ...rows(0, 10), y: doublesToWire([10], new Float64Array(10).fill(7)) }),
    { code: 'BAD_LABELS' },
  )
  t.same(caller.dropped.slice(-1), [broken], 'an error in a batch ends the fit')
})

t.test('a network in the message of a fit, and brief summaries', async t => {
  const { caller, model, summary } = await fittedTo(iris)
  t.same(Object.keys((await caller.call('readNetwork', { bytes: iris.bytes, brief: true }))['summary'] as DecodedMap), [
    'format',
    'notes',
  ])
  const options = { likelihood: 'classification', priorPrecision: 1 }
  const answer = await caller.call('fit', { network: { bytes: iris.bytes }, options, x: iris.x, y: iris.y,
    brief: true })
  t.match(answer['handle'], /^posterior:/)
  t.same(Object.keys(answer['summary'] as DecodedMap), ['examples', 'priorPrecision', 'sigmaNoise', 'temperature',
    'tuned', 'notes', 'inputs', 'declaredInputs', 'choice', 'training'])
  const posterior = String(answer['handle'])
  t.same((await caller.call('get', { posterior, names: ['summary'] }))['summary'], summary, 'the same posterior')
  const values = ['loss', 'H', 'scatter']
  const { values: asked } = await caller.call('withPrior', { posterior, values, brief: true })
  t.same(asked, await caller.call('get', { posterior, names: values }), 'values with the answer are those of get')
  await t.rejects(caller.call('withPrior', { posterior, values: ['los'] }), { code: 'BAD_OPTION', message: /loss/ })
  for (const method of ['tune', 'withPrior']) {
    t.notOk(
      'digest' in
        ((await caller.call(method, { posterior, brief: true,
          ...(method === 'tune' ? { options: { tune: 'marglik' } } : {}) }))['summary'] as DecodedMap),
      method,
    )
  }
  const { partial } = await caller.call('fitPartial', { network: { bytes: iris.bytes }, options, x: iris.x, y: iris.y })
  t.match(
    (await caller.call('fitMerged', { network: { bytes: iris.bytes }, options, partial: partial as Uint8Array }))[
      'summary'
    ],
    { examples: 112 },
  )
  t.match((await caller.call('fitBegin', { network: { bytes: iris.bytes }, options }))['handle'], /^fit:/)
  await t.rejects(caller.call('fit', { network: {}, options, x: iris.x, y: iris.y }), { code: 'PROTOCOL',
    message: /bytes/ })
  await t.rejects(caller.call('fit', { network: 5, options, x: iris.x, y: iris.y }), { code: 'PROTOCOL',
    message: /network/ })
  await t.rejects(caller.call('fit', { model, brief: 1, options, x: iris.x, y: iris.y }), { code: 'PROTOCOL',
    message: /brief/ })
})

t.test('R3 a cancelled fit leaves nothing behind, and what was there as it was', async t => {
  const { caller, model, posterior } = await fittedTo(iris)
  const before = await caller.call('predict', { posterior, x: iris.xTest })
  const options = { likelihood: 'classification' }
  for (const method of ['fit', 'fitPartial']) {
    await t.rejects(caller.call(method, { model, options, x: iris.x, y: iris.y }, { signal: { aborted: true } }), {
      code: 'CANCELLED',
    }, method)
  }
  const { handle: fit } = await caller.call('fitBegin', { model, options }) as { handle: string }
  await t.rejects(caller.call('fitBatch', { fit, x: iris.x, y: iris.y }, { signal: { aborted: true } }), {
    code: 'CANCELLED',
  })
  t.same(caller.dropped, [fit])
  await t.rejects(caller.call('predict', { posterior, x: iris.xTest }, { signal: { aborted: true } }), {
    code: 'CANCELLED',
  })
  t.same(await caller.call('predict', { posterior, x: iris.xTest }), before)
})

t.test('R4 progress has a stage and counts', async t => {
  const { caller, model } = await fittedTo(iris)
  const seen: { stage: string, done: number, total: number }[] = []
  await caller.call('fit', { model, options: { likelihood: 'classification', batchSize: 20 }, x: iris.x, y: iris.y }, {
    onProgress: report => {
      seen.push(report)
    },
  })
  t.ok(seen.some(report => report.stage === 'fit' && report.done === 112 && report.total === 112),
    JSON.stringify(seen.slice(0, 3)))
  t.ok(seen.every((report, i) => i === 0 || report.stage !== seen[i - 1].stage || report.done >= seen[i - 1].done),
    'counts only grow')
})

t.test('compare, and fits with held-out rows or a share of the rows', async t => {
  const { caller, model, posterior } = await fittedTo(iris)
  const { x, y } = iris
  const plain = await caller.call('compare', { posterior, x: iris.xTest, y: iris.yTest })
  t.same(Object.keys(plain), ['network', 'temperature', 'posterior', 'temperatureFrom', 'temperatureValue', 'rows'])
  t.equal(plain['temperatureFrom'], 'cross-validation')
  const same = await caller.call('compare', { posterior, x: iris.xTest, y: iris.yTest, outliers: iris.xTest })
  const told = same['outliers'] as DecodedMap[]
  t.ok(told.length > 0 && told.every(({ auroc }) => auroc === 0.5), 'the same rows are told by chance')
  t.match(told[0], { of: 'network', auroc: Number, fprAt95Tpr: Number })
  const { outputs } = await caller.call('forward', { model, x: iris.xTest, options: { likelihood: 'classification' } })
  const f = tensorFromWire(outputs, 'outputs')
  const p = Array.from({ length: f.shape[0]! }, (_, n) => {
    const row = Array.from(f.data.subarray(3 * n, 3 * n + 3), Math.exp)
    return row.map(value => value / row.reduce((a, b) => a + b))
  }).flat()
  const scores = await caller.call('metrics', { likelihood: 'classification', y: iris.yTest,
    probabilities: tensorToWire(float64(f.shape, p)) })
  t.ok(Math.abs(Number((plain['network'] as DecodedMap)['nll']) - Number(scores['nll'])) < 1e-12)
  const options = { likelihood: 'classification' }
  for (const validation of [{ x: iris.xTest, y: iris.yTest }, 0.2]) {
    const answer = await caller.call('fit', { model, options, x, y, validation })
    const summary = answer['summary'] as DecodedMap
    t.equal(summary['tuned'], 'validated')
    const { heldOut } = summary['choice'] as { heldOut: DecodedMap }
    t.match(heldOut, { rows: typeof validation === 'number' ? 22 : f.shape[0], nll: Number, networkNll: Number,
      temperature: Number, temperatureNll: Number })
    const compared = await caller.call('compare', { posterior: String(answer['handle']), x: iris.xTest, y: iris.yTest })
    t.equal(compared['temperatureFrom'], 'validation')
    t.equal(compared['temperatureValue'], heldOut['temperature'])
  }
  const baseline = await caller.call('fit', { model, options: { ...options, calibrate: 'temperature' }, x, y,
    validation: { x: iris.xTest, y: iris.yTest } })
  const report = await caller.call('compare', { posterior: String(baseline['handle']), x: iris.xTest, y: iris.yTest })
  t.same(report['posterior'], report['temperature'], 'temperature scaling is the answer')
  await t.rejects(caller.call('fit', { model, options, x, y, validation: 1 }), { code: 'BAD_OPTION' })
  await t.rejects(caller.call('fit', { model, options: { ...options, tune: 'validated' }, x, y }), {
    code: 'BAD_COMBINATION',
  })
})
