/**
 * @file Files made to harm: each ends in a typed error, quickly, and leaves nothing behind. Numbers are those of the
 * list of attacks.
 */
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { describeFlux, readFlux, readFluxTensors } from '../../../adapters/flux/index.js'
import { type LaplaceError, UntrustedInputError } from '../../../core/errors/errors.js'
import { failureOf } from '../../support/survives.js'
import { array, backref, chain, closure, datatype, dense, file, float32, fn, global, identity, int, ints, numbers, slot,
  struct, symbol, tuple } from './julia-writer.js'

const random = numbers(1)
const good = (): Uint8Array =>
  file({ model: chain(dense(3, 2, random(6), random(3)), dense(1, 3, random(3), random(1))) })

/** Runs every reader on bytes; each must end in an error of ours (or a result), soon. */
function survives(bytes: Uint8Array): LaplaceError | undefined {
  const failures = [readFlux, readFluxTensors, describeFlux].map(read => failureOf(() => read(bytes)))
  return failures.find(failure => failure !== undefined)
}

function refused(t: Test, bytes: Uint8Array, pattern: RegExp, name: string): void {
  const error = survives(bytes)
  t.ok(error instanceof UntrustedInputError, `${name}: refused as untrusted`)
  t.match(error?.message, pattern, name)
}

const patched = (bytes: Uint8Array, offset: number, values: readonly number[]): Uint8Array => {
  const copy = bytes.slice()
  copy.set(values, offset)
  return copy
}
const le32 = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >> 24) & 255]
const find = (bytes: Uint8Array, text: string, from = 0): number => Buffer.from(bytes).indexOf(text, from)

t.test('38 length lies in document, array, string, binary and key', async t => {
  const bytes = good()
  refused(t, bytes.subarray(0, bytes.length - 1), /says it has|cut short/, 'cut short')
  refused(t, patched(bytes, 0, le32(bytes.length + 1)), /says it has/, 'document longer than the file')
  refused(t, patched(bytes, 0, le32(-1)), /says it has/, 'negative document')
  const model = find(bytes, 'model\0') + 6
  for (const length of [0, 4, -5, bytes.length, 0x7FFFFFFF]) {
    refused(t, patched(bytes, model, le32(length)), /document|fit/, `nested document of ${length}`)
  }
  const layers = find(bytes, '\x04data\0') + 6
  for (const length of [0, -1, 0x7FFFFFFF]) {
    refused(t, patched(bytes, layers, le32(length)), /document|fit/, `array of ${length}`)
  }
  const tag = find(bytes, '\x02tag\0') + 5
  for (const length of [0, -1, 0x7FFFFFFF, 3]) {
    refused(t, patched(bytes, tag, le32(length)), /string|fit|NUL/i, `string of ${length}`)
  }
  const data = find(bytes, '\x05data\0') + 6
  for (const length of [-1, 0x7FFFFFFF]) {
    refused(t, patched(bytes, data, le32(length)), /Binary|fit/, `binary of ${length}`)
  }
  const endless = bytes.slice()
  endless.fill(65, find(bytes, 'model\0'))
  refused(t, endless, /key|end mark/i, 'key without NUL')
})

t.test('38 documents nested 100,000 deep', async t => {
  const depth = 100_000
  const bytes = new Uint8Array(depth * 8 + 5)
  const view = new DataView(bytes.buffer)
  for (let i = 0; i <= depth; i++) {
    view.setInt32(i * 7, bytes.length - i * 8, true)
    if (i < depth) bytes.set([3, 97, 0], i * 7 + 4)
  }
  refused(t, bytes, /nested deeper/, 'depth')
})

t.test('38 bytes behind the document', async t => {
  const bytes = new Uint8Array(good().length + 3)
  bytes.set(good())
  refused(t, bytes, /says it has/, 'trailing bytes')
  t.ok(survives(new Uint8Array(0)) instanceof UntrustedInputError, 'empty file')
})

