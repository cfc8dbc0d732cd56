/** @file PyTorch files made to harm, and files of other kinds. Numbers are those of the list of attacks. */
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { readPyTorch, readPyTorchTensors } from '../../../adapters/pytorch/index.js'
import { toTensor } from '../../../adapters/tensors/convert.js'
import { ascii, BUILD, call, dict, EMPTY_DICT, EMPTY_LIST, EMPTY_TUPLE, FALSE, float, get, global, int, ints, join,
  list, little, long, MARK, NEW_OBJECT, NONE, orderedDict, type Part, PERSISTENT, pickle, POP, put, REDUCE, repeat,
  SET_ITEM, SET_ITEMS, STOP, storage, str, tensor, tuple } from '../../support/pickle-writer.js'
import { failureOf, refused } from '../../support/survives.js'
import { zip, type ZipItem } from '../../support/zip-writer.js'

const floats = (values: readonly number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer)
const four = floats([1, 2, 3, 4])

/** A file as torch.save writes it: one storage `0` of four floats, unless more are given. */
function saved(value: Part, data: Readonly<Record<string, Part>> = { 0: four },
  more: readonly ZipItem[] = []): Uint8Array {
  return zip([{ name: 'archive/data.pkl', data: pickle(value) },
    ...Object.entries(data).map(([key, bytes]) => ({ name: `archive/data/${key}`, data: bytes })), {
    name: 'archive/version',
    data: ascii('3\n'),
  }, ...more])
}

/** The legacy stream of the same. */
function legacy(value: Part, keys: readonly string[] = ['0'], tail: Part = join(little(4, 8), four)): Uint8Array {
  return join(pickle(long(0x1950A86A20F9469CFC6Cn, 10)), pickle(int(1001)), pickle(dict({ little_endian: FALSE })),
    pickle(value), pickle(list(...keys.map(str))), tail)
}

const legacyStorage = (key: string, length: number, view: Part = NONE): Uint8Array =>
  join(tuple(str('storage'), global('torch', 'FloatStorage'), str(key), str('cpu'), int(length), view), PERSISTENT)
const good = tensor(storage('0', 4), 0, [2, 2], [2, 1])
const refuses = (t: Test, bytes: Uint8Array, pattern: RegExp, name: string, key?: string): void =>
  refused(t, () => readPyTorchTensors(bytes, { model: key }), pattern, name)
const numbers = (bytes: Uint8Array, name = 'w', key?: string): number[] => {
  const found = readPyTorchTensors(bytes, { model: key }).tensors.get(name)
  if (found === undefined) throw new Error(`no tensor ${name}`)
  return [...toTensor(found, name).data]
}

t.test('what the attacks are made from is accepted', async t => {
  t.same(numbers(saved(dict({ w: good }))), [1, 2, 3, 4])
  t.same(numbers(saved(dict({ w: tensor(storage('0', 4), 0, [2, 2], [1, 2]) }))), [1, 3, 2, 4])
  t.same(numbers(legacy(dict({ w: tensor(legacyStorage('0', 4), 1, [3], [1]) }))), [2, 3, 4])
})

t.test('a hostile pickle inside of an honest archive', async t => {
  refuses(t, saved(call('posix', 'system', str('echo'))), /looks like an attack/, 'called at the root')
  refuses(t, saved(dict({ w: good, x: call('builtins', 'exec', str('1')) })), /looks like an attack/, 'beside weights')
  refuses(t, legacy(dict({ w: call('os', 'system', str('echo')) })), /looks like an attack/, 'in a legacy stream')
})

t.test('12 bytes behind the pickle, and cut files', async t => {
  const twice = zip([{ name: 'archive/data.pkl', data: join(pickle(dict({ w: good })), pickle(NONE)) }, {
    name: 'archive/data/0',
    data: four,
  }])
  refuses(t, twice, /bytes behind the pickle/, 'two pickles')
  const stream = legacy(dict({ w: tensor(legacyStorage('0', 4), 0, [4], [1]) }))
  t.equal(failureOf(() => readPyTorchTensors(stream)), undefined)
  for (let length = 0; length < stream.length; length += 7) {
    t.ok(failureOf(() => readPyTorchTensors(stream.subarray(0, length))), `cut to ${length}`)
  }
  refuses(t, join(stream, [0]), /bytes behind its storages/, 'a byte too many')
})

