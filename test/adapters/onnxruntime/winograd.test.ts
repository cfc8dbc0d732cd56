import t from 'tap'
import { onnxRuntimeEngine } from '../../../adapters/onnxruntime/engine.js'
import { withWinograd } from '../../../adapters/onnxruntime/winograd.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { type Attribute, BATCH, type Graph } from '../../../core/graph/graph.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { sizeOf, type Tensor, tensor } from '../../../core/tensor/tensor.js'

const random = randomGenerator(5)
const normals = (...shape: number[]): Tensor =>
  tensor('float32', shape, Float32Array.from(random.fillNormal(new Float64Array(sizeOf(shape)))))

interface Layer {
  readonly inputs: number
  readonly outputs: number
  readonly height: number
  readonly width: number
  readonly bias: boolean
  readonly kernel: number
  readonly attributes: Readonly<Record<string, Attribute>>
}

const LAYER: Layer = { inputs: 256, outputs: 260, height: 4, width: 6, bias: true, kernel: 3,
  attributes: { pads: [1, 1, 1, 1] } }

function network({ inputs, outputs, height, width, bias, kernel, attributes }: Layer): { graph: Graph, x: Tensor } {
  const b = new GraphBuilder('float32')
  const x = b.input('x', [BATCH, inputs, height, width])
  const weight = b.constant(normals(outputs, inputs, kernel, kernel))
  const y = b.node('Conv', [x, weight, ...(bias ? [b.constant(normals(outputs))] : [])], attributes)
  return { graph: b.build([b.node('Relu', [y])]), x: normals(3, inputs, height, width) }
}

const WRITTEN_OUT: readonly (readonly [string, Partial<Layer>])[] = [
  ['padded on all sides', {}],
  ['without a bias', { bias: false }],
  ['not padded', { attributes: {}, height: 6, width: 8 }],
  ['padded by auto_pad', { attributes: { auto_pad: 'SAME_UPPER' } }],
  ['padded on some sides', { attributes: { pads: [2, 0, 1, 1] }, height: 5, width: 7 }],
  ['of one tile', { height: 2, width: 2 }],
]

for (const [name, changes] of WRITTEN_OUT) {
  t.test(name, async t => {
    const { graph, x } = network({ ...LAYER, ...changes })
    const written = withWinograd(graph)
    t.notOk(written.nodes.some(({ op }) => op === 'Conv'))
    t.strictSame(written.outputs, graph.outputs)
    const [output] = graph.outputs
    const inputs = new Map([['x', x]])
    const expected = runGraph(graph, inputs, 'float64').get(output!)!
    const program = await (await onnxRuntimeEngine({ threads: 1 })).compile(graph, 'float32')
    for (const value of [runGraph(written, inputs, 'float32').get(output!)!,
      (await program.run(inputs)).get(output!)!]) {
      t.strictSame(value.shape, expected.shape)
      const largest = Math.max(...Array.from(expected.data, Math.abs))
      t.ok(Array.from(expected.data).every((each, i) => Math.abs(each - value.data[i]!) < 3e-6 * largest))
    }
    program.dispose()
  })
}

t.test('sums of values behind it', async t => {
  const b = new GraphBuilder('float32')
  const x = b.input('x', [BATCH, 256, 4, 4])
  const y = b.node('Conv', [x, b.constant(normals(256, 256, 3, 3))], { pads: [1, 1, 1, 1] })
  const rows = b.node('Reshape', [b.node('Transpose', [y], { perm: [0, 2, 3, 1] }), b.integers([-1, 256])])
  const graph = b.build([b.node('Relu', [y]), rows])
  const inputs = new Map([['x', normals(3, 256, 4, 4)]])
  const program = await (await onnxRuntimeEngine({ threads: 1 })).compile(graph, 'float32')
  const sum = new Float64Array(256 * 256)
  await program.run(inputs, { grams: [{ output: rows, sum }] })
  const { data } = runGraph(graph, inputs, 'float64').get(rows)!
  for (const [i, j] of [[0, 0], [255, 3], [100, 99], [255, 255]] as const) {
    let expected = 0
    let size = 0
    for (let row = 0; row < 48; row++) {
      const product = Number(data[row * 256 + i]) * Number(data[row * 256 + j])
      expected += product
      size += Math.abs(product)
    }
    t.ok(Math.abs(sum[i * 256 + j]! - expected) < 1e-5 * size)
  }
  program.dispose()
})

const LEFT: readonly (readonly [string, Partial<Layer>])[] = [
  ['few channels', { inputs: 64 }],
  ['few outputs', { outputs: 64 }],
  ['steps', { attributes: { pads: [1, 1, 1, 1], strides: [2, 2] } }],
  ['gaps', { attributes: { pads: [2, 2, 2, 2], dilations: [2, 2] } }],
  ['an odd number of outputs', { height: 5 }],
  ['1 x 1', { kernel: 1, attributes: {} }],
]

t.test('other convolutions stay as they are', async t => {
  for (const [name, changes] of LEFT) {
    const { graph } = network({ ...LAYER, ...changes })
    t.equal(withWinograd(graph), graph, name)
  }
})

t.test('so do convolutions in groups, those of weights that are computed, and those in double precision', async t => {
  const b = new GraphBuilder('float32')
  const x = b.input('x', [BATCH, 512, 4, 4])
  const y = b.input('y', [256, 256, 3, 3])
  const inGroups = b.node('Conv', [x, b.constant(normals(512, 256, 3, 3))], { group: 2, pads: [1, 1, 1, 1] })
  const part = b.node('Slice', [inGroups, b.integers([0]), b.integers([256]), b.integers([1])])
  const graph = b.build([b.node('Conv', [part, y], { pads: [1, 1, 1, 1] })])
  t.equal(withWinograd(graph), graph)
  const double = network(LAYER).graph
  const weight = double.nodes[0]!.inputs[1]!
  const own = { ...double, inputs: double.inputs.map(input => ({ ...input, dtype: 'float64' as const })),
    initializers: new Map(
      [...double.initializers].map(([name, { shape, data }]) =>
        [name, tensor('float64', shape, Float64Array.from(data))] as const
      ),
    ) }
  t.equal(own.initializers.get(weight)?.dtype, 'float64')
  t.equal(withWinograd(own), own)
})