t.test('38 element types that BSON.jl does not write', async t => {
  for (const type of [0x06, 0x07, 0x09, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x11, 0x13, 0x7F, 0xFF]) {
    const bytes = Uint8Array.from([0, 0, 0, 0, type, 97, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    bytes.set(le32(bytes.length))
    refused(t, bytes, /not one that BSON.jl writes/, `type ${type}`)
  }
})

t.test('39 references to modules, unknown types and code are inert', async t => {
  const bytes = file({
    a: { tag: 'ref', path: ['Main', 'Base', 'run'] },
    b: struct('Main.Evil.Payload', [{ tag: 'ref', path: ['Base', 'Filesystem', 'rm'] }]),
    c: { tag: 'jl_method', name: 'rm' },
    d: { tag: 'jl_anonymous', typename: symbol('f'), params: [] },
  })
  t.equal(survives(bytes)?.code, 'UNSUPPORTED_FORMAT')
})

t.test('39 an anonymous function is named, never run, its path never shown', async t => {
  const evil = closure([struct('Core.Expr', [symbol('call'), [global('run'), slot(2)]]),
    struct('Core.ReturnNode', [struct('Core.SSAValue', [int(1)])])])
  const error = survives(file({ model: chain(dense(2, 2, random(4), random(2)), evil.value) }, [evil.backref]))
  t.equal(error?.code, 'UNSUPPORTED_OPERATOR')
  t.match(error?.message, /#1#2 \(line 7\).*never run/s)
  t.notMatch(error?.message, /secret/)
})

t.test('39 structs with fields missing or too many', async t => {
  for (const count of [0, 1, 2, 4, 30]) {
    refused(t, file({ m: chain(struct('Flux.Dense', Array(count).fill(false))) }), /has 3 fields/,
      `Dense with ${count}`)
  }
  refused(t, file({ m: struct('Flux.Dense', [float32(1), false, identity]) }), /array of numbers/,
    'a number for a weight')
  refused(t, file({
    m: struct('Flux.Conv', [identity, array([1, 1, 1, 1], [1]), false, int(1), ints(0, 0), ints(1, 1), int(1)]),
  }), /tuple/, 'a number for a tuple')
  const error = survives(file({ m: chain(dense(2, 2, random(4), random(3))) }))
  t.match(error?.message, /bias/, 'bias of another length')
})

t.test('39 back references to 0, beyond the end, to themselves and in rings', async t => {
  for (const ref of [0, -1, 3, 2 ** 40]) {
    refused(t, file({ m: backref(ref) }, [tuple(), tuple()]), /back reference/i, `to ${ref}`)
  }
  refused(t, file({ m: { tag: 'backref', ref: 'x' } }, []), /back reference/i, 'to text')
  refused(t, file({ m: backref(1) }, [backref(1)]), /ring/, 'to itself')
  refused(t, file({ m: backref(1) }, [backref(2), backref(3), backref(1)]), /ring/, 'in a ring')
  t.ok(survives(file({ m: backref(1) }, [tuple(backref(1), backref(1))])), 'a tuple that holds itself')
  t.ok(survives(file({ m: backref(1) }, [struct('Flux.Chain', [tuple(backref(1))])])), 'a Chain that holds itself')
})

t.test('39 arrays whose size and data disagree', async t => {
  const weight = (size: readonly unknown[], bytes = 16, type = 'Core.Float32'): Uint8Array =>
    file({
      m: struct('Flux.Dense', [{ tag: 'array', type: datatype(type), size, data: new Uint8Array(bytes) }, false,
        identity]),
    })
  refused(t, weight([int(2), int(3)]), /needs 24 bytes/, 'too little data')
  refused(t, weight([int(-2), int(-2)]), /extent/, 'negative')
  refused(t, weight([int(2 ** 40), int(2 ** 40)]), /2\^53/, 'product beyond 2^53')
  refused(t, weight([int(2 ** 40), int(1)]), /needs/, 'a terabyte')
  refused(t, weight([2.5, int(2)]), /extent/, 'fraction')
  refused(t, weight(Array(40).fill(int(1))), /at most 32/, 'rank 40')
  refused(t, weight([int(2), int(2)], 16, 'Main.Foo'), /array of numbers/, 'elements that are no numbers')
  refused(t, weight([int(2), int(2)], 3, 'Core.Bool'), /needs 4 bytes/, 'booleans of less than a byte')
})

t.test('39 names like __proto__ stay names', async t => {
  const named = file({
    m: struct('Flux.Chain', [struct('Core.NamedTuple', [dense(2, 2, random(4), false)], tuple(symbol('__proto__')))]),
  })
  const graph = readFlux(named)
  t.same(graph.parameters.map(p => p.name), ['layers.__proto__.weight'])
  t.equal(({} as Record<string, unknown>)['weight'], undefined)
  refused(t, patched(file({ aaaproto_: 1 }), 5, [...Buffer.from('__proto__')]), /__proto__/, 'as a key')
  for (const name of ['constructor', 'toString', 'hasOwnProperty']) {
    t.ok(survives(file({ [name]: struct(`Flux.${name}`, []) })), name)
  }
  t.ok(survives(file({ m: chain(fn(`NNlib.constructor`), dense(1, 1, [1], false)) })), 'a function named constructor')
})

t.test('39 a million references to one array cost one array', async t => {
  const bytes = file({ m: Array(200_000).fill(backref(1)) }, [array([1000], random(1000))])
  const before = process.memoryUsage().arrayBuffers
  t.equal(readFluxTensors(bytes).size, 1)
  t.ok(process.memoryUsage().arrayBuffers - before < 50e6, 'memory')
})

t.test('39 layers, code and tuples that unfold without end through references', async t => {
  const doubling = (inner: (ref: unknown) => unknown): unknown[] =>
    Array.from({ length: 60 }, (_, i) => (i === 59 ? dense(1, 1, [1], false) : inner(backref(i + 2))))
  for (const [name, inner] of Object.entries<(ref: unknown) => unknown>({
    chains: ref => chain(ref, ref),
    skips: ref => struct('Flux.SkipConnection', [ref, fn('Base.+')]),
    tuples: ref => tuple(ref, ref),
    structs: ref => struct('Main.A', [ref, ref]),
    compositions: ref => struct('Base.ComposedFunction', [ref, ref]),
    maxouts: ref => struct('Flux.Maxout', [tuple(ref, ref)]),
  })) {
    survives(file({ m: chain(dense(1, 1, [1], false), backref(1)) }, doubling(inner)))
    survives(file({ m: backref(1) }, doubling(inner)))
    t.pass(name)
  }
  const code = (ref: unknown): unknown => struct('Core.Expr', [symbol('call'), [global('+'), ref, ref]])
  const { value, backref: typeName } = closure([backref(2)])
  t.ok(
    survives(
      file({ m: chain(dense(1, 1, [1], false), value) }, [typeName,
        ...Array.from({ length: 60 }, (_, i) => (i === 59 ? slot(2) : code(backref(i + 3))))]),
    ),
    'code',
  )
  const many = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`m${i}`, struct('Flux.Chain', [backref(1)])]))
  survives(file(many, [tuple(...Array.from({ length: 5000 }, () => struct('Main.A', [1])))]))
  t.pass('many networks that share a large value')
})

