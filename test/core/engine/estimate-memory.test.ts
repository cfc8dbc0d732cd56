import t from 'tap'
import { estimateMemory } from '../../../core/engine/estimate-memory.js'
import { compileGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, concreteShape } from '../../../core/graph/graph.js'
import { factorsProgram } from '../../../core/programs/factors-program.js'
import { float64, sizeOf, type Tensor } from '../../../core/tensor/tensor.js'
import { caseNames, referenceCase } from '../../support/reference-case.js'

t.test('the estimate equals what a run holds at once', async t => {
  const n = 37
  for (const name of caseNames()) {
    const { graph, output } = referenceCase(name)
    const program = factorsProgram(graph, output, graph.parameters.map(parameter => parameter.name), 2)
    for (const candidate of [graph, program.graph]) {
      const compiled = compileGraph(candidate, 'float64')
      compiled.run(new Map(candidate.inputs.map(({ name: input, shape }) => {
        const extents = concreteShape(shape, n)
        return [input, float64(extents, new Float64Array(sizeOf(extents)))]
      })))
      const estimate = estimateMemory(candidate, n, 'float64')
      // A free buffer may be taken for a somewhat smaller value.
      t.ok(estimate <= compiled.peakBytes() && compiled.peakBytes() <= 1.2 * estimate,
        `${name}: ${estimate} estimated, ${compiled.peakBytes()} used`)
    }
  }
})

t.test('storage that operators need for themselves is counted', async t => {
  const weight = (...shape: number[]): Tensor => float64(shape, new Float64Array(sizeOf(shape)))
  const networks: Record<string, (b: GraphBuilder) => string> = {
    Conv: b => b.node('Conv', [b.input('x', [BATCH, 8, 12, 12]), b.constant(weight(4, 8, 3, 3))]),
    'Conv in groups': b =>
      b.node('Conv', [b.input('x', [BATCH, 8, 12, 12]), b.constant(weight(4, 2, 3, 3))], { group: 4 }),
    'Conv channel by channel': b =>
      b.node('Conv', [b.input('x', [BATCH, 8, 12, 12]), b.constant(weight(8, 1, 3, 3))], { group: 8 }),
    ConvTranspose: b => b.node('ConvTranspose', [b.input('x', [BATCH, 8, 12, 12]), b.constant(weight(8, 4, 3, 3))]),
    LSTM: b =>
      b.nodeOutputs('LSTM', [b.input('x', [40, BATCH, 3]), b.constant(weight(1, 64, 3)), b.constant(weight(1, 64, 16))],
        3)[0],
    GRU: b =>
      b.nodeOutputs('GRU', [b.input('x', [40, BATCH, 3]), b.constant(weight(1, 48, 3)), b.constant(weight(1, 48, 16))],
        2)[0],
    Einsum: b =>
      b.node('Einsum', [b.input('x', [BATCH, 20, 4, 8]), b.input('z', [BATCH, 20, 4, 8])], {
        equation: 'nqhd,nkhd->nhqk',
      }),
  }
  for (const [name, build] of Object.entries(networks)) {
    const builder = new GraphBuilder('float64')
    const graph = builder.build([build(builder)])
    const compiled = compileGraph(graph, 'float64')
    compiled.run(new Map(graph.inputs.map(input => [input.name, weight(...concreteShape(input.shape, 11))])))
    const estimate = estimateMemory(graph, 11, 'float64')
    t.ok(estimate >= 0.99 * compiled.peakBytes() && estimate <= 1.2 * compiled.peakBytes(),
      `${name}: ${estimate} estimated, ${compiled.peakBytes()} used`)
  }
})
