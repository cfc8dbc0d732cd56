/** @file Networks whose file leaves the length of sequences or the size of images open are fitted to data of any. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { readSafetensors } from '../../../adapters/safetensors/index.js'
import { forward } from '../../../core/answer/forward.js'
import type { Graph } from '../../../core/graph/graph.js'
import { settleOpenAxes } from '../../../core/graph/open-axes.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { graphDigest } from '../../../core/network/digest.js'
import { graphFromTree, graphToTree } from '../../../core/storage/graph-tree.js'
import { rows, tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { referenceCase } from '../../support/reference-case.js'

function openNetwork(name: string): Graph {
  const file = (part: string): Buffer => readFileSync(new URL(`../../fixtures/cases/${name}/${part}`, import.meta.url))
  return readSafetensors(file('model.safetensors'), { architecture: JSON.parse(file('architecture.json').toString()) })
}

t.test('a sequence network takes the length of the data: whole, batches, partial fits, saved posteriors', async t => {
  const graph = openNetwork('sequence')
  const { graph: fixed, x, y, xTest, expected } = referenceCase('sequence')
  const options = { likelihood: 'classification', subset: 'last_layer', structure: 'kron', priorPrecision: 1 } as const
  t.ok(relativeDifference((await forward(graph, xTest)).data, expected.f.x_test.data) < 1e-12, 'forward')
  const wanted = (await laplace(fixed, options).fit(x, y)).logMarginalLikelihood()
  const posterior = await laplace(graph, options).fit(x, y)
  t.ok(Math.abs(posterior.logMarginalLikelihood() - wanted) < 1e-9, 'whole')
  const batches = [{ x: rows(x, 0, 30), y: rows(y, 0, 30) }, { x: rows(x, 30, 80), y: rows(y, 30, 80) }]
  t.ok(Math.abs((await laplace(graph, options).fit(batches)).logMarginalLikelihood() - wanted) < 1e-9, 'batches')
  const partial = await laplace(graph, options).fitPartial(x, y)
  t.ok(Math.abs((await laplace(graph, options).fitMerged(partial)).logMarginalLikelihood() - wanted) < 1e-9, 'partial')
  const loaded = loadPosterior(posterior.save({ network: false }), { network: graph })
  t.ok(relativeDifference((await loaded.predict(xTest)).mean.data, (await posterior.predict(xTest)).mean.data) < 1e-12,
    'saved without its network')
  // The mean over a sequence twice as long, every time twice, is the same.
  const doubled = tensor('float64', [15, 8, 3],
    Array.from({ length: 15 * 24 }, (_, i) => xTest.data[Math.floor(i / 24) * 12 + i % 12]))
  for (let i = 0; i < 2; i++) {
    t.ok(
      relativeDifference((await posterior.predict(doubled)).variance.data,
        (await posterior.predict(xTest)).variance.data) < 1e-12,
      'predictions for another length',
    )
  }
})

t.test('the digest leaves open lengths out, and a saved graph keeps them open', async t => {
  const graph = openNetwork('sequence')
  const settled = settleOpenAxes(graph, new Map([['input', [4, 3]]]))
  t.notSame(settled.inputs, graph.inputs)
  t.equal(graphDigest(settled), graphDigest(graph))
  t.same(graphFromTree(graphToTree(graph)).inputs, graph.inputs)
  t.not(graphDigest(openNetwork('cnn')), graphDigest(graph))
})

t.test('data that fit in no size are refused with both shapes', async t => {
  const { x, y } = referenceCase('cnn')
  await t.rejects(laplace(openNetwork('sequence'), { likelihood: 'classification' }).fit(x, y), {
    code: 'SHAPE_MISMATCH',
  })
})