t.test('39 integers and sizes of a 32-bit Julia are read', async t => {
  const bytes = file({
    m: struct('Flux.Dense', [{ tag: 'array', type: datatype('Main.Core.Float32'), size: [2, 1],
      data: new Uint8Array(8) }, false, identity]),
  })
  t.same(readFlux(bytes).parameters[0].shape, [2, 1])
})

t.test('40 DBRef, Code and Long objects never leak', async t => {
  const dollar = file({ a: { $ref: 'x', $id: 1 } })
  refused(t, dollar, /starts with \$/, 'DBRef')
  const big = file({ big: int(2 ** 53), m: dense(1, 1, [1], false) })
  t.ok([...readFluxTensors(big).values()].every(value => value.data instanceof Float32Array))
  const graph = readFlux(file({ m: dense(2, 1, [1, 2], [3, 4]), n: int(5) }))
  const plain = (value: unknown): boolean =>
    value === null || typeof value !== 'object' || ArrayBuffer.isView(value) ||
    ([Object.prototype, Array.prototype, Map.prototype, null].includes(Object.getPrototypeOf(value)) &&
      Object.values(value).every(plain))
  t.ok(plain(graph))
})

t.test('mutated files end in a result or a typed error', async t => {
  const seeds = [good(), corpusFile('CE.jl__MNIST_image.bson'), corpusFile('model-zoo__policy_mu.bson'),
    corpusFile('Image-Longitudinal__vae_develop.bson')]
  let count = 0
  let state = 12345
  const next = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return state % below
  }
  for (const seed of seeds) {
    if (seed === undefined) continue
    for (let round = 0; round < 150; round++) {
      let bytes = seed.slice()
      for (let change = 0; change <= next(4); change++) {
        // Structure is at the front and between the arrays: most changes go where the bytes are text or lengths.
        const at = next(2) === 0 ? next(Math.min(bytes.length, 2000)) : next(bytes.length)
        bytes[at] = [0, 255, 128, bytes[at] ^ (1 << next(8)), next(256)][next(5)]
      }
      if (next(10) === 0) bytes = bytes.slice(0, next(bytes.length))
      survives(bytes)
      count++
    }
  }
  t.ok(count >= 150)
})

function corpusFile(name: string): Uint8Array | undefined {
  try {
    return Uint8Array.from(readFileSync(new URL(`../../../../shared/models/bson/${name}`, import.meta.url)))
  } catch {
    return undefined
  }
}
