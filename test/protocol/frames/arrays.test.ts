import t from 'tap'
import { DataError, LaplaceError } from '../../../core/errors/errors.js'
import { tensorFromWire, tensorToWire } from '../../../protocol/frames/arrays.js'

const bytes = (data: ArrayBufferView): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
const wire = (dtype: string, shape: number[], data: ArrayBufferView, order?: string): Record<string, unknown> => ({
  dtype,
  shape,
  data: bytes(data),
  ...(order === undefined ? {} : { order }),
})
const codeOf = (run: () => unknown): string | undefined => {
  try {
    run()
    return undefined
  } catch (error) {
    return error instanceof LaplaceError ? error.code : String(error)
  }
}

t.test('F2 every dtype', async t => {
  t.strictSame(tensorFromWire(wire('f64', [2], Float64Array.of(0.5, -1)), 'x'), { dtype: 'float64', shape: [2],
    data: Float64Array.of(0.5, -1) })
  t.strictSame(tensorFromWire(wire('f32', [1, 2], Float32Array.of(0.5, -1)), 'x'), { dtype: 'float32', shape: [1, 2],
    data: Float32Array.of(0.5, -1) })
  for (const [dtype, data] of [['i32', Int32Array.of(3, -4)], ['i64', BigInt64Array.of(3n, -4n)]] as const) {
    t.strictSame(tensorFromWire(wire(dtype, [2], data), 'x'), { dtype: 'int64', shape: [2],
      data: Float64Array.of(3, -4) })
  }
  t.strictSame(tensorFromWire(wire('u8', [2], Uint8Array.of(3, 255)), 'x').data, Float64Array.of(3, 255))
  t.strictSame(tensorFromWire(wire('bool', [2], Uint8Array.of(1, 0)), 'x'), { dtype: 'bool', shape: [2],
    data: Uint8Array.of(1, 0) })
  t.strictSame(tensorFromWire([1, 2.5], 'x'), { dtype: 'float64', shape: [2], data: Float64Array.of(1, 2.5) })
  t.strictSame(tensorFromWire([1, 2], 'x').dtype, 'int64')
})

t.test('F2 column-major data', async t => {
  // Element (i, j, k) has the value 100 i + 10 j + k.
  const shape = [2, 3, 4]
  const column = new Float64Array(24)
  for (let i = 0; i < 2; i++) {
    for (let j = 0; j < 3; j++) for (let k = 0; k < 4; k++) column[i + 2 * j + 6 * k] = 100 * i + 10 * j + k
  }
  const { data } = tensorFromWire(wire('f64', shape, column, 'F'), 'x')
  for (let i = 0; i < 2; i++) {
    for (let j = 0; j < 3; j++) {
      for (let k = 0; k < 4; k++) {
        if (data[i * 12 + j * 4 + k] !== 100 * i + 10 * j + k) t.fail(`element ${i}, ${j}, ${k}`)
      }
    }
  }
  t.strictSame(tensorFromWire(wire('i32', [2, 2], Int32Array.of(1, 3, 2, 4), 'F'), 'x').data,
    Float64Array.of(1, 2, 3, 4))
  t.strictSame(tensorFromWire(wire('f64', [0, 2], new Float64Array(0), 'F'), 'x').data.length, 0)
})

t.test('F3 data at all eight offsets', async t => {
  for (const [dtype, data] of [['f64', Float64Array.of(0.1, -2)], ['f32', Float32Array.of(0.5, -2)], ['i32',
    Int32Array.of(7, -2)], ['i64', BigInt64Array.of(7n, -2n)]] as const) {
    for (let offset = 0; offset < 8; offset++) {
      const frame = new Uint8Array(64)
      frame.set(bytes(data), offset)
      const value = tensorFromWire({ dtype, shape: [2], data: frame.subarray(offset, offset + data.byteLength) }, 'x')
      t.strictSame([...value.data], Array.from(data as Float64Array, Number), `${dtype} at ${offset}`)
    }
  }
})

t.test('F2 wrong arrays are typed errors that name the array', async t => {
  const eight = new Uint8Array(8)
  const cases: [string, unknown, string][] = [
    ['length and shape disagree', { dtype: 'f64', shape: [2], data: eight }, 'BAD_ARRAY'],
    ['overflowing shape', { dtype: 'f64', shape: [2 ** 40, 2 ** 40], data: eight }, 'BAD_ARRAY'],
    ['overflow to a small product', { dtype: 'u8', shape: [2 ** 32, 2 ** 32, 0], data: new Uint8Array(1) },
      'BAD_ARRAY'],
    ['negative shape', { dtype: 'f64', shape: [-1], data: eight }, 'BAD_ARRAY'],
    ['fractional shape', { dtype: 'f64', shape: [0.5], data: eight }, 'BAD_ARRAY'],
    ['rank 33', { dtype: 'u8', shape: Array(33).fill(1), data: new Uint8Array(1) }, 'BAD_ARRAY'],
    ['shape of text', { dtype: 'f64', shape: ['1'], data: eight }, 'BAD_ARRAY'],
    ['unknown dtype', { dtype: 'f16', shape: [4], data: eight }, 'BAD_OPTION'],
    ['dtype of a prototype', { dtype: 'constructor', shape: [4], data: eight }, 'BAD_OPTION'],
    ['unknown order', { dtype: 'f64', shape: [1], order: 'K', data: eight }, 'BAD_OPTION'],
    ['no data', { dtype: 'f64', shape: [1] }, 'BAD_ARRAY'],
    ['a file where none are allowed', { dtype: 'f64', shape: [1], data: { file: '/etc/passwd', offset: 0, length: 8 } },
      'BAD_ARRAY'],
    ['text', 'hello', 'BAD_ARRAY'],
    ['nothing', undefined, 'BAD_ARRAY'],
    ['nil', null, 'BAD_ARRAY'],
    ['a list of lists', [[1]], 'BAD_ARRAY'],
    ['bool of 2', { dtype: 'bool', shape: [1], data: Uint8Array.of(2) }, 'BAD_ARRAY'],
    ['an integer that a double cannot hold', wire('i64', [1], BigInt64Array.of(2n ** 60n)), 'BAD_ARRAY'],
  ]
  for (const [name, value, code] of cases) t.equal(codeOf(() => tensorFromWire(value, 'x')), code, name)
  t.throws(() => tensorFromWire({ dtype: 'f64', shape: [2], data: eight }, 'x'),
    new DataError('BAD_ARRAY', 'x of shape [2] and dtype f64 needs 16 bytes; its data has 8.'))
})

t.test('answers are row-major arrays without a copy', async t => {
  const data = Float64Array.of(1, 2, 3)
  const { dtype, shape, order, data: out } = tensorToWire({ dtype: 'float64', shape: [3], data: data.subarray(1) })
  t.strictSame([dtype, shape, order], ['f64', [3], 'C'])
  t.ok(out instanceof Uint8Array && out.buffer === data.buffer && out.byteOffset === 8)
})
