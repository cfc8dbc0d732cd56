import t, { type Test } from 'tap'
import { activationType, checkArchitecture, LAYER_TYPES, type LayersOptions, type LayerSpec, networkFromLayers,
  parseArchitecture } from '../../../adapters/layers/index.js'
import type { FileTensor } from '../../../adapters/tensors/file-tensor.js'
import { isBatch } from '../../../core/graph/graph.js'
import { settleOpenAxes } from '../../../core/graph/open-axes.js'

/** Tensors of these shapes; the elements do not matter here. */
function tensorsOf(shapes: Record<string, number[]>, dtype: FileTensor['dtype'] = 'float32'): Map<string, FileTensor> {
  return new Map(
    Object.entries(shapes).map((
      [name, shape],
    ) => [name, { dtype, shape,
      bytes: new Uint8Array(shape.reduce((a, b) => a * b, 1) * (dtype === 'int32' ? 4 : 4)) }]
    ),
  )
}

const dense = tensorsOf({ '0.weight': [4, 3], '0.bias': [4], '2.weight': [2, 4], '2.bias': [2] })
const chain: LayerSpec[] = [{ type: 'Linear', name: '0' }, { type: 'Tanh' }, { type: 'Linear', name: '2' }]
const exampleShape = (architecture: LayerSpec[], tensors: Map<string, FileTensor>,
  options: LayersOptions = {}): unknown[] =>
  networkFromLayers(architecture, tensors, options).inputs[0].shape.filter(dim => !isBatch(dim))

function refused(t: Test, architecture: unknown, code: string, message: RegExp, tensors = dense,
  options: LayersOptions = {}): void {
  t.throws(() => networkFromLayers(architecture as LayerSpec[], tensors, options), { code, message }, String(message))
}

t.test('an architecture that is none is refused with its place', async t => {
  refused(t, {}, 'BAD_OPTION', /must be a list of layers.*got object/)
  refused(t, null, 'BAD_OPTION', /got null/)
  refused(t, [], 'BAD_OPTION', /no layers/)
  refused(t, ['Linear'], 'BAD_OPTION', /Layer 0.*must be an object such as \{"type":"Linear"\}/)
  refused(t, [3], 'BAD_OPTION', /Layer 0.*must be an object with a type; got 3/)
  refused(t, [{ typ: 'Linear' }], 'BAD_OPTION', /no type.*It has 'typ'/)
  refused(t, [{ type: 'Linear', name: 0 }], 'BAD_OPTION', /name of layer 0.*must be text/)
  refused(t, [{ type: 'Residual', layers: 3 }], 'BAD_OPTION', /'layers' of layer 0 must be a list/)
  refused(t, [{ type: 'Residual' }], 'BAD_OPTION', /needs the field layers/, dense, { inputSize: 3 })
  refused(t, Array.from({ length: 10_001 }, () => ({ type: 'Tanh' })), 'BAD_OPTION', /more than 10000 layers/)
  t.throws(() => parseArchitecture('[{'), { code: 'BAD_OPTION', message: /not JSON/ })
  t.same(parseArchitecture('[{"type":"Tanh"}]'), [{ type: 'Tanh' }])
  let deep: unknown = [{ type: 'Tanh' }]
  for (let i = 0; i < 60; i++) deep = [{ type: 'Residual', layers: deep }]
  refused(t, deep, 'BAD_OPTION', /more than 50 deep/)
  t.same(checkArchitecture([new Map<string, unknown>([['type', 'Linear'], ['name', '0']])]), [{ type: 'Linear',
    name: '0' }], 'maps of a message')
})

t.test('keys of every object are no layers and no arguments', async t => {
  for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    refused(t, [{ type: key }], 'BAD_OPTION', /which is not known/)
  }
  refused(t, JSON.parse('[{"type":"Linear","name":"0","__proto__":{"bias":false}}]'), 'UNKNOWN_OPTION',
    /no argument '__proto__'/)
  t.notOk('bias' in {}, 'prototype untouched')
})

