import t from 'tap'
import { unfoldTensors } from '../../../adapters/onnx/folded-tensors.js'
import { findParameters } from '../../../adapters/onnx/parameters.js'
import { originOf, type Origins, tensorOrigins } from '../../../adapters/onnx/tensor-origins.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { type Tensor, tensor } from '../../../core/tensor/tensor.js'

const KIND = 'pkg.torch.export.graph_signature.InputSpec.kind'
const FOLDED = 'pkg.onnxscript.optimizer.folded_from'

/** What a file of torch.export notes: kinds of inputs, and what was folded into others. */
function noted(values: Readonly<Record<string, string>>): Origins {
  return tensorOrigins({ producer_name: 'pytorch' }, {
    input: [{ name: 'ids' }],
    value_info: Object.entries(values).map(([name, value]) => ({ name,
      metadata_props: [{ key: value.startsWith('[') ? FOLDED : KIND, value }] })
    ),
  })
}

t.test('a file of torch.export says what is a parameter, and what was folded from one', async t => {
  const origins = noted({ weight: 'PARAMETER', running_mean: 'BUFFER', c_lifted: 'CONSTANT_TENSOR',
    val_9: "['blocks.0.weight']", permute_3: "['blocks.0.index', 'table', 'index_1', 'val_3']", div: "['p', 'expand']",
    mul: "['_to_copy', 'ids', 'ones_like', 'val_15']", arange: "['val_1']",
    val_32: "['hann_window', 'val_1', 'val_31']" })
  const kinds = (...names: string[]): unknown[] => names.map(name => origins.get(name)?.kind)
  t.same(kinds('weight', 'running_mean', 'c_lifted'), ['parameter', 'constant', 'constant'])
  t.same(kinds('val_9', 'permute_3', 'div'), [undefined, undefined, undefined])
  t.same(kinds('mul', 'arange', 'val_32'), ['constant', 'constant', 'constant'])
  t.same(origins.get('permute_3')?.from, ['blocks.0.index', 'table'])
  t.equal(originOf(origins, 'weight:3'), origins.get('weight'))
})

t.test('the signature of the program says of what was folded whether it learnt', async t => {
  const remark = (value: string): Origins =>
    tensorOrigins({ producer_name: 'pytorch' }, {
      metadata_props: [{ key: 'pkg.torch.export.ExportedProgram.graph_signature', value }],
      value_info: ['basis', 'scale'].map(name => ({ name: `t_${name}`,
        metadata_props: [{ key: FOLDED, value: `['${name}']` }] })
      ),
    })
  const newer = remark(
    "\n# inputs\np_scale: PARAMETER target='scale'\nb_basis: BUFFER target='basis' persistent=True\n",
  )
  const older = remark(
    "InputSpec(kind=<InputKind.PARAMETER: 2>, arg=TensorArgument(name='p_scale'), target='scale'), " +
      "InputSpec(kind=<InputKind.BUFFER: 3>, arg=TensorArgument(name='b_basis'), target='basis', persistent=True)",
  )
  for (const origins of [newer, older]) {
    t.match(origins.get('t_basis'), { kind: 'constant', learnt: false })
    t.match(origins.get('t_scale'), { kind: undefined, from: ['scale'], learnt: true })
  }
})

t.test('in a file of the older exporter Constant nodes are constants, where there are other tensors', async t => {
  const graph = { node: [{ op_type: 'Constant', output: ['c'] }] }
  t.equal(tensorOrigins({ producer_name: 'pytorch' }, { ...graph, initializer: [{ name: 'w' }] }).get('c')?.kind,
    'code')
  t.equal(tensorOrigins({ producer_name: 'pytorch' }, graph).size, 0)
  t.equal(tensorOrigins({ producer_name: 'paddle' }, { ...graph, initializer: [{ name: 'w' }] }).size, 0)
})

