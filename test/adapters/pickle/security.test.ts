/**
 * @file Pickles made to harm: each ends in a typed error, quickly, and leaves nothing behind. Numbers are those of the
 * list of attacks.
 */
import t, { type Test } from 'tap'
import { PICKLE_LIMITS, PickleDict, PickleGlobal, PickleList, PickleRecord, PickleTuple, type PickleValue,
  readPickle } from '../../../adapters/pickle/index.js'
import { ADD_ITEMS, APPEND, APPENDS, ascii, BUILD, bytesOf, call, DICT, dict, DUP, EMPTY_DICT, EMPTY_LIST, EMPTY_SET,
  EMPTY_TUPLE, float, frame, FROZEN_SET, get, global, int, join, LIST, list, little, long, MARK, MEMOIZE, NEW_OBJECT,
  NEW_OBJECT_EX, NONE, OBJECT, orderedDict, type Part, PERSISTENT, pickle, POP, POP_MARK, put, raw, REDUCE, repeat,
  SET_ITEM, SET_ITEMS, STACK_GLOBAL, STOP, str, TUPLE, tuple, TUPLE_1, TUPLE_2,
  TUPLE_3 } from '../../support/pickle-writer.js'
import { failureOf, refused } from '../../support/survives.js'

const refuses = (t: Test, bytes: Uint8Array, pattern: RegExp, name: string): void =>
  refused(t, () => readPickle(bytes), pattern, name)
const value = (...parts: readonly Part[]): PickleValue => readPickle(pickle(...parts)).value

t.test('1 names that no model needs', async t => {
  const hostile: [string, string][] = [
    ['os', 'system'],
    ['posix', 'system'],
    ['nt', 'system'],
    ['subprocess', 'Popen'],
    ['builtins', 'eval'],
    ['__builtin__', 'exec'],
    ['builtins', 'open'],
    ['builtins', '__import__'],
    ['builtins', 'setattr'],
    ['sys', 'exit'],
    ['importlib', 'import_module'],
    ['runpy', '_run_code'],
    ['pickle', 'loads'],
    ['ctypes', 'CDLL'],
    ['socket', 'socket'],
    ['shutil', 'rmtree'],
    ['webbrowser', 'open'],
    ['torch.hub', 'load'],
    ['torch', 'hub.load'],
    ['torch', 'load'],
    ['torch.serialization', 'os.system'],
    ['numpy', 'load'],
    ['collections', 'os.system'],
    ['types', 'CodeType'],
    ['code', 'interact'],
    ['a', '__class__.__bases__'],
    ['torch.utils.cpp_extension', 'load'],
    ['urllib.request', 'urlopen'],
  ]
  for (const [module, name] of hostile) {
    refuses(t, pickle(global(module, name)), /looks like an attack/, `${module}.${name}`)
    refuses(t, pickle(call(module, name, str('echo'))), /looks like an attack/, `${module}.${name} called`)
  }
  refuses(t, pickle(global('a\0b', 'c')), /not one of Python/, 'NUL in a module')
  refuses(t, pickle(str('a\nb'), str('c'), STACK_GLOBAL), /not one of Python/, 'newline in a module')
  refuses(t, pickle(str('a'), str('b c'), STACK_GLOBAL), /not one of Python/, 'space in a name')
  refuses(t, pickle(global('', 'c')), /not one of Python/, 'no module')
  refuses(t, pickle(global('a', '.b')), /not one of Python/, 'a name that starts with a dot')
  refuses(t, pickle(ascii('c'), ascii('a'.repeat(2000))), /line of text without an end/, 'an endless name')
})

t.test('2 names from the stack, allowed and refused', async t => {
  t.ok(value(str('collections'), str('OrderedDict'), STACK_GLOBAL, EMPTY_TUPLE, REDUCE) instanceof PickleDict)
  const user = value(str('__main__'), str('Outer.Net'), STACK_GLOBAL)
  t.ok(user instanceof PickleGlobal && user.path === '__main__.Outer.Net')
  refuses(t, pickle(str('posix'), str('system'), STACK_GLOBAL), /looks like an attack/, 'posix.system')
  refuses(t, pickle(int(1), str('system'), STACK_GLOBAL), /not text/, 'a number as a module')
  refuses(t, pickle(str('a'), EMPTY_LIST, STACK_GLOBAL), /not text/, 'a list as a name')
})

