import t, { type Test } from 'tap'
import { readOnnx } from '../../../adapters/onnx/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { isSupported } from '../../../core/ops/registry.js'
import { sizeOf, tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import * as b from './onnx-bytes.js'
import { runInOnnxRuntime } from './onnxruntime.js'

interface Old {
  opset: number
  nodes: Uint8Array[]
  tensors?: Uint8Array[]
  /** Shape of x behind the batch axis. */
  x: number[]
  /** Rank of y. */
  rank?: number
  /** The operators and the number of inputs of the nodes in the newest form. */
  becomes: [op: string, inputs: number][]
}

/**
 * Reads a network x -> y of an old operator set and compares its results with what ONNX Runtime makes of the old file.
 */
async function check(t: Test, name: string,
  { opset, nodes, tensors = [], x, rank = x.length + 1, becomes }: Old): Promise<void> {
  const bytes = b.model({ opset, nodes, tensors, inputs: [b.value('x', ['n', ...x])],
    outputs: [b.value('y', Array.from({ length: rank }, () => undefined))] })
  const graph = readOnnx(bytes)
  t.same(graph.nodes.map(node => [node.op, node.inputs.length]), becomes, `${name}: newest form`)
  const shape = [3, ...x]
  const inputs = new Map([['x',
    tensor('float32', shape, Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(3 * i + 1) * 2))]])
  const expected = (await runInOnnxRuntime(bytes, inputs)).get('y')!
  const missing = graph.nodes.filter(node => !isSupported(node.op)).map(node => node.op)
  if (missing.length > 0) {
    t.comment(`${name}: not run, because the core has no ${missing.join(', ')} yet`)
    return
  }
  const y = runGraph(graph, inputs, 'float32').get('y')!
  t.same(y.shape, expected.shape, `${name}: shape`)
  t.ok(relativeDifference(y.data, expected.data) < 1e-5, `${name}: values`)
}

