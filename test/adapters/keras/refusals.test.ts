/** @file Damaged, foreign and malicious files of Keras end in typed errors. */
import t from 'tap'
import { parseConfig } from '../../../adapters/keras/config.js'
import { readKeras } from '../../../adapters/keras/index.js'
import { readModel } from '../../../adapters/keras/model.js'
import { LaplaceError, UntrustedInputError } from '../../../core/errors/errors.js'
import { fixture } from '../../support/fixture.js'

t.test('not HDF5, cut short, empty', async t => {
  const bytes = fixture('keras/perceptron.h5')
  await t.rejects(readKeras(new Uint8Array(0)), UntrustedInputError)
  await t.rejects(readKeras(new Uint8Array(100)), UntrustedInputError)
  for (const length of [8, 100, 1000, 5000, bytes.length - 1]) {
    await t.rejects(readKeras(bytes.slice(0, length)), UntrustedInputError, `cut to ${length}`)
  }
  t.notOk('x' in {})
})

t.test('mutated HDF5 ends in a network or a typed error', async t => {
  const seed = fixture('keras/perceptron.h5')
  let state = 4321
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor(state / 2 ** 32 * below)
  }
  let typed = 0
  for (let round = 0; round < 300; round++) {
    const bytes = seed.slice()
    for (let change = 0; change <= next(4); change++) bytes[next(4000)] = [0, 255, next(256)][next(3)]
    try {
      await readKeras(bytes)
    } catch (error) {
      if (!(error instanceof LaplaceError) || error.code === 'INTERNAL') throw error
      typed++
    }
  }
  t.ok(typed > 30)
})

const config = (layers: unknown[]): string =>
  JSON.stringify({ class_name: 'Sequential', config: { name: 's', layers } })

t.test('descriptions that are malformed', async t => {
  t.throws(() => parseConfig('{'), { code: 'UNTRUSTED_INPUT' })
  t.throws(() => parseConfig('[1]'), { code: 'UNTRUSTED_INPUT' })
  t.throws(() => parseConfig('['.repeat(200_000)), { code: 'UNTRUSTED_INPUT' })
  t.throws(() => readModel(parseConfig('{"class_name":"MyModel","config":{}}')), { code: 'UNSUPPORTED_FORMAT',
    message: /MyModel.*ONNX/ })
  t.throws(() => readModel(parseConfig(config([]))), { code: 'UNTRUSTED_INPUT' })
  t.throws(() => readModel(parseConfig(config([1]))), { code: 'UNTRUSTED_INPUT' })
  t.throws(() => readModel(parseConfig(config([{ class_name: 'Dense' }]))), { code: 'UNTRUSTED_INPUT' })
  const functional = (layers: unknown[]): string =>
    JSON.stringify({ class_name: 'Functional',
      config: { layers, input_layers: [['a', 0, 0]], output_layers: [['b', 0, 0]] } })
  const layer = (name: string, ...from: string[]): unknown => ({ class_name: 'Dense', config: { name },
    inbound_nodes: from.length === 0 ? [] : [from.map(input => [input, 0, 0, {}])] })
  t.throws(() => readModel(parseConfig(functional([layer('a', 'b'), layer('b', 'a')]))), { message: /feeds itself/ })
  t.throws(() => readModel(parseConfig(functional([layer('a'), layer('b', 'c')]))), { message: /not in the network/ })
  t.throws(() => readModel(parseConfig(functional([layer('a'), layer('a')]))), { message: /Two layers/ })
  t.same(readModel(parseConfig(functional([layer('b', 'a'), layer('a')]))).calls.map(each => each.layer.name), ['a',
    'b'])
  t.same(
    readModel(
      parseConfig(
        config([{ class_name: 'InputLayer', config: { name: '__proto__', batch_shape: [null, 2] } }, {
          class_name: 'Dense',
          config: { name: 'constructor' },
        }]),
      ),
    ).calls.map(each => each.args),
    [[], [{ reference: { layer: '__proto__', node: 0, tensor: 0 } }]],
  )
  const nested = (
    depth: number,
  ): unknown => (depth === 0
    ? { class_name: 'Dense', config: {} }
    : { class_name: 'Sequential', config: { layers: [nested(depth - 1)] } })
  t.throws(() => readModel(parseConfig(config([nested(50)]))), { message: /deeper/ })
  t.notOk('layers' in {})
})