t.test('3 calls of what is known with wrong arguments, and of what cannot be called', async t => {
  refuses(t, pickle(call('collections', 'OrderedDict', int(1))), /not a list/, 'OrderedDict of a number')
  refuses(t, pickle(call('collections', 'OrderedDict', list(), list())), /more than one/, 'OrderedDict of two')
  refuses(t, pickle(call('collections', 'OrderedDict', list(list(str('a'))))), /not pairs/, 'OrderedDict of no pairs')
  refuses(t, pickle(call('_codecs', 'encode', int(1), str('latin1'))), /encodes/, 'bytes of a number')
  refuses(t, pickle(call('_codecs', 'encode', str('a'), str('zip'))), /encodes/, 'bytes by another codec')
  refuses(t, pickle(call('_codecs', 'encode', str('\u0100'), str('latin1'))), /above 255/, 'bytes above 255')
  refuses(t, pickle(global('collections', 'OrderedDict'), EMPTY_LIST, REDUCE), /not a tuple/, 'arguments in a list')
  for (const [name, callable] of Object.entries({ text: str('f'), number: int(1), none: NONE, list: EMPTY_LIST,
    tuple: EMPTY_TUPLE })) refuses(t, pickle(callable, EMPTY_TUPLE, REDUCE), /neither a class/, `${name} called`)
})

t.test('4 states that look like attributes of every object', async t => {
  const state = dict({ __proto__x: int(1), constructor: int(2), __setstate__: global('a', 'b') })
  const proto = join(EMPTY_DICT, str('__proto__'), dict({ x: int(1), polluted: int(1) }), SET_ITEM)
  for (const target of [orderedDict(), join(global('a', 'B'), EMPTY_TUPLE, NEW_OBJECT)]) {
    for (const given of [state, proto]) {
      t.equal(failureOf(() => value(target, given, BUILD)), undefined)
      const built = value(target, given, BUILD)
      t.ok(built instanceof PickleDict || built instanceof PickleRecord)
      t.notOk('polluted' in Object(built))
    }
  }
  refuses(t, pickle(int(1), EMPTY_DICT, BUILD), /has none/, 'state of a number')
  refuses(t, pickle(EMPTY_LIST, EMPTY_DICT, BUILD), /has none/, 'state of a list')
  t.notOk('x' in {})
})

t.test('5 objects of classes that are not known stay inert, hostile ones and extensions are refused', async t => {
  for (const parts of [[global('a', 'B'), EMPTY_TUPLE, NEW_OBJECT], [global('a', 'B'), EMPTY_TUPLE, EMPTY_DICT,
    NEW_OBJECT_EX], [MARK, global('a', 'B'), int(1), OBJECT]]) {
    const made = value(...parts)
    t.ok(made instanceof PickleRecord && made.path === 'a.B')
  }
  refuses(t, pickle(global('os', 'system'), EMPTY_TUPLE, NEW_OBJECT), /attack/, 'NEWOBJ')
  refuses(t, pickle(global('os', 'system'), EMPTY_TUPLE, EMPTY_DICT, NEW_OBJECT_EX), /attack/, 'NEWOBJ_EX')
  refuses(t, pickle(MARK, global('os', 'system'), OBJECT), /attack/, 'OBJ')
  refuses(t, pickle(MARK, ascii('ios\nsystem\n')), /INST/, 'INST')
  refuses(t, pickle(str('f'), EMPTY_TUPLE, NEW_OBJECT), /neither a class/, 'NEWOBJ of text')
  refuses(t, pickle(MARK, OBJECT), /without a class/, 'OBJ of nothing')
  refuses(t, pickle(global('collections', 'OrderedDict'), EMPTY_TUPLE, dict({ a: int(1) }), NEW_OBJECT_EX), /by name/,
    'arguments by name')
  refuses(t, pickle(global('a', 'B'), EMPTY_TUPLE, int(1), NEW_OBJECT_EX), /not a dictionary/,
    'arguments by name that are a number')
  for (const [code, size] of [[0x82, 1], [0x83, 2], [0x84, 4]]) {
    refuses(t, pickle([code, ...new Uint8Array(size)]), /registry of extensions/, `EXT${size}`)
  }
  refuses(t, pickle(str('x'), PERSISTENT), /outside of it/, 'persistent id')
  refuses(t, pickle(ascii('Px\n')), /persistent id as text/, 'persistent id as text')
  for (const code of [0x97, 0x98]) refuses(t, pickle([code]), /buffers outside/, 'buffer')
})

