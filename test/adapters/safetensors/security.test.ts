/**
 * @file Files made to harm: each ends in a typed error, quickly, and leaves nothing behind. Numbers are those of the
 * list of attacks.
 */
import t, { type Test } from 'tap'
import { readSafetensors, readSafetensorsTensors, readShardedSafetensors } from '../../../adapters/safetensors/index.js'
import { refused as refusedBy } from '../../support/survives.js'
import { file, raw } from './write.js'

const refused = (t: Test, bytes: Uint8Array, pattern: RegExp, name: string): void => {
  refusedBy(t, () => readSafetensorsTensors(bytes), pattern, name)
}

const entry = (dtype: string, shape: string, offsets: string): string =>
  `{"a":{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}}`
const eight = new Uint8Array(8)

t.test('28 header length of 0, 7, beyond the file, 2^63 and 2^64 - 1', async t => {
  refused(t, new Uint8Array(0), /at least 8 bytes/, 'empty')
  refused(t, new Uint8Array(7), /at least 8 bytes/, '7 bytes')
  refused(t, raw('', eight, 0n), /begin with '\{'/, '0')
  refused(t, raw('{}', eight, 7n), /something behind its end/, '7')
  const good = file({ a: { shape: [1], data: [1] } })
  for (const length of [BigInt(good.length) + 1n, 2n ** 63n, 2n ** 64n - 1n]) {
    const bytes = good.slice()
    new DataView(bytes.buffer).setBigUint64(0, length, true)
    refused(t, bytes, /header says that it has \d+ bytes; the file has/, String(length))
  }
})

t.test('28 a header that is not an object: list, BOM, white space first, not UTF-8, cut short', async t => {
  refused(t, raw('[]'), /begin with '\{'/, 'list')
  refused(t, raw('\uFEFF{}'), /begin with '\{'/, 'BOM')
  refused(t, raw(' {}'), /begin with '\{'/, 'space')
  refused(t, raw('{"a'), /no end/, 'text without end')
  refused(t, raw('{"a\\'), /no end/, 'escape at the end')
  refused(t, raw('{"a":'), /expected/, 'key without value')
  refused(t, raw('{'), /expected/, 'nothing else')
  refused(t, raw('{}x'), /behind its end/, 'something behind')
  refused(t, raw('{"a":1}'), /expected The entry/, 'number as entry')
  refused(t, raw(Uint8Array.of(0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a)), /not UTF-8/, 'not UTF-8')
  refused(t, raw('{"\\ud8zz":{}}'), /escape/, 'wrong escape')
  refused(t, raw('{"\n":{}}'), /control/, 'control character')
})

t.test('28 a header of 90 MB of spaces', async t => {
  const header = new Uint8Array(90_000_000).fill(0x20)
  header[0] = 0x7b
  refused(t, raw(header), /expected/, 'spaces')
})

t.test('28 JSON nested 100,000 deep', async t => {
  const deep = '{"a":'.repeat(100_000)
  refused(t, raw(`{"__metadata__":${deep}`), /texts only|expected/, 'metadata')
  refused(t, raw(`{"a":${'['.repeat(100_000)}`), /expected/, 'list')
  t.throws(() => readSafetensorsTensors(raw(`{"__metadata__":${deep}`), { tolerate: 'r-torch' }), {
    code: 'UNTRUSTED_INPUT',
    message: /nested/,
  }, 'tolerant')
})

t.test('28 two tensors of one name', async t => {
  refused(t,
    raw('{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}',
      eight), /'a' twice/, 'plain')
  refused(t, raw(
    '{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"\\u0061":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}',
    eight,
  ), /'a' twice/, 'escaped')
  refused(t, raw('{"a":{"dtype":"F64","dtype":"F32","shape":[1],"data_offsets":[0,8]}}', eight), /'dtype' twice/,
    'inside of an entry')
})

t.test('28 tensors named __proto__, constructor, toString are data', async t => {
  const names = ['__proto__', 'constructor', 'toString']
  const header = `{${
    names.map((name, i) => `"${name}":{"dtype":"F64","shape":[1],"data_offsets":[${i * 8},${i * 8 + 8}]}`).join(',')
  }}`
  t.same([...readSafetensorsTensors(raw(header, new Uint8Array(24))).keys()], names)
  t.notOk('x' in {}, 'prototype untouched')
  t.throws(() => readSafetensors(raw(header, new Uint8Array(24))), { code: 'MISSING_ARCHITECTURE' })
})

t.test('29 data offsets that are negative, reversed, fractional, too large, text, too few or too many', async t => {
  for (const [offsets, pattern] of [['[-8,0]', /integer from 0/], ['[8,0]', /before they begin/], ['[0,8.5]',
    /integer from 0/], ['[0,1e400]', /integer from 0/], ['["0","8"]', /integer from 0/], ['[0]', /two data_offsets/], [
    '[0,4,8]',
    /more than 2/,
  ], ['[0,9007199254740993]', /integer from 0/], ['{}', /a list/], ['null', /a list/], ['[00,8]', /integer from 0/], [
    '[0,8',
    /, or \]/,
  ]] as const) {
    refused(t, raw(entry('F64', '[1]', offsets), eight), pattern, offsets)
  }
})

