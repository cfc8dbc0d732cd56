/** @file Zip archives made to mislead: each is refused, quickly. Numbers are those of the list of attacks. */
import { crc32 as runtimeCrc32, deflateRawSync, inflateRawSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { crc32, isZip, openZip, type ZipOptions } from '../../../adapters/zip/index.js'
import { ascii, join, little } from '../../support/pickle-writer.js'
import { failureOf, refused } from '../../support/survives.js'
import { zip, type ZipEnd, type ZipItem } from '../../support/zip-writer.js'

const inflate = (bytes: Uint8Array, most: number): Uint8Array =>
  inflateRawSync(bytes, { maxOutputLength: Math.max(most, 1) })
const data = ascii('some bytes of a storage')
const a: ZipItem = { name: 'm/a', data }
const b: ZipItem = { name: 'm/b', data: ascii('others') }

/** Opens an archive and reads everything in it. */
function readAll(bytes: Uint8Array, options: ZipOptions = {}): string[] {
  const archive = openZip(bytes, options)
  for (const name of archive.names) archive.read(name)
  return [...archive.names]
}

const refuses = (t: Test, bytes: Uint8Array, pattern: RegExp, name: string, options: ZipOptions = {}): void =>
  refused(t, () => readAll(bytes, options), pattern, name)
const packed = (content: Uint8Array, more: Partial<ZipItem> = {}): ZipItem => ({ name: 'm/c',
  data: deflateRawSync(content), method: 8, crc: crc32(content), size: content.length, ...more })

t.test('honest archives', async t => {
  t.same(readAll(zip([a, b])), ['m/a', 'm/b'])
  t.same(readAll(zip([{ ...a, flags: 0x0808 }, { ...b, flags: 0x0808 }])), ['m/a', 'm/b'],
    'with descriptors, as torch writes them')
  t.same(readAll(zip([{ ...a, mode: 0o100600 }, { name: 'm/', data: [], mode: 0o040755 }])), ['m/a'], 'with a folder')
  t.same(readAll(zip([a, b], { comment: ascii('made by hand') })), ['m/a', 'm/b'], 'with a comment')
  t.same(readAll(zip([{ ...a, local: { extra: join(ascii('FB'), little(3, 2), ascii('ZZZ')) } }])), ['m/a'],
    'with padding')
  t.same(readAll(zip([packed(data)]), { inflate }), ['m/c'], 'deflated')
  t.same(readAll(zip([])), [])
  t.ok(isZip(zip([a])) && isZip(zip([])) && !isZip(data))
  const bytes = zip([a])
  const view = openZip(bytes).read('m/a')
  t.equal(view.buffer, bytes.buffer, 'stored entries are views')
  refused(t, () => openZip(bytes).read('m/x'), /no entry 'm\/x'/, 'an entry that is not there')
})

t.test('checksum of our own and of the host', async t => {
  const host = runtimeCrc32 as ((bytes: Uint8Array) => number) | undefined
  t.equal(crc32(ascii('123456789')), 0xCBF43926)
  t.equal(crc32(new Uint8Array(0)), 0)
  for (let length = 0; length < 40; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => i * 37 + length)
    let slow = 0xFFFFFFFF
    for (const byte of bytes) {
      slow ^= byte
      for (let bit = 0; bit < 8; bit++) slow = (slow & 1) === 0 ? slow >>> 1 : (slow >>> 1) ^ 0xEDB88320
    }
    t.equal(crc32(bytes), ~slow >>> 0)
    if (host !== undefined) t.equal(host(bytes), crc32(bytes))
  }
  let called = 0
  readAll(zip([a, b]), { crc32: bytes => {
    called++
    return crc32(bytes)
  } })
  t.equal(called, 2)
})

t.test('21 compressed entries', async t => {
  refuses(t, zip([packed(data)]), /no inflate function/, 'without inflate')
  const zeros = new Uint8Array(4 * 2 ** 20)
  refuses(t, zip([packed(zeros)]), /unpacks to 4194304 bytes, more than/, 'a ratio bomb', { inflate })
  refuses(t, zip([packed(zeros, { size: 1000 })]), /cannot be unpacked to 1000|checksum/,
    'a bomb that says it is small', { inflate })
  const bomb = packed(new Uint8Array(2 ** 20 - 1))
  refuses(t, zip(Array.from({ length: 50 }, (_, i) => ({ ...bomb, name: `m/${i}` }))),
    /more than the \d+ that are left/, 'many bombs', { inflate, mostInflated: 2 ** 20 })
  refuses(t, zip([packed(data, { size: data.length + 1 })]), /unpacks to/, 'one byte less than it says', { inflate })
  refuses(t, zip([packed(data, { data: [255, 255, 255] })]), /cannot be unpacked/, 'no deflate data', { inflate })
  refuses(t, zip([packed(data, { data: [] })]), /cannot be unpacked/, 'nothing to unpack', { inflate })
  refuses(t, zip([{ ...a, size: data.length + 1 }]), /two sizes/, 'stored with two sizes')
  for (const method of [1, 9, 12, 14, 93, 99, 255]) {
    refuses(t, zip([{ ...a, method }]), /packs the entry/, `method ${method}`)
  }
})

