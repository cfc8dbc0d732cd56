/**
 * @file Subset last_layer of networks that do not end in W phi + b: variances equal those of a Jacobian by central
 * differences, solved densely; and the choice of parameters by names, globs and indices.
 */
import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Dim, type Graph } from '../../../core/graph/graph.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { memoryTable } from '../../../core/laplace/network-summary.js'
import { float64, sizeOf, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { uniform } from '../ops/check-derivative.js'

const random = uniform(11)
const draw = (...shape: number[]): Tensor =>
  float64(shape, Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1))

/** A network, the parameters of its last layer, and a name for that layer where it is not the last of all. */
interface Example {
  readonly graph: Graph
  readonly head: readonly string[]
  readonly name?: string
}

function build(shape: readonly number[], end: (b: GraphBuilder, h: string) => string | string[]): Graph {
  const b = new GraphBuilder('float64')
  const dims: Dim[] = [BATCH, ...shape]
  const output = end(b, b.node('Tanh', [b.input('x', dims)]))
  return b.build(typeof output === 'string' ? [output] : output)
}

const dense = (b: GraphBuilder, h: string, name = ''): string =>
  b.node('Gemm', [h, b.parameter(`${name}w`, draw(2, 3)), b.parameter(`${name}b`, draw(2))], { transB: 1 })

const EXAMPLES: Readonly<Record<string, Example>> = {
  'a bias as a row': { head: ['w', 'b'],
    graph: build([3],
      (b, h) =>
        b.node('Add', [b.node('MatMul', [h, b.parameter('w', draw(3, 2), true)]), b.parameter('b', draw(1, 2))])) },
  'a weight on the left and a bias as a column': { head: ['w', 'b'], graph: build([3], (b, h) => {
    const column = b.node('MatMul', [b.parameter('w', draw(2, 3)), b.node('Transpose', [h], { perm: [1, 0] })])
    return b.node('Transpose', [b.node('Add', [column, b.parameter('b', draw(2, 1))])], { perm: [1, 0] })
  }) },
  'logits over a temperature': { head: ['w', 'b'],
    graph: build([3], (b, h) => b.node('Div', [dense(b, h), b.scalar(2.5)])) },
  'alpha and beta': { head: ['w', 'b'],
    graph: build([3],
      (b, h) =>
        b.node('Gemm', [h, b.parameter('w', draw(2, 3)), b.parameter('b', draw(2))], { transB: 1, alpha: 0.5,
          beta: 3 })) },
  "a constant as Gemm's third input": { head: ['w'],
    graph: build([3],
      (b, h) => b.node('Gemm', [h, b.parameter('w', draw(2, 3)), b.constant(draw(2))], { transB: 1 })) },
  'weight norm': { head: ['g', 'v', 'b'], graph: build([3], (b, h) => {
    const [g, v] = [b.parameter('g', draw(2, 1)), b.parameter('v', draw(2, 3))]
    const norm = b.node('ReduceL2', [v, b.integers([1])], { keepdims: 1 })
    const w = b.node('Mul', [v, b.node('Div', [g, norm])])
    const product = b.node('MatMul', [h, b.node('Transpose', [w], { perm: [1, 0] })])
    return b.node('Add', [product, b.parameter('b', draw(2))])
  }) },
  'pool, 1 x 1 convolution, flatten': { head: ['w', 'b'], graph: build([3, 2, 2], (b, h) => {
    const pooled = b.node('GlobalAveragePool', [h])
    return b.node('Flatten', [b.node('Conv', [pooled, b.parameter('w', draw(2, 3, 1, 1)), b.parameter('b', draw(2))])])
  }) },
  'convolution, ReLU, pool': { head: ['w', 'b'], graph: build([3, 2, 2], (b, h) => {
    const first = b.node('Conv', [h, b.parameter('first', draw(3, 3, 1, 1))])
    const conv = b.node('Conv', [first, b.parameter('w', draw(2, 3, 1, 1)), b.parameter('b', draw(2))])
    return b.node('Flatten', [b.node('GlobalAveragePool', [b.node('Relu', [conv])])])
  }) },
  'two layers side by side': { head: ['w', 'b', 'right.w', 'right.b'],
    graph: build([3], (b, h) => b.node('Add', [dense(b, h), b.node('Tanh', [dense(b, h, 'right.')])])) },
  'a weight that is used before it too': { head: ['w'], graph: build([2], (b, h) => {
    const w = b.parameter('w', draw(2, 2))
    const code = b.node('Tanh', [b.node('Gemm', [h, w], { transB: 1 })])
    return b.node('Gemm', [code, w], { transB: 1 })
  }) },
  'a layer by its name': { head: ['body.w', 'body.b'], name: 'body', graph: build([3], (b, h) => {
    const hidden = b.node('Tanh', [dense(b, h, 'body.')])
    return b.node('MatMul', [hidden, b.parameter('end.w', draw(2, 2), true)])
  }) },
  'a head by its layer': { head: ['right.w', 'right.b'], name: 'right',
    graph: build([3], (b, h) => [dense(b, h, 'left.'), dense(b, h, 'right.')]) },
}

