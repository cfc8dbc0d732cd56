/**
 * @file The variance of the outputs by the kernels, by a graph of the same formulas and by the definition J P^-1 J'
 * with a Jacobian that is written out, on random networks and posteriors.
 */
import fc from 'fast-check'
import t from 'tap'
import type { Curvature, KronBlock } from '../../../core/curvature/curvature.js'
import { denseJacobian } from '../../../core/curvature/jacobian.js'
import { lastLayerJacobian } from '../../../core/curvature/last-layer.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { laplace } from '../../../core/index.js'
import type { ParameterSlot } from '../../../core/network/parameter-slot.js'
import type { WeightedBlock } from '../../../core/posterior/eigen-block.js'
import { blockVariance, factorVariance, lastLayerBlockVariance,
  lastLayerFullVariance } from '../../../core/posterior/functional-variance.js'
import { lastLayerVariance, outputMoments } from '../../../core/posterior/posterior-parts.js'
import type { StructuredPosterior } from '../../../core/posterior/posterior.js'
import { structuredPosterior } from '../../../core/posterior/structured.js'
import { narrowed, type VarianceKind } from '../../../core/posterior/variance-kind.js'
import type { DirectGradient, LinearPair, UsesOf } from '../../../core/posterior/variance-operations.js'
import type { FactoredJacobian } from '../../../core/programs/factored-jacobian.js'
import { factoredJacobian, type FactorsProgram, factorsProgram } from '../../../core/programs/factors-program.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { type Draw, drawer, mixedNetworks, perceptron } from '../../support/random-network.js'
import { graphOperations } from './graph-operations.js'

const KINDS = ['diagonal', 'covariance'] as const
const SUM_STRUCTURES = ['kron', 'thin kron', 'diag', 'full'] as const
const N = 5

/** A symmetric positive definite matrix. */
function spd(draw: Draw, size: number): Float64Array {
  const root = draw(size, size).data
  return Float64Array.from({ length: size * size }, (_, at) => {
    const [i, j] = [Math.floor(at / size), at % size]
    let sum = i === j ? 0.1 : 0
    for (let k = 0; k < size; k++) sum += root[i * size + k] * root[j * size + k]
    return sum
  })
}

/** The outer product of a vector: as an input's factor after one row. */
function rankOne(draw: Draw, size: number): Float64Array {
  const row = draw(size).data
  return Float64Array.from({ length: size * size }, (_, at) => row[Math.floor(at / size)] * row[at % size])
}

/** Random curvature; a bias has its weight's B, so that the two share an eigenbasis, unless `ownBases`. */
function randomCurvature(draw: Draw, slots: readonly ParameterSlot[], structure: (typeof SUM_STRUCTURES)[number],
  ownBases: boolean): Curvature {
  const size = slots.reduce((sum, slot) => sum + slot.size, 0)
  if (structure === 'full') return { structure, size, matrix: spd(draw, size) }
  if (structure === 'diag') {
    return { structure, size, diagonal: Float64Array.from(draw(size).data, value => value * value) }
  }
  const blocks: KronBlock[] = []
  const thin = structure === 'thin kron'
  slots.forEach(({ name, shape }, i) => {
    const before = blocks[i - 1]
    const shared = shape.length === 1 && before?.kind === 'weight' && before.out === shape[0] && !ownBases
    const B = shared ? before.B.slice() : spd(draw, shape[0])
    blocks.push(shape.length === 2
      ? { kind: 'weight', name, out: shape[0], in: shape[1], B, A: (thin ? rankOne : spd)(draw, shape[1]),
        rows: thin ? 1 : 40 }
      : { kind: 'dense', name, out: shape[0], B })
  })
  return { structure: 'kron', size, blocks }
}

function randomPosterior(draw: Draw, slots: readonly ParameterSlot[], structure: (typeof SUM_STRUCTURES)[number],
  ownBases = false): StructuredPosterior {
  const curvature = randomCurvature(draw, slots, structure, ownBases)
  const priorPrecision = Float64Array.from(draw(slots.length).data, value => 0.5 + value * value)
  return structuredPosterior(curvature, slots, new Float64Array(curvature.size), { priorPrecision })
}

