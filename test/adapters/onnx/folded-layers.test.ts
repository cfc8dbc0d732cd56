import t from 'tap'
import { describeFolded } from '../../../adapters/onnx/folded-layers.js'
import type { GraphMessage } from '../../../adapters/onnx/messages.js'
import type { Origin } from '../../../adapters/onnx/tensor-origins.js'

const torch = { producer_name: 'pytorch' }
const network = (weight: string): GraphMessage => ({
  node: [{ op_type: 'Conv', name: '/conv', input: ['x', weight], output: ['y'] }],
  initializer: [{ name: weight }, { name: 'norm.bias' }],
})
const origin = (kind: Origin['kind']): Origin => ({ kind, from: [], computed: false })

t.test('weights that an exporter has computed are said, those of the module are not', async t => {
  t.match(describeFolded(torch, network('onnx::Conv_12'), new Map()), /normalisations, into the weights of '\/conv'/)
  t.equal(describeFolded(torch, network('conv.weight'), new Map()), undefined)
  t.equal(describeFolded({ producer_name: 'keras' }, network('onnx::Conv_12'), new Map()), undefined)
  const other = ['other.weight', origin('parameter')] as const
  t.match(describeFolded(torch, network('conv.weight'), new Map([other])), /into the weights of '\/conv'/)
  t.equal(describeFolded(torch, network('conv.weight'), new Map([other, ['conv.weight', origin('parameter')]])),
    undefined)
})

t.test('tensors that stand for others are named', async t => {
  const merged = { ...network('conv.weight'),
    node: [{ op_type: 'Identity', input: ['norm.bias'], output: ['norm2.bias'] }] }
  t.match(describeFolded(torch, merged, new Map()), /has merged 'norm2\.bias' with equal tensors/)
})
