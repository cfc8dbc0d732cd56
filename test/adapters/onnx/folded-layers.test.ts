import t from 'tap'
import { describeFolded } from '../../../adapters/onnx/folded-layers.js'
import type { GraphMessage, NodeMessage } from '../../../adapters/onnx/messages.js'
import type { Origin, Origins } from '../../../adapters/onnx/tensor-origins.js'
import { tensor } from '../../../core/tensor/tensor.js'

const torch = { producer_name: 'pytorch' }
const network = (weight: string): GraphMessage => ({
  node: [{ op_type: 'Conv', name: '/conv', input: ['x', weight], output: ['y'] }],
  initializer: [{ name: weight }, { name: 'norm.bias' }],
})
const describe = (model: { producer_name: string }, message: GraphMessage, origins: Origins,
  parameters: readonly string[] = []): string | undefined =>
  describeFolded(model, message, origins, { initializers: new Map([['norm.bias', tensor('float32', [2], [0, 0])]]) },
    parameters)
const origin = (kind: Origin['kind']): Origin => ({ kind, from: [], computed: false })

t.test('weights that an exporter has computed are said, those of the module are not', async t => {
  t.match(describe(torch, network('onnx::Conv_12'), new Map()), /normalisations, into the weights of '\/conv'/)
  t.equal(describe(torch, network('conv.weight'), new Map()), undefined)
  t.equal(describe({ producer_name: 'keras' }, network('onnx::Conv_12'), new Map()), undefined)
  const other = ['other.weight', origin('parameter')] as const
  t.match(describe(torch, network('conv.weight'), new Map([other])), /into the weights of '\/conv'/)
  t.equal(describe(torch, network('conv.weight'), new Map([other, ['conv.weight', origin('parameter')]])), undefined)
})

t.test('tensors that stand for others are named', async t => {
  const merged = { ...network('conv.weight'),
    node: [{ op_type: 'Identity', input: ['norm.bias'], output: ['norm2.bias'] }] }
  t.match(describe(torch, merged, new Map()), /has merged with equal tensors 'norm2\.bias'/)
})

t.test('what is made of several tensors, shared by modules, or left out is named', t => {
  const scoped = (name: string, input: string[], module: string): NodeMessage => ({ op_type: 'LayerNormalization', name,
    input, metadata_props: [{ key: 'pkg.torch.onnx.name_scopes', value: `['', '${module}', 'layer_norm']` }] })
  const shared = { node: [scoped('a', ['x', 'w', 'norm.bias'], 'norm'), scoped('b', ['y', 'w', 'norm.bias'], 'other')] }
  const own = new Map([['norm.bias', origin('parameter')]])
  t.match(describe(torch, shared, own), /merged with equal tensors 'norm\.bias'/)
  t.equal(describe(torch, { node: [shared.node[0], scoped('b', ['y', 'w', 'norm.bias'], 'norm')] }, own), undefined,
    'a module that is called twice')
  const mixed = new Map([['mul', { kind: undefined, from: ['a.g', 'a.v'], computed: true, mixed: true }]])
  t.match(describe(torch, {}, mixed, ['mul']), /made of other tensors \(as those of parametrizations\) 'mul'/)
  t.equal(describe(torch, {}, mixed), undefined, 'no parameter')
  const rule = { key: 'pkg.onnxscript.rewriter.rule_name', value: 'RemoveOptionalBiasFromGemm' }
  const head = (...metadata: (typeof rule)[]) =>
    describe(torch, {
      node: [{ op_type: 'Gemm', name: 'head', input: ['x', 'w'], metadata_props: [rule, ...metadata] }],
    }, new Map())
  const call = (args: string) => ({ key: 'pkg.torch.onnx.fx_node',
    value:
      `%conv2d : [num_users=1] = call_function[target=torch.ops.aten.conv2d.default](args = (${args}), kwargs = {})` })
  t.match(head(), /left out the zeros that were the bias of 'head'/)
  t.match(head(call('%x, %p_weight, %p_bias')), /left out the zeros that were the bias of 'head'/)
  t.equal(head(call('%x, %p_weight')), undefined, 'a layer that had none')
  t.equal(head(call('%x, %p_weight, None, [2, 2]')), undefined, 'a layer that had none, with strides')
  t.end()
})
