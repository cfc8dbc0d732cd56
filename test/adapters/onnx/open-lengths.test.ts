import t, { type Test } from 'tap'
import { readOnnx } from '../../../adapters/onnx/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { settleOpenAxes } from '../../../core/graph/open-axes.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import * as b from './onnx-bytes.js'
import { numbers, runInOnnxRuntime } from './onnxruntime.js'

type Nodes = readonly Uint8Array[]

/** `index`, an element of the shape of x: its length is open at 1 ('time') and 4 at 2. */
const extentOf = (
  index: string,
): Nodes => [b.node('Shape', ['x'], ['shape']), b.node('Gather', ['shape', index], ['extent'])]

const CONSTANTS = [b.integers('one', [], [1]), b.integers('two', [], [2]), b.integers('four', [], [4]),
  b.integers('100', [], [100]), b.integers('time', [1], [1]),
  b.tensor({ name: 'true', type: b.BOOL, raw: Uint8Array.of(1) }), b.floats('third', [], [0.3])]

/** x, n x time x 4, to y. */
const network = (nodes: Nodes, x: readonly (number | string)[] = ['n', 'time', 4]): Uint8Array =>
  b.model({ nodes, tensors: CONSTANTS, inputs: [b.value('x', x)], outputs: [b.value('y', [undefined, undefined, 4])] })

const branch = (op: string): { graph: Uint8Array } => ({
  graph: b.graph({ nodes: [b.node(op, ['x'], ['z'])], outputs: [b.value('z', [undefined, undefined, 4])] }),
})
const choice = [b.node('If', ['condition'], ['y'], { then_branch: branch('Tanh'), else_branch: branch('Sigmoid') })]

/** Adds 0.3 as often as `count` says. */
const counting = (count: string): Uint8Array =>
  b.node('Loop', [count, 'true', 'x'], ['y'], { body: { graph: b.graph({
    nodes: [b.node('Identity', ['go'], ['on']), b.node('Add', ['state', 'third'], ['next'])],
    inputs: [b.value('i', [], b.INT64), b.value('go', [], b.BOOL), b.value('state', [undefined, undefined, 4])],
    outputs: [b.value('on', [], b.BOOL), b.value('next', [undefined, undefined, 4])],
  }) } })

/** Sums along the axis of open length. */
const running = b.node('Scan', ['start', 'x'], ['last', 'y'], { num_scan_inputs: 1, scan_input_axes: [1],
  scan_output_axes: [1], body: { graph: b.graph({
    nodes: [b.node('Add', ['state', 'each'], ['next']), b.node('Identity', ['next'], ['out'])],
    inputs: [b.value('state', [undefined, 4]), b.value('each', [undefined, 4])],
    outputs: [b.value('next', [undefined, 4]), b.value('out', [undefined, 4])],
  }) } })

/** Networks whose nodes are others for another length. */
const OF_ONE_LENGTH: Record<string, [op: string, Nodes]> = {
  'a Loop that counts the length': ['Loop', [...extentOf('one'), counting('extent')]],
  'a Loop that counts a part of the length': ['Loop', [...extentOf('one'), b.node('Min', ['extent', 'four'], ['few']),
    counting('few')]],
  'an If by the length': ['If', [...extentOf('one'), b.node('Greater', ['extent', '100'], ['condition']), ...choice]],
  'an If that two lengths that are tried agree on': ['If', [...extentOf('one'),
    b.node('Mod', ['extent', 'four'], ['rest']), b.node('Equal', ['rest', 'two'], ['condition']), ...choice]],
  'a Scan along the length': ['Scan', [b.node('ReduceSum', ['x', 'time'], ['sum'], { keepdims: 0 }),
    b.node('Sub', ['sum', 'sum'], ['start']), running]],
}

/** Networks with the same nodes for every length. */
const OF_ANY_LENGTH: Record<string, Nodes> = {
  'an If by another length of the same input': [...extentOf('two'), b.node('Equal', ['extent', 'four'], ['condition']),
    ...choice],
  'a Loop that counts another length': [...extentOf('two'), counting('extent')],
}

/** Compares with ONNX Runtime for five positions, which is no length that is tried. */
async function check(t: Test, bytes: Uint8Array, options: Parameters<typeof readOnnx>[1] = {}): Promise<void> {
  const graph = settleOpenAxes(readOnnx(bytes, options), new Map([['x', [5, 4]]]))
  const inputs = new Map([['x', tensor('float32', [3, 5, 4], numbers(60))]])
  const [ours, theirs] = [runGraph(graph, inputs, 'float32').get('y')!,
    (await runInOnnxRuntime(bytes, inputs)).get('y')!]
  t.same(ours.shape, theirs.shape)
  t.ok(relativeDifference(ours.data, theirs.data) < 1e-6)
}