t.test('21 overlapping entries, quoted and whole; an archive inside another', async t => {
  const first = zip([a, b])
  const header = 30 + 3 + data.length
  refuses(t, zip([a, { ...b, offset: 0 }]), /overlapping|two things/, 'two entries on the same header')
  refuses(t, zip([a, { ...b, offset: header - 4 }]), /overlapping/, 'a header inside of data')
  const inner = zip([b])
  refuses(t, zip([{ name: 'm/a', data: inner }, { ...b, offset: 30 + 3 }]), /overlapping/,
    'a header quoted by another entry')
  t.same(readAll(zip([{ name: 'm/a.zip', data: inner }])), ['m/a.zip'], 'a nested archive is only bytes')
  refuses(t, join(first, first), /disagree|must end|before or behind/, 'two archives')
  refuses(t, zip([a, b], { gap: [0] }), /belong to no entry/, 'a gap between entries')
})

t.test('22 local headers that disagree with the directory', async t => {
  refuses(t, zip([{ ...a, local: { name: 'm/x' } }]), /name .*differ/, 'name')
  refuses(t, zip([{ ...a, local: { name: 'm/aa' } }]), /name .*differ|belong|overlap/, 'length of the name')
  refuses(t, zip([{ ...a, local: { size: 1 } }]), /size .*differ/, 'size')
  refuses(t, zip([{ ...a, local: { packedSize: 1 } }]), /size .*differ/, 'packed size')
  refuses(t, zip([{ ...a, local: { method: 8 } }]), /method .*differ/, 'method')
  refuses(t, zip([{ ...a, local: { flags: 0 } }]), /flags .*differ/, 'flags')
  refuses(t, zip([{ ...a, local: { crc: 1 } }]), /checksum .*differ/, 'checksum')
})

t.test('23 names', async t => {
  refuses(t, zip([a, a]), /two entries for one name/, 'twice')
  refuses(t, zip([a, { ...b, name: 'M/A' }]), /two entries for one name/, 'by case')
  refuses(t, zip([{ ...a, name: 'm/\u00E9' }, { ...b, name: 'm/e\u0301' }]), /two entries for one name/,
    'by composition')
  refuses(t, zip([{ ...a, name: 'm' }, { name: 'm/', data: [] }]), /two entries for one name/, 'a file and a folder')
  for (const name of ['m\\a', 'm/\0a', '/etc/passwd', '../a', 'm/../../a', 'm/./a', 'm//a', 'C:/a', 'm/__proto__',
    'm/a\n', 'm/..', '/']) refuses(t, zip([{ ...a, name }]), /entry name/, JSON.stringify(name))
  refuses(t, zip([{ ...a, name: '' }]), /name of 0 bytes/, 'empty')
  refuses(t, zip([{ ...a, name: 'n'.repeat(2000) }]), /name of 2000 bytes/, 'long')
  refuses(t, zip([{ ...a, name: Uint8Array.of(0xFF, 0xFE) }]), /not UTF-8/, 'not UTF-8')
  refuses(t, zip([{ ...a, name: Uint8Array.of(0xE9), flags: 0 }]), /neither ASCII/, 'not marked as UTF-8')
  t.notOk('x' in {})
})

