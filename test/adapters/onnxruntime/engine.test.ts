/** @file The ONNX Runtime engine against the embedded one. */
import type { InferenceSession } from 'onnxruntime-node'
import t from 'tap'
import { onnxRuntimeEngine } from '../../../adapters/onnxruntime/engine.js'
import { splitAtInput } from '../../../adapters/onnxruntime/split-graph.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { factorsProgram } from '../../../core/programs/factors-program.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { laplace } from '../../../index.js'
import { relativeDifference } from '../../support/compare.js'
import { referenceCase } from '../../support/reference-case.js'

type SessionOptions = InferenceSession.SessionOptions

for (const name of ['classification-4', 'regression-multi', 'multilabel', 'binary', 'digits', 'deep', 'residual',
  'sequence']) {
  const { graph, x, y, xTest, expected } = referenceCase(name)
  const structure = name === 'digits' ? 'kron' : 'full'
  for (const subset of ['last_layer', 'all'] as const) {
    t.test(`${name}, ${subset}`, async t => {
      const options = { likelihood: expected.likelihood, subset, structure, priorPrecision: 1 } as const
      const own = await laplace(graph, { ...options, engine: 'typescript' }).fit(x, y)
      // ONNX Runtime has no Softplus and no Erf in float64.
      const precisions = ([['float64', 1e-10], ['float32', 1e-4]] as const).filter(([precision]) =>
        !['multilabel', 'residual'].includes(name) || precision === 'float32'
      )
      for (const [precision, tolerance] of precisions) {
        const other = await laplace(graph, { ...options, engine: 'onnxruntime', precision }).fit(x, y)
        t.equal(other.summary().engine, 'onnxruntime')
        const difference = relativeDifference((await other.predict(xTest)).variance.data,
          (await own.predict(xTest)).variance.data)
        t.ok(difference < tolerance, `${precision}: ${difference.toExponential(1)}`)
        t.ok(Math.abs(other.logMarginalLikelihood() / own.logMarginalLikelihood() - 1) < tolerance,
          `${precision}: evidence`)
      }
    })
  }
}

t.test('an operator that ONNX Runtime lacks in float64 is named', async t => {
  const { graph, x, y } = referenceCase('multilabel')
  await t.rejects(laplace(graph, { likelihood: 'multilabel', engine: 'onnxruntime' }).fit(x, y), {
    code: 'UNSUPPORTED_OPERATOR',
    message: /Softplus/,
    data: { op: 'Softplus' },
  })
})

t.test('a program is cut at its deferred input', t => {
  const { graph, output } = referenceCase('classification-4')
  const program = factorsProgram(graph, output, graph.parameters.map(parameter => parameter.name), 4)
  const { before, after } = splitAtInput(program.graph, program.seed)
  t.ok(before.inputs.every(input => input.name !== program.seed))
  t.ok(after.inputs.some(input => input.name === program.seed))
  t.equal(before.nodes.length + after.nodes.length, program.graph.nodes.length)
  t.end()
})

t.test('convolutions over all weights', async t => {
  const { graph, x, y, xTest } = referenceCase('cnn')
  for (const structure of ['kron', 'diag', 'full'] as const) {
    const options = { likelihood: 'classification', subset: 'all', structure, priorPrecision: 1,
      precision: 'float32' } as const
    const own = await laplace(graph, { ...options, engine: 'typescript' }).fit(x, y)
    const other = await laplace(graph, { ...options, engine: 'onnxruntime' }).fit(x, y)
    t.equal(other.summary().engine, 'onnxruntime')
    t.ok(
      relativeDifference((await other.predict(xTest)).variance.data, (await own.predict(xTest)).variance.data) < 1e-4,
      structure,
    )
  }
})

t.test('a package that reads no weights from memory is given them in the file', async t => {
  const runtime = await import('onnxruntime-node').then(module => module.default ?? module)
  const given: boolean[] = []
  const older = { ...runtime, InferenceSession: { create: async (bytes: Uint8Array, options: SessionOptions) => {
    const { externalData, ...rest } = options
    given.push(externalData !== undefined)
    return runtime.InferenceSession.create(bytes, rest)
  } } }
  const b = new GraphBuilder('float32')
  const weights = Float32Array.from({ length: 2048 }, (_, i) => Math.sin(i))
  const graph = b.build([
    b.node('MatMul', [b.input('x', [BATCH, 32]), b.constant(tensor('float32', [32, 64], weights), 'w')]),
  ])
  const x = new Map([['x', tensor('float32', [3, 32], Float32Array.from({ length: 96 }, (_, i) => Math.cos(i)))]])
  const output = async (load: () => Promise<unknown>): Promise<number[]> => {
    const program = await (await onnxRuntimeEngine({ threads: 1, load })).compile(graph, 'float32')
    return Array.from((await program.run(x)).get(graph.outputs[0])?.data ?? [])
  }
  const [first, second] = [await output(async () => older), await output(async () => runtime)]
  t.strictSame(given, [true, false])
  t.equal(first.length, 192)
  t.strictSame(first, second)
})
