/** @file The command inspect: what it says of networks, posteriors and partial fits. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { laplace } from '../../../core/laplace/laplace.js'
import { writePartialFit } from '../../../core/storage/partial-fit-file.js'
import * as onnx from '../../adapters/onnx/onnx-bytes.js'
import { run } from '../../support/command-line.js'
import { referenceCase } from '../../support/reference-case.js'

const CASES = fileURLToPath(new URL('../../fixtures/cases/', import.meta.url))
const folder = t.testdir({})
const model = (name: string, file = 'model.onnx'): string => join(CASES, name, file)
const inFolder = (name: string): string => join(folder, name)

t.test('inspect', async t => {
  const { code, out } = await run('inspect', model('digits'))
  t.equal(code, 0)
  t.match(out, /Parameters +2,410 \(float64\)/)
  t.match(out, /2\.weight +10 x 32 +320/)
  t.match(out, /last_layer +kron +[\d.]+ KiB/)
  const json = JSON.parse(
    (await run('inspect', model('digits', 'model.pt'), '--architecture', model('digits', 'architecture.json'),
      '--json')).out,
  )
  t.match(json, { format: 'pytorch', parameterCount: 2410, memory: [{ subset: 'last_layer', structure: 'kron' }] })

  const weights = await run('inspect', model('digits', 'model.safetensors'))
  t.equal(weights.code, 1, 'no network can be built')
  t.match(weights.out, /0\.weight +32 x 64/, 'but the tensors are listed')
  t.match(weights.remarks.replace(/\s+/g, ' '), /not the activation between them/)
  t.match((await run('inspect', model('digits'), '--likelihood', 'binary')).out.replace(/\s+/g, ' '),
    /Not available: last_layer, all\. The likelihood 'binary' needs a network with one output/)
  t.match(out, /Likelihoods +classification, multilabel, regression/)
  t.match((await run('inspect', model('digits'), '--rows', '1000')).out,
    /\nFits\n.*\n.*\n +auto +auto +[\d.]+ MiB +[\d.]+ m?s/)
  const { forecasts } = JSON.parse((await run('inspect', model('digits'), '--rows', '1000', '--json')).out) as {
    forecasts: { subset: string, bytes: number, seconds: number }[]
  }
  t.equal(forecasts.length, 9)
  t.ok(forecasts.every(({ bytes, seconds }) => bytes > 0 && seconds > 0))
  for (const rows of ['ten', '0', '1.5']) {
    t.match(await run('inspect', model('digits'), '--rows', rows), { code: 2, remarks: /rows/ })
  }
})

t.test('inspect: a partial fit', async t => {
  const { graph, x, y } = referenceCase('tabular-iris')
  const fit = laplace(graph, { likelihood: 'classification', subset: 'all', structure: 'kron' })
  const bytes = writePartialFit(await fit.fitPartial([{ values: x, columns: ['a', 'b', 'c', 'd'] }], y))
  writeFileSync(inFolder('sums.partial'), bytes)
  t.match((await run('inspect', inFolder('sums.partial'))).out, new RegExp(
    `bytes +${bytes.length}\nrows +${x.shape[0]}\nchunks +1\n[^]*structure +kron[^]*columns of x +a, b, c, d`,
  ))
  writeFileSync(inFolder('cut.partial'), bytes.subarray(0, 500))
  t.match(await run('inspect', inFolder('cut.partial')), { code: 1, remarks: /its\s+digest/ })
})

t.test('inspect: which input and output, and lengths that a file leaves open', async t => {
  const value = (name: string): Uint8Array => onnx.value(name, ['n', 2])
  writeFileSync(inFolder('two.onnx'), onnx.model({
    nodes: [onnx.node('Gemm', ['p', 'w'], ['y']), onnx.node('Gemm', ['q', 'w'], ['z'])],
    inputs: [value('p'), value('q')],
    outputs: [value('y'), value('z')],
    tensors: [onnx.floats('w', [2, 2], [1, 2, 3, 4])],
  }))
  t.match((await run('inspect', inFolder('two.onnx'))).out.replace(/\s+/g, ' '),
    /Not available: .* 2 outputs \(y, z\); choose one with the option output/)
  const chosen = await run('inspect', inFolder('two.onnx'), '--input', 'p', '--output', 'y', '--json')
  t.match(JSON.parse(chosen.out), { unavailable: [],
    memory: [{ subset: 'last_layer', structure: 'kron', bytes: 336 }] }, chosen.remarks)

  writeFileSync(inFolder('open.onnx'), onnx.model({
    nodes: [onnx.node('Flatten', ['x'], ['h']), onnx.node('Gemm', ['h', 'w'], ['y'])],
    inputs: [onnx.value('x', ['n', 'side', 2])],
    outputs: [value('y')],
    tensors: [onnx.floats('w', [22, 2], new Array(44).fill(1))],
  }))
  t.match(JSON.parse((await run('inspect', inFolder('open.onnx'), '--dimensions', 'side=11', '--json')).out), {
    inputs: [{ shape: [-1, 11, 2] }],
  })
  t.match(await run('inspect', inFolder('open.onnx'), '--dimensions', 'side'), { code: 2,
    remarks: /such as time=8; got 'side'/ })
  t.match(await run('inspect', inFolder('open.onnx'), '--dimensions', 'side=x'), { code: 2, remarks: /the length NaN/ })
})