t.test('13 names of tensors that no module has', async t => {
  for (const name of ['', '__proto__', 'a.__proto__', 'a\nb', 'w'.repeat(2000)]) {
    refuses(t, saved(join(EMPTY_DICT, str(name), good, SET_ITEM)), /which no module has/,
      JSON.stringify(name.slice(0, 20)))
  }
  refuses(t, saved(dict({ 'a.b': good, a: dict({ b: good }) })), /two tensors named/, 'one name on two ways')
  for (const name of ['constructor', 'toString', 'hasOwnProperty', 'é']) {
    t.same(numbers(saved(dict({ [name]: good })), name), [1, 2, 3, 4])
  }
  t.notOk('x' in {})
})

t.test('14 views that leave their storage', async t => {
  const view = (offset: Part, size: Part, stride: Part): Uint8Array =>
    saved(
      dict({
        w: call('torch._utils', '_rebuild_tensor_v2', storage('0', 4), offset, size, stride, FALSE, orderedDict()),
      }),
    )
  const zero = int(0)
  refuses(t, view(zero, ints([-1]), ints([1])), /size is -1/, 'negative size')
  refuses(t, view(zero, ints([5]), ints([1])), /ends at element 5 of a storage of 4/, 'one element too many')
  refuses(t, view(int(1), ints([4]), ints([1])), /ends at element 5/, 'offset too large')
  refuses(t, view(int(-1), ints([1]), ints([1])), /offset is -1/, 'negative offset')
  refuses(t, view(zero, ints([2]), ints([-1])), /stride is -1/, 'negative stride')
  refuses(t, view(zero, ints([2, 2]), ints([3, 1])), /ends at element 5/, 'stride too large')
  refuses(t, view(zero, tuple(float(2)), ints([1])), /not a whole number/, 'a float as size')
  refuses(t, view(zero, tuple(float(1.5)), ints([1])), /not a whole number/, 'half an element')
  refuses(t, view(zero, tuple(long(2n ** 63n, 9)), ints([0])), /size is 9223372036854775808/, 'size 2^63')
  refuses(t, view(zero, tuple(long(2 ** 40)), ints([1])), /ends at element/, 'size 2^40')
  refuses(t, view(zero, ints([2]), tuple(long(2 ** 53 - 1))), /ends at element/, 'stride 2^53 - 1')
  refuses(t, view(zero, ints(Array.from({ length: 60 }, () => 1000)), ints(Array.from({ length: 60 }, () => 0))),
    /elements/, 'a product beyond 2^53')
  refuses(t, view(zero, ints(Array.from({ length: 65 }, () => 1)), ints(Array.from({ length: 65 }, () => 1))),
    /65 axes/, 'rank 65')
  refuses(t, view(zero, ints([2, 2]), ints([1])), /2 sizes and 1 strides/, 'a stride too few')
  refuses(t, view(zero, list(int(1)), ints([1])), /not a tuple/, 'size in a list')
  refuses(t, view(zero, tuple(long(2 ** 33)), ints([0])), /many times/, 'expansion by stride 0 to 32 GB')
  refuses(t, view(zero, ints([1000, 1000]), ints([0, 0])), /many times/, 'expansion by stride 0 to 4 MB')
  refuses(t, view(zero, ints([2000, 1000]), ints([0, 0])), /many times/, 'expansion of both axes')
  t.same(numbers(view(zero, ints([2, 3]), ints([0, 1]))), [1, 2, 3, 1, 2, 3], 'a small expansion is what torch reads')
  t.same(numbers(view(zero, ints([2, 3]), ints([1, 1]))), [1, 2, 3, 2, 3, 4], 'so are windows that overlap')
  t.same(numbers(view(zero, EMPTY_TUPLE, EMPTY_TUPLE)), [1], 'a scalar')
  t.same(numbers(view(zero, ints([0, 5]), ints([5, 1]))), [], 'nothing')
  t.same(numbers(view(int(5), ints([0]), ints([1]))), [], 'nothing, beyond the end')
})

t.test('14 many views of one storage', async t => {
  const width = 20_000
  const data = floats(new Array<number>(width).fill(1))
  const views = Array.from({ length: 1000 }, (_, i) => [`t${i}`, tensor(get(0), i, [width - 1000], [1])] as const)
  refuses(t, saved(join(storage('0', width), put(0), POP, dict(Object.fromEntries(views))), { 0: data }), /many times/,
    'a thousand windows')
})