t.test('unknown types and arguments name the nearest right word', async t => {
  refused(t, [{ type: 'Liner', name: '0' }], 'BAD_OPTION', /Layer 0.*'Liner'.*Did you mean 'Linear'/)
  refused(t, [...chain, { type: 'Residual', layers: [{ type: 'relu' }] }], 'BAD_OPTION',
    /Layer 3.layers.0.*'relu'.*Did you mean 'ReLU'/)
  refused(t, [{ type: 'Linear', name: '0', in_feature: 3 }], 'UNKNOWN_OPTION',
    /no argument 'in_feature'.*Did you mean 'in_features'/)
  refused(t, [{ type: 'Linear', name: '0', in_features: 'three' }], 'BAD_OPTION',
    /in_features.*must be a positive integer; got "three"/)
  refused(t, [{ type: 'Linear', name: '0', bias: 1 }], 'BAD_OPTION', /bias.*true or false/)
  t.doesNotThrow(() =>
    networkFromLayers([{ type: 'torch.nn.Linear', name: '0' }, { type: 'LeakyReLU', negative_slope: null,
      inplace: true }, { type: 'nn.modules.linear.Linear', name: '2' }], dense)
  )
  refused(t, [{ type: 'Linear', name: '0' }, { type: 'GELU', approximate: 'erf' }], 'BAD_OPTION', /one of none, tanh/)
  t.ok(LAYER_TYPES.length > 80)
})

t.test('tensors without a layer, layers without a tensor', async t => {
  refused(t, chain.slice(0, 2), 'BAD_OPTION', /no layer for the tensors '2.weight', '2.bias'/)
  refused(t, [{ type: 'Linear', name: 'fc1' }, ...chain.slice(1)], 'BAD_OPTION',
    /'fc1' \(Linear\) needs the tensor 'fc1.weight'.*Tensors left: '0.weight'.*Did you mean the name '0'/)
  refused(t, [{ type: 'Linear' }, { type: 'Linear' }], 'BAD_OPTION', /layer 1 \(Linear\) needs the tensor 'weight'/)
  refused(t, [{ type: 'Linear', name: '0', bias: false }, { type: 'Tanh' }, { type: 'Linear', name: '2' }],
    'BAD_OPTION', /no layer for the tensor '0.bias'/)
  refused(t, [{ type: 'Linear', name: '0', bias: true }], 'BAD_OPTION', /needs the tensor '0.bias'.*No tensor is left/,
    tensorsOf({ '0.weight': [4, 3] }))
  refused(t, [{ type: 'Conv2d', name: '0' }], 'SHAPE_MISMATCH',
    /needs a tensor '0.weight' of 4 axes; the file has 4 x 3/, dense, { inputSize: [3, 8, 8] })
  refused(t, [{ type: 'Linear', name: '0' }], 'SHAPE_MISMATCH',
    /floating-point numbers; the tensor '0.weight' holds int32/, tensorsOf({ '0.weight': [4, 3] }, 'int32'))
  refused(t, [{ type: 'BatchNorm1d', name: 'n' }], 'BAD_OPTION', /'n.weight'/,
    tensorsOf({ 'n.running_mean': [3], 'n.running_var': [3] }))
})

