import t from 'tap'
import { readOnnx } from '../../../adapters/onnx/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { BATCH, isBatch } from '../../../core/graph/graph.js'
import { settleOpenAxes } from '../../../core/graph/open-axes.js'
import { laplace } from '../../../core/index.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import * as b from './onnx-bytes.js'

const weight = b.floats('w', [4, 2], [1, 2, 3, 4, 5, 6, 7, 8])

t.test('a fixed leading axis becomes the batch axis', async t => {
  for (const size of [1, 5]) {
    const graph = readOnnx(b.model({
      nodes: [b.node('Reshape', ['x', 'rows'], ['r']), b.node('MatMul', ['r', 'w'], ['h']),
        b.node('Reshape', ['h', 'halves'], ['y'])],
      tensors: [weight, b.integers('rows', [2], [size, 4]), b.integers('halves', [3], [0, -1, 1])],
      inputs: [b.value('x', [size, 2, 2])],
      outputs: [b.value('y', [size, 2, 1])],
    }))
    t.same(graph.inputs[0].shape, [BATCH, 2, 2])
    t.match(graph.notes, [size === 1 ? /exported for single examples/ : /exported for batches of 5 examples/])
    t.same(graph.parameters, [{ name: 'w', shape: [2, 4], transposed: true }])
    for (const n of [1, 3]) {
      t.same(
        runGraph(graph, new Map([['x', tensor('float32', [n, 2, 2], new Array(4 * n).fill(1))]]), 'float32').get('y')!
          .shape,
        [n, 2, 1],
      )
    }
  }
})

t.test('of sequences with time first the second axis is the batch axis', async t => {
  const graph = readOnnx(b.model({
    nodes: [b.node('MatMul', ['x', 'w'], ['h']), b.node('Reshape', ['h', 'heads'], ['p']),
      b.node('ReduceSum', ['p', 'zero'], ['y'], { keepdims: 0 })],
    tensors: [weight, b.integers('heads', [3], [7, 2, 1]), b.integers('zero', [1], [0])],
    inputs: [b.value('x', [7, 1, 4])],
    outputs: [b.value('y', [2, 1])],
  }))
  t.same(graph.inputs[0].shape, [7, BATCH, 4])
  const y = runGraph(graph, new Map([['x', tensor('float32', [7, 2, 4], new Array(56).fill(1))]]), 'float32').get('y')!
  t.same(y.shape, [4, 1])
})

t.test('several inputs of one length share the batch axis', async t => {
  const graph = readOnnx(
    b.model({ nodes: [b.node('Add', ['p', 'q'], ['y'])], inputs: [b.value('p', [1, 4]), b.value('q', [1, 4])],
      outputs: [b.value('y', [1, 4])] }),
  )
  t.same(graph.inputs.map(input => input.shape), [[BATCH, 4], [BATCH, 4]])
})