t.test('6 protocols', async t => {
  for (const protocol of [0, 1, 6, 255]) {
    refuses(t, Uint8Array.of(0x80, protocol, 0x4E, 0x2E), /protocol/, `protocol ${protocol}`)
  }
  refuses(t, Uint8Array.of(0x4E, 0x2E), /does not start with a protocol/, 'no protocol')
  refuses(t, Uint8Array.of(0x80), /cut short/, 'half a protocol')
  refuses(t, new Uint8Array(0), /does not start/, 'nothing')
  refuses(t, pickle([0x80, 4], NONE), /changes its protocol/, 'protocol twice')
  for (const protocol of [2, 3, 4, 5]) t.equal(readPickle(Uint8Array.of(0x80, protocol, 0x4E, 0x2E)).value, null)
})

t.test('7 frames that lie', async t => {
  t.equal(readPickle(join([0x80, 4], frame(2), NONE, STOP)).value, null)
  refuses(t, join([0x80, 4], frame(100), NONE, STOP), /frame of 100 bytes/, 'longer than the file')
  refuses(t, join([0x80, 4], frame(2n ** 63n), NONE, STOP), /frame of/, '2^63')
  refuses(t, join([0x80, 4], frame(2n ** 64n - 1n), NONE, STOP), /frame of/, '2^64 - 1')
  refuses(t, join([0x80, 4], frame(3), str('abcdef'), STOP), /across the end of its frame/, 'an operand across the end')
  refuses(t, join([0x80, 4], frame(12), frame(2), NONE, STOP, NONE), /inside another/, 'a frame in a frame')
  refuses(t, join([0x80, 4], frame(3), NONE, STOP, NONE), /ends before its frame/, 'an end inside')
})

t.test('8 the memo', async t => {
  refuses(t, pickle(get(0)), /never stored/, 'recalled before')
  refuses(t, pickle([0x68, 9]), /never stored/, 'BINGET')
  refuses(t, pickle(ascii('g99\n')), /never stored/, 'GET')
  refuses(t, pickle(ascii('g-1\n')), /numbers a value/, 'GET -1')
  refuses(t, pickle(NONE, put(2 ** 32 - 1)), /under the number/, 'PUT 2^32 - 1')
  refuses(t, pickle(NONE, ascii('p999999999999999\n')), /under the number/, 'PUT 10^15')
  refuses(t, pickle(put(0), NONE), /empty stack/, 'PUT of nothing')
  refuses(t, pickle(MEMOIZE, NONE), /empty stack/, 'MEMOIZE of nothing')
  const selves: [string, Uint8Array][] = [['list', join(EMPTY_LIST, put(0), get(0), APPEND)], ['dictionary',
    join(EMPTY_DICT, put(0), str('a'), get(0), SET_ITEM)], ['tuple',
    join(EMPTY_LIST, put(0), get(0), TUPLE_1, put(1), APPEND, POP, get(1))]]
  for (const [name, self] of selves) {
    t.equal(failureOf(() => readPickle(pickle(self))), undefined, `a ${name} that holds itself`)
  }
})

t.test('9 structures that grow when they are unfolded stay folded', async t => {
  const levels = 60
  const byMemo = join(list(str('lol')), put(0),
    ...Array.from({ length: levels },
      (_, i) => join(POP, list(...Array.from({ length: 10 }, () => get(i))), put(i + 1))))
  const byDup = join(str('lol'), ...Array.from({ length: levels }, () => join(DUP, TUPLE_2)))
  for (const bytes of [byMemo, byDup]) t.equal(failureOf(() => readPickle(pickle(bytes))), undefined)
  refuses(t, pickle(EMPTY_DICT, repeat(DUP, 6_000_000)), /more than 2000000 values/, 'six million DUPs')
})

