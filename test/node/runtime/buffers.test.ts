/** @file Large arrays within plain data, copied once to be moved. */
import t from 'tap'
import { largeBuffers, movableCopy } from '../../../node/runtime/buffers.js'

const large = new Float64Array(10_000).fill(1.5)
const view = new Float32Array(new ArrayBuffer(400_000), 4, 50_000)
const small = Float64Array.of(1, 2)

t.test('a copy shares no large array, and keeps what stands in it twice', async t => {
  const value = { a: large, list: [large, small, null, 'text'], map: new Map([['v', { view }]]), when: /x+/ }
  const { value: copy, transfer } = await movableCopy(value)
  t.strictSame(copy, value)
  t.not(copy.a, large)
  t.equal(copy.list[0], copy.a)
  t.equal(copy.list[1], small)
  t.equal(copy.when, value.when)
  t.equal(copy.map.get('v')?.view.buffer.byteLength, 200_000, 'of a view its part alone')
  structuredClone(copy, { transfer })
  t.equal(large.length, 10_000, 'moving the copy leaves the value')
  t.equal(view.length, 50_000)
})

t.test('bytes that share memory with others leave it to them', async t => {
  const pool = new ArrayBuffer(200_000)
  const bytes = Buffer.from(pool, 0, 100_000)
  const { value, transfer } = await movableCopy({ bytes })
  structuredClone(value, { transfer })
  t.equal(pool.byteLength, 200_000)
})

t.test('the buffers that can be given away are those that one array has alone', async t => {
  t.same(largeBuffers([large, { again: large }, view, small]), [large.buffer])
})
