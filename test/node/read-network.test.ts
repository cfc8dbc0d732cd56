/** @file Networks by the paths of their files: what lies beside them is found, from their own folder alone. */
import { cpSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { laplace, readNetwork } from '../../index.js'
import { chain, dense, file as bson, type Lowered, numbers } from '../adapters/flux/julia-writer.js'
import { run } from '../support/command-line.js'

const source = fileURLToPath(new URL('../fixtures/onnx/external/', import.meta.url))

t.test('a path is enough for a model in two files', async t => {
  const network = await readNetwork(join(source, 'model.onnx'))
  t.same(network.parameters.map(({ name }) => name), ['l1.weight', 'l1.bias', 'l2.weight', 'l2.bias'])
  const chosen = await readNetwork(new URL(`file://${source}model.onnx`), { freeze: 'l1.*' })
  t.same(chosen.parameters.map(({ name }) => name), ['l2.weight', 'l2.bias'])
  t.ok(laplace(network, { likelihood: 'classification', freeze: ['l1.bias'] }))
})

t.test('missing files, links and other folders are refused', async t => {
  const folder = t.testdir()
  cpSync(source, folder, { recursive: true })
  const data = join(folder, 'model.onnx.data')
  rmSync(data)
  await t.rejects(readNetwork(join(folder, 'model.onnx')), { message: /not in the directory/ })
  symlinkSync(join(source, 'model.onnx.data'), data)
  await t.rejects(readNetwork(join(folder, 'model.onnx')), { message: /symbolic link/ })
  t.ok(await readNetwork(join(folder, 'model.onnx'), { root: source }))
  await t.rejects(readNetwork(join(source, 'model.onnx'), { maxBytes: 8 }), { message: /8 are allowed/ })
  writeFileSync(join(folder, 'index.json'), '{"weight_map": {"a": "../model.onnx.data"}}')
  await t.rejects(readNetwork(join(folder, 'index.json')), { message: /plain file name/ })
})

t.test('the command line: nothing to be said of files beside the model', async t => {
  const folder = t.testdir({ 'x.csv': ['a,b,c,y', '1,2,3,0', '3,1,2,1', '0,1,0,1', '2,2,1,0'].join('\n') })
  const fit = (...more: string[]): ReturnType<typeof run> =>
    run('fit', join(source, 'model.onnx'), '--data', join(folder, 'x.csv'), '--target', 'y', '--likelihood',
      'classification', '--out', join(folder, 'p'), '--json', ...more)
  t.equal((await fit()).code, 0)
  const parameters = async (...more: string[]): Promise<string[]> =>
    (JSON.parse((await fit('--subset', 'all', '--structure', 'diag', ...more)).out) as {
      parameters: { name: string }[]
    }).parameters.map(({ name }) => name)
  t.same(await parameters('--freeze', '0,l1.b*'), ['l2.weight', 'l2.bias'])
  t.same(await parameters('--parameters', 'l2.*'), ['l2.weight', 'l2.bias'])
  const named = JSON.parse((await fit('--subset', 'last_layer', '--last-layer-name', 'l1')).out) as {
    parameters: { name: string }[]
    subset: string
  }
  t.same([named.subset, named.parameters.map(({ name }) => name)], ['last_layer', ['l1.weight', 'l1.bias']])
})

t.test('a file of several networks asks which', async t => {
  const random = numbers(1)
  const layer = (): Lowered => dense(3, 4, random(12), random(3))
  const file = bson({ encoder: chain(layer()), decoder: chain(layer()) })
  await t.rejects(readNetwork(file), { code: 'AMBIGUOUS_NETWORK', message: /'encoder'.*'decoder'.*model/ })
  t.equal((await readNetwork(file, { model: 'decoder' })).parameters.length, 2)
})

t.test('one of two heads is named, on the command line and in Node', async t => {
  const heads = fileURLToPath(new URL('../fixtures/inputs/two-heads.onnx', import.meta.url))
  const folder = t.testdir({ 'x.csv': ['a,b,c,y', '1,2,3,0', '3,1,2,1', '0,1,0,2', '2,2,1,0'].join('\n') })
  const fit = (...more: string[]): ReturnType<typeof run> =>
    run('fit', heads, '--data', join(folder, 'x.csv'), '--target', 'y', '--likelihood', 'classification', '--out',
      join(folder, 'p'), '--json', ...more)
  t.match((await fit()).remarks, /kind, size.*--output/s)
  const names = async (...more: string[]): Promise<string[]> =>
    (JSON.parse((await fit('--output', 'kind', ...more)).out) as { parameters: { name: string }[] }).parameters.map((
      { name },
    ) => name)
  const body = ['body.weight', 'body.bias']
  t.same(await names('--subset', 'last_layer'), ['kind.weight', 'kind.bias'])
  t.same(await names('--subset', 'last_layer', '--last-layer-name', 'body'), body)
  t.same(await names('--subset', 'all', '--parameters', 'body.*'), body)
  const network = await readNetwork(heads, { output: 'size' })
  const posterior = await laplace(network, { likelihood: 'regression', subset: 'last_layer' }).fit([[1, 2, 3], [
    3,
    1,
    2,
  ], [0, 1, 0]], [1, 2, 0])
  t.same(posterior.core.parameters.map(({ name }) => name), ['size.weight', 'size.bias'])
})