t.test('sizes that do not fit', async t => {
  refused(t, [{ type: 'Linear', name: '0', in_features: 5 }, ...chain.slice(1)], 'SHAPE_MISMATCH',
    /'0' \(Linear\) has in_features 5 in the architecture, and tensors for 3/)
  refused(t, [chain[2], chain[0]], 'SHAPE_MISMATCH', /'0' \(Linear\) takes 3 features; it gets an example of shape 2/)
  refused(t, [{ type: 'Linear', name: '0' }], 'SHAPE_MISMATCH', /bias of 5 elements for 4 outputs/,
    tensorsOf({ '0.weight': [4, 3], '0.bias': [5] }))
  refused(t, [{ type: 'BatchNorm2d', name: 'n', track_running_stats: false }], 'BAD_OPTION', /mixes the examples/,
    tensorsOf({ 'n.weight': [3], 'n.bias': [3] }), { inputSize: [3, 2, 2] })
  refused(t, [{ type: 'LSTM', name: 'r' }], 'BAD_OPTION', /"batch_first": true/,
    tensorsOf({ 'r.weight_ih_l0': [8, 3], 'r.weight_hh_l0': [8, 2], 'r.bias_ih_l0': [8], 'r.bias_hh_l0': [8] }))
  refused(t, [{ type: 'Softmax' }, ...chain], 'BAD_OPTION', /dim.*one of the axes/, dense, { inputSize: [5, 3] })
  refused(t, [{ type: 'Softmax', dim: 0 }, ...chain], 'BAD_OPTION', /axis 0 holds the examples/)
  refused(t, [{ type: 'Residual', layers: chain }], 'SHAPE_MISMATCH', /its layers keep in shape \(they give 2\)/)
  refused(t, [{ type: 'Conv1d', name: 'c', padding_mode: 'circular' }], 'BAD_OPTION', /one of zeros/,
    tensorsOf({ 'c.weight': [2, 1, 3] }))
})

t.test('a layer that flattens the examples with their elements is refused', async t => {
  refused(t, [{ type: 'Flatten', start_dim: 0 }, ...chain], 'BAD_OPTION', /start_dim.*axis 0 holds the examples/, dense,
    { inputSize: 3 })
})

t.test('the shape of the input: features, images from a later Linear layer, or given', async t => {
  t.same(exampleShape(chain, dense), [3])
  const images = tensorsOf({ 'c.weight': [4, 1, 3, 3], 'f.weight': [10, 4 * 13 * 13] })
  const layers: LayerSpec[] = [{ type: 'Conv2d', name: 'c' }, { type: 'MaxPool2d', kernel_size: 2 }, {
    type: 'Flatten',
  }, { type: 'Linear', name: 'f' }]
  t.same(exampleShape(layers, images), [1, 28, 28])
  t.match(networkFromLayers(layers, images).notes[0], /does not tell the size of images: 1 x 28 x 28/)
  for (const inputSize of [28, [28, 28], [1, 28, 28]]) {
    t.same(exampleShape(layers, images, { inputSize }), [1, 28, 28])
    t.same(networkFromLayers(layers, images, { inputSize }).notes, [])
  }
  t.same(exampleShape([{ type: 'Input', shape: [1, 29, 28] }, ...layers], images), [1, 29, 28],
    'an entry of the architecture')
  refused(t, layers, 'SHAPE_MISMATCH', /'f' \(Linear\) takes 676 features/, images, { inputSize: [1, 20, 20] })
  refused(t, layers, 'BAD_OPTION', /inputSize must be a positive integer/, images, { inputSize: [-1] })
  refused(t, layers, 'SHAPE_MISMATCH', /No square image fits.*inputSize/,
    tensorsOf({ 'c.weight': [4, 1, 3, 3], 'f.weight': [10, 7] }))
  refused(t, [{ type: 'Flatten' }, { type: 'Tanh' }], 'AMBIGUOUS_NETWORK', /inputSize/, new Map())
  t.same(
    exampleShape([{ type: 'MaxPool2d', kernel_size: 2 }, ...layers.slice(0, 1)],
      tensorsOf({ 'c.weight': [4, 3, 3, 3] })),
    [3, 28, 28],
    'channels of a later layer',
  )
  t.same(
    exampleShape([{ type: 'BatchNorm2d', name: 'n' }],
      tensorsOf({ 'n.weight': [5], 'n.bias': [5], 'n.running_mean': [5], 'n.running_var': [5] })),
    [5, 28, 28],
  )
})

