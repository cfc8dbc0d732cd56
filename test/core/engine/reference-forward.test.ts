import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { relativeDifference } from '../../support/compare.js'
import { caseNames, referenceCase } from '../../support/reference-case.js'

t.test('the networks of the reference cases give their outputs', async t => {
  for (const name of caseNames()) {
    const { graph, input, output, xTest, expected } = referenceCase(name)
    const f = runGraph(graph, new Map([[input, xTest]]), 'float64').get(output)!
    t.same(f.shape, expected.f.x_test.shape, `${name}: shape`)
    t.ok(relativeDifference(f.data, expected.f.x_test.data) < 1e-10, `${name}: values`)
    const single = runGraph(graph, new Map([[input, xTest]]), 'float32').get(output)!
    t.ok(single.data instanceof Float32Array, `${name}: float32 storage`)
    t.ok(relativeDifference(single.data, expected.f.x_test.data) < 1e-4, `${name}: float32 values`)
  }
})