function slotsOf(parameters: readonly { readonly name: string, readonly shape: readonly number[] }[]): ParameterSlot[] {
  let offset = 0
  return parameters.map(({ name, shape }) => {
    const size = shape.reduce((a, b) => a * b, 1)
    offset += size
    return { name, shape, size, offset: offset - size }
  })
}

/** J P^-1 J' of every example, by the definition. */
function definition(posterior: StructuredPosterior, jacobian: FactoredJacobian, kind: VarianceKind): number[] {
  const { seeds, examples } = jacobian
  const { size } = posterior
  const rows = denseJacobian(posterior.slots, jacobian)
  const images = posterior.covarianceTimes(rows, examples * seeds)
  const result: number[] = []
  for (let n = 0; n < examples; n++) {
    for (let c = 0; c < seeds; c++) {
      for (let d = 0; d < seeds; d++) {
        if (kind === 'diagonal' && c !== d) continue
        let sum = 0
        for (let i = 0; i < size; i++) sum += rows[(n * seeds + c) * size + i] * images[(n * seeds + d) * size + i]
        result.push(sum)
      }
    }
  }
  return result
}

function oneHot(outputs: number): Tensor {
  const seeds = float64([outputs, N, outputs], new Float64Array(outputs * N * outputs))
  for (let c = 0; c < outputs; c++) for (let n = 0; n < N; n++) seeds.data[(c * N + n) * outputs + c] = 1
  return seeds
}

/** The factors of a program by the names of its outputs; parameters are numbered as in a factored Jacobian. */
function namedFactors({ parameters, factors }: FactorsProgram): (LinearPair<string> | DirectGradient<string>)[] {
  const indexOf = (name: string | undefined): number => name === undefined ? -1 : parameters.indexOf(name)
  return factors.map(factor =>
    factor.kind === 'direct'
      ? { ...factor, parameter: indexOf(factor.parameter) }
      : { ...factor, weight: indexOf(factor.weight), bias: indexOf(factor.bias) }
  )
}

function usesOf(slots: readonly ParameterSlot[],
  factors: readonly (LinearPair<string> | DirectGradient<string>)[]): UsesOf<string>[] {
  return slots.map((_, slot) => ({
    slot,
    asWeight: factors.filter(factor => factor.kind === 'linear').filter(({ weight }) => weight === slot),
    asBias: factors.filter(factor => factor.kind === 'linear').filter(({ bias }) => bias === slot),
    direct: factors.filter(factor => factor.kind === 'direct').filter(({ parameter }) => parameter === slot),
  }))
}

/** The variances by a graph that goes from the inputs of the network to them. */
function byGraph(program: FactorsProgram, posterior: StructuredPosterior, kind: VarianceKind,
  inputs: ReadonlyMap<string, Tensor>): ArrayLike<number> {
  const { slots } = posterior
  const b = GraphBuilder.from(program.graph, 'float64')
  const ops = graphOperations(b, program.outputs, kind)
  const parts = posterior.parts()
  const factors = namedFactors(program)
  if (parts.kind !== 'factors' && parts.kind !== 'blocks') throw new Error('A sum over data was expected.')
  const variance = parts.kind === 'factors'
    ? factorVariance(ops, parts.blocks, slots, factors)
    : blockVariance(ops, parts.blocks, slots, usesOf(slots, factors))
  return runGraph(b.build([variance]), inputs, 'float64').get(variance)!.data
}

for (const [name, network] of Object.entries(mixedNetworks)) {
  for (const structure of SUM_STRUCTURES) {
    t.test(`all weights, ${structure}: ${name}`, async t => {
      const draw = drawer(11)
      const { graph, x, outputs } = network(draw)
      const program = factorsProgram(graph, graph.outputs[0], graph.parameters.map(parameter => parameter.name),
        outputs)
      const inputs = new Map([['x', x], [program.seed, oneHot(outputs)]])
      const jacobian = factoredJacobian(program, runGraph(program.graph, inputs, 'float64'))
      for (const ownBases of [false, true]) {
        const posterior = randomPosterior(draw, slotsOf(graph.parameters), structure, ownBases)
        for (const kind of KINDS) {
          const variance = outputMoments(posterior.parts(), posterior.slots, jacobian, kind).variance
          t.ok(relativeDifference(variance, definition(posterior, jacobian, kind)) < 1e-12, `${kind}: definition`)
          t.ok(relativeDifference(byGraph(program, posterior, kind, inputs), variance) < 1e-12, `${kind}: graph`)
        }
        const [sums, whole] = (['sums', 'covariance'] as const).map(kind =>
          outputMoments(posterior.parts(), posterior.slots, jacobian, kind).variance
        )
        t.ok(relativeDifference(sums, narrowed(whole, 'covariance', 'sums', outputs)) < 1e-12, 'variances and row sums')
      }
    })
  }
}

