/** @file Streams of Arrow batches: the fit of all rows, with the batches of apache-arrow itself. */
import { Field, FixedSizeList, Float64, makeData, makeVector, RecordBatchReader, Table, tableFromArrays, tableToIPC,
  vectorFromArray } from 'apache-arrow'
import t from 'tap'
import { type ArrowBatch, arrowBatches, laplace, mergePartials, type PartialFit, predictBatches } from '../../index.js'
import { relativeDifference } from '../support/compare.js'
import { referenceCase } from '../support/reference-case.js'

const { graph, x, y } = referenceCase('tabular-iris')
const [rows, width] = x.shape
const column = (c: number): Float64Array => Float64Array.from({ length: rows }, (_, n) => x.data[n * width + c])
const NAMES = ['a', 'b', 'c', 'd'].slice(0, width)
const columns = Object.fromEntries(NAMES.map((name, c) => [name, column(c)]))
const table = tableFromArrays({ ...columns, y: BigInt64Array.from(y.data, value => BigInt(value)) })
const options = { likelihood: 'classification', structure: 'kron', priorPrecision: 1 } as const
const parts = [table.slice(0, 30), table.slice(30, 30), table.slice(30)]

t.test('a stream of batches is fitted as all rows are', async t => {
  const whole = await laplace(graph, options).fit(x, y)
  const reader = await RecordBatchReader.from(tableToIPC(table, 'stream'))
  for (const source of [reader, table.batches, parts]) {
    const posterior = await laplace(graph, options).fit(arrowBatches(source, { label: 'y' }))
    t.ok(relativeDifference(posterior.H.toDense(), whole.H.toDense()) < 1e-12)
  }
  const sums: PartialFit[] = []
  for await (const batch of arrowBatches(parts, { label: 'y', features: NAMES })) {
    sums.push(await laplace(graph, options).fitPartial(batch.x, batch.y))
  }
  t.equal(sums.length, 2)
  const counted = tableFromArrays({ ...columns, n: Int32Array.from({ length: rows }, () => 2),
    y: BigInt64Array.from(y.data, value => BigInt(value)) })
  const twice = await laplace(graph, options).fit(arrowBatches([counted], { label: 'y', sampleWeight: 'n' }))
  t.ok(relativeDifference(twice.H.toDense(), whole.H.toDense().map(value => 2 * value)) < 1e-12)
  const merged = await laplace(graph, options).fitMerged(mergePartials(sums))
  t.ok(relativeDifference(merged.H.toDense(), whole.H.toDense()) < 1e-12)
})

t.test('columns of vectors; what is not there or no number is refused', async t => {
  const values = makeData({ type: new Float64(), data: Float64Array.from(x.data) })
  const type = new FixedSizeList(width, new Field('item', new Float64()))
  const vectors = makeVector(makeData({ type, length: rows, child: values }))
  const packed = new Table({ x: vectors, y: vectorFromArray(Float64Array.from(y.data)) })
  const { value: batch } = await arrowBatches([packed], { label: 'y' }).next()
  t.same(batch?.x, { dtype: 'float64', shape: [rows, width], data: Float64Array.from(x.data) })
  const first = (given: Parameters<typeof arrowBatches>[1], source = table): Promise<unknown> =>
    arrowBatches([source], given).next()
  await t.rejects(first({ label: 'z' }), { code: 'BAD_OPTION', message: /^In batch 0: .*no column 'z'/ })
  await t.rejects(first({ label: 'y', features: ['a', 'bb'] }), { message: /did you mean 'b'/ })
  const words = tableFromArrays({ ...columns,
    y: NAMES.concat(Array.from({ length: rows - width }, () => 'no number')) })
  await t.rejects(first({ label: 'y' }, words as unknown as typeof table), { code: 'BAD_ARRAY' })
})

t.test('columns are taken by name', async t => {
  const turned = tableFromArrays({ y: BigInt64Array.from(y.data, value => BigInt(value)),
    ...Object.fromEntries(Object.entries(columns).reverse()) }) as unknown as typeof table
  const whole = await laplace(graph, options).fit(x, y)
  const posterior = await laplace(graph, options).fit(
    arrowBatches([table.slice(0, 30), turned.slice(30)], { label: 'y' }),
  )
  t.ok(relativeDifference(posterior.H.toDense(), whole.H.toDense()) < 1e-12)
  const answers = async (source: ArrowBatch): Promise<unknown> =>
    (await predictBatches(posterior, [source], { label: 'y' }).next()).value?.columns
  t.same(await answers(turned), await answers(table))
  await t.rejects(answers(tableFromArrays({ a: columns['a'] }) as ArrowBatch), { code: 'BAD_ARRAY',
    message: /not those of the training/ })
  const sums: PartialFit[] = []
  for await (const batch of arrowBatches([table.slice(0, 30), turned.slice(30)], { label: 'y' })) {
    sums.push(await laplace(graph, options).fitPartial(batch.x, batch.y))
  }
  t.throws(() => mergePartials(sums), { code: 'DIGEST_MISMATCH', message: /same columns in the same order/ })
})

t.test('predictions are columns, a batch at a time', async t => {
  const posterior = await laplace(graph, options).fit(x, y)
  const whole = await posterior.predict(x)
  const found: Record<string, number[]> = {}
  const sizes: number[] = []
  const reader = await RecordBatchReader.from(tableToIPC(table, 'stream'))
  for (const source of [parts, reader]) {
    for await (const { batch, columns } of predictBatches<ArrowBatch>(posterior, source, { label: 'y' })) {
      sizes.push(batch.numRows)
      for (const [name, values] of Object.entries(columns)) (found[name] ??= []).push(...values)
      const file = tableFromArrays({ y: batch.getChild('y')!.toArray() as BigInt64Array, ...columns })
      t.equal(file.numRows, batch.numRows)
    }
  }
  t.same(sizes, [30, rows - 30, rows])
  const column = (values: ArrayLike<number>, c: number): number[] => {
    const own = Array.from({ length: rows }, (_, n) => values[n * 3 + c])
    return [...own, ...own]
  }
  t.ok(relativeDifference(found['probability_2'], column(whole.probabilities!.data, 2)) < 1e-12)
  t.ok(relativeDifference(found['sd_0'], column(whole.variance.data, 0).map(Math.sqrt)) < 1e-12)
  t.ok(
    found['class'].every((value, n) =>
      value ===
        [0, 1, 2].reduce((best, c) => found[`probability_${c}`][n] > found[`probability_${best}`][n] ? c : best, 0)
    ),
  )
  const holes = tableFromArrays({ ...columns, a: columns['a'].map((value, n) => n === 40 ? NaN : value) })
  const last = async (): Promise<void> => {
    for await (const _ of predictBatches(posterior, [holes.slice(0, 30), holes.slice(30)])) t.pass('the first is there')
  }
  await t.rejects(last(), { code: 'BAD_ARRAY', message: /^In batch 1: .*numbers are needed/ })
  await t.rejects(predictBatches(posterior, [table], { features: NAMES.slice(1) }).next(), {
    code: 'SHAPE_MISMATCH',
    message: /^In batch 0: /,
  })
})
