/**
 * @file Files made to harm, of every kind that the list of attacks names: bytes for the reader that recognises them and
 * for all others.
 */
import { readFileSync } from 'node:fs'
import * as p from '../../support/pickle-writer.js'
import { zip } from '../../support/zip-writer.js'
import { array, backref, call, chain, closure, dense, file as bson, numbers, slot,
  struct } from '../flux/julia-writer.js'
import { field, message } from '../onnx/onnx-bytes.js'
import { raw } from '../safetensors/write.js'

export interface Attack {
  readonly name: string
  readonly bytes: Uint8Array
}

const { ascii, join, little, pickle, repeat } = p
const global = (module: string, name: string): Uint8Array => join([0x63], ascii(`${module}\n${name}\n`))
const torchZip = (data: Uint8Array): Uint8Array =>
  zip([{ name: 'm/data.pkl', data }, { name: 'm/version', data: ascii('3\n') }, { name: 'm/data/0',
    data: new Uint8Array(16) }])

/** `fixtures` is the folder of test fixtures. */
export function attacks(fixtures: URL): Attack[] {
  const fixture = (path: string): Uint8Array => Uint8Array.from(readFileSync(new URL(path, fixtures)))
  return [...pickles(), ...archives(fixture('cases/binary/model.pt')), ...safetensors(), ...onnx(), ...flux(),
    ...cutFiles(fixture)]
}

function pickles(): Attack[] {
  const bodies: [string, Uint8Array][] = [
    ['1 GLOBAL os system', pickle(global('os', 'system'), p.MARK, [0x55, 2], ascii('id'), p.TUPLE, p.REDUCE)],
    ['1 GLOBAL builtins eval', pickle(global('builtins', 'eval'), [0x55, 1], ascii('1'), p.TUPLE_1, p.REDUCE)],
    ['1 GLOBAL with a dotted name', pickle(global('torch', 'nn.Module.__init__.__globals__'))],
    ['3 REDUCE of a text', pickle([0x55, 1], ascii('a'), p.EMPTY_TUPLE, p.REDUCE)],
    ['4 BUILD with __proto__',
      pickle(global('collections', 'OrderedDict'), p.EMPTY_TUPLE, p.REDUCE, p.EMPTY_DICT, [0x55, 9], ascii('__proto__'),
        p.EMPTY_DICT, [0x55, 1], ascii('x'), p.TRUE, p.SET_ITEM, p.SET_ITEM, p.BUILD)],
    ['5 NEWOBJ of subprocess', pickle(global('subprocess', 'Popen'), p.EMPTY_TUPLE, p.NEW_OBJECT)],
    ['6 protocol 255', join([0x80, 255], p.NONE, p.STOP)],
    ['7 FRAME beyond the data', join([0x80, 4, 0x95], little(2n ** 40n, 8), p.NONE, p.STOP)],
    ['8 dangling GET', pickle([0x68, 9])],
    ['9 doubled tuples', pickle(p.EMPTY_TUPLE, repeat(join(p.DUP, p.TUPLE_2), 100_000))],
    ['10 a million MARKs', pickle(repeat(p.MARK, 1_000_000))],
    ['10 stack underflow', pickle(p.POP, p.APPENDS)],
    ['11 LONG4 of 2^31 bytes', pickle([0x8b], little(2 ** 31 - 1, 4))],
    ['11 BINUNICODE8 of 2^63', join([0x80, 4, 0x8d], little(2n ** 63n, 8), p.STOP)],
    ['12 no STOP', Uint8Array.from([0x80, 2, 0x7d])],
    ['13 a key of one megabyte',
      pickle(p.EMPTY_DICT, [0x58], little(2 ** 20, 4), repeat([0x61], 2 ** 20), p.NONE, p.SET_ITEM)],
  ]
  return bodies.flatMap((
    [name, bytes],
  ) => [{ name, bytes }, { name: `${name}, in an archive`, bytes: torchZip(bytes) }])
}

function archives(good: Uint8Array): Attack[] {
  const cut = good.subarray(0, Math.floor(good.length / 2))
  return [
    { name: '21 a ratio bomb',
      bytes: zip([{ name: 'm/data.pkl', data: new Uint8Array(100), method: 8, size: 2 ** 31 - 1 }]) },
    { name: '22 headers that disagree',
      bytes: zip([{ name: 'm/data.pkl', data: p.NONE, local: { name: 'm/data.pkx' } }]) },
    { name: '23 duplicate names',
      bytes: zip([{ name: 'm/data.pkl', data: p.NONE }, { name: 'm/data.pkl', data: p.NONE }]) },
    { name: '23 a path upwards', bytes: zip([{ name: '../data.pkl', data: p.NONE }]) },
    { name: '23 an entry named __proto__', bytes: zip([{ name: '__proto__', data: p.NONE }]) },
    { name: '24 65,535 entries', bytes: zip([{ name: 'm/data.pkl', data: p.NONE }], { entries: 65_535 }) },
    { name: '24 an offset beyond the file', bytes: zip([{ name: 'm/data.pkl', data: p.NONE, offset: 2 ** 31 }]) },
    { name: '25 bytes before and behind',
      bytes: zip([{ name: 'm/data.pkl', data: p.NONE }], { before: ascii('MZ'), behind: ascii('more') }) },
    { name: '26 a wrong checksum', bytes: zip([{ name: 'm/data.pkl', data: p.NONE, crc: 1 }]) },
    { name: '27 two data.pkl',
      bytes: zip([{ name: 'a/data.pkl', data: p.NONE }, { name: 'b/data.pkl', data: p.NONE }]) },
    { name: '27 no data.pkl', bytes: zip([{ name: 'm/version', data: ascii('3') }]) },
    { name: 'an archive cut short', bytes: cut },
    { name: 'a Keras archive with code',
      bytes: zip([{ name: 'config.json', data: ascii('{"class_name":"Lambda","config":{"function":"__import__"}}') }, {
        name: 'model.weights.h5',
        data: ascii('\x89HDF\r\n\x1a\n'),
      }]) },
  ]
}