t.test('a file for single examples that mixes them gives each what it gets alone, and a note says so', async t => {
  const graph = readOnnx(b.model({
    nodes: [b.node('MatMul', ['x', 'w'], ['h']), b.node('ReduceMean', ['h', 'first'], ['m'], { keepdims: 1 }),
      b.node('Softmax', ['m'], ['s'], { axis: 0 }), b.node('Add', ['s', 'm'], ['y'])],
    opset: 18,
    tensors: [weight, b.integers('first', [1], [0])],
    inputs: [b.value('x', [1, 4])],
    outputs: [b.value('y', [1, 2])],
  }))
  t.same(graph.inputs[0].shape, [BATCH, 4])
  t.match(graph.notes, [
    /exported for single examples, and does not .* \(ReduceMean .*each example is computed on its own/,
  ])
  t.same(graph.parameters, [{ name: 'w', shape: [2, 4], transposed: true }])
  const rows = tensor('float32', [2, 4], [1, 0, 0, 0, 0, 0, 0, 1])
  t.same(runGraph(graph, new Map([['x', rows]]), 'float32').get('y'), tensor('float32', [2, 2], [2, 3, 8, 9]))
})

t.test('where the first axis is for a single example, times are no examples', async t => {
  const graph = readOnnx(b.model({
    nodes: [b.node('Squeeze', ['x', 'first'], ['r']), b.node('MatMul', ['r', 'w'], ['y'])],
    tensors: [weight, b.integers('first', [1], [0])],
    inputs: [b.value('x', [1, 3, 4])],
    outputs: [b.value('y', [3, 2])],
  }))
  t.same(graph.inputs[0].shape, [BATCH, 3, 4])
  t.same(
    runGraph(graph, new Map([['x', tensor('float32', [2, 3, 4], new Array(24).fill(1))]]), 'float32').get('y')!.shape,
    [2, 3, 2],
  )
})

t.test('normalisation by the statistics of a batch of one is that of each example', async t => {
  const bytes = (examples: number | string): Uint8Array =>
    b.model({
      nodes: [
        b.node('BatchNormalization', ['x', 's', 'o', 'm', 'v'], ['y', 'mean', 'var'], { training_mode: 1,
          epsilon: { float: 0 } }),
      ],
      opset: 15,
      tensors: [b.floats('s', [2], [1, 2]), b.floats('o', [2], [0, 1]), b.floats('m', [2], [9, 9]),
        b.floats('v', [2], [1, 1])],
      inputs: [b.value('x', [examples, 2, 2])],
      outputs: [b.value('y', [examples, 2, 2])],
    })
  const rows = tensor('float32', [2, 2, 2], [1, 3, 5, 5.5, -1, -5, 0, 8])
  const alone = readOnnx(bytes(1))
  t.same(Array.from(runGraph(alone, new Map([['x', rows]]), 'float32').get('y')!.data), [-1, 1, -1, 3, 1, -1, -1, 3])
  t.match(readOnnx(bytes('n')).notes, [/use the stored statistics/])
})

t.test('a network whose operators do not show it, and whose numbers do, keeps the examples apart', async t => {
  const graph = (factor: number): ReturnType<typeof readOnnx> =>
    readOnnx(b.model({
      nodes: [b.node('ReduceMax', ['x'], ['largest'], { axes: [0], keepdims: 1 }),
        b.node('Mul', ['largest', 'factor'], ['share']), b.node('Add', ['x', 'share'], ['h']),
        b.node('MatMul', ['h', 'w'], ['y'])],
      opset: 13,
      tensors: [weight, b.floats('factor', [], [factor])],
      inputs: [b.value('x', ['n', 4])],
      outputs: [b.value('y', ['n', 2])],
    }))
  const apart = graph(0)
  t.match(apart.notes, [/does for 3 examples of random numbers/])
  const rows = tensor('float32', [2, 4], [1, 0, 0, 0, 0, 0, 0, 1])
  t.same(runGraph(apart, new Map([['x', rows]]), 'float32').get('y'), tensor('float32', [2, 2], [1, 2, 7, 8]))
  const mixed = graph(0.25)
  t.match(mixed.notes, [/single numbers .* 'factor'/])
  t.throws(() => runGraph(mixed, new Map([['x', rows]]), 'float32'), { code: 'BATCH_AXIS' })
})

t.test('a mask that is counted into places of a table is tried with zeros and ones', async t => {
  const graph = readOnnx(b.model({
    nodes: [b.node('CumSum', ['mask', 'one'], ['count']), b.node('Mul', ['count', 'mask'], ['places']),
      b.node('Gather', ['table', 'places'], ['rows']),
      b.node('ReduceMean', ['rows'], ['h'], { axes: [1], keepdims: 0 }),
      b.node('ReduceMax', ['h'], ['largest'], { axes: [0], keepdims: 1 }),
      b.node('Mul', ['largest', 'zero'], ['share']), b.node('Add', ['h', 'share'], ['y'])],
    opset: 13,
    tensors: [b.floats('table', [6, 1], [0, 1, 2, 4, 8, 16]), b.integers('one', [], [1]), b.floats('zero', [], [0])],
    inputs: [b.value('mask', [2, 5], b.INT64)],
    outputs: [b.value('y', [2, 1])],
  }))
  t.match(graph.notes, [/it does for random numbers/, /single numbers/])
  const mask = tensor('int64', [1, 5], [1, 1, 1, 0, 0])
  t.same(Array.from(runGraph(graph, new Map([['mask', mask]]), 'float32').get('y')!.data), [Math.fround(7 / 5)])
})

t.test('lengths are tried up to the longest, so that times which are reversed are not taken for examples', async t => {
  const graph = readOnnx(b.model({
    nodes: [b.node('ReverseSequence', ['x', 'lengths'], ['y'], { batch_axis: 1, time_axis: 0 })],
    opset: 13,
    inputs: [b.value('x', [4, 4]), b.value('lengths', [4], b.INT64)],
    outputs: [b.value('y', [4, 4])],
  }))
  const x = tensor('float32', [4, 4], [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15])
  const inputs = new Map([['x', x], ['lengths', tensor('int64', [4], [4, 3, 2, 1])]])
  const reversed = [3, 6, 9, 12, 2, 5, 8, 13, 1, 4, 10, 14, 0, 7, 11, 15]
  t.same(Array.from(runGraph(graph, inputs, 'float32').get('y')!.data), reversed)
})

t.test('an input that all examples share is none of each, and results keep the shape of the file', async t => {
  const inputs = [b.value('x', ['n', 4]), b.value('shared', [2, 4])]
  const joined = readOnnx(
    b.model({ nodes: [b.node('Concat', ['x', 'shared'], ['y'], { axis: 0 })], inputs,
      outputs: [b.value('y', ['m', 4])] }),
  )
  t.same(joined.inputs.map(({ shape }) => shape), [[BATCH, 4], [2, 4]])
  t.throws(() => inferTypes(joined), { code: 'BATCH_AXIS' })
  const halves = readOnnx(
    b.model({ nodes: [b.node('Reshape', ['x', 'shape'], ['y'])], tensors: [b.integers('shape', [2], [2, -1])],
      inputs: inputs.slice(0, 1), outputs: [b.value('y', [2, 'm'])] }),
  )
  t.throws(() => inferTypes(halves), { code: 'BATCH_AXIS' })
})

t.test('where the examples are mixed the shapes stay as they are', async t => {
  const graph = readOnnx(
    b.model({ nodes: [b.node('ReduceSum', ['x', 'axes'], ['y'], { keepdims: 0 })],
      tensors: [b.integers('axes', [1], [0])], inputs: [b.value('x', [3, 4])], outputs: [b.value('y', [4])] }),
  )
  t.same(graph.inputs[0].shape, [3, 4])
  t.match(graph.notes, [/no axis of its input 'x' \(3 x 4\) can carry the examples.*a batch of one example/])
})

/** Two layers for `n` examples, between which `mixing` nodes make 'm' of 'h'. */
const twoLayers = (n: number | string, mixing: readonly Uint8Array[],
  tensors: readonly Uint8Array[] = []): Uint8Array =>
  b.model({
    nodes: [b.node('MatMul', ['x', 'w'], ['p']), b.node('Tanh', ['p'], ['h']), ...mixing,
      b.node('MatMul', ['m', 'v'], ['y'])],
    opset: 13,
    tensors: [b.floats('w', [4, 2], [1, -2, 3, 0.4, 0.5, -0.6, 0.7, 0.8]), b.floats('v', [2, 3], [1, 2, -1, 0.3, 0, 2]),
      ...tensors],
    inputs: [b.value('x', [n, 4])],
    outputs: [b.value('y', [n, 3])],
  })
/** The rows one by one, joined again. */
const oneByOne = [0, 1, 2].flatMap(i => [b.node('Gather', ['h', `i${i}`], [`h${i}`], { axis: 0 })])
  .concat(b.node('Concat', ['h0', 'h1', 'h2'], ['m'], { axis: 0 }))
const numbers = [0, 1, 2].map(i => b.integers(`i${i}`, [1], [i]))
const fiveRows = tensor('float32', [5, 4], Array.from({ length: 20 }, (_, i) => Math.sin(i * i)))
const labels = tensor('int64', [5], [0, 1, 2, 1, 0])

t.test('a fixed batch that operators take apart has the outputs and the posterior of any batch', async t => {
  const fixed = readOnnx(twoLayers(3, oneByOne, numbers))
  t.same(fixed.inputs[0].shape, [BATCH, 4])
  t.match(fixed.notes, [
    /for batches of 3 examples, and its operators .*\(Gather node .*in a batch of copies of itself/,
  ])
  const free = readOnnx(twoLayers('n', [b.node('Identity', ['h'], ['m'])]))
  t.same(runGraph(fixed, new Map([['x', fiveRows]]), 'float64').get('y'),
    runGraph(free, new Map([['x', fiveRows]]), 'float64').get('y'))
  for (const subset of ['last_layer', 'all'] as const) {
    for (const structure of ['full', 'kron', 'diag'] as const) {
      const options = { likelihood: 'classification', subset, structure, priorPrecision: 1,
        precision: 'float64' } as const
      const [one, other] = await Promise.all([fixed, free].map(async graph => {
        const posterior = await laplace(graph, options).fit(fiveRows, labels)
        const { variance } = await posterior.predict(fiveRows, { uncertainty: false })
        return [...variance.data, posterior.logMarginalLikelihood()]
      }))
      t.ok(relativeDifference(one, other) < 1e-12, `${subset}, ${structure}`)
    }
  }
})

t.test('a fixed batch with positions that are joined with the examples', async t => {
  const graph = readOnnx(b.model({
    nodes: [b.node('Gather', ['x', 'backwards'], ['r'], { axis: 0 }), b.node('CumSum', ['r', 'times'], ['c']),
      b.node('MatMul', ['c', 'w'], ['h']), b.node('Gather', ['h', 'backwards'], ['f'], { axis: 0 }),
      b.node('Reshape', ['f', 'rows'], ['y'])],
    opset: 14,
    tensors: [weight, b.integers('backwards', [3], [2, 1, 0]), b.integers('times', [], [1]),
      b.integers('rows', [2], [-1, 2])],
    inputs: [b.value('x', [3, 5, 4])],
    outputs: [b.value('y', [15, 2])],
  }))
  t.same(graph.inputs[0].shape, [BATCH, 5, 4])
  const x = tensor('float32', [2, 5, 4], Array.from({ length: 40 }, (_, i) => i))
  const plain = [0, 1].flatMap(n =>
    [0, 1, 2, 3, 4].flatMap(time =>
      [0, 1].map(c => {
        const sums = [0, 1, 2, 3].map(k =>
          [0, 1, 2, 3, 4].slice(0, time + 1).reduce((sum, s) => sum + 20 * n + 4 * s + k, 0)
        )
        return sums.reduce((sum, value, k) => sum + value * (2 * k + c + 1), 0)
      })
    )
  )
  t.same(runGraph(graph, new Map([['x', x]]), 'float32').get('y'), tensor('float32', [2, 5, 2], plain))
})

t.test('inputs that all have one number an example', t => {
  const graph = readOnnx(b.model({
    nodes: [b.node('Gather', ['table', 'user'], ['u'], { axis: 0 }), b.node('Gather', ['table', 'item'], ['v'], {
      axis: 0,
    }), b.node('Mul', ['u', 'v'], ['m']), b.node('MatMul', ['m', 'w'], ['y'])],
    tensors: [weight, b.floats('table', [3, 4], Array.from({ length: 12 }, (_, i) => i + 1))],
    inputs: [b.value('user', [5], b.INT64), b.value('item', [5], b.INT64)],
    outputs: [b.value('y', [5, 2])],
  }))
  t.same(graph.inputs.map(({ shape }) => shape), [[BATCH], [BATCH]])
  const row = tensor('int64', [2], [0, 2])
  t.same(runGraph(graph, new Map([['user', row], ['item', row]]), 'float32').get('y')?.shape, [2, 2])
  t.end()
})

t.test('a fixed batch whose examples change each other is refused, and the refusal says so', async t => {
  const mean = [b.node('ReduceMean', ['h'], ['mean'], { axes: [0], keepdims: 1 }), b.node('Sub', ['h', 'mean'], ['m'])]
  const graph = readOnnx(twoLayers(3, mean))
  t.throws(() => laplace(graph, { likelihood: 'classification' }), { code: 'BATCH_AXIS',
    message: /changes with .* the other examples.*for a batch of one example/ })
})

t.test('a file that declares any number of examples and works for one is computed an example at a time', t => {
  const graph = readOnnx(b.model({
    nodes: [b.node('Reshape', ['x', 'row'], ['r']), b.node('MatMul', ['r', 'w'], ['y'])],
    tensors: [weight, b.integers('row', [2], [1, -1])],
    inputs: [b.value('x', ['n', 2, 2])],
    outputs: [b.value('y', ['n', 2])],
  }))
  t.same(graph.inputs[0].shape, [BATCH, 2, 2])
  t.match(graph.notes, [/declares any number of examples and works for one at a time/])
  const x = tensor('float32', [2, 2, 2], [1, 0, 0, 0, 0, 0, 0, 1])
  t.same(runGraph(graph, new Map([['x', x]]), 'float32').get('y'), tensor('float32', [2, 2], [1, 2, 7, 8]))
  t.end()
})

t.test('a file for one example without an axis for it, which gives one row, is computed an example at a time', t => {
  const graph = readOnnx(b.model({
    nodes: [b.node('MatMul', ['x', 'w'], ['h']), b.node('ReduceMax', ['h'], ['y'], { axes: [0], keepdims: 1 })],
    opset: 13,
    tensors: [weight],
    inputs: [b.value('x', [3, 4])],
    outputs: [b.value('y', [1, 2])],
  }))
  t.same(graph.inputs[0].shape, [BATCH, 3, 4])
  t.match(graph.notes, [/exported for single examples/])
  const x = tensor('float32', [2, 3, 4], Array.from({ length: 24 }, (_, i) => Math.abs(i - 8)))
  t.same(runGraph(graph, new Map([['x', x]]), 'float32').get('y'),
    tensor('float32', [2, 2], [1 * 8 + 3 * 7 + 5 * 6 + 7 * 5, 2 * 8 + 4 * 7 + 6 * 6 + 8 * 5,
      12 + 3 * 13 + 5 * 14 + 7 * 15, 2 * 12 + 4 * 13 + 6 * 14 + 8 * 15]))
  t.end()
})

t.test('a fixed batch in which each place has numbers of its own is refused', t => {
  const graph = readOnnx(b.model({
    nodes: [b.node('Add', ['x', 'own'], ['s']), b.node('Mul', ['x', 's'], ['y'])],
    tensors: [b.integers('own', [2, 2], [1, 2, 3, 4])],
    inputs: [b.value('x', [2, 2], b.INT64)],
    outputs: [b.value('y', [2, 2], b.INT64)],
  }))
  t.same(graph.inputs[0].shape, [2, 2])
  t.match(graph.notes, [/changes with its place in the batch/])
  t.end()
})

t.test('heads that are alike are no examples where the examples have numbers of their own', t => {
  const graph = readOnnx(b.model({
    nodes: [b.node('Add', ['x', 'own'], ['s']), b.node('CumSum', ['s', 'last'], ['y'])],
    opset: 14,
    tensors: [b.floats('own', [2, 1, 1, 1], [1, 2]), b.integers('last', [], [2])],
    inputs: [b.value('x', [2, 2, 3, 4])],
    outputs: [b.value('y', [2, 2, 3, 4])],
  }))
  t.not(graph.notes.some(note => note.includes('copies')), true)
  t.end()
})

t.test('examples that change each other in the rows of a fit alone are refused by the fit', async t => {
  const large = [b.node('ReduceMax', ['p'], ['most'], { axes: [0], keepdims: 1 }),
    b.node('Sub', ['most', 'far'], ['d']), b.node('Relu', ['d'], ['excess']), b.node('Add', ['h', 'excess'], ['m'])]
  for (const n of [3, 'n']) {
    const graph = readOnnx(twoLayers(n, large, [b.floats('far', [], [50])]))
    const start = () => laplace(graph, { likelihood: 'classification', structure: 'diag', priorPrecision: 1 })
    t.ok(await start().fit(fiveRows, labels))
    const far = { ...fiveRows, data: fiveRows.data.map(value => 100 * value) }
    await t.rejects(start().fit(far, labels), { code: 'BATCH_AXIS', message: /first rows other outputs together/ })
    await t.rejects(start().fitPartial(far, labels), { code: 'BATCH_AXIS' })
  }
})

t.test('open lengths other than that of the examples are given by name', async t => {
  const bytes = b.model({ nodes: [b.node('Relu', ['x'], ['y'])],
    inputs: [b.value('x', ['batch', 'time', undefined, 3])], outputs: [b.value('y', ['batch', 'time', undefined, 3])] })
  t.same(readOnnx(bytes, { dimensions: { time: 8, 'x:2': 5 } }).inputs[0].shape, [BATCH, 8, 5, 3])
  t.throws(() => readOnnx(bytes, { dimensions: { time: -1, 'x:2': 5 } }), { name: 'OptionError', code: 'BAD_OPTION' })
})

t.test('open lengths that are not given are those of the data', async t => {
  const graph = readOnnx(b.model({
    nodes: [b.node('MatMul', ['x', 'w'], ['h']), b.node('Softmax', ['h'], ['s']),
      b.node('ReduceMean', ['s'], ['y'], { axes: [1], keepdims: 0 })],
    opset: 11,
    tensors: [weight],
    inputs: [b.value('x', ['batch', 'time', 4])],
    outputs: [b.value('y', ['batch', 2])],
  }))
  t.same(graph.inputs[0], { name: 'x', dtype: 'float32', shape: [BATCH, 32, 4], openAxes: [1] })
  t.match(graph.notes, [/leaves lengths of its input open/])
  const settled = settleOpenAxes(graph, new Map([['x', [3, 4]]]))
  t.same(
    runGraph(settled, new Map([['x', tensor('float32', [2, 3, 4], new Array(24).fill(1))]]), 'float32').get('y')!.shape,
    [2, 2],
  )
})

t.test('an open length that the weights determine is found, or asked for', async t => {
  const flat = (features: number): Uint8Array =>
    b.model({
      nodes: [b.node('Flatten', ['x'], ['h']), b.node('Gemm', ['h', 'w'], ['y'])],
      tensors: [b.floats('w', [features, 1], new Array(features).fill(1))],
      inputs: [b.value('x', ['n', 'side', 2])],
      outputs: [b.value('y', ['n', 1])],
    })
  t.same(readOnnx(flat(56)).inputs[0].shape, [BATCH, 28, 2])
  t.throws(() => readOnnx(flat(22)), { name: 'GraphError', code: 'AMBIGUOUS_NETWORK',
    message: /'x' of shape n x side x 2 leaves lengths open.*\{ 'side': 32 \}/ })
  t.same(readOnnx(flat(22), { dimensions: { side: 11 } }).inputs[0].shape, [BATCH, 11, 2])
})

t.test('of an input for one example the open axis is a length, the fixed one the batch', async t => {
  const graph = readOnnx(b.model({
    nodes: [b.node('Reshape', ['x', 'heads'], ['h']), b.node('ReduceSum', ['h', 'axes'], ['y'], { keepdims: 0 })],
    tensors: [b.integers('heads', [4], [1, -1, 2, 2]), b.integers('axes', [2], [1, 2])],
    inputs: [b.value('x', [1, 'time', 4])],
    outputs: [b.value('y', [1, 2])],
  }))
  t.same(graph.inputs[0], { name: 'x', dtype: 'float32', shape: [BATCH, 32, 4], openAxes: [1] })
  const settled = settleOpenAxes(graph, new Map([['x', [3, 4]]]))
  t.same(runGraph(settled, new Map([['x', tensor('float32', [2, 3, 4], new Array(24).fill(1))]]), 'float32').get('y')!,
    { dtype: 'float32', shape: [2, 2], data: Float32Array.of(6, 6, 6, 6) })
})

t.test('statistics that a file computes over a batch of any size are refused with what to do', async t => {
  const graph = readOnnx(b.model({
    nodes: [b.node('ReduceMean', ['x', 'zero'], ['mean'], { keepdims: 0 }), b.node('Abs', ['mean'], ['spread']),
      b.node('BatchNormalization', ['x', 'scale', 'shift', 'mean', 'spread'], ['h']),
      b.node('MatMul', ['h', 'w'], ['y'])],
    tensors: [weight, b.integers('zero', [1], [0]), b.floats('scale', [4], [1, 2, 3, 4]),
      b.floats('shift', [4], [1, 2, 3, 4])],
    inputs: [b.value('x', ['n', 4])],
    outputs: [b.value('y', ['n', 2])],
  }))
  t.throws(() => laplace(graph, { likelihood: 'classification' }), { code: 'BATCH_AXIS', message: /constants of the/ })
})

t.test('an input with one number an example follows the batch of the others', async t => {
  const nodes = [b.node('Gather', ['table', 'kind'], ['e']), b.node('Concat', ['x', 'e'], ['h'], { axis: 1 }),
    b.node('Gemm', ['h', 'w'], ['y'])]
  const tensors = [b.floats('table', [3, 2], [1, 2, 3, 4, 5, 6]), b.floats('w', [4, 1], [1, 2, 3, 5])]
  const values = [b.value('x', [4, 2]), b.value('kind', [4], b.INT64)]
  for (const inputs of [values, values.toReversed()]) {
    const graph = readOnnx(b.model({ nodes, tensors, inputs, outputs: [b.value('y', [4, 1])] }))
    t.match(graph.notes, [/batches of 4 examples/])
    t.ok(graph.inputs.every(({ shape }) => isBatch(shape[0])))
  }
})