t.test('29 data that overlap, leave holes, end behind the file or before it', async t => {
  const two = (first: string, second: string): string =>
    `{"a":{"dtype":"F64","shape":[1],"data_offsets":${first}},"b":{"dtype":"F64","shape":[1],"data_offsets":${second}}}`
  refused(t, raw(two('[0,8]', '[0,8]'), eight), /inside of/, 'the same')
  refused(t, raw(two('[0,8]', '[4,12]'), new Uint8Array(12)), /inside of/, 'overlap')
  refused(t, raw(two('[0,8]', '[16,24]'), new Uint8Array(24)), /hole/, 'hole')
  refused(t, raw(entry('F64', '[1]', '[8,16]'), new Uint8Array(16)), /hole/, 'hole at the start')
  refused(t, raw(entry('F64', '[1]', '[0,8]')), /the file has 0 bytes/, 'beyond the end')
  refused(t, raw(entry('F64', '[1]', '[0,8]'), new Uint8Array(9)), /tensors end at 8/, 'trailing bytes')
})

t.test('30 shapes that are negative, fractional, overflow, or have 100 axes', async t => {
  for (const [shape, pattern] of [['[-1]', /integer from 0/], ['[0.5]', /integer from 0/], ['[4294967296,4294967296]',
    /has 8 bytes/], ['[9007199254740991,9007199254740991,0]', /has 8 bytes/], [`[${Array(100).fill(1).join(',')}]`,
    /more than 32/], ['"1"', /a list/], ['[2]', /has 8 bytes/]] as const) {
    refused(t, raw(entry('F64', shape, '[0,8]'), eight), pattern, shape.slice(0, 40))
  }
})

t.test('30 dtypes that are not known, or the name of a prototype', async t => {
  for (const dtype of ['F128', '__proto__', 'constructor', 'toString', 'f64', '']) {
    refused(t, raw(entry(dtype, '[1]', '[0,8]'), eight), /not known/, dtype)
  }
  for (const dtype of ['F8_E4M3', 'C64']) {
    t.throws(() => readSafetensorsTensors(raw(entry(dtype, '[8]', '[0,8]'), eight)), { code: 'UNSUPPORTED_FORMAT',
      message: new RegExp(`'a' has the dtype ${dtype}`) })
  }
})

t.test('30 metadata that are nested, or no object', async t => {
  refused(t, raw('{"__metadata__":{"a":{"b":"c"}}}'), /texts only.*tolerate: 'r-torch'/, 'nested')
  refused(t, raw('{"__metadata__":["a"]}'), /an object/, 'list')
  refused(t, raw('{"__metadata__":{"a":"b","a":"c"}}'), /'a' twice/, 'twice')
  refused(t, raw('{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8],"more":1}}', eight), /unknown field 'more'/,
    'unknown field')
})

t.test('31 a million tensors without elements', async t => {
  const parts = new Array<string>(1_000_000)
  for (let i = 0; i < parts.length; i++) parts[i] = `"${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`
  refused(t, raw(`{${parts.join(',')}}`), /more than 10000 tensors without elements/, 'a million')
})

t.test('the index of parts names paths, lies about parts, or repeats tensors', async t => {
  const encode = (value: unknown): Uint8Array =>
    new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
  const part = (
    name: string,
  ): [string, Uint8Array] => [`${name}.safetensors`, file({ [name]: { shape: [1], data: [1] } })]
  const files = new Map([part('a'), part('b')])
  for (const path of ['../a.safetensors', '/etc/passwd', 'x\\a', '..', '', 'a\0b']) {
    t.throws(() => readShardedSafetensors(encode({ weight_map: { a: path } }), files), { code: 'UNTRUSTED_INPUT',
      message: /plain file name/ }, path)
  }
  t.throws(() => readShardedSafetensors(encode({ weight_map: { a: 'c.safetensors' } }), files), { code: 'BAD_OPTION',
    message: /'c.safetensors'/ })
  t.throws(() => readShardedSafetensors(encode({ weight_map: { a: 'a.safetensors', c: 'b.safetensors' } }), files), {
    code: 'UNTRUSTED_INPUT',
    message: /does not hold it/,
  })
  t.throws(() => readShardedSafetensors(encode({ weight_map: { a: 'b.safetensors', b: 'a.safetensors' } }), files), {
    code: 'UNTRUSTED_INPUT',
    message: /the index says/,
  })
  t.throws(() => readShardedSafetensors(encode('{"weight_map":{"a":"a.safetensors","a":"b.safetensors"}}'), files), {
    code: 'UNTRUSTED_INPUT',
    message: /twice/,
  })
  t.throws(() => readShardedSafetensors(encode({ metadata: {} }), files), { code: 'UNTRUSTED_INPUT',
    message: /no weight_map/ })
  t.throws(() => readShardedSafetensors(encode('{"weight_map":{"a":"a.safetensors"}} '.concat('x')), files), {
    code: 'UNTRUSTED_INPUT',
    message: /behind its end/,
  })
  const twice = new Map([part('a'), ['b.safetensors', files.get('a.safetensors')!] as const])
  t.throws(() => readShardedSafetensors(encode({ weight_map: { a: 'a.safetensors', z: 'b.safetensors' } }), twice), {
    code: 'UNTRUSTED_INPUT',
    message: /several parts/,
  })
})