function safetensors(): Attack[] {
  const entry = (dtype: string, shape: string, offsets: string): Uint8Array =>
    raw(`{"a":{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}}`, new Uint8Array(8))
  return [
    { name: '28 header of 2^64 - 1', bytes: raw('{}', new Uint8Array(8), 2n ** 64n - 1n) },
    { name: '28 100,000 deep', bytes: raw(`{"__metadata__":${'{"a":'.repeat(100_000)}`) },
    { name: '28 a tensor twice', bytes: raw(
      '{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}',
      new Uint8Array(8),
    ) },
    { name: '28 a tensor named __proto__',
      bytes: raw('{"__proto__":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}', new Uint8Array(8)) },
    { name: '29 reversed offsets', bytes: entry('F64', '[1]', '[8,0]') },
    { name: '29 offsets of 1e400', bytes: entry('F64', '[1]', '[0,1e400]') },
    { name: '30 a shape beyond 2^53', bytes: entry('F64', '[4294967296,4294967296]', '[0,8]') },
    { name: '30 dtype constructor', bytes: entry('constructor', '[1]', '[0,8]') },
    { name: '31 zero-size tensors', bytes: raw(
      `{${
        Array.from({ length: 150_000 }, (_, i) => `"${i}":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`).join(',')
      }}`,
    ) },
    { name: 'an index with paths', bytes: ascii('{"weight_map":{"a":"../../etc/passwd"}}') },
  ]
}

function onnx(): Attack[] {
  const model = (...parts: Uint8Array[]): Uint8Array =>
    join(field(1, 8), field(7, join(...parts)), field(8, message([[2, 18]])))
  const node = (op: string, input: string, output: string): Uint8Array =>
    field(1, message([[1, input], [2, output], [4, op]]))
  let deep: Uint8Array = message([[4, 'If']])
  for (let i = 0; i < 2000; i++) deep = message([[5, message([[6, message([[1, deep]])]])]])
  return [
    { name: '32 a varint of 11 bytes', bytes: join([0x08], repeat([0xff], 11)) },
    { name: '32 wire type 7', bytes: join([0x08, 8, 0x3f], new Uint8Array(10)) },
    { name: '32 a length of 2^31 - 1', bytes: join([0x08, 8, 0x3a], little(0x07ffffffff, 5)) },
    { name: '32 a million nested groups', bytes: join([0x08, 8], repeat([0x0b], 1_000_000)) },
    { name: '32 nested graphs', bytes: model(field(1, deep)) },
    { name: '33 dims beyond the data',
      bytes: model(field(5, message([[1, 2n ** 40n], [2, 1], [8, 'w'], [9, new Uint8Array(4)]]))) },
    { name: '34 a cycle',
      bytes: model(node('Relu', 'b', 'a'), node('Relu', 'a', 'b'), field(12, message([[1, 'b']]))) },
    { name: '34 an initialiser named __proto__',
      bytes: model(field(5, message([[1, 1], [2, 1], [8, '__proto__'], [9, new Uint8Array(4)]])),
        node('Relu', '__proto__', 'y'), field(12, message([[1, 'y']]))) },
    { name: '34 an unknown operator',
      bytes: model(node('Evil', 'x', 'y'), field(11, message([[1, 'x']])), field(12, message([[1, 'y']]))) },
    { name: '35 external data outside', bytes: model(
      field(5, message([[1, 1], [2, 1], [8, 'w'], [13, message([[1, 'location'], [2, '../../etc/passwd']])], [14, 1]])),
      field(12, message([[1, 'w']])),
    ) },
  ]
}

function flux(): Attack[] {
  const random = numbers(1)
  const good = bson({ model: chain(dense(3, 2, random(6), random(3)), dense(1, 3, random(3), random(1))) })
  const code = closure([call('run', slot(2))])
  const lied = good.slice()
  new DataView(lied.buffer).setInt32(0, 0x7fffffff, true)
  const kind = good.slice()
  kind[4] = 0x0d
  return [
    { name: '38 a length beyond the file', bytes: lied },
    { name: '38 a type of code', bytes: kind },
    { name: '39 a type that is not known', bytes: bson({ model: struct('Main.Evil', []) }) },
    { name: '39 a backref to itself', bytes: bson({ model: backref(1) }, [backref(1)]) },
    { name: '39 an array larger than its data',
      bytes: bson({ model: chain(dense(3, 2, random(6), random(3))), other: array([2 ** 20, 2 ** 20], random(4)) }) },
    { name: '39 an anonymous function', bytes: bson({ model: chain(code.value) }, [code.backref]) },
  ]
}

/** Real files of every format, cut at several places, and with their first bytes of structure turned. */
function cutFiles(fixture: (path: string) => Uint8Array): Attack[] {
  const files = ['cases/binary/model.onnx', 'cases/binary/model.pt', 'cases/binary/model.safetensors',
    'keras/perceptron.h5', 'keras/perceptron.keras', 'flux/state.jld2']
  return files.flatMap(path =>
    [0.01, 0.3, 0.9, 0.999].map(part => {
      const bytes = fixture(path)
      return { name: `${path} cut at ${part}`, bytes: bytes.subarray(0, Math.floor(bytes.length * part)) }
    })
  )
}
