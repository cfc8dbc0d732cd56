/** @file 58: a POLYLAPLACE_ORT that names no package is refused, where ONNX Runtime would be looked for. */
import t from 'tap'
import { LaplaceError } from '../../../core/errors/errors.js'
import { chooseEngine, expectedEngine } from '../../../node/runtime/choose-engine.js'

const much = { name: 'auto', precision: 'float32', multiplications: 1e12, threads: 1 } as const

t.test('58 a folder without the package', async t => {
  const before = process.env['POLYLAPLACE_ORT']
  process.env['POLYLAPLACE_ORT'] = t.testdir({})
  t.teardown(() => {
    if (before === undefined) delete process.env['POLYLAPLACE_ORT']
    else process.env['POLYLAPLACE_ORT'] = before
  })
  const wanted = { code: 'BAD_OPTION', message: /POLYLAPLACE_ORT must be the folder of the package onnxruntime-node/ }
  t.throws(() => expectedEngine(much), wanted)
  const error = await chooseEngine(much).catch((reason: unknown) => reason)
  t.ok(error instanceof LaplaceError)
  t.match(error, wanted)
  t.equal(expectedEngine({ ...much, name: 'typescript' }), 'typescript')
})