for (const [name, [op, nodes]] of Object.entries(OF_ONE_LENGTH)) {
  t.test(`${name} that the file leaves open asks for it`, async t => {
    t.throws(() => readOnnx(network(nodes)), { name: 'GraphError', code: 'AMBIGUOUS_NETWORK', message: new RegExp(
      `'x' of shape n x time x 4 leaves lengths open.* its ${op} node '(y|last)'.*option dimensions.*` +
        "\\{ 'time': 32 \\}",
    ), data: { open: ['time'] } })
    await check(t, network(nodes), { dimensions: { time: 5 } })
  })
}

for (const [name, nodes] of Object.entries(OF_ANY_LENGTH)) {
  t.test(`${name} leaves the length open`, async t => {
    t.same(readOnnx(network(nodes)).inputs[0].openAxes, [1])
    await check(t, network(nodes))
  })
}

t.test('where the weights fit one length alone, what is written out for it takes no other', async t => {
  const bytes = b.model({
    nodes: [...extentOf('one'), counting('extent'), b.node('Flatten', ['y'], ['h']), b.node('Gemm', ['h', 'w'], ['z'])],
    tensors: [...CONSTANTS, b.floats('w', [112, 1], numbers(112))],
    inputs: [b.value('x', ['n', 'time', 4])],
    outputs: [b.value('z', ['n', 1])],
  })
  const graph = readOnnx(bytes)
  t.equal(graph.inputs[0].openAxes, undefined)
  t.match(graph.notes, [/read for 'x' \(N x 28 x 4\)\. Other lengths can be given with the option dimensions/])
  t.throws(() => runGraph(graph, new Map([['x', tensor('float32', [1, 5, 4], numbers(20))]]), 'float32'), {
    code: 'SHAPE_MISMATCH',
  })
})

/** torch's `squeeze` of an axis whose length is not known: left out where it is 1. */
const squeezed = (axis: 'zero' | 'one', otherwise: Uint8Array): Nodes => [
  ...extentOf(axis),
  b.node('Equal', ['extent', 'one'], ['condition']),
  b.node('If', ['condition'], ['z'], {
    then_branch: {
      graph: b.graph({ nodes: [b.node('Squeeze', ['x', `${axis}s`], ['a'])], outputs: [b.value('a', [])] }),
    },
    else_branch: { graph: b.graph({ nodes: [otherwise], outputs: [b.value('e', [])] }) },
  }),
]
const squeezing = (nodes: Nodes): Uint8Array =>
  b.model({ nodes,
    tensors: [...CONSTANTS, b.integers('zero', [], [0]), b.integers('zeros', [1], [0]), b.integers('ones', [1], [1]),
      b.floats('w', [4, 2], numbers(8))], inputs: [b.value('x', ['n', 'time', 4])], outputs: [b.message([[1, 'y']])] })
const same = b.node('Identity', ['x'], ['e'])

t.test('an axis of open length that is squeezed is of length 1 where nothing else fits', async t => {
  const graph = readOnnx(squeezing([...squeezed('one', same), b.node('Gemm', ['z', 'w'], ['y'])]))
  t.same(graph.inputs[0].shape.slice(1), [1, 4])
  t.match(graph.notes.join(), /read for 'x' \(N x 1 x 4\)/)
  const x = tensor('float32', [3, 1, 4], numbers(12))
  const theirs =
    (await runInOnnxRuntime(squeezing([...squeezed('one', same), b.node('Gemm', ['z', 'w'], ['y'])]),
      new Map([['x', x]]))).get('y')!
  t.ok(relativeDifference(runGraph(graph, new Map([['x', x]]), 'float32').get('y')!.data, theirs.data) < 1e-6)
})

t.test('where one example alone is squeezed, several are not, and get the same numbers', async t => {
  const graph = readOnnx(squeezing([...squeezed('zero', same), b.node('MatMul', ['z', 'w'], ['y'])]), {
    dimensions: { time: 5 },
  })
  for (const n of [1, 3]) {
    const x = tensor('float32', [n, 5, 4], numbers(20 * n))
    const bytes = squeezing([...squeezed('zero', same), b.node('MatMul', ['z', 'w'], ['y'])])
    const theirs = (await runInOnnxRuntime(bytes, new Map([['x', x]]))).get('y')!
    const ours = runGraph(graph, new Map([['x', x]]), 'float32').get('y')!
    t.same(ours.shape, [n, 5, 2])
    t.ok(relativeDifference(ours.data, theirs.data) < 1e-6)
  }
  const other = readOnnx(squeezing([...squeezed('zero', b.node('Tanh', ['x'], ['e'])), b.node('MatMul', ['z', 'w'], [
    'y',
  ])]), { dimensions: { time: 5 } })
  t.throws(() => runGraph(other, new Map([['x', tensor('float32', [3, 5, 4], numbers(60))]]), 'float32'), {
    code: 'UNSUPPORTED_OPERATOR',
    message: /condition depends on the number of examples/,
  })
})
