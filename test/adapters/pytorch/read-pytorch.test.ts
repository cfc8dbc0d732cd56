/** @file PyTorch files equal what PyTorch had: the reference networks, bit for bit. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { readPyTorch, readPyTorchTensors } from '../../../adapters/pytorch/index.js'
import { toTensor } from '../../../adapters/tensors/convert.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { sizeOf } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { caseNames, referenceCase } from '../../support/reference-case.js'

const CASES = new URL('../../fixtures/cases/', import.meta.url)
const bytesOf = (name: string, file = 'model.pt'): Uint8Array =>
  Uint8Array.from(readFileSync(new URL(`${name}/${file}`, CASES)))
const json = (name: string, file: string): any => JSON.parse(readFileSync(new URL(`${name}/${file}`, CASES), 'utf8'))
const fromTorch = caseNames().filter(name => !name.startsWith('nnet-'))

for (const name of fromTorch) {
  t.test(`${name}: names, shapes and numbers`, async t => {
    const { tensors } = readPyTorchTensors(bytesOf(name))
    const { parameters, theta } = json(name, 'expected.json')
    const flat: number[] = theta.data ?? theta
    t.same([...tensors.keys()], parameters.map((p: any) => p.name))
    for (const { name: parameter, shape, offset } of parameters) {
      const found = toTensor(tensors.get(parameter)!, parameter)
      t.same(found.shape, shape, parameter)
      t.equal(found.dtype, 'float64')
      t.ok(found.data.every((value, i) => Object.is(value, flat[offset + i])), parameter)
      t.equal(found.data.length, sizeOf(shape))
    }
  })
}

t.test('a network from the architecture beside the weights computes what the reference computes', async t => {
  for (const name of ['regression-1d', 'classification-4', 'tabular-iris', 'deep']) {
    const graph = readPyTorch(bytesOf(name), { architecture: json(name, 'architecture.json') })
    const { xTest, expected } = referenceCase(name)
    const [output] = runGraph(graph, new Map([[graph.inputs[0].name, xTest]]), 'float64').values()
    t.ok(relativeDifference(output.data, expected.f.x_test.data.flat(9)) < 1e-12, name)
  }
})

t.test('a plain chain needs only the activation', async t => {
  const bytes = bytesOf('tabular-iris')
  t.throws(() => readPyTorch(bytes), { code: 'MISSING_ARCHITECTURE' })
  const graph = readPyTorch(bytes, { activation: 'tanh' })
  t.same(graph.parameters.map(p => p.name), json('tabular-iris', 'expected.json').parameters.map((p: any) => p.name))
})