t.test('24 places and sizes beyond the file', async t => {
  for (const offset of [1, 1000, 2 ** 31, 2 ** 32 - 2]) {
    refuses(t, zip([{ ...a, offset }]), /belong to no entry|no entry where/, `header at ${offset}`)
  }
  for (const size of [1000, 2 ** 31, 2 ** 32 - 2]) {
    refuses(t, zip([{ ...a, size, packedSize: size }]), /beyond the archive/, `${size} bytes`)
  }
  const ends: [string, ZipEnd, RegExp][] = [
    ['65535 entries', { entries: 65535 }, /65535 entries/],
    ['no entries', { entries: 0 }, /holds more/],
    ['one entry of two', { entries: 1 }, /holds more/],
    ['three entries', { entries: 3 }, /only|holds 2/],
    ['entries on another disk', { entries: 2, entriesHere: 1 }, /1 of them on this disk/],
    ['disk 1', { disk: 1 }, /several disks/],
    ['start beyond', { start: 2 ** 31 }, /directory/],
    ['start 0', { start: 0 }, /directory/],
    ['size 0', { size: 0 }, /directory/],
    ['size 2^32 - 1', { size: 2 ** 32 - 1 }, /directory/],
  ]
  for (const [name, end, pattern] of ends) refuses(t, zip([a, b], end), pattern, name)
  refuses(t, zip([{ ...a, disk: 1 }]), /several disks/, 'an entry on another disk')
  for (const flags of [0x0801, 0x0840, 0x2800]) refuses(t, zip([{ ...a, flags }]), /encrypted/, `flags ${flags}`)
  for (const flags of [0x0820, 0x0810, 0x8800, 0x0802]) refuses(t, zip([{ ...a, flags }]), /flags/, `flags ${flags}`)
  t.equal(failureOf(() => readAll(zip([{ ...a, flags: 0x0801 }])))?.code, 'UNSUPPORTED_FORMAT')
})

t.test('24 descriptors that disagree with the directory', async t => {
  const later: ZipItem = { ...a, flags: 0x0808 }
  const sum = crc32(data)
  const descriptor = (crc: number, packedSize: number, size: number): Uint8Array =>
    join(ascii('PK\x07\x08'), little(crc, 4), little(packedSize, 4), little(size, 4))
  t.same(readAll(zip([{ ...later, descriptor: descriptor(sum, data.length, data.length) }])), ['m/a'])
  t.same(readAll(zip([{ ...later, descriptor: descriptor(sum, data.length, data.length).subarray(4) }])), ['m/a'],
    'without a mark')
  t.same(
    readAll(
      zip([{ ...later,
        descriptor: join(ascii('PK\x07\x08'), little(sum, 4), little(data.length, 8), little(data.length, 8)) }]),
    ),
    ['m/a'],
    'of 64 bits',
  )
  refuses(t, zip([{ ...later, descriptor: descriptor(sum ^ 1, data.length, data.length) }]), /descriptor .*disagrees/,
    'checksum')
  refuses(t, zip([{ ...later, descriptor: descriptor(sum, 1, data.length) }]), /descriptor .*disagrees/, 'packed size')
  refuses(t, zip([{ ...later, descriptor: descriptor(sum, data.length, 1) }]), /descriptor .*disagrees/, 'size')
  refuses(t, zip([{ ...later, descriptor: 'none' }]), /where a descriptor/, 'none')
  refuses(t, zip([{ ...later, descriptor: new Uint8Array(16) }]), /no descriptor/, 'zeros')
  refuses(t, zip([{ ...later, descriptor: new Uint8Array(50) }]), /where a descriptor/, 'too long')
})

t.test('24 64-bit fields that lie', async t => {
  const wide = (...values: (number | bigint)[]): Uint8Array =>
    join(little(1, 2), little(8 * values.length, 2), ...values.map(value => little(value, 8)))
  const full = 2 ** 32 - 1
  const honest: ZipItem = { ...a, size: full, packedSize: full, extra: wide(data.length, data.length),
    local: { size: data.length, packedSize: data.length } }
  t.same(readAll(zip([honest])), ['m/a'])
  t.same(readAll(zip([{ ...a, local: { size: full, packedSize: full, extra: wide(data.length, data.length) } }])), [
    'm/a',
  ], 'in the local header alone, as NumPy writes them')
  refuses(t, zip([{ ...honest, extra: wide(data.length, 1) }]), /two sizes/, 'two sizes')
  refuses(t, zip([{ ...honest, extra: wide(2n ** 63n, 2n ** 63n) }]), /beyond 2\^53/, '2^63')
  refuses(t, zip([{ ...honest, extra: wide(2 ** 40, 2 ** 40) }]), /beyond the archive/, '2^40')
  refuses(t, zip([{ ...honest, extra: [] }]), /without the 64-bit field/, 'missing')
  refuses(t, zip([{ ...honest, extra: wide(data.length) }]), /without the 64-bit field/, 'too short')
  refuses(t, zip([{ ...honest, extra: wide(data.length, data.length, 0) }]), /beside short ones/, 'too long')
  refuses(t, zip([{ ...a, extra: wide(5) }]), /beside short ones/, 'not needed')
  refuses(t, zip([{ ...honest, extra: join(wide(data.length, data.length), wide(1, 1)) }]), /twice/, 'twice')
  refuses(t, zip([{ ...a, extra: [1, 0, 200, 0] }]), /beyond its header/, 'an extra field that is too long')
  refuses(t, zip([{ ...a, extra: [1, 0] }]), /cut short/, 'half an extra field')
  refuses(t, zip([{ ...a, local: { size: full, packedSize: full, extra: wide(data.length, 1) } }]), /size .*differ/,
    'the local header disagrees')
})