t.test('14 wrong arguments', async t => {
  const rebuild = (...args: Part[]): Uint8Array =>
    saved(dict({ w: call('torch._utils', '_rebuild_tensor_v2', ...args) }))
  refuses(t, rebuild(), /with 0 arguments/, 'none')
  refuses(t, rebuild(int(1), int(0), ints([1]), ints([1]), FALSE, orderedDict()), /without a storage/,
    'a number as storage')
  refuses(t, rebuild(storage('0', 4), str('0'), ints([1]), ints([1]), FALSE, orderedDict()), /offset is not/,
    'text as offset')
  refuses(t, rebuild(storage('0', 4), int(0), ints([1]), ints([1]), int(0), orderedDict()), /requires_grad/,
    'a number as requires_grad')
  refuses(t, rebuild(storage('0', 4), int(0), ints([1]), ints([1]), FALSE, orderedDict(), NONE, NONE),
    /with 8 arguments/, 'eight')
  refuses(t, saved(dict({ w: call('torch._utils', '_rebuild_parameter', int(1), FALSE, orderedDict()) })),
    /Parameter without a tensor/, 'a Parameter of a number')
  refuses(t, saved(
    dict({
      w: call('torch._tensor', '_rebuild_from_type_v2', global('torch._tensor', '_rebuild_from_type_v2'),
        global('a', 'B'), tuple(), NONE),
    }),
  ), /class of its own/, 'a rebuild of itself')
  refuses(t, saved(
    join(EMPTY_LIST, put(0), POP,
      dict({ w: call('torch._utils', '_rebuild_tensor_v2', get(0), get(0), get(0), get(0), FALSE, get(0)) })),
  ), /without a storage/, 'a list for everything')
})

t.test('15 storages that are not there', async t => {
  const withId = (id: Part): Uint8Array => saved(dict({ w: tensor(join(id, PERSISTENT), 0, [4], [1]) }))
  const id = (key: Part, length: Part = int(4), tag = 'storage',
    cls: Part = global('torch', 'FloatStorage')): Uint8Array => tuple(str(tag), cls, key, str('cpu'), length)
  refuses(t, withId(str('0')), /not a storage/, 'an id that is text')
  refuses(t, withId(id(str('0'), int(4), 'module')), /not a storage/, 'another tag')
  refuses(t, withId(tuple(str('storage'))), /not a storage/, 'a short id')
  refuses(t, withId(id(str('7'))), /no entry 'archive\/data\/7'/, 'a missing entry')
  refuses(t, withId(id(str('../data/0'))), /where a number is due/, 'a path')
  refuses(t, withId(id(str('/etc/passwd'))), /where a number is due/, 'an absolute path')
  refuses(t, withId(id(int(0))), /no text/, 'a number as key')
  refuses(t, withId(tuple(str('storage'), global('torch', 'FloatStorage'), str('0'), str('../cpu'), int(4))), /device/,
    'a path as device')
  for (const length of [0, 3, 5, 2 ** 30]) {
    refuses(t, withId(id(str('0'), int(length))), /has 16 bytes/, `${length} elements`)
  }
  refuses(t, withId(id(str('0'), int(-1))), /storage of -1 elements/, 'minus one element')
  refuses(t, withId(id(str('0'), long(2n ** 62n, 9))), /elements/, '2^62 elements')
  refuses(t, withId(id(str('0'), int(4), 'storage', global('torch', 'Tensor'))), /type torch.Tensor/,
    'a class that is no storage')
  refuses(t, withId(id(str('0'), int(4), 'storage', int(1))), /no name/, 'a number as class')
  refuses(t,
    saved(dict({ a: tensor(storage('0', 4), 0, [4], [1]), b: tensor(storage('0', 2, 'DoubleStorage'), 0, [2], [1]) })),
    /in two ways/, 'two types for one storage')
})

