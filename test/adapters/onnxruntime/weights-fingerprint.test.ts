import t from 'tap'
import { weightsFingerprint } from '../../../adapters/onnxruntime/weights-fingerprint.js'

const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength)

t.test('every bit of every weight counts, and nothing but the bytes', async t => {
  for (const length of [0, 1, 2, 3, 4, 7, 33]) {
    const bytes = Uint8Array.from({ length }, (_, i) => 7 * i + 1)
    const before = weightsFingerprint(bytes)
    for (let bit = 0; bit < 8 * length; bit++) {
      bytes[bit >> 3] = bytes[bit >> 3]! ^ (1 << (bit & 7))
      t.not(weightsFingerprint(bytes), before, `bit ${bit} of ${length} bytes`)
      bytes[bit >> 3] = bytes[bit >> 3]! ^ (1 << (bit & 7))
    }
    const moved = new Uint8Array(length + 1)
    moved.set(bytes, 1)
    t.equal(weightsFingerprint(moved.subarray(1)), before, `${length} bytes from an odd place on`)
  }
})

t.test('weights that change places are other weights', async t => {
  const values = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i))
  const before = weightsFingerprint(bytesOf(values))
  for (let i = 1; i < values.length; i++) {
    const other = values.slice()
    ;[other[0], other[i]] = [values[i]!, values[0]!]
    t.not(weightsFingerprint(bytesOf(other)), before, `the first and weight ${i}`)
  }
})

t.test('weights with other signs, or halved and doubled, are other weights', async t => {
  const values = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i + 1))
  const changes: readonly (readonly [string, (value: number, i: number) => number])[] = [
    ['all negated', value => -value],
    ['two of a sum negated', (value, i) => (i === 8 || i === 40 ? -value : value)],
    ['all doubled', value => 2 * value],
    ['some doubled, others halved', (value, i) => (i % 8 < 4 ? 2 * value : value / 2)],
  ]
  const seen = new Set([weightsFingerprint(bytesOf(values)),
    ...changes.map(([, change]) => weightsFingerprint(bytesOf(values.map(change))))])
  t.equal(seen.size, changes.length + 1)
})
