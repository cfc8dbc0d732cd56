/** @file Large arrays within plain data, copied once to be moved. */
import t from 'tap'
import { largeBuffers, movableCopy, sharedCopy } from '../../../node/runtime/buffers.js'

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

t.test('a copy in memory that threads share has the same numbers, and one array where there was one', async t => {
  const large = Float64Array.from({ length: 20000 }, (_, i) => i / 3)
  const whole = { blocks: [{ left: large, right: { vectors: large }, small: new Float64Array(3) }],
    part: large.subarray(5, 15000) }
  const shared = sharedCopy(whole)
  t.same(shared.blocks[0].left, large)
  t.ok(shared.blocks[0].left.buffer instanceof SharedArrayBuffer)
  t.equal(shared.blocks[0].right.vectors, shared.blocks[0].left)
  t.same(shared.part, whole.part)
  t.equal(shared.part.buffer.byteLength, whole.part.byteLength, 'of a part its own numbers alone')
  t.equal(large[1], 1 / 3, 'the original stays')
})
