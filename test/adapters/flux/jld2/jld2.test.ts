/** @file Arrays from JLD2 files. */
import t from 'tap'
import { isJld2, readJld2Tensors } from '../../../../adapters/flux/index.js'
import { objectAt } from '../../../../adapters/flux/jld2/h5-objects.js'
import { openJld2 } from '../../../../adapters/flux/jld2/superblock.js'
import { LaplaceError, UntrustedInputError } from '../../../../core/errors/errors.js'
import { fixture } from '../../../support/fixture.js'

const state = fixture('flux/state.jld2')
const expected: Record<string, { shape: number[], data: number[] }> = JSON.parse(
  new TextDecoder().decode(fixture('flux/state.json')),
)

t.test('Flux.state saved by JLD2: names and numbers', async t => {
  t.ok(isJld2(state))
  const tensors = readJld2Tensors(state)
  t.same([...tensors.keys()], Object.keys(expected).map(name => `model_state.${name}`))
  for (const [name, { shape, data }] of Object.entries(expected)) {
    const found = tensors.get(`model_state.${name}`)
    t.same(found?.shape, shape, name)
    t.same([...found?.data ?? []], data, name)
  }
})

t.test('other kinds of files are named', async t => {
  t.throws(() => readJld2Tensors(new Uint8Array(2000)), { code: 'UNSUPPORTED_FORMAT', message: /signature/ })
  const old = new Uint8Array(600)
  old.set([0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A, 0])
  t.throws(() => readJld2Tensors(old), { code: 'UNSUPPORTED_FORMAT', message: /superblock version 0/ })
  t.notOk(isJld2(old))
})

t.test('cut, mutated and circular files end in a result or a typed error', async t => {
  let typed = 0
  const attempt = (bytes: Uint8Array): void => {
    try {
      readJld2Tensors(bytes)
    } catch (error) {
      if (!(error instanceof LaplaceError)) throw error
      typed++
    }
  }
  for (let length = 0; length < state.length; length += 13) attempt(state.slice(0, length))
  let random = 99
  const next = (below: number): number => {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0
    return random % below
  }
  for (let round = 0; round < 2000; round++) {
    const bytes = state.slice()
    for (let change = 0; change <= next(3); change++) {
      bytes[512 + next(bytes.length - 512)] = [0, 255, next(256)][next(3)]
    }
    attempt(bytes)
  }
  t.ok(typed > 100)
})

t.test('a reference that leads back to its own record', async t => {
  const bytes = state.slice()
  const opened = openJld2(bytes)
  const at = objectAt(opened, opened.root).links.get('model_state') as number
  const record = objectAt(opened, at).dataset?.bytes as Uint8Array
  new DataView(bytes.buffer).setBigUint64(record.byteOffset, BigInt(at - opened.base), true)
  t.same([...readJld2Tensors(bytes).keys()], ['model_state.layers.1.bias', 'model_state.layers.2.weight',
    'model_state.layers.2.bias'])
})

t.test('arrays that say they are larger than the file', async t => {
  const bytes = state.slice()
  // The extents of the first weight, 3 and 4 as 64-bit numbers.
  const at = Buffer.from(bytes).indexOf(Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]), 512)
  t.ok(at > 0)
  bytes.set([0, 0, 0, 0, 1], at)
  t.throws(() => readJld2Tensors(bytes), UntrustedInputError)
  bytes.set([255, 255, 255, 255, 255, 255, 255, 255], at)
  t.throws(() => readJld2Tensors(bytes), UntrustedInputError)
})
