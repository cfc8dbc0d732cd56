import { readFileSync } from 'node:fs'
import t from 'tap'
import { networkFromLayers } from '../../../adapters/layers/index.js'
import type { FileTensor } from '../../../adapters/tensors/file-tensor.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { settleOpenAxes } from '../../../core/graph/open-axes.js'
import { isSupported } from '../../../core/ops/registry.js'
import { sizeOf } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { caseNames, referenceCase } from '../../support/reference-case.js'

t.test('the architectures of the reference cases give their networks', async t => {
  let ran = 0
  for (const name of caseNames()) {
    const { xTest, expected } = referenceCase(name)
    const theta = Float64Array.from(expected.theta.data ?? expected.theta)
    // Sorted by name, as safetensors files are: not the order of the parameters.
    const tensors = new Map<string, FileTensor>(
      [...expected.parameters].sort((a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1))
        .map((
          { name, shape, offset }: { name: string, shape: number[], offset: number },
        ) => [name, { dtype: 'float64' as const, shape,
          bytes: new Uint8Array(theta.buffer, offset * 8, sizeOf(shape) * 8) }]
        ),
    )
    const read = networkFromLayers(
      JSON.parse(readFileSync(new URL(`../../fixtures/cases/${name}/architecture.json`, import.meta.url), 'utf8')),
      tensors,
    )
    t.same(read.parameters.map(parameter => [parameter.name, parameter.shape]),
      expected.parameters.map((p: { name: string, shape: number[] }) => [p.name, p.shape]),
      `${name}: parameters in torch's order`)
    const graph = settleOpenAxes(read, new Map([['input', xTest.shape.slice(1)]]))
    if (!graph.nodes.every(node => isSupported(node.op))) continue
    ran++
    const f = runGraph(graph, new Map([['input', xTest]]), 'float64').get(graph.outputs[0])!
    t.same(f.shape, expected.f.x_test.shape, `${name}: shape`)
    t.ok(relativeDifference(f.data, expected.f.x_test.data) < 1e-12, `${name}: values`)
  }
  t.ok(ran >= 16, `${ran} cases ran`)
})
