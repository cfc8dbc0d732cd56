import t from 'tap'
import { LaplaceError } from '../../../core/errors/errors.js'
import { encodeFrame } from '../../../protocol/frames/encode.js'
import { createFrameReader } from '../../../protocol/frames/frame.js'
import { createLineReader, encodeLine } from '../../../protocol/frames/lines.js'

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values)
const thrown = (run: () => unknown): unknown => {
  try {
    run()
    return undefined
  } catch (error) {
    return error
  }
}
const codeOf = (run: () => unknown): string | undefined => {
  const error = thrown(run)
  return error instanceof LaplaceError ? error.code : error === undefined ? undefined : String(error)
}

t.test('F1 a frame is a little-endian length and a body', async t => {
  const frame = encodeFrame({ t: 'req', id: 1 })
  t.equal(new DataView(frame.buffer).getUint32(0, true), frame.length - 4)
  const [body] = createFrameReader(100).push(frame)
  t.strictSame([...body], [...frame.subarray(4)])
})

t.test('F1 length 0, a length above the maximum and a truncated stream are typed errors', async t => {
  t.equal(codeOf(() => createFrameReader(100).push(bytes(0, 0, 0, 0))), 'PROTOCOL')
  t.equal(codeOf(() => createFrameReader(100).push(bytes(101, 0, 0, 0))), 'PROTOCOL')
  t.match(thrown(() => createFrameReader(100).push(bytes(101, 0, 0, 0))), { data: { actual: 101, limit: 100 } })
  for (const part of [bytes(5), bytes(5, 0, 0, 0), bytes(5, 0, 0, 0, 1, 2)]) {
    const reader = createFrameReader(100)
    reader.push(part)
    t.equal(codeOf(() => {
      reader.end()
    }), 'PROTOCOL')
  }
  const whole = createFrameReader(100)
  whole.push(bytes(1, 0, 0, 0, 0x80))
  whole.end()
})

t.test('F1 a claim of 3 GB allocates nothing', async t => {
  const before = process.memoryUsage().arrayBuffers
  t.equal(codeOf(() => createFrameReader(2 ** 30).push(bytes(0, 0x5e, 0xd0, 0xb2))), 'PROTOCOL')
  const reader = createFrameReader(2 ** 30)
  reader.push(bytes(0, 0, 0, 0x40, 1, 2, 3))
  t.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20, 'a frame of 1 GiB that has only begun neither')
  t.equal(reader.held(), 7)
})

t.test('F6 chunks of any size give the same bodies', async t => {
  const frames = [encodeFrame({ a: 1 }), encodeFrame({ data: new Uint8Array(3_000_000).map((_, i) => i % 251) }),
    encodeFrame({ b: 'x' })]
  const stream = Buffer.concat(frames)
  for (const size of [65_536, 1_000_003, stream.length]) {
    const reader = createFrameReader(2 ** 24)
    const bodies: Uint8Array[] = []
    for (let at = 0; at < stream.length; at += size) bodies.push(...reader.push(stream.subarray(at, at + size)))
    reader.end()
    t.equal(bodies.length, 3)
    t.ok(bodies.every((body, i) => Buffer.compare(body, frames[i].subarray(4)) === 0))
    t.ok(bodies.every(body => body.byteLength === body.buffer.byteLength),
      'each in a buffer of its own, which can be moved to a thread')
  }
})

t.test('F6 byte by byte', async t => {
  const frame = encodeFrame({ t: 'req', id: 300, method: 'ping', params: {} })
  const reader = createFrameReader(1000)
  const bodies = [...frame, ...frame].flatMap(byte => reader.push(bytes(byte)))
  t.equal(bodies.length, 2)
})

t.test('F6 the body of a large frame is read to where it stays', async t => {
  const frame = encodeFrame({ data: Uint8Array.from({ length: 3_000_000 }, (_, i) => i * 7 & 255), end: 'x' })
  const reader = createFrameReader(2 ** 30)
  t.equal(reader.target?.(), undefined, 'nothing is known of the next frame')
  reader.push(frame.subarray(0, 1_500_000))
  let [at, body] = [1_500_000, undefined as Uint8Array<ArrayBuffer> | undefined]
  while (body === undefined) {
    const target = reader.target?.()
    if (target === undefined) throw new Error('the body has no buffer')
    const count = Math.min(400_000, target.length)
    target.set(frame.subarray(at, at + count))
    ;[body] = reader.push(target.subarray(0, count))
    at += count
  }
  t.equal(at, frame.length)
  t.equal(Buffer.compare(body, frame.subarray(4)), 0)
  t.equal(reader.target?.(), undefined)
})

t.test('lines of base64 carry the same frames', async t => {
  const frame = encodeFrame({ t: 'req', id: 1, data: bytes(1, 2, 3) })
  const reader = createLineReader(1000)
  const line = Buffer.from(encodeLine(frame) + encodeLine(frame))
  const bodies = [...reader.push(line.subarray(0, 7)), ...reader.push(line.subarray(7))]
  t.equal(bodies.length, 2)
  t.strictSame([...bodies[1]], [...frame.subarray(4)])
  t.equal(codeOf(() => createLineReader(1000).push(Buffer.from('not base64!\n'))), 'PROTOCOL')
  t.equal(codeOf(() => createLineReader(10).push(Buffer.from('A'.repeat(100)))), 'PROTOCOL')
  t.equal(codeOf(() => createLineReader(1000).push(Buffer.from('BQAAAAE=\n'))), 'PROTOCOL',
    'a line that ends inside its frame')
})