t.test('sizes that stay open take those of the data', async t => {
  const sequence = networkFromLayers([{ type: 'Linear', name: '0' }, { type: 'Mean', dim: 1 }, { type: 'Linear',
    name: '2' }], dense)
  t.same(sequence.inputs[0].openAxes, [1])
  const settled = settleOpenAxes(sequence, new Map([['input', [7, 3]]]))
  t.same(settled.inputs[0].shape.slice(1), [7, 3])
  t.same(settled.inputs[0].openAxes, [1], 'other data may have other lengths')
  t.equal(settleOpenAxes(sequence, new Map([['input', [7, 4]]])), sequence,
    'other features are left to the check of the data')
  t.equal(settleOpenAxes(sequence, new Map([['input', [21]]])), sequence)
  t.equal(settleOpenAxes(sequence, new Map([['other', [7, 3]]])), sequence)
  t.equal(networkFromLayers(chain, dense).inputs[0].openAxes, undefined)
})

t.test('a plain chain of Linear layers is found by its sizes and names', async t => {
  const order = (shapes: Record<string, number[]>): string[] =>
    networkFromLayers(undefined, tensorsOf(shapes), { activation: 'relu' }).parameters.map(({ name }) => name)
  t.same(order({ 'fc10.weight': [2, 5], 'fc2.weight': [5, 4], 'fc2.bias': [5], 'fc1.weight': [4, 3] }), ['fc1.weight',
    'fc2.weight', 'fc2.bias', 'fc10.weight'], 'numbers in names')
  t.same(order({ 'in.weight': [4, 3], 'hidden.weight': [5, 4], 'out.weight': [2, 5] }), ['in.weight', 'hidden.weight',
    'out.weight'], 'order of the file')
  t.same(order({ 'hidden.weight': [5, 4], 'in.weight': [4, 3], 'out.weight': [2, 5] }), ['in.weight', 'hidden.weight',
    'out.weight'], 'the only order in which sizes meet')
  t.same(networkFromLayers(undefined, tensorsOf({ 'weight': [2, 3], 'bias': [2] })).nodes.map(node => node.op), [
    'Gemm',
  ], 'a single layer needs no activation')
  const missing = (shapes: Record<string, number[]>, message: RegExp, activation?: string): void => {
    t.throws(() => networkFromLayers(undefined, tensorsOf(shapes), activation === undefined ? {} : { activation }), {
      code: 'MISSING_ARCHITECTURE',
      message,
    })
  }
  missing({ '0.weight': [4, 3], '2.weight': [2, 4] }, /'0': 3 to 4, '2': 4 to 2.*option activation.*"type":"Tanh"/)
  missing({ '0.weight': [4, 3], '2.weight': [2, 5] }, /not a plain chain/, 'relu')
  missing({ '0.weight': [4, 3, 2, 2], '1.weight': [4], '1.running_mean': [4] },
    /beginning like \[\{"type":"Conv2d","name":"0"\},\{"type":"BatchNorm2d","name":"1"\}\]/)
  missing({ 'embed.weight': [4, 3] }, /not a plain chain/)
  missing({ '0.weight': [4, 3], '0.bias': [3] }, /not a plain chain/)
  missing({ '0.scale': [4] }, /not a plain chain/)
  missing({ 'a.weight': [3, 3], 'b.weight': [4, 3], 'c.weight': [4, 3] }, /not a plain chain/)
  missing({}, /holds 0 tensors/)
})

t.test('activations by word', async t => {
  t.same(
    ['relu', 'ReLU', 'TANH', 'leaky_relu', 'logistic', 'swish', 'identity', 'log_sigmoid', 'GELU'].map(activationType),
    ['ReLU', 'ReLU', 'Tanh', 'LeakyReLU', 'Sigmoid', 'SiLU', 'Identity', 'LogSigmoid', 'GELU'],
  )
  t.throws(() => activationType('rleu'), { code: 'BAD_OPTION', message: /Did you mean 'ReLU'/ })
  t.throws(() => activationType('softmax'), { code: 'BAD_OPTION' })
  t.throws(() => activationType(7), { code: 'BAD_OPTION', message: /got number/ })
  t.throws(() => activationType('constructor'), { code: 'BAD_OPTION' })
})