const CASES: Record<string, Old> = {
  'Clip 6': { opset: 7, nodes: [b.node('Clip', ['x'], ['y'], { min: { float: -0.5 }, max: { float: 0.75 } })], x: [4],
    becomes: [['Clip', 3]] },
  'Clip 6, one bound': { opset: 10, nodes: [b.node('Clip', ['x'], ['y'], { max: { float: 0.75 } })], x: [4],
    becomes: [['Clip', 3]] },
  'Dropout 7 with its mask': { opset: 7, nodes: [b.node('Dropout', ['x'], ['y', 'mask'], { ratio: { float: 0.3 } })],
    x: [4], becomes: [['Dropout', 1]] },
  'Dropout 12 with ratio as input': { opset: 12, nodes: [b.node('Dropout', ['x', 'ratio'], ['y'])],
    tensors: [b.floats('ratio', [], [0.3])], x: [4], becomes: [['Dropout', 1]] },
  'Squeeze 1': { opset: 11, nodes: [b.node('Squeeze', ['x'], ['y'], { axes: [1, -1] })], x: [1, 4, 1], rank: 2,
    becomes: [['Squeeze', 2]] },
  'Unsqueeze 1': { opset: 11, nodes: [b.node('Unsqueeze', ['x'], ['y'], { axes: [1, 3] })], x: [4], rank: 4,
    becomes: [['Unsqueeze', 2]] },
  'ReduceSum 11': { opset: 11, nodes: [b.node('ReduceSum', ['x'], ['y'], { axes: [-1], keepdims: 0 })], x: [4, 5],
    rank: 2, becomes: [['ReduceSum', 2]] },
  'ReduceMean 13': { opset: 13, nodes: [b.node('ReduceMean', ['x'], ['y'], { axes: [1] })], x: [4, 5],
    becomes: [['ReduceMean', 2]] },
  'Slice 1': { opset: 9,
    nodes: [b.node('Slice', ['x'], ['y'], { starts: [1, -3], ends: [4, 2147483647], axes: [1, 2] })], x: [5, 6],
    becomes: [['Slice', 4]] },
  'Split 2': { opset: 11,
    nodes: [b.node('Split', ['x'], ['p', 'q'], { axis: 1, split: [1, 3] }), b.node('Sub', ['q', 'p'], ['y'])], x: [4],
    becomes: [['Split', 2], ['Sub', 2]] },
  'Split 13 in equal parts': { opset: 13,
    nodes: [b.node('Split', ['x'], ['p', 'q'], { axis: 1 }), b.node('Sub', ['p', 'q'], ['y'])], x: [4],
    becomes: [['Split', 1], ['Sub', 2]] },
  'Pad 2': { opset: 10, nodes: [b.node('Pad', ['x'], ['y'], { pads: [0, 1, 0, 2], value: { float: -1 } })], x: [4],
    becomes: [['Pad', 3]] },
  'Softmax 1 of a matrix': { opset: 9, nodes: [b.node('Softmax', ['x'], ['y'])], x: [4], becomes: [['Softmax', 1]] },
  'Softmax 1 over the last axis': { opset: 12, nodes: [b.node('Softmax', ['x'], ['y'], { axis: 2 })], x: [3, 4],
    becomes: [['Softmax', 1]] },
  'Softmax 11 over several axes together': { opset: 11, nodes: [b.node('Softmax', ['x'], ['y'])], x: [3, 4],
    becomes: [['Flatten', 1], ['Softmax', 1], ['Shape', 1], ['Reshape', 2]] },
  'Hardmax 11 over several axes together': { opset: 11, nodes: [b.node('Hardmax', ['x'], ['y'])], x: [3, 4],
    becomes: [['Flatten', 1], ['ArgMax', 1], ['Shape', 1], ['OneHot', 3], ['Shape', 1], ['Reshape', 2]] },
  'LogSoftmax 1 of images of one pixel': { opset: 8, nodes: [b.node('LogSoftmax', ['x'], ['y'])], x: [4, 1, 1],
    becomes: [['LogSoftmax', 1]] },
  'BatchNormalization 7': {
    opset: 8,
    nodes: [
      b.node('BatchNormalization', ['x', 's', 'o', 'm', 'v'], ['y'], { momentum: { float: 0.9 },
        epsilon: { float: 1e-3 } }),
    ],
    tensors: [b.floats('s', [2], [1, 2]), b.floats('o', [2], [0.5, 0]), b.floats('m', [2], [0.1, 0.2]),
      b.floats('v', [2], [1, 4])],
    x: [2, 3],
    becomes: [['BatchNormalization', 5]],
  },
  'TopK 1': { opset: 9, nodes: [b.node('TopK', ['x'], ['y', 'i'], { k: 2 })], x: [4], becomes: [['TopK', 2]] },
  'Upsample 7': { opset: 8, nodes: [b.node('Upsample', ['x'], ['y'], { scales: { floats: [1, 1, 2, 2] } })],
    x: [1, 2, 2], becomes: [['Resize', 3]] },
  'Upsample 9': { opset: 9, nodes: [b.node('Upsample', ['x', 's'], ['y'])], tensors: [b.floats('s', [4], [1, 1, 2, 2])],
    x: [1, 2, 2], becomes: [['Resize', 3]] },
  'Resize 10': { opset: 10, nodes: [b.node('Resize', ['x', 's'], ['y'])], tensors: [b.floats('s', [4], [1, 1, 2, 2])],
    x: [1, 2, 2], becomes: [['Resize', 3]] },
  'GroupNormalization 18': {
    opset: 18,
    nodes: [b.node('GroupNormalization', ['x', 's', 'o'], ['y'], { num_groups: 2 })],
    tensors: [b.floats('s', [2], [1, 2]), b.floats('o', [2], [0.5, -1])],
    x: [4, 3],
    becomes: [['Reshape', 2], ['Expand', 2], ['Reshape', 2], ['Reshape', 2], ['Expand', 2], ['Reshape', 2], [
      'GroupNormalization',
      3,
    ]],
  },
}

t.test('nodes of older operator sets compute the same in the newest form', async t => {
  for (const [name, old] of Object.entries(CASES)) await check(t, name, old)
})