t.test('what the file says decides against the use', async t => {
  const b = new GraphBuilder('float32')
  const x = b.input('x')
  const value = (name: string): string => {
    b.initializers.set(name, tensor('float32', [2, 2], [1, 2, 3, 4]))
    return b.node('MatMul', [x, name])
  }
  const outputs = [value('weight'), value('basis'), b.node('Sin', [b.node('Neg', [value('other')])])]
  b.initializers.set('scale', tensor('float32', [], [2]))
  outputs.push(b.node('Mul', [outputs[2], 'scale']))
  const graph = b.build(outputs)
  t.same(findParameters(graph, new Map()), ['weight', 'basis', 'other'])
  t.same(findParameters(graph, noted({ basis: 'BUFFER', scale: 'PARAMETER' })), ['weight', 'other', 'scale'])
})

t.test('a table that was picked from, and a parameter that was laid out anew, are there once', async t => {
  const b = new GraphBuilder('float32')
  const x = b.input('x', [BATCH, 2])
  const add = (name: string, value: Tensor): string => {
    b.initializers.set(name, value)
    return name
  }
  // Two heads; the place (i, j) has the row i - j of a table of 3.
  add('bias', tensor('float32', [2, 2, 2], [5, 7, 3, 5, 0.5, 0.25, 0.75, 0.5]))
  add('shift', tensor('float32', [2], [4, 9]))
  add('linear_1', tensor('float32', [1, 1, 2], [4, 9]))
  add('bfloat16', tensor('float32', [2, 2], [1, 2, 1, 2]))
  const sum = ['bias', 'linear_1', 'shift', 'bfloat16'].reduce((value, name) => b.node('Add', [value, name]),
    b.node('Reshape', [x, b.integers([-1, 1, 1, 2])]))
  const graph = b.build([sum])
  const origins = noted({ bias: "['m.index', 'm.table', 'index']", linear_1: "['m.weight', 'shift', 'zeros']",
    shift: 'PARAMETER', bfloat16: "['m.other']" })
  const unfolded = unfoldTensors(graph, origins)
  t.same(unfolded.initializers.get('bias'), tensor('float32', [3, 2], [5, 0.5, 7, 0.25, 3, 0.75]))
  t.notOk(unfolded.initializers.has('linear_1'))
  t.same(unfolded.initializers.get('bfloat16')?.shape, [2, 2], 'equal numbers of one tensor are not one')
  const given = new Map([['x', tensor('float32', [1, 2], [1, 2])]])
  t.same(runGraph(unfolded, given, 'float32').get(sum), runGraph(graph, given, 'float32').get(sum))
})

t.test('a function of a parameter that the exporter has worked out is that function again', async t => {
  const b = new GraphBuilder('float32')
  const x = b.input('x', [BATCH, 3])
  const factors = tensor('float32', [3, 2], [0.3, -1.2, 0.7, 0.1, -0.4, 2.1])
  const named = (name: string, value: Tensor): string => {
    b.initializers.set(name, value)
    return b.node('MatMul', [x, name])
  }
  const of = (f: (value: number) => number): Tensor =>
    tensor('float32', [3, 2], Array.from(factors.data, value => Math.fround(f(value))))
  const sum = [named('v', factors), named('pow_3', of(v => v ** 2)), named('exp', of(Math.exp)),
    named('mul', of(v => 1.7 * v))].reduce((first, second) => b.node('Sub', [first, second]))
  const graph = b.build([sum])
  const origins = noted({ v: 'PARAMETER', pow_3: "['v', 'val_2']", exp: "['v']", mul: "['v', 'val_1']" })
  const unfolded = unfoldTensors(graph, origins)
  t.same(findParameters(unfolded, origins), ['v', 'mul'], 'a multiple is told (folded-layers.ts)')
  b.initializers.set('repeated', tensor('float32', [2, 2], [1, 2, 1, 2]))
  const unread = noted({ repeated: "['v', 'val_1', 'val_2']" })
  t.same(findParameters(unfoldTensors(b.build([sum]), unread), unread).includes('repeated'), false, 'nothing reads it')
  const given = new Map([['x', tensor('float32', [1, 3], [1, 2, -1])]])
  const [found, expected] = [unfolded, graph].map(each => [...runGraph(each, given, 'float32').get(sum)?.data ?? []])
  t.ok(found.every((value, i) => Math.abs(value - expected[i]) < 1e-6))
})