/** diag(J (J'J + I)^-1 J') with J by central differences: the posterior of a regression with noise and prior 1. */
function expectedVariance({ graph, head }: Example, output: string, x: Tensor): Float64Array {
  const examples = x.shape[0]
  const f = (changed: Graph): Tensor['data'] => runGraph(changed, new Map([['x', x]]), 'float64').get(output)!.data
  const columns = head.flatMap(name => {
    const value = graph.initializers.get(name)!
    return Array.from(value.data, (_, i) => {
      const at = (step: number): Tensor['data'] => {
        const data = Float64Array.from(value.data)
        data[i] += step
        return f({ ...graph, outputs: [output],
          initializers: new Map([...graph.initializers, [name, { ...value, data }]]) })
      }
      const [up, down] = [at(1e-5), at(-1e-5)]
      return Array.from(up, (high, k) => (Number(high) - Number(down[k])) / 2e-5)
    })
  })
  const size = columns.length
  const precision = columns.map((a, i) =>
    columns.map((b, j) => a.reduce((sum, value, k) => sum + value * b[k], i === j ? 1 : 0))
  )
  return Float64Array.from({ length: 2 * examples }, (_, k) => {
    const row = columns.map(column => column[k])
    const solution = solve(precision.map((line, i) => [...line, row[i]]))
    return row.reduce((sum, value, i) => sum + value * solution[i], 0)
  })
  function solve(lines: number[][]): number[] {
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        if (j === i) continue
        const factor = lines[j][i] / lines[i][i]
        for (let k = i; k <= size; k++) lines[j][k] -= factor * lines[i][k]
      }
    }
    return lines.map((line, i) => line[size] / line[i])
  }
}

const FIXED = { likelihood: 'regression', priorPrecision: 1, sigmaNoise: 1, subset: 'last_layer' } as const

for (const [title, example] of Object.entries(EXAMPLES)) {
  t.test(`last layer: ${title}`, async t => {
    const { graph, head, name } = example
    const output = graph.outputs[graph.outputs.length - 1]
    const [x, y] = [draw(7, ...graph.inputs[0].shape.slice(1) as number[]), draw(7, 2)]
    const named = name === undefined ? {} : { lastLayerName: name }
    const fitted = await laplace(graph, { ...FIXED, structure: 'full', ...named }).fit(x, y)
    const expected = expectedVariance(example, output, x)
    t.same(fitted.summary().parameters.map(parameter => parameter.name), head)
    t.equal(fitted.subset, 'last_layer')
    const { variance } = await fitted.predict(x)
    t.ok(relativeDifference(variance!.data as Float64Array, expected) < 1e-6, 'full')
    const again = await loadPosterior(fitted.save()).predict(x)
    t.same(again.variance!.data, variance!.data, 'saved')
    const restricted = graph.outputs.length > 1 ? { output } : {}
    for (const structure of ['kron', 'diag', 'full'] as const) {
      const last = await laplace(graph, { ...FIXED, structure, ...named }).fit(x, y)
      const all = await laplace(graph, { ...FIXED, subset: 'all', structure, parameters: head, ...restricted })
        .fit(x, y)
      t.ok(
        relativeDifference((await last.predict(x)).variance!.data as Float64Array,
          (await all.predict(x)).variance!.data as Float64Array) < 1e-9,
        `${structure} as all, restricted`,
      )
    }
    const tuned = await laplace(graph, { likelihood: 'regression', subset: 'last_layer', ...named }).fit(x, y)
    t.equal(tuned.subset, 'last_layer', 'tuned')
    if (name === undefined) t.ok(memoryTable(graph).some(({ subset }) => subset === 'last_layer'), 'memory')
  })
}

t.test('a name that no layer has, a frozen last layer', t => {
  const { graph } = EXAMPLES['a layer by its name']
  t.throws(() => laplace(graph, { ...FIXED, lastLayerName: 'bdy' }), { code: 'BAD_OPTION', message: /'body\.w'/ })
  t.throws(() => laplace(graph, { ...FIXED, freeze: 'end.*' }), { code: 'NO_LAST_LAYER', message: /frozen/ })
  t.throws(() => laplace(graph, { likelihood: 'regression', subset: 'all', lastLayerName: 'body' }), {
    code: 'BAD_COMBINATION',
  })
  t.end()
})

t.test('parameters and freeze: names, globs, indices', async t => {
  const { graph } = EXAMPLES['a layer by its name']
  const [x, y] = [draw(5, 3), draw(5, 2)]
  const names = async (options: object): Promise<string[]> =>
    (await laplace(graph, { ...FIXED, subset: 'all', structure: 'full', ...options }).fit(x, y)).summary().parameters
      .map(({ name }) => name)
  t.same(await names({ freeze: 'body.*' }), ['end.w'])
  t.same(await names({ freeze: ['body.?', 0] }), ['end.w'])
  t.same(await names({ freeze: [1, 'end.w'] }), ['body.w'])
  t.same(await names({ parameters: ['end.w', 'body.w'] }), ['end.w', 'body.w'], 'in the order given')
  t.same(await names({ parameters: '*.w', freeze: 'end*' }), ['body.w'])
  for (const [option, message] of [[{ freeze: '*' }, /leaves no parameter/], [{ freeze: 'bod.w' }, /mean 'body\.w'/], [{
    parameters: 7,
  }, /from 0 to 2/], [{ parameters: 'x*' }, /no real tensor/]] as const) {
    await t.rejects(names(option), { code: 'BAD_OPTION', message })
  }
})

t.test('a real tensor that was taken for a constant becomes a parameter', async t => {
  const b = new GraphBuilder('float64')
  const scaled = b.node('Mul', [dense(b, b.input('x', [BATCH, 3])),
    b.constant(tensor('float64', [2], [2, 3]), 'scale')])
  const graph = b.build([scaled])
  const fitted = await laplace(graph, { ...FIXED, subset: 'all', structure: 'full', parameters: ['scale', 'w'] })
    .fit(draw(5, 3), draw(5, 2))
  t.same(fitted.summary().parameters.map(({ name }) => name), ['scale', 'w'])
})
