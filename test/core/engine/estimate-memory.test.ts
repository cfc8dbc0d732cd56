import t from 'tap'
import { estimateMemory } from '../../../core/engine/estimate-memory.js'
import { compileGraph } from '../../../core/engine/typescript.js'
import { factorsProgram } from '../../../core/graph/differentiate.js'
import { concreteShape } from '../../../core/graph/graph.js'
import { isSupported } from '../../../core/ops/registry.js'
import { float64, sizeOf } from '../../../core/tensor.js'
import { caseNames, referenceCase } from '../../support/reference-case.js'

t.test('the estimate equals what a run holds at once', async t => {
  const n = 37
  for (const name of caseNames()) {
    const { graph, output } = referenceCase(name)
    if (!graph.nodes.every(node => isSupported(node.op))) continue
    const program = factorsProgram(graph, output, graph.parameters.map(parameter => parameter.name), 2)
    for (const candidate of [graph, program.graph]) {
      const compiled = compileGraph(candidate, 'float64')
      compiled.run(new Map(candidate.inputs.map(({ name: input, shape }) => {
        const extents = concreteShape(shape, n)
        return [input, float64(extents, new Float64Array(sizeOf(extents)))]
      })))
      const estimate = estimateMemory(candidate, n, 'float64')
      // A free buffer may be taken for a somewhat smaller value.
      t.ok(estimate <= compiled.peakBytes() && compiled.peakBytes() <= 1.2 * estimate, `${name}: ${estimate} estimated, ${compiled.peakBytes()} used`)
    }
  }
})