t.test('15 storages of legacy streams', async t => {
  const w = tensor(legacyStorage('0', 4), 0, [4], [1])
  refuses(t, legacy(dict({ w }), []), /bytes behind|lacks/, 'no key')
  refuses(t, legacy(dict({ w }), [], []), /lacks the storage 0/, 'no key and no storage')
  refuses(t, legacy(dict({ w }), ['0', '0'], join(little(4, 8), four, little(4, 8), four)), /twice/, 'a key twice')
  refuses(t, legacy(dict({ w }), ['0', '1'], join(little(4, 8), four, little(4, 8), four)), /nothing uses/,
    'a key too many')
  for (const length of [3, 5, -1, 2 ** 40]) {
    refuses(t, legacy(dict({ w }), ['0'], join(little(length, 8), four)), /and then/, `${length} elements`)
  }
  refuses(t, legacy(dict({ w }), ['0'], join(little(4, 8), four.subarray(0, 15))), /cut short/, 'cut')
  const part = (from: number, length: number): Uint8Array =>
    legacy(dict({ w: tensor(legacyStorage('0', 4, tuple(str('1'), int(from), int(length))), 0, [length], [1]) }))
  t.same(numbers(part(1, 2)), [2, 3])
  refuses(t, part(3, 2), /no part/, 'a part beyond the end')
  refuses(t, part(-1, 2), /no part/, 'a part before the start')
  const source = join(tuple(str('module'), global('__main__', 'Net'), str('net.py'), str('import os; os.system("x")')),
    PERSISTENT)
  refuses(t, legacy(join(source, EMPTY_TUPLE, NEW_OBJECT), [], []), /__main__.Net/,
    'source code of a module stays text')
})

t.test('16 elements that are not plain numbers, by name', async t => {
  const typed = (cls: string, bytes: number): Uint8Array =>
    saved(dict({ w: tensor(storage('0', 16 / bytes, cls), 0, [1], [1]) }))
  refuses(t, typed('ComplexFloatStorage', 8), /'w' is a tensor of complex64/, 'complex64')
  refuses(t, typed('ComplexDoubleStorage', 16), /complex128/, 'complex128')
  refuses(t, typed('QInt8Storage', 1), /qint8/, 'qint8')
  refuses(t, typed('QUInt8Storage', 1), /quint8/, 'quint8')
  const float8 = call('torch._utils', '_rebuild_tensor_v3',
    join(tuple(str('storage'), global('torch.storage', 'UntypedStorage'), str('0'), str('cpu'), int(16)), PERSISTENT),
    int(0), ints([1]), ints([1]), FALSE, orderedDict(), global('torch', 'float8_e4m3fn'))
  refuses(t, saved(dict({ w: float8 })), /float8_e4m3fn/, 'float8')
  for (const [name, kind] of Object.entries({ _rebuild_qtensor: 'quantised', _rebuild_sparse_tensor: 'sparse',
    _rebuild_meta_tensor_no_storage: 'meta', _rebuild_nested_tensor: 'nested',
    _rebuild_wrapper_subclass: 'class of its own' })) {
    refuses(t, saved(dict({ w: call('torch._utils', name, NONE) })), new RegExp(`'w' is .*${kind}`), kind)
  }
  t.same(
    numbers(
      saved(
        dict({ state_dict: dict({ w: good }),
          optimizer: dict({ q: call('torch._utils', '_rebuild_sparse_tensor', NONE) }) }),
      ),
    ),
    [1, 2, 3, 4],
    'unread ones do no harm',
  )
  const half = saved(dict({ w: tensor(storage('0', 2, 'BFloat16Storage'), 0, [2], [1]) }), {
    0: [0x80, 0x3F, 0x00, 0xC0],
  })
  t.same(numbers(half), [1, -2], 'bfloat16 is read')
})

