import t from 'tap'
import { guessedParameters } from '../../../adapters/onnx/guessed-parameters.js'
import { readOnnx } from '../../../adapters/onnx/index.js'
import { selectParameters } from '../../../core/network/select-parameters.js'
import * as b from './onnx-bytes.js'

const product = (name: string,
  weight: string): { op_type: string, name: string, input: string[], output: string[] } => ({
    op_type: 'MatMul',
    name,
    input: ['x', weight],
    output: [`${name}_output_0`],
  })

t.test('a name of a layer, or the layer around it, says that a tensor learnt', async t => {
  const node = [product('/features/MatMul', '0.basis'), { op_type: 'Sin', name: '/features/Sin', input: [],
    output: [] }, product('/blocks.0/value/MatMul', 'onnx::MatMul_9'), product('/attention/MatMul', 'onnx::MatMul_12'),
    {
      op_type: 'Add',
      name: '/attention/Add',
      input: ['in_proj_bias', '/attention/MatMul_output_0'],
      output: ['s'],
    }, { op_type: 'Softmax', name: '/attention/Softmax', input: ['s'], output: ['p'] },
    product('/MatMul', 'onnx::MatMul_7'), { op_type: 'Conv', name: '/Conv', input: ['x', 'sobel'], output: ['c'] }]
  const names = ['0.basis', 'onnx::MatMul_9', 'onnx::MatMul_12', 'in_proj_bias', 'onnx::MatMul_7', 'sobel', 'pos_embed']
  t.same(guessedParameters(names, { producer_name: 'pytorch' }, { node }, new Map()), ['0.basis', 'onnx::MatMul_7',
    'sobel'])
  t.same(guessedParameters(names, { producer_name: 'paddle' }, { node }, new Map()), ['0.basis', 'onnx::MatMul_7'])
  const norm = ['InstanceNormalization', 'Mul', 'Add'].map(op => ({ op_type: op, name: `/norm/${op}`,
    input: op === 'Mul' ? ['n', 'onnx::Mul_5'] : [], output: [] })
  )
  t.same(guessedParameters(['onnx::Mul_5'], { producer_name: 'pytorch' }, { node: norm }, new Map()), [])
  const known = new Map([['0.basis', { kind: 'parameter', from: [], computed: false } as const]])
  t.same(guessedParameters(['0.basis'], { producer_name: 'pytorch' }, { node }, known), [])
})

t.test('what is a guess is said, with the option that says otherwise', async t => {
  const bytes = b.model({
    nodes: [b.node('MatMul', ['x', 'features'], ['p']), b.node('Cos', ['p'], ['c']),
      b.node('Gemm', ['c', 'out.weight', 'out.bias'], ['g']), b.node('Tanh', ['g'], ['t']),
      b.node('Add', ['t', 'onnx::Add_9'], ['h']), b.node('Div', ['h', 'onnx::Div_3'], ['y'])],
    tensors: [b.floats('features', [2, 2], [0.3, 0.1, -0.7, 0.2]), b.floats('out.weight', [2, 2], [1, 2, 3, 4]),
      b.floats('out.bias', [2], [1, 2]), b.floats('onnx::Add_9', [1], [0.217341]),
      b.floats('onnx::Div_3', [], [Math.sqrt(32)])],
    inputs: [b.value('x', ['n', 2])],
    outputs: [b.value('y', ['n', 2])],
  })
  const graph = readOnnx(bytes)
  const { notes } = graph
  t.match(notes, [/^Not counted as parameters, because single numbers .*: 'onnx::Add_9'\. The option parameters/,
    /^Counted as parameters by their use alone.*: 'features'\. .* option freeze/],
    'a root of a whole number is a setting')
  t.equal(notes.length, 2)
  t.match(selectParameters(graph, { freeze: 'features' }).notes, [/^Not counted as parameters/],
    'what is frozen is settled')
  t.same(selectParameters(graph, { freeze: 'out.bias' }).notes, notes, 'what is not named stays open')
  t.same(selectParameters(graph, { parameters: '*' }).notes, [], 'all are chosen')
  const two = { ...graph, notes: ['first', ...notes],
    choices: [{ names: ['features', 'out.weight'], counted: true, sentence: ['Counted', 'Or freeze.'] as const }] }
  two.notes[2] = "Counted: 'features', 'out.weight'. Or freeze."
  t.same(selectParameters(two, { freeze: 'features' }).notes, ['first', notes[0], "Counted: 'out.weight'. Or freeze."])
})