/** A last layer of `outputs` classes on 4 features, with or without a bias. */
function lastLayerSlots(outputs: number, bias: boolean): ParameterSlot[] {
  return slotsOf([{ name: 'w', shape: [outputs, 4] }, ...(bias ? [{ name: 'b', shape: [outputs] }] : [])])
}

/** The same by a graph from the features. */
function lastLayerByGraph(posterior: StructuredPosterior, features: Tensor, outputs: number,
  kind: VarianceKind): ArrayLike<number> {
  const b = new GraphBuilder('float64')
  const phi = b.node('Reshape', [b.input('phi', [BATCH, 4]), b.integers([0, 1, 4])])
  const ops = graphOperations(b, outputs, kind)
  const parts = posterior.parts()
  const variance = parts.kind === 'blocks'
    ? lastLayerBlockVariance(ops, parts.blocks, posterior.slots, phi)
    : lastLayerFullVariance(ops, covarianceOf(posterior), posterior.slots, phi)
  return runGraph(b.build([variance]), new Map([['phi', features]]), 'float64').get(variance)!.data
}

function covarianceOf(posterior: StructuredPosterior): Float64Array {
  const identity = Float64Array.from({ length: posterior.size ** 2 }, (_, i) => i % (posterior.size + 1) === 0 ? 1 : 0)
  return posterior.covarianceTimes(identity, posterior.size)
}

for (const structure of SUM_STRUCTURES) {
  // 3 and 6 outputs have 6 and 21 pairs: fewer and more than are multiplied one by one.
  for (const outputs of [1, 3, 6]) {
    t.test(`last layer, ${structure}: ${outputs} outputs`, async t => {
      const draw = drawer(5)
      const features = draw(N, 4)
      for (const [bias, ownBases] of [[false, false], [true, false], [true, true]]) {
        const slots = lastLayerSlots(outputs, bias)
        const posterior = randomPosterior(draw, slots, structure, ownBases)
        for (const kind of KINDS) {
          const wanted = definition(posterior, lastLayerJacobian(slots, features.data as Float64Array, N), kind)
          const variance = posterior.lastLayerVariance(features.data as Float64Array, N, kind)
          const label = `${kind}, ${bias ? ownBases ? 'bias in its own basis' : 'bias' : 'no bias'}`
          t.ok(relativeDifference(variance, wanted) < 1e-12, `${label}: definition`)
          t.ok(relativeDifference(lastLayerByGraph(posterior, features, outputs, kind), variance) < 1e-12,
            `${label}: graph`)
          const single = posterior.lastLayerVariance(Float32Array.from(features.data), N, kind)
          t.ok(relativeDifference(single, wanted) < 1e-5, `${label}: float32 features`)
        }
        const [sums, whole] = (['sums', 'covariance'] as const).map(kind =>
          posterior.lastLayerVariance(features.data as Float64Array, N, kind)
        )
        t.ok(relativeDifference(sums, narrowed(whole, 'covariance', 'sums', outputs)) < 1e-12, 'variances and row sums')
      }
    })
  }
}

t.test('variances outlast the evaluation that made them', async t => {
  const draw = drawer(3)
  const slots = lastLayerSlots(3, true)
  const features = [draw(N, 4), draw(N, 4)].map(tensor => tensor.data as Float64Array)
  for (const structure of SUM_STRUCTURES) {
    const posterior = randomPosterior(draw, slots, structure)
    const jacobians = features.map(phi => lastLayerJacobian(slots, phi, N))
    // Twice, as the arena grows to what the evaluation before needed.
    for (const kind of [...KINDS, ...KINDS]) {
      const first = [posterior.lastLayerVariance(features[0], N, kind),
        outputMoments(posterior.parts(), slots, jacobians[0], kind).variance]
      const copies = first.map(values => values.slice())
      posterior.lastLayerVariance(features[1], N, kind)
      outputMoments(posterior.parts(), slots, jacobians[1], kind).variance
      t.same(first, copies, `${structure}, ${kind}`)
    }
  }
})