t.test('10 marks and empty stacks', async t => {
  refuses(t, pickle(repeat(MARK, 1_000_000)), /open marks/, 'a million marks')
  refuses(t, pickle(MARK, NONE), /open marks/, 'a mark left open')
  refuses(t, pickle(NONE, NONE), /left over/, 'two values')
  for (const [name, code] of Object.entries({ TUPLE, LIST, DICT, APPENDS, SET_ITEMS, ADD_ITEMS, FROZEN_SET, POP_MARK,
    OBJECT })) refuses(t, pickle(NONE, code), /mark that was not opened/, `${name} without a mark`)
  const takers = { POP, DUP, TUPLE_1, TUPLE_2, TUPLE_3, APPEND, SET_ITEM, REDUCE, BUILD, NEW_OBJECT, NEW_OBJECT_EX,
    STACK_GLOBAL, PERSISTENT, STOP }
  for (const [name, code] of Object.entries(takers)) {
    refuses(t, pickle(code), /empty stack/, `${name} of nothing`)
    refuses(t,
      pickle(EMPTY_DICT, EMPTY_DICT, EMPTY_DICT, MARK, ...(name === 'POP' ? [code, code, code, code, code] : [code])),
      /empty stack|open marks/, `${name} of what is under a mark`)
  }
  for (let code = 0; code < 256; code++) {
    if (code !== 0x2E) {
      t.equal(failureOf(() => readPickle(Uint8Array.of(0x80, 2, code)))?.code, 'UNTRUSTED_INPUT',
        `opcode ${code} alone`)
    }
  }
  refuses(t, pickle(int(1), int(2), APPEND), /not a list/, 'append to a number')
  refuses(t, pickle(EMPTY_LIST, str('a'), int(2), SET_ITEM), /not a dictionary/, 'a key in a list')
  refuses(t, pickle(EMPTY_LIST, MARK, ADD_ITEMS), /not a set/, 'an item of a set in a list')
  refuses(t, pickle(EMPTY_DICT, MARK, str('a'), SET_ITEMS), /without a value/, 'a key without a value')
})

t.test('11 lengths that lie', async t => {
  refuses(t, pickle([0x8B], little(2 ** 31 - 1, 4)), /integer of 2147483647 bytes/, 'LONG4 of 2^31 - 1 bytes')
  refuses(t, pickle([0x8B], little(-1, 4)), /integer of -1 bytes/, 'LONG4 of -1 bytes')
  refuses(t, pickle([0x8A, 255, 1]), /cut short/, 'LONG1 beyond the end')
  refuses(t, pickle([0x58], little(2 ** 32 - 1, 4)), /cut short/, 'BINUNICODE')
  refuses(t, pickle([0x42], little(2 ** 32 - 1, 4)), /cut short/, 'BINBYTES')
  refuses(t, pickle([0x54], little(2 ** 31, 4)), /cut short/, 'BINSTRING')
  for (const code of [0x8D, 0x8E, 0x96]) {
    for (const length of [2n ** 63n, 2n ** 64n - 1n, 1n << 40n]) {
      refuses(t, pickle([code], little(length, 8)), /cut short/, `opcode ${code} of ${length}`)
    }
  }
  refuses(t, pickle(ascii(`I${'9'.repeat(5000)}\n`)), /without an end|integer/, 'INT of 5,000 digits')
  refuses(t, pickle(ascii('I0x10\n')), /integer/, 'INT in hexadecimal')
  refuses(t, pickle(ascii('F1e5x\n')), /number/, 'FLOAT')
  t.equal(value(long(-(2n ** 63n))), -(2n ** 63n))
  t.equal(value(long(-1)), -1)
})

t.test('12 ends', async t => {
  refuses(t, Uint8Array.of(0x80, 2, 0x4E), /no end/, 'no STOP')
  t.equal(readPickle(join(pickle(NONE), pickle(NONE))).end, 4, 'what is behind STOP is left to the caller')
})