t.test('17 files of other kinds are named', async t => {
  const tar = new Uint8Array(1024)
  tar.set(ascii('ustar'), 257)
  const kinds: [string, Uint8Array, RegExp][] = [
    ['nothing', new Uint8Array(0), /is empty/],
    ['zeros', new Uint8Array(100), /neither a zip archive nor a pickle/],
    ['tar', tar, /tar archive/],
    ['7z', Uint8Array.of(0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C), /7z/],
    ['gzip', Uint8Array.of(0x1F, 0x8B, 8, 0), /torch for R/],
    ['numpy', join([0x93], ascii('NUMPY\x01\0')), /NumPy/],
    ['safetensors', join(little(40, 8), ascii('{"w":{"dtype":"F32","shape":[1]}}')), /safetensors/],
    ['HDF5', Uint8Array.of(0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A), /HDF5/],
    ['LFS', ascii('version https://git-lfs.github.com/spec/v1\noid sha256:0\n'), /Git LFS/],
    ['web page', ascii('<!DOCTYPE html><html></html>'), /web page/],
    ['scikit-learn', pickle(global('sklearn.neural_network', 'MLPClassifier'), EMPTY_TUPLE, NEW_OBJECT),
      /sklearn.neural_network.MLPClassifier/],
    ['joblib', pickle(global('joblib.numpy_pickle', 'NumpyArrayWrapper'), EMPTY_TUPLE, NEW_OBJECT), /joblib/],
    ['plain pickle', pickle(dict({ a: int(1) })), /no tensors/],
    ['npz', zip([{ name: 'a.npy', data: [1] }]), /NumPy archive/],
    ['keras', zip([{ name: 'config.json', data: [1] }, { name: 'model.weights.h5', data: [1] }]), /readKeras/],
    ['zip', zip([{ name: 'a.txt', data: [1] }]), /no data.pkl/],
    ['torch.export',
      zip([{ name: 'm/archive_format', data: ascii('pt2') }, { name: 'm/data/weights/weight_0', data: [1] }]),
      /torch.export/],
    ['torch.package',
      zip([{ name: 'p/.data/extern_modules', data: [1] }, { name: 'p/.data/python_version', data: [1] }]),
      /torch.package/],
    ['a model in a zip', zip([{ name: 'a/model.onnx', data: [1] }]), /unpack it first/],
  ]
  for (const [name, bytes, pattern] of kinds) {
    refuses(t, bytes, pattern, name)
    t.equal(failureOf(() => readPyTorchTensors(bytes))?.code, 'UNSUPPORTED_FORMAT', name)
  }
})

t.test('17 TorchScript: weights are read, code is not', async t => {
  const script = join(global('__torch__', 'Net'), EMPTY_TUPLE, NEW_OBJECT,
    dict({ training: FALSE,
      fc: join(global('__torch__.torch.nn', 'Linear'), EMPTY_TUPLE, NEW_OBJECT, dict({ weight: good }), BUILD) }),
    BUILD)
  const { tensors, notes } = readPyTorchTensors(
    saved(script, { 0: four }, [{ name: 'archive/code/__torch__.py', data: ascii('op.system("x")') }, {
      name: 'archive/constants.pkl',
      data: pickle(EMPTY_TUPLE),
    }]),
  )
  t.same([...tensors.keys()], ['fc.weight'])
  t.match(notes[0], /TorchScript/)
  const branching = saved(script, { 0: four }, [{ name: 'archive/code/__torch__.py',
    data: ascii('def forward(self, x):\n  if bool(torch.gt(x, 0)):\n    y = x\n') }])
  t.same([...readPyTorchTensors(branching).tensors.keys()], ['fc.weight'])
  const read = (): unknown => readPyTorch(branching, { architecture: [{ type: 'Linear', name: 'fc' }] })
  t.throws(read, { code: 'UNSUPPORTED_FORMAT', message: /decides while it runs.*torch\.jit\.load/ })
})

t.test('18 byte order', async t => {
  const big = (order: string, cls = 'FloatStorage', bytes = floats([1, 2, 3, 4])): Uint8Array => {
    const width = cls === 'DoubleStorage' ? 8 : cls === 'HalfStorage' ? 2 : 4
    const turned = Uint8Array.from(bytes, (_, i) => bytes[i - i % width + width - 1 - i % width])
    return saved(dict({ w: tensor(storage('0', bytes.length / width, cls), 0, [2, 2], [1, 2]) }), { 0: turned }, [{
      name: 'archive/byteorder',
      data: ascii(order),
    }])
  }
  t.same(numbers(big('big')), [1, 3, 2, 4])
  t.same(numbers(big('big', 'DoubleStorage', new Uint8Array(Float64Array.of(1, 2, 3, 4).buffer))), [1, 3, 2, 4])
  t.same(numbers(big('big', 'HalfStorage', new Uint8Array(Uint16Array.of(0x3C00, 0x4000, 0xC000, 0x7C00).buffer))), [1,
    -2, 2, Infinity])
  refuses(t, big('middle'), /byte order "middle"/, 'middle')
  refuses(t, big('b'.repeat(100)), /byte order/, 'long')
})

