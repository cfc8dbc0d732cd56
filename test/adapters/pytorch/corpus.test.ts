/** @file Real PyTorch files, where the corpus is beside the repository: each ends in tensors or a typed error. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { inflateRawSync } from 'node:zlib'
import t from 'tap'
import { readPyTorchTensors } from '../../../adapters/pytorch/index.js'
import { toTensor } from '../../../adapters/tensors/convert.js'
import { failureOf } from '../../support/survives.js'

const folder = new URL('../../../../shared/models/', import.meta.url)
const files = ['pt', 'other'].flatMap(
  part => (existsSync(new URL(part, folder)) ? readdirSync(new URL(part, folder)).map(name => `${part}/${name}`) : []),
).sort()
if (files.length === 0) console.log(`# The corpus of real files is not at ${folder.pathname}: nothing to read.`)

const read = (name: string): Uint8Array => Uint8Array.from(readFileSync(new URL(name, folder)))
const inflate = (bytes: Uint8Array, most: number): Uint8Array =>
  inflateRawSync(bytes, { maxOutputLength: Math.max(most, 1) })

/** Files whose content is known: `name:dtype[shape]` of the first tensors, or the code of the error. */
const known: Readonly<Record<string, string>> = {
  'pt/CE.jl__pretrained_model.pt': '4 model.1.weight:float32[32,2] model.1.bias:float32[32]',
  'pt/CE.jl__pyimpl_nn_test.pt': '6 linear_relu_stack.0.weight:float32[512,784] linear_relu_stack.0.bias:float32[512]',
  'pt/CE.jl__r_model.pt': 'UNSUPPORTED_FORMAT',
  'pt/LeNet-Pytorch__checkpoint.pth': '10 layerC1.0.weight:float32[6,1,5,5] layerC1.0.bias:float32[6]',
  'pt/burn__test_data__broken.pt': 'UNSUPPORTED_FORMAT',
  'pt/burn__test_data__checkpoint.pt': '4 fc1.weight:float32[10,5] fc1.bias:float32[10]',
  'pt/burn__test_data__float16.pt': '1 tensor:float16[3]',
  'pt/burn__test_data__legacy_shared_storage.pt': '3 view1:float32[10] view2:float32[20]',
  'pt/burn__test_data__nested_dict.pt': '4 layer1.weight:float32[2,3] layer1.bias:float32[2]',
  'pt/candle__config.pt': 'UNSUPPORTED_FORMAT',
  'pt/candle__fortran_tensor_3d.pth': '1 tensor_fortran:int64[2,3,4]',
  'pt/candle__test_with_key.pt': '1 test:int64[2,4]',
  'pt/torch__state_dict.pth': '2 ones:float32[3,5] twos:float32[3,5]',
  'other/CE.jl__R_binary_X.pt': 'UNSUPPORTED_FORMAT',
  'other/heubert-housing__mlp_model.keras': 'UNSUPPORTED_FORMAT',
  'other/heubert-housing__scaler.pkl': 'UNSUPPORTED_FORMAT',
  'other/mlverse-torch__linear_HEAD.pt': '2 weight:float32[10,10] bias:float32[10]',
  'other/safetensors__overall.safetensors': 'UNSUPPORTED_FORMAT',
}

t.test('every file is read or refused with a typed error', async t => {
  for (const name of files) {
    const bytes = read(name)
    const failure = failureOf(() => readPyTorchTensors(bytes, { zip: { inflate } }))
    if (failure !== undefined) t.equal(failure.code, known[name] ?? 'UNSUPPORTED_FORMAT', `${name}: ${failure.message}`)
    else {
      const { tensors } = readPyTorchTensors(bytes, { zip: { inflate } })
      const summary = `${tensors.size} ${
        [...tensors].slice(0, 2).map(([key, { dtype, shape }]) => `${key}:${dtype}[${shape.join()}]`).join(' ')
      }`
      t.ok(known[name] === undefined || known[name] === summary, `${name}: ${summary}`)
      for (const [key, tensor] of tensors) t.ok(toTensor(tensor, key).data.length >= 0)
    }
  }
})

t.test('tensors in a Fortran order', { skip: files.length === 0 }, async t => {
  const { tensors } = readPyTorchTensors(read('pt/candle__fortran_tensor_3d.pth'))
  const [tensor] = tensors.values()
  t.same([...toTensor(tensor, '').data], Array.from({ length: 24 }, (_, i) => i + 1))
})