t.test('operators of ONNX Runtime are written with those of ONNX', async t => {
  const microsoft = (op: string, inputs: string[], attributes = {}): Uint8Array =>
    b.node(op, inputs, ['y'], attributes, 'com.microsoft')
  const run = async (name: string, node: Uint8Array, tensors: Uint8Array[], x: number[], becomes: Old['becomes'],
    rank = x.length + 1): Promise<void> => {
    const bytes = b.model({ opset: 17, domains: [b.opset(1, 'com.microsoft')], nodes: [node], tensors,
      inputs: [b.value('x', ['n', ...x])], outputs: [b.value('y', Array.from({ length: rank }, () => undefined))] })
    const graph = readOnnx(bytes)
    t.same(graph.nodes.map(each => [each.op, each.inputs.length]), becomes, `${name}: form`)
    const shape = [3, ...x]
    const inputs = new Map([['x',
      tensor('float32', shape, Array.from({ length: sizeOf(shape) }, (_, i) => Math.cos(2 * i)))]])
    const expected = (await runInOnnxRuntime(bytes, inputs)).get('y')!
    t.ok(relativeDifference(runGraph(graph, inputs, 'float32').get('y')!.data, expected.data) < 1e-5, `${name}: values`)
  }
  const bias = b.floats('b', [4], [0.5, -1, 0, 2])
  await run('Gelu', microsoft('Gelu', ['x']), [], [4], [['Gelu', 1]])
  await run('BiasGelu', microsoft('BiasGelu', ['x', 'b']), [bias], [4], [['Add', 2], ['Gelu', 1]])
  await run('FastGelu', microsoft('FastGelu', ['x', 'b']), [bias], [4], [['Add', 2], ['Gelu', 1]])
  await run('QuickGelu', microsoft('QuickGelu', ['x'], { alpha: { float: 1.5 } }), [], [4], [['Swish', 1]])
  await run('FusedMatMul', microsoft('FusedMatMul', ['x', 'w'], { transB: 1, alpha: { float: 0.5 } }), [
    b.floats('w', [2, 4], [1, 2, 3, 4, 5, 6, 7, 8]),
  ], [4], [['Transpose', 1], ['MatMul', 2], ['Mul', 2]])
  await run('SkipLayerNormalization',
    microsoft('SkipLayerNormalization', ['x', 'x', 'b', 'b'], { epsilon: { float: 1e-3 } }), [bias], [2, 4], [['Add',
    2], ['LayerNormalization', 3]])
})

t.test('broadcasting from an axis, before operator set 7', async t => {
  const network = (attributes: Parameters<typeof b.node>[3], dims: number[]): Uint8Array =>
    b.model({ opset: 6, nodes: [b.node('Add', ['x', 'c'], ['y'], attributes)], tensors: [b.floats('c', dims, [1, 2])],
      inputs: [b.value('x', ['n', 2, 3])], outputs: [b.value('y', ['n', 2, 3])] })
  const graph = readOnnx(network({ broadcast: 1, axis: 1 }, [2]))
  const y = runGraph(graph, new Map([['x', tensor('float32', [1, 2, 3], [0, 0, 0, 0, 0, 0])]]), 'float32').get('y')!
  t.same(Array.from(y.data), [1, 1, 1, 2, 2, 2])
  t.same(readOnnx(network({ broadcast: 1 }, [2, 1])).nodes.map(node => node.op), ['Add'])
  t.throws(() => readOnnx(network({ broadcast: 1, axis: 2 }, [2, 1])), { name: 'GraphError', code: 'BAD_GRAPH' })
})

t.test('slopes of channels, before operator set 7', async t => {
  const graph = readOnnx(
    b.model({ opset: 6, nodes: [b.node('PRelu', ['x', 'slope'], ['y'])], tensors: [b.floats('slope', [2], [0.5, 0.25])],
      inputs: [b.value('x', ['n', 2, 2])], outputs: [b.value('y', ['n', 2, 2])] }),
  )
  t.same(
    Array.from(
      runGraph(graph, new Map([['x', tensor('float32', [1, 2, 2], [-1, 1, -1, -2])]]), 'float32').get('y')!.data,
    ),
    [-0.5, 1, -0.25, -0.5],
  )
  t.same(graph.parameters.map(parameter => parameter.name), ['slope'])
})