t.test('19 pickled modules: weights are found, otherwise the error says how to save them', async t => {
  const module = (path: string, parameters: Readonly<Record<string, Part>>,
    modules: Readonly<Record<string, Part>> = {}): Uint8Array =>
    join(global('__main__', path), EMPTY_TUPLE, NEW_OBJECT,
      dict({ training: FALSE, _parameters: dict(parameters), _buffers: dict({}), _modules: dict(modules) }), BUILD)
  const parameter = call('torch._utils', '_rebuild_parameter', good, FALSE, orderedDict())
  const { tensors, notes } = readPyTorchTensors(
    saved(module('Net', { bias: NONE }, { fc: module('Linear', { weight: parameter }) })),
  )
  t.same([...tensors.keys()], ['fc.weight'])
  t.match(notes.join(' '), /__main__.Net/)
  refuses(t, saved(join(global('my.code', 'Net'), EMPTY_TUPLE, NEW_OBJECT, dict({ hidden: int(3) }), BUILD)),
    /my.code.Net.*torch.save\(model.state_dict\(\)/, 'an object without tensors')
  const chain = Array.from({ length: 5000 }).reduce<Uint8Array>(inner => module('M', {}, { m: inner }),
    module('M', { weight: parameter }))
  t.ok(failureOf(() => readPyTorchTensors(saved(chain))), 'modules 5,000 deep')
  const deep = (count: number): Uint8Array =>
    join(repeat(join(EMPTY_DICT, str('a')), count), good, repeat(SET_ITEM, count))
  t.same(numbers(saved(deep(50)), new Array(50).fill('a').join('.')), [1, 2, 3, 4], 'dictionaries 50 deep')
  t.ok(failureOf(() => readPyTorchTensors(saved(deep(100_000)))), 'dictionaries 100,000 deep')
})

t.test('9 tensors in structures that grow when they are unfolded', async t => {
  const levels = Array.from({ length: 40 }, (_, i) => join(POP, dict({ a: get(i), b: get(i), c: get(i) }), put(i + 1)))
  refuses(t, saved(join(dict({ w: good }), put(0), ...levels)), /names more than|made to grow/, '3^40 names')
  const barren = Array.from({ length: 40 }, (_, i) => join(POP, dict({ a: get(i), b: get(i) }), put(i + 1)))
  refuses(t, saved(join(dict({ x: int(1) }), put(0), ...barren)), /no tensors/, '2^40 names of nothing')
  const self = join(EMPTY_DICT, put(0), str('me'), get(0), SET_ITEM, str('w'), good, SET_ITEM)
  t.same(numbers(saved(self)), [1, 2, 3, 4], 'a state dict that holds itself')
})

t.test('20 tied weights are one array', async t => {
  const bytes = saved(
    join(storage('0', 4), put(0), POP, EMPTY_DICT, MARK, str('a'), tensor(get(0), 0, [4], [1]), str('b'),
      tensor(get(0), 0, [4], [1]), SET_ITEMS),
  )
  const { tensors, notes } = readPyTorchTensors(bytes)
  t.equal(tensors.get('a'), tensors.get('b'))
  t.match(notes.join(), /Tied weights: 'b' and 'a'/)
})

t.test('27 two pickles, none, two roots', async t => {
  const data = pickle(dict({ w: good }))
  refuses(t, zip([{ name: 'a/data.pkl', data }, { name: 'b/data.pkl', data }, { name: 'a/data/0', data: four }]),
    /two pickles/, 'two')
  refuses(t, zip([{ name: 'a/data.pkl', data }, { name: 'b/data/0', data: four }]), /outside of the folder/,
    'a storage in another root')
  refuses(t, zip([{ name: 'a/b/data.pkl', data }, { name: 'a/b/data/0', data: four }]), /no data.pkl/, 'too deep')
  refuses(t, zip([{ name: 'data.pkl', data }, { name: 'data/0', data: four }]), /no data.pkl/, 'without a root')
})

t.test('a real file with any byte changed ends in a result or a typed error', async t => {
  const seed = Uint8Array.from(readFileSync(new URL('../../fixtures/cases/regression-1d/model.pt', import.meta.url)))
  let failures = 0
  for (let at = 0; at < seed.length; at += 3) {
    const bytes = seed.slice()
    bytes[at] ^= 1 << (at % 8)
    if (failureOf(() => readPyTorchTensors(bytes)) !== undefined) failures++
  }
  t.ok(failures > seed.length / 6, `${failures} of ${seed.length / 3} are refused`)
})

t.test('the whole list is one call for a reader without a global', async t => {
  refuses(t, pickle(global('a', 'f'), EMPTY_TUPLE, REDUCE), /a.f/, 'a function that is not known is not called')
  refuses(t, join([0x80, 2], EMPTY_LIST, STOP, STOP), /behind its pickle/, 'a byte behind')
})