t.test('13 keys and text', async t => {
  refuses(t, pickle(raw([0xFF, 0xFE])), /not UTF-8/, 'no UTF-8')
  refuses(t, pickle(raw([0xED, 0xA0, 0x80])), /not UTF-8/, 'a lone surrogate')
  refuses(t, pickle(EMPTY_DICT, str('a'), int(1), SET_ITEM, str('a'), int(2), SET_ITEM), /twice/, 'a key twice')
  refuses(t, pickle(EMPTY_DICT, int(1), int(1), SET_ITEM, float(1), int(2), SET_ITEM), /twice/, 'a number twice')
  refuses(t, pickle(call('collections', 'OrderedDict', list(list(str('a'), int(1)), list(str('a'), int(2))))), /twice/,
    'a key twice in arguments')
  refuses(t, pickle(EMPTY_DICT, EMPTY_LIST, int(1), SET_ITEM), /list or dictionary as a key/, 'a list as a key')
  refuses(t, pickle(EMPTY_DICT, tuple(int(1), EMPTY_DICT), int(1), SET_ITEM), /list or dictionary as a key/,
    'a dictionary in a key')
  refuses(t,
    pickle(EMPTY_DICT, join(EMPTY_TUPLE, ...Array.from({ length: 60 }, () => join(DUP, TUPLE_2))), NONE, SET_ITEM),
    /list or dictionary as a key/, 'a key that grows when it is looked through')
  refuses(t, pickle(EMPTY_DICT, str('k'.repeat(2 ** 20)), int(1), SET_ITEM), /key of 1048576/, 'a key of 1 MB')
  refuses(t, pickle(EMPTY_DICT, bytesOf(new Uint8Array(2 ** 20)), int(1), SET_ITEM), /key of 1048576/, 'bytes as a key')
  const key = (i: number): Uint8Array =>
    join([0x8C, 4], [i & 127, (i >> 7) & 127, (i >> 14) & 127, (i >> 21) & 127], NONE)
  refuses(t,
    pickle(EMPTY_DICT,
      ...Array.from({ length: 100 },
        (_, block) => join(MARK, ...Array.from({ length: 100 }, (_, i) => key(block * 100 + i)), SET_ITEMS)),
      repeat(join(EMPTY_SET, POP), 2_000_000)), /lists, tuples, dictionaries/, 'two million sets')
  const many = new Uint8Array(7 * 3_000_000)
  for (let i = 0; i < 3_000_000; i++) many.set(key(i), 7 * i)
  refuses(t, pickle(EMPTY_DICT, MARK, many, SET_ITEMS), /values/, 'three million keys')
  const odd = value(EMPTY_DICT, str('__proto__'), int(1), SET_ITEM, str(''), int(2), SET_ITEM, str('constructor'),
    int(3), SET_ITEM)
  t.ok(
    odd instanceof PickleDict && odd.get('__proto__') === 1 && odd.get('') === 2 && odd.get('toString') === undefined,
  )
  t.notOk('x' in {})
})

t.test('a million lists inside each other do not overflow a stack', async t => {
  const depth = PICKLE_LIMITS.containers - 1
  t.equal(failureOf(() => readPickle(pickle(repeat(EMPTY_LIST, depth), repeat(APPEND, depth - 1)))), undefined)
  t.equal(failureOf(() => readPickle(pickle(EMPTY_TUPLE, repeat(TUPLE_1, depth)))), undefined)
  refuses(t, pickle(EMPTY_TUPLE, repeat(TUPLE_1, PICKLE_LIMITS.containers)), /lists, tuples/, 'one more')
})

t.test('everything that Python writes', async t => {
  const all = value(
    list(NONE, int(-5), long(2n ** 70n, 9), float(0.5), str('é'), bytesOf([1, 2]),
      tuple(int(1), int(2), int(3), int(4)), EMPTY_SET, join(MARK, int(1), FROZEN_SET), join(MARK, int(1), LIST),
      join(MARK, str('a'), int(1), DICT)),
  )
  t.ok(all instanceof PickleList && all.items.length === 11)
  if (!(all instanceof PickleList)) return
  t.same(all.items.slice(0, 3), [null, -5, 2n ** 70n])
  t.ok(all.items[6] instanceof PickleTuple && all.items[6].items.length === 4)
  t.same(value(ascii('I12345678901\n')), 12345678901)
  t.same(value(ascii('I01\n')), true)
  t.same(value(ascii('L-7L\n')), -7)
  t.same(value(join([0x55, 3], ascii('abc'))), 'abc')
  t.ok(value(join([0x55, 2], [0xFF, 0])) instanceof Uint8Array)
})