t.test('24 64-bit end records', async t => {
  const plain = zip([a, b])
  const end = plain.length - 22
  const view = new DataView(plain.buffer)
  const [size, start] = [view.getUint32(end + 12, true), view.getUint32(end + 16, true)]
  const record = (
    more: { entries?: number, size?: number, start?: number, place?: number, length?: number } = {},
  ): Uint8Array =>
    join(
      ascii('PK\x06\x06'),
      little(more.length ?? 44, 8),
      little(45, 2),
      little(45, 2),
      little(0, 4),
      little(0, 4),
      little(more.entries ?? 2, 8),
      little(more.entries ?? 2, 8),
      little(more.size ?? size, 8),
      little(more.start ?? start, 8),
      ascii('PK\x06\x07'),
      little(0, 4),
      little(more.place ?? end, 8),
      little(1, 4),
    )
  const marks = { entries: 0xFFFF, size: 2 ** 32 - 1, start: 2 ** 32 - 1 }
  t.same(readAll(zip([a, b], { ...marks, between: record() })), ['m/a', 'm/b'])
  t.same(readAll(zip([a, b], { between: record() })), ['m/a', 'm/b'], 'beside a short one that agrees')
  for (const entries of [1, 3, 65535, 2 ** 40]) {
    refuses(t, zip([a, b], { ...marks, between: record({ entries }) }), /entries/, `${entries} entries`)
  }
  refuses(t, zip([a, b], { between: record({ entries: 1 }) }), /disagree/, 'beside a short one that does not')
  refuses(t, zip([a, b], { ...marks, between: record({ place: 0 }) }), /points away/, 'a locator that points elsewhere')
  refuses(t, zip([a, b], { ...marks, between: record({ length: 100 }) }), /no 64-bit end record/,
    'a record of another length')
  refuses(t, zip([a, b], { ...marks, between: record({ start: 0 }) }), /directory/, 'a directory elsewhere')
  refuses(t, zip([a, b], { ...marks, between: record().subarray(56) }), /no 64-bit end record|points away/,
    'a locator without a record')
})

t.test('25 a second end, and bytes before and behind', async t => {
  const whole = zip([b])
  refuses(t, zip([a], { comment: whole.subarray(whole.length - 22) }), /second end record/, 'an end in the comment')
  refuses(t, zip([a], { comment: whole }), /second end record|directory/, 'an archive in the comment')
  const honest = zip([a])
  refuses(t, join(honest, [0]), /behind its end record/, 'a byte behind')
  refuses(t, join(ascii('#!/bin/sh\n'), honest), /directory/, 'a script in front')
  refuses(t, zip([a], { before: ascii('MZ..') }), /belong to no entry/, 'a program in front, with the places moved')
  refuses(t, zip([a], { between: [1, 2, 3] }), /directory/, 'bytes behind the directory')
  for (let length = 0; length < honest.length; length++) {
    t.ok(failureOf(() => readAll(honest.subarray(0, length))), `cut to ${length}`)
  }
})

t.test('26 checksums', async t => {
  refuses(t, zip([{ ...a, crc: 1 }]), /checksum of 'm\/a'/, 'stored')
  refuses(t, zip([packed(data, { crc: 1 })]), /checksum of 'm\/c'/, 'deflated', { inflate })
  const flipped = zip([a])
  flipped[35] ^= 1
  refuses(t, flipped, /checksum/, 'a flipped bit')
})

t.test('27 links and devices', async t => {
  for (const [mode, what] of [[0o120777, /symbolic link/], [0o020644, /not a plain file/], [0o010644,
    /not a plain file/], [0o060644, /not a plain file/], [0o140644, /not a plain file/], [0o040755,
    /not a plain file/]] as const) {
    refuses(t, zip([{ ...a, mode }]), what, mode.toString(8))
  }
  for (const dos of [0x10, 0x08, 0x59]) refuses(t, zip([{ ...a, dos }]), /mark of a folder/, `DOS attributes ${dos}`)
  t.same(readAll(zip([{ ...a, dos: 0x20 }, { name: 'm/', data: [], dos: 0x10 }])), ['m/a'])
  refuses(t, zip([{ name: 'm/', data: [1] }]), /folder .*with 1 bytes/, 'a folder with content')
})

t.test('many entries', async t => {
  const many = zip(Array.from({ length: 20_000 }, (_, i) => ({ name: `m/${i}`, data: [] })))
  t.equal(failureOf(() => openZip(many)), undefined)
  refuses(t, many, /more than the 10000 allowed/, 'more than allowed', { mostEntries: 10_000 })
})