t.test('a layer by its factors and by its features alone has one variance', async t => {
  const draw = drawer(8)
  const slots = lastLayerSlots(4, true)
  const features = draw(N, 4).data as Float64Array
  for (const structure of SUM_STRUCTURES) {
    const posterior = randomPosterior(draw, slots, structure)
    for (const kind of KINDS) {
      t.ok(
        relativeDifference(
          outputMoments(posterior.parts(), slots, lastLayerJacobian(slots, features, N), kind).variance,
          posterior.lastLayerVariance(features, N, kind),
        ) < 1e-12,
        `${structure}, ${kind}`,
      )
    }
  }
})

t.test('an operator without inputs has the variance of its bias alone', async t => {
  const slots = slotsOf([{ name: 'w', shape: [2, 0] }, { name: 'b', shape: [2] }])
  const block = (inputs: number,
    variance: number[]): WeightedBlock[] => [{ out: 2, in: inputs, left: undefined, right: undefined,
    values: new Float64Array(variance.length), variance: Float64Array.from(variance) }]
  const parts = { kind: 'blocks', blocks: [block(0, []), block(1, [2, 3])] } as const
  t.same([...lastLayerVariance(parts, slots, new Float64Array(0), 2, 'diagonal')], [2, 3, 2, 3])
})

t.test('a weight with leading axes of one has the variances of the matrix that it is', async t => {
  const build = (lead: readonly number[]): Graph => {
    const draw = drawer(9)
    const b = new GraphBuilder('float64')
    const [x, [first, second]] = [b.input('x', [BATCH, 4]), [draw(6, 4), draw(3, 6)]]
    const w = b.parameter('w', { ...first, shape: [...lead, ...first.shape] })
    const h = b.node('Squeeze', [b.node('MatMul', [w, b.node('Unsqueeze', [x, b.integers([2])])]), b.integers([2])])
    return b.build([b.node('Gemm', [b.node('Tanh', [h]), b.parameter('v', second)], { transB: 1 })])
  }
  const [x, y] = [drawer(10)(N, 4), float64([N], [0, 1, 2, 1, 0])]
  for (const structure of ['full', 'kron', 'diag'] as const) {
    const [plain, led] = await Promise.all([build([]), build([1])].map(async graph => {
      const fit = laplace(graph, { likelihood: 'classification', subset: 'all', structure, priorPrecision: 1 })
      return (await (await fit.fit(x, y)).predict(x, { uncertainty: false })).variance.data
    }))
    t.ok(relativeDifference(led, plain) < 1e-12, structure)
  }
})

/** Sizes of a small network, the number of examples, and a seed. */
const settings = fc.record({ inputs: fc.integer({ min: 1, max: 4 }), hidden: fc.integer({ min: 1, max: 5 }),
  outputs: fc.integer({ min: 2, max: 4 }), n: fc.integer({ min: 1, max: 9 }), seed: fc.nat(1e6) })

t.test('variances are the diagonals of the covariances, to the last bit', async t => {
  await fc.assert(
    fc.asyncProperty(settings, fc.constantFrom('all', 'last_layer'), fc.constantFrom('full', 'kron', 'diag'),
      async ({ inputs, hidden, outputs, n, seed }, subset, structure) => {
        const draw = drawer(seed)
        const [x, y] = [draw(n, inputs), float64([n], Array.from({ length: n }, (_, i) => (i * 7 + 3) % outputs))]
        const graph = perceptron(draw, inputs, hidden, outputs, 'Tanh')
        const posterior = await laplace(graph, { subset, structure, priorPrecision: 1, likelihood: 'classification' })
          .fit(x, y)
        const [short, long] = [await posterior.predict(x, { uncertainty: false }),
          await posterior.predict(x, { uncertainty: false, covariance: true })]
        return short.variance.data.every((value, i) => value === long.variance.data[i]) &&
          short.probabilities?.data.every((value, i) => value === long.probabilities?.data[i]) === true
      }),
    { numRuns: 60, seed: 20 },
  )
  t.pass()
})