t.test('normalisation in training mode uses the stored statistics', async t => {
  const statistics = [b.floats('s', [2], [1, 1]), b.floats('o', [2], [0, 0]), b.floats('m', [2], [1, 2]),
    b.floats('v', [2], [4, 4])]
  const network = (outputs: string[], more: Uint8Array[] = []): Uint8Array =>
    b.model({ opset: 14, nodes: [
      b.node('BatchNormalization', ['x', 's', 'o', 'm', 'v'], outputs, { training_mode: 1, epsilon: { float: 0 } }),
      ...more,
    ], tensors: statistics, inputs: [b.value('x', ['n', 2])], outputs: [b.value('y', ['n', 2])] })
  const graph = readOnnx(network(['y', 'mean', 'variance']))
  t.same(graph.nodes[0].outputs, ['y'])
  t.same(Array.from(runGraph(graph, new Map([['x', tensor('float32', [1, 2], [3, 2])]]), 'float32').get('y')!.data), [1,
    0])
  const used = readOnnx(network(['z', 'mean'], [b.node('Add', ['z', 'mean'], ['y'])]))
  t.throws(() => runGraph(used, new Map([['x', tensor('float32', [1, 2], [3, 2])]]), 'float32'), {
    code: 'UNSUPPORTED_OPERATOR',
    message: /with outputs for training/,
  })
})

t.test('dropout in training mode passes values on, and a note says so', async t => {
  const network = (training: boolean): Uint8Array =>
    b.model({ opset: 13,
      nodes: [b.node('Dropout', ['x', 'ratio', 'training'], ['h']),
        b.node('Dropout', ['h', 'ratio', 'training'], ['y'])],
      tensors: [b.floats('ratio', [], [0.5]),
        b.tensor({ name: 'training', type: b.BOOL, raw: Uint8Array.of(Number(training)) })],
      inputs: [b.value('x', ['n', 2])], outputs: [b.value('y', ['n', 2])] })
  const graph = readOnnx(network(true))
  t.equal(graph.notes.filter(note => /training mode; its dropout passes values on/.test(note)).length, 1)
  t.same(Array.from(runGraph(graph, new Map([['x', tensor('float32', [1, 2], [3, 2])]]), 'float32').get('y')!.data), [3,
    2])
  t.same(readOnnx(network(false)).notes.filter(note => /dropout/.test(note)), [])
})

t.test('the operators of the core itself are none that a file may have', async t => {
  const x = tensor('float32', [1, 2, 4, 4], new Array(32).fill(1))
  for (const [node, shape] of [
    [
      b.node('Unfold', ['x'], ['y'], { kernel_shape: [2, 2], strides: [1, 1], dilations: [1, 1], pads: [0, 0, 0, 0],
        group: 1 }),
      ['n', 2, 4, 4],
    ],
    [b.node('ScatterRows', ['x', 'at'], ['y'], { rows: 3 }), ['n', 2, 4, 4]],
  ] as const) {
    const graph = readOnnx(
      b.model({ nodes: [node], tensors: [b.integers('at', [1], [0])], inputs: [b.value('x', shape)],
        outputs: [b.value('y', [undefined])] }),
    )
    t.throws(() => runGraph(graph, new Map([['x', x]]), 'float32'), { code: 'UNSUPPORTED_OPERATOR',
      message: /'(Unfold|ScatterRows) \(no operator of ONNX\)' is not supported. Export/ })
  }
})

t.test('operator sets that are too old or too new are named', async t => {
  for (const opset of [0, 1, 5, 29, 99]) {
    t.throws(() => readOnnx(b.smallModel({ opset })), { name: 'UntrustedInputError', code: 'UNSUPPORTED_FORMAT',
      message: new RegExp(`operator set ${opset === 0 ? 1 : opset};`) }, `${opset}`)
  }
  for (const opset of [6, 7, 13, 28]) t.equal(readOnnx(b.smallModel({ opset })).parameters.length, 2, `${opset}`)
  t.equal(readOnnx(b.smallModel({ domains: [b.opset(15), b.opset(1, 'ai.onnx.ml')] })).parameters.length, 2,
    'several entries for one domain')
})
