import t from 'tap'
import { denseJacobian } from '../../../core/curvature/jacobian.js'
import { compileGraph, runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import type { ParameterSlot } from '../../../core/network/parameter-slot.js'
import { elementsPerExample } from '../../../core/ops/shape-rules.js'
import { inferTypes } from '../../../core/passes/infer.js'
import { factoredJacobian, factorsProgram } from '../../../core/programs/factors-program.js'
import { float64, sizeOf, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { caseNames, referenceCase } from '../../support/reference-case.js'
import { uniform } from '../ops/check-derivative.js'

const random = uniform(11)
const draw = (...shape: number[]): Tensor =>
  float64(shape, Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1))

function slotsOf(graph: Graph, names: readonly string[]): ParameterSlot[] {
  let offset = 0
  return names.map(name => {
    const { shape } = graph.parameters.find(parameter => parameter.name === name)!
    const slot = { name, shape, offset, size: sizeOf(shape) }
    offset += slot.size
    return slot
  })
}

/** One-hot seeds, class-major: K = C. */
function oneHot(examples: number, outputs: number): Tensor {
  const seed = new Float64Array(outputs * examples * outputs)
  for (let k = 0; k < outputs; k++) for (let n = 0; n < examples; n++) seed[(k * examples + n) * outputs + k] = 1
  return float64([outputs, examples, outputs], seed)
}

/** N x C x P by factors, where the rows of theta follow the parameters' own orientation. */
function jacobian(graph: Graph, output: string, x: ReadonlyMap<string, Tensor>, names: readonly string[],
  examples: number): { jacobian: Float64Array, kinds: string[] } {
  const outputs = elementsPerExample(inferTypes(graph).get(output)!.shape)
  const program = factorsProgram(graph, output, names, outputs)
  const results = runGraph(program.graph, new Map([...x, [program.seed, oneHot(examples, outputs)]]), 'float64')
  return { jacobian: denseJacobian(slotsOf(graph, names), factoredJacobian(program, results)),
    kinds: program.factors.map(factor => factor.kind) }
}

/** The same by central differences. */
function differences(graph: Graph, output: string, x: ReadonlyMap<string, Tensor>, names: readonly string[],
  examples: number): Float64Array {
  const slots = slotsOf(graph, names)
  const size = slots.reduce((sum, slot) => sum + slot.size, 0)
  const rows = (g: Graph): Float64Array => {
    const program = factorsProgram(g, output, [], 1)
    const outputs = elementsPerExample(inferTypes(g).get(output)!.shape)
    return Float64Array.from(
      runGraph(program.graph,
        new Map([...x, [program.seed, float64([1, examples, outputs], new Float64Array(examples * outputs))]]),
        'float64').get(program.output)!.data,
    )
  }
  const first = rows(graph)
  const result = new Float64Array(first.length * size)
  for (const slot of slots) {
    const { transposed } = graph.parameters.find(parameter => parameter.name === slot.name)!
    const value = graph.initializers.get(slot.name)!
    for (let i = 0; i < slot.size; i++) {
      const [out, inputs] = slot.shape
      const stored = transposed ? (i % inputs) * out + Math.floor(i / inputs) : i
      const moved = (step: number): Float64Array => {
        const data = Float64Array.from(value.data)
        data[stored] += step
        return rows({ ...graph, initializers: new Map(graph.initializers).set(slot.name, { ...value, data }) })
      }
      const [up, down] = [moved(1e-5), moved(-1e-5)]
      for (let row = 0; row < first.length; row++) result[row * size + slot.offset + i] = (up[row] - down[row]) / 2e-5
    }
  }
  return result
}

const N = 3
interface Network {
  build: (b: GraphBuilder) => string
  kinds: string[]
  x: Record<string, number[]>
}
const x2 = { x: [N, 3] }
const NETWORKS: Readonly<Record<string, Network>> = {
  'a perceptron with Gemm': {
    x: x2,
    kinds: ['linear', 'linear'],
    build: b =>
      b.node('Gemm', [
        b.node('Tanh', [
          b.node('Gemm', [b.input('x', [BATCH, 3]), b.parameter('w1', draw(4, 3)), b.parameter('b1', draw(4))], {
            transB: 1,
          }),
        ]),
        b.parameter('w2', draw(2, 4)),
        b.parameter('b2', draw(2)),
      ], { transB: 1 }),
  },
  'weights stored in x out, MatMul and Add in both orders': {
    x: x2,
    kinds: ['linear', 'linear'],
    build: b => {
      const h = b.node('Tanh', [
        b.node('Add', [b.parameter('b1', draw(4)),
          b.node('MatMul', [b.input('x', [BATCH, 3]), b.parameter('w1', draw(3, 4), true)])]),
      ])
      return b.node('Add', [b.node('MatMul', [h, b.parameter('w2', draw(4, 2), true)]), b.parameter('b2', draw(1, 2))])
    },
  },
  'weight behind Transpose, alpha, no bias': {
    x: x2,
    kinds: ['linear'],
    build: b =>
      b.node('Gemm', [b.input('x', [BATCH, 3]), b.node('Transpose', [b.parameter('w', draw(2, 3))], { perm: [1, 0] })],
        { alpha: 0.3 }),
  },
  'weight on the left, examples in columns': {
    x: { x: [3, N] },
    kinds: ['linear', 'linear'],
    build: b => {
      const h = b.node('Tanh', [
        b.node('Add', [b.node('MatMul', [b.parameter('w1', draw(4, 3)), b.input('x', [3, BATCH])]),
          b.parameter('b1', draw(4, 1))]),
      ])
      return b.node('Gemm', [b.parameter('w2', draw(2, 4)), h,
        b.node('Unsqueeze', [b.parameter('b2', draw(2)), b.integers([1])])])
    },
  },
  'a weight used twice': {
    x: x2,
    kinds: ['linear', 'linear'],
    build: b => {
      const w = b.parameter('w', draw(3, 3))
      const bias = b.parameter('b', draw(3))
      const layer = (h: string): string => b.node('Tanh', [b.node('Gemm', [h, w, bias], { transB: 1 })])
      return layer(layer(b.input('x', [BATCH, 3])))
    },
  },
  'sequences': {
    x: { x: [N, 4, 3] },
    kinds: ['linear', 'linear'],
    build: b => {
      const h = b.node('Tanh', [
        b.node('Add', [b.node('MatMul', [b.input('x', [BATCH, 4, 3]), b.parameter('w1', draw(3, 5), true)]),
          b.parameter('b1', draw(5))]),
      ])
      return b.node('Gemm', [b.node('ReduceMean', [h, b.integers([1])], { keepdims: 0 }), b.parameter('w2', draw(2, 5)),
        b.parameter('b2', draw(2))], { transB: 1 })
    },
  },
  'time-major sequences, flattened before the product': {
    x: { x: [4, N, 3] },
    kinds: ['linear', 'linear'],
    build: b => {
      const flat = b.node('Reshape', [b.input('x', [4, BATCH, 3]), b.integers([-1, 3])])
      const h = b.node('Tanh', [
        b.node('Gemm', [flat, b.parameter('w1', draw(5, 3)), b.parameter('b1', draw(5))], { transB: 1 }),
      ])
      const sum = b.node('ReduceSum', [b.node('Reshape', [h, b.integers([4, -1, 5])]), b.integers([0])], {
        keepdims: 0,
      })
      return b.node('MatMul', [sum, b.parameter('w2', draw(5, 2), true)])
    },
  },
  'scale and shift, and an output with the examples last': {
    x: x2,
    kinds: ['linear', 'direct', 'direct'],
    build: b => {
      const z = b.node('MatMul', [b.input('x', [BATCH, 3]), b.parameter('w', draw(3, 2), true)])
      return b.node('Transpose', [
        b.node('Add', [b.node('Mul', [b.node('Tanh', [z]), b.parameter('scale', draw(2))]),
          b.parameter('shift', draw(1, 2))]),
      ], { perm: [1, 0] })
    },
  },
  'a weight whose orientation does not fit comes out as gradients': {
    x: x2,
    kinds: ['direct'],
    build: b => b.node('MatMul', [b.input('x', [BATCH, 3]), b.parameter('w', draw(3, 2))]),
  },
  'a bias that is added to a product read twice': {
    x: x2,
    kinds: ['linear', 'direct'],
    build: b => {
      const z = b.node('MatMul', [b.input('x', [BATCH, 3]), b.parameter('w', draw(3, 2), true)])
      return b.node('Mul', [b.node('Add', [z, b.parameter('b', draw(2))]), z])
    },
  },
  'a scaled bias': {
    x: x2,
    kinds: ['linear', 'direct'],
    build: b =>
      b.node('Gemm', [b.input('x', [BATCH, 3]), b.parameter('w', draw(2, 3)), b.parameter('b', draw(2))], { transB: 1,
        beta: 2 }),
  },
  'convolutions with and without their own bias': {
    x: { x: [N, 2, 5, 4] },
    kinds: ['linear', 'linear', 'linear', 'linear'],
    build: b => {
      const first = b.node('Tanh', [
        b.node('Conv', [b.input('x', [BATCH, 2, 5, 4]), b.parameter('w1', draw(3, 2, 3, 2)),
          b.parameter('b1', draw(3))], { pads: [1, 0, 1, 1], strides: [2, 1] }),
      ])
      const second = b.node('Tanh', [
        b.node('Add', [b.node('Conv', [first, b.parameter('w2', draw(4, 3, 2, 2))]), b.parameter('b2', draw(4, 1, 1))]),
      ])
      const third = b.node('Tanh', [b.node('Conv', [second, b.parameter('w3', draw(2, 4, 1, 1))])])
      return b.node('MatMul', [b.node('Flatten', [third]), b.parameter('w4', draw(12, 2), true)])
    },
  },
  'convolutions of merged and of time-major sequences': {
    x: { x: [2, N, 3, 6] },
    kinds: ['linear', 'linear'],
    build: b => {
      const flat = b.node('Reshape', [b.input('x', [2, BATCH, 3, 6]), b.integers([-1, 3, 6])])
      const h = b.node('Tanh', [
        b.node('Conv', [flat, b.parameter('w1', draw(4, 3, 3)), b.parameter('b1', draw(4))], { strides: [2] }),
      ])
      const sum = b.node('ReduceSum', [b.node('Reshape', [h, b.integers([2, -1, 8])]), b.integers([0])], {
        keepdims: 0,
      })
      return b.node('Gemm', [sum, b.parameter('w2', draw(2, 8)), b.parameter('b2', draw(2))], { transB: 1 })
    },
  },
  'convolutions in groups come out as gradients': {
    x: { x: [N, 4, 5] },
    kinds: ['direct', 'direct', 'direct', 'direct'],
    build: b => {
      const depthwise = b.node('Tanh', [
        b.node('Conv', [b.input('x', [BATCH, 4, 5]), b.parameter('w1', draw(4, 1, 3)), b.parameter('b1', draw(4))], {
          group: 4,
          pads: [1, 1],
        }),
      ])
      const groups = b.node('Conv', [depthwise, b.parameter('w2', draw(2, 2, 3)), b.parameter('b2', draw(2))], {
        group: 2,
      })
      return b.node('Flatten', [groups])
    },
  },
  'an embedding': {
    x: {},
    kinds: ['linear', 'direct'],
    build: b => {
      const rows = b.node('Gather', [b.parameter('table', draw(5, 3)),
        b.node('Cast', [b.input('x', [BATCH, 4])], { to: 7 })])
      return b.node('Gemm', [b.node('ReduceMean', [rows, b.integers([1])], { keepdims: 0 }),
        b.parameter('w', draw(2, 3)), b.parameter('b', draw(2))], { transB: 1 })
    },
  },
  'several positions at the output': {
    x: { x: [4, N, 3] },
    kinds: ['linear'],
    build: b =>
      b.node('Add', [b.node('MatMul', [b.input('x', [4, BATCH, 3]), b.parameter('w', draw(3, 2), true)]),
        b.parameter('b', draw(2))]),
  },
}

for (const [name, { build, kinds, x }] of Object.entries(NETWORKS)) {
  t.test(`the factored Jacobian of ${name}`, async t => {
    const builder = new GraphBuilder('float64')
    const output = build(builder)
    const graph = builder.build([output])
    const values = new Map(Object.entries(x).map(([key, shape]) => [key, draw(...shape)] as const))
    if (name === 'an embedding') values.set('x', float64([N, 4], [0, 1, 1, 4, 2, 2, 2, 3, 4, 0, 3, 1]))
    const names = graph.parameters.map(parameter => parameter.name)
    const actual = jacobian(graph, output, values, names, N)
    t.same(actual.kinds, kinds)
    t.ok(relativeDifference(actual.jacobian, differences(graph, output, values, names, N)) < 1e-8, 'all parameters')
    const last = names.slice(-1)
    t.ok(
      relativeDifference(jacobian(graph, output, values, last, N).jacobian,
        differences(graph, output, values, last, N)) < 1e-8,
      'the last parameter alone',
    )
  })
}

t.test('seeds are arbitrary, the forward part runs once and batches of any size fit one program', async t => {
  const { graph, input, output, xTest, expected } = referenceCase('classification-4')
  const names = graph.parameters.map(parameter => parameter.name)
  const program = factorsProgram(graph, output, names, 2)
  t.equal(program.graph.nodes.filter(node => node.op === 'Sigmoid').length, 1)
  const compiled = compileGraph(program.graph, 'float64')
  for (const examples of [5, 1]) {
    const x = float64([examples, 2], xTest.data.slice(0, 2 * examples))
    const seed = draw(2, examples, 4)
    const results = compiled.run(new Map([[input, x], [program.seed, seed]]))
    t.ok(relativeDifference(results.get(program.output)!.data, expected.f.x_test.data.slice(0, 4 * examples)) < 1e-12)
    const all = jacobian(graph, output, new Map([[input, x]]), names, examples).jacobian
    const size = all.length / (4 * examples)
    const mixed = new Float64Array(2 * examples * size)
    for (let n = 0; n < examples; n++) {
      for (let k = 0; k < 2; k++) {
        for (let c = 0; c < 4; c++) {
          for (let p = 0; p < size; p++) {
            mixed[(n * 2 + k) * size + p] += seed.data[(k * examples + n) * 4 + c] * all[(n * 4 + c) * size + p]
          }
        }
      }
    }
    t.ok(relativeDifference(denseJacobian(slotsOf(graph, names), factoredJacobian(program, results)), mixed) < 1e-12)
  }
})

t.test('the diagonal of the reference curvature', async t => {
  for (const name of caseNames()) {
    const { graph, input, output, x, expected } = referenceCase(name)
    const run = expected.runs.find((r: { subset: string, structure: string, curvature: string }) =>
      r.subset === 'all' && r.structure === 'diag' && r.curvature === 'ggn'
    )
    if (run === undefined || expected.likelihood !== 'classification') continue
    const names: string[] = expected.parameters.map((parameter: { name: string }) => parameter.name)
    const examples = x.shape[0]
    const outputs: number = expected.n_outputs
    const { jacobian: rows } = jacobian(graph, output, new Map([[input, x]]), names, examples)
    const f = runGraph(graph, new Map([[input, x]]), 'float64').get(output)!.data
    const size = rows.length / (examples * outputs)
    const diagonal = new Float64Array(size)
    for (let n = 0; n < examples; n++) {
      const e = Array.from({ length: outputs }, (_, c) => Math.exp(f[n * outputs + c]))
      const total = e.reduce((sum, value) => sum + value, 0)
      for (let p = 0; p < size; p++) {
        let mean = 0
        let square = 0
        for (let c = 0; c < outputs; c++) {
          const j = rows[(n * outputs + c) * size + p]
          mean += e[c] / total * j
          square += e[c] / total * j * j
        }
        diagonal[p] += square - mean * mean
      }
    }
    t.ok(relativeDifference(diagonal, run.H.diag.data ?? run.H.diag) < 1e-9, name)
  }
})

t.test('what cannot be differentiated is named', async t => {
  const b = new GraphBuilder('float64')
  const x = b.node('Mul', [b.input('x', [BATCH, 3]), b.parameter('w', draw(3))])
  const y = b.node('Cast', [x], { to: 7 })
  const graph = b.build([y])
  t.throws(() => factorsProgram(graph, y, ['w'], 1), { code: 'NOT_DIFFERENTIABLE', message: /int64/ })
  t.throws(() => factorsProgram(b.build([x]), x, ['v'], 1), { code: 'BAD_GRAPH',
    message: /no parameter 'v'; it has w/ })
})

t.test('an output that is the same for all examples is refused', async t => {
  const b = new GraphBuilder('float64')
  b.input('x', [BATCH, 3])
  const y = b.node('Tanh', [b.parameter('w', draw(3))])
  t.throws(() => factorsProgram(b.build([y]), y, ['w'], 1), { code: 'BATCH_AXIS' })
})

t.test('names of the network are kept apart from those of the program', async t => {
  const b = new GraphBuilder('float64')
  const y = b.node('Mul', [b.input('seed', [BATCH, 3]), b.parameter('reshape', tensor('float64', [3], [1, 2, 3]))])
  const program = factorsProgram(b.build([y]), y, ['reshape'], 1)
  t.not(program.seed, 'seed')
  const results = runGraph(program.graph, new Map([['seed', draw(2, 3)], [program.seed, draw(1, 2, 3)]]), 'float64')
  t.equal(factoredJacobian(program, results).examples, 2)
})
