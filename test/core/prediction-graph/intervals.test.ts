import t from 'tap'
import { runGraph } from '../../../core/engine/typescript.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH } from '../../../core/graph/graph.js'
import { formulas } from '../../../core/prediction-graph/formulas.js'
import { noveltyValues } from '../../../core/prediction-graph/intervals.js'
import { noveltyOf } from '../../../core/prediction/novelty.js'
import { float64 } from '../../../core/tensor/tensor.js'
import { uniform } from '../ops/check-derivative.js'

t.test('the place among the training rows is found in blocks of them, for any number of rows', async t => {
  const random = uniform(2)
  for (const count of [1, 2, 63, 64, 65, 66, 80, 100, 101, 1023, 1024, 1025, 2000]) {
    const training = Float64Array.from({ length: count }, () => Math.floor(20 * random()) / 4 + 0.5).sort()
    const asked = [0, 0.5, 1e9, -1e9, ...training.filter((_, i) => i % 7 === 0), training[count - 1], 2.1]
    const b = new GraphBuilder('float64')
    const { score, pValue } = noveltyValues(formulas(b, 'float64'), b.input('variance', [BATCH, 1]), training,
      undefined)
    const graph = b.build([score, pValue])
    const results = runGraph(graph, new Map([['variance', float64([asked.length, 1], asked)]]), 'float64')
    const expected = noveltyOf(Float64Array.from(asked), asked.length, training, undefined)
    t.same([...results.get(score)!.data], [...expected.score], `${count} rows: score`)
    const found = [...results.get(pValue)!.data]
    t.ok(expected.pValue.every((p, i) => Math.abs(p - found[i]) < 1e-15), `${count} rows: p-value`)
    t.equal(found.length, expected.pValue.length)
  }
})
