import t from 'tap'
import { compileGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { type Attribute, BATCH } from '../../../core/graph/graph.js'
import { convolve } from '../../../core/kernels/gathered.js'
import { useKernelBuild } from '../../../core/kernels/kernel-module.js'
import { gatheredProducts, gatheredWindow, productTables, tileExamples } from '../../../core/ops/gathered-window.js'
import { threeAxes } from '../../../core/ops/window.js'
import { type Precision, sizeOf, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { allBuilds } from './builds.js'
import { generator } from './random-matrix.js'

const builds = allBuilds()

/** A tensor with numbers between -1 and 1. */
function drawn(precision: Precision, shape: readonly number[], random: () => number): Tensor {
  return tensor(precision, shape, Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1))
}

/** Windows, weights and inputs that reach every way of packing: adjoining, every second, scattered, few channels. */
const CASES: readonly { readonly op: string, readonly x: readonly number[], readonly w?: readonly number[],
  readonly attributes: Readonly<Record<string, Attribute>> }[] = [
    { op: 'Conv', x: [5, 3, 9, 8], w: [18, 3, 3, 3], attributes: { pads: [1, 1, 1, 1] } },
    { op: 'Conv', x: [3, 70, 4, 4], w: [5, 70, 3, 3], attributes: { pads: [1, 1, 1, 1] } },
    // Vectors that lie in the image as the product reads them: lines of two, of three, and of one and a half.
    { op: 'Conv', x: [6, 3, 8, 16], w: [22, 3, 3, 3], attributes: { pads: [1, 1, 1, 1] } },
    { op: 'Conv', x: [5, 3, 6, 12], w: [16, 3, 5, 5], attributes: { pads: [2, 2, 2, 2] } },
    { op: 'Conv', x: [5, 3, 6, 6], w: [16, 3, 3, 3], attributes: { pads: [1, 1, 1, 1] } },
    // By minimal filtering: whole tiles, more inputs than stay in the cache, odd extents, tiles of several examples,
    // one-sided padding.
    { op: 'Conv', x: [3, 17, 8, 16], w: [19, 17, 3, 3], attributes: { pads: [1, 1, 1, 1] } },
    { op: 'Conv', x: [3, 40, 8, 8], w: [70, 40, 3, 3], attributes: { pads: [1, 1, 1, 1] } },
    { op: 'Conv', x: [9, 16, 7, 5], w: [37, 16, 3, 3], attributes: { pads: [0, 2, 1, 0] } },
    { op: 'Conv', x: [70, 20, 4, 4], w: [16, 20, 3, 3], attributes: { pads: [1, 1, 1, 1] } },
    { op: 'ConvTranspose', x: [5, 18, 6, 9], w: [18, 16, 3, 3], attributes: { pads: [1, 1, 1, 1] } },
    { op: 'ConvTranspose', x: [5, 16, 6, 9], w: [16, 21, 3, 3], attributes: { pads: [0, 2, 1, 0] } },
    { op: 'Conv', x: [2, 4, 11, 13], w: [6, 4, 3, 2], attributes: { strides: [2, 2], pads: [0, 1, 1, 0] } },
    { op: 'Conv', x: [2, 6, 7, 9], w: [4, 3, 2, 2], attributes: { group: 2, strides: [3, 1], dilations: [1, 3] } },
    { op: 'Conv', x: [3, 8, 6, 11], w: [8, 1, 3, 3], attributes: { group: 8, pads: [1, 1, 1, 1] } },
    { op: 'Conv', x: [2, 150, 6, 5], w: [140, 150, 1, 1], attributes: {} },
    { op: 'ConvTranspose', x: [2, 9, 5, 6], w: [9, 7, 3, 3], attributes: { pads: [1, 1, 1, 1] } },
    { op: 'ConvTranspose', x: [2, 4, 4, 3], w: [4, 3, 3, 4],
      attributes: { group: 2, strides: [2, 3], pads: [1, 0, 0, 2] } },
    { op: 'ConvTranspose', x: [2, 3, 4], w: [3, 2, 2], attributes: { strides: [4], dilations: [2] } },
    { op: 'MaxPool', x: [2, 3, 8, 12], attributes: { kernel_shape: [2, 2], strides: [2, 2] } },
    { op: 'MaxPool', x: [2, 3, 9, 10], attributes: { kernel_shape: [3, 3], strides: [1, 2], pads: [1, 1, 1, 1] } },
    { op: 'AveragePool', x: [2, 3, 9, 14], attributes: { kernel_shape: [3, 2], strides: [2, 3], pads: [1, 0, 1, 1] } },
  ]

for (const precision of ['float64', 'float32'] as const) {
  t.test(`convolutions and pools of every build are those of the plain twin, ${precision}`, async t => {
    for (const { op, x, w, attributes } of CASES) {
      const random = generator(5)
      const image = drawn(precision, x, random)
      const b = new GraphBuilder(precision)
      const inputs = w === undefined
        ? [b.input('x', [BATCH, ...x.slice(1)])]
        : [b.input('x', [BATCH, ...x.slice(1)]), b.constant(drawn(precision, w, random)), b.constant(
          drawn(precision, [w[op === 'Conv' ? 0 : 1]! * (op === 'Conv' ? 1 : Number(attributes['group'] ?? 1))],
            random),
        )]
      const outputs = op === 'MaxPool' ? b.nodeOutputs(op, inputs, 2, attributes) : [b.node(op, inputs, attributes)]
      const graph = b.build(outputs)
      const results = builds.map(build => {
        useKernelBuild(build)
        return outputs.map(name => compileGraph(graph, precision).run(new Map([['x', image]])).get(name)!.data)
      })
      const plain = results[results.length - 1]!
      const most = Math.max(...Array.from(plain[0]!, Math.abs))
      results.forEach((own, i) => {
        own.forEach((values, output) => {
          const worst = Math.max(...Array.from(values, (value, k) => Math.abs(value - plain[output]![k]!)))
          t.ok(worst <= (precision === 'float64' ? 1e-14 : 3e-6) * most,
            `${op} ${JSON.stringify(attributes)}, output ${output}, ${builds[i]}: ${worst}`)
        })
      })
    }
    useKernelBuild(builds[0]!)
  })
}

t.test('the largest of windows alone is that of the plain twin, NaN where one is NaN', async t => {
  for (const precision of ['float64', 'float32'] as const) {
    for (const attributes of [{ kernel_shape: [2, 2], strides: [2, 2] }, { kernel_shape: [2, 2] }, {
      kernel_shape: [3, 3],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    }, { kernel_shape: [2, 3], strides: [3, 3] }]) {
      const image = drawn(precision, [2, 40, 9, 14], generator(7))
      for (let i = 0; i < image.data.length; i += 37) image.data[i] = i % 2 === 0 ? NaN : -Infinity
      const b = new GraphBuilder(precision)
      const y = b.node('MaxPool', [b.input('x', [BATCH, 40, 9, 14])], attributes)
      const graph = b.build([y])
      const [plain, ...others] = [...builds].reverse().map(build => {
        useKernelBuild(build)
        return Array.from(compileGraph(graph, precision).run(new Map([['x', image]])).get(y)!.data)
      })
      for (const own of others) t.same(own, plain, JSON.stringify(attributes))
    }
  }
  useKernelBuild(builds[0]!)
})

t.test('a program that runs again with other numbers of examples uses the tables of each', async t => {
  const b = new GraphBuilder('float64')
  const image = drawn('float64', [9, 3, 8, 8], generator(3))
  const weight = b.constant(drawn('float64', [6, 3, 3, 3], generator(4)))
  const y = b.node('MaxPool', [b.node('Conv', [b.input('x', [BATCH, 3, 8, 8]), weight])], { kernel_shape: [2, 2] })
  const program = compileGraph(b.build([y]), 'float64')
  const run = (count: number): number[] =>
    Array.from(
      program.run(
        new Map([['x', tensor('float64', [count, 3, 8, 8], image.data.slice(0, count * 192) as Float64Array)]]),
      )
        .get(y)!.data,
    )
  const whole = run(9)
  for (const count of [1, 4, 9, 2, 1, 9]) t.same(run(count), whole.slice(0, count * whole.length / 9))
})

t.test('examples that find no room in the arena are convolved tile by tile, with the same numbers', async t => {
  useKernelBuild(builds[0]!)
  const random = generator(9)
  const axis = { input: 9, output: 9, kernel: 3, stride: 1, dilation: 1, front: 1, back: 1 }
  const window = threeAxes([axis, axis])
  const [examples, channels, outputs] = [40, 3, 6]
  const gathered = gatheredWindow(window, false)
  const tile = tileExamples(gathered, channels, examples)
  const [image, weights, bias, added] = [examples * channels * 81, outputs * channels * 9, outputs,
    examples * outputs * 81]
    .map(length => Float64Array.from({ length }, () => random() - 0.5))
  const own = { groups: 1, in: channels, out: outputs, transposed: false }
  const run = (size: number): Float64Array => {
    const out = new Float64Array(examples * outputs * 81)
    convolve({ examples, tile: size, groups: 1, channels, outputs, imagePlane: 81, plane: 81, padding: gathered.padding,
      padded: new Float64Array(size * channels * gathered.padding.plane), bias: bias!, added: added!, rectified: true,
      products: gatheredProducts(productTables(gathered, own, size, 8).products, own, 9, weights!) }, image!, out)
    return out
  }
  const fast = [run(tile), run(1)]
  useKernelBuild('plain')
  const plain = run(tile)
  useKernelBuild(builds[0]!)
  for (const own of fast) t.ok(own.every((value, i) => Math.abs(value - plain[i]!) < 1e-14))
})
