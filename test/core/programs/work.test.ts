/** @file How much of a network's work another engine would do faster. */
import t from 'tap'
import { type Graph, GraphBuilder } from '../../../core/index.js'
import type { Network } from '../../../core/network/network.js'
import { engineShare } from '../../../core/programs/work.js'

const linear = (inputs: number, out: number, positions: number) => ({ in: inputs, out, positions, weight: 0, bias: -1 })

function shareOf(op: string, subset: 'all' | 'last_layer', linears: ReturnType<typeof linear>[], values = 1): number {
  const graph = { ...new GraphBuilder('float32').build([]), nodes: [{ op, inputs: [], outputs: [], attributes: {} }] }
  return engineShare({ subset, linears, network: { graph: graph as Graph } as Network, values, forwardCost: 100 })
}

t.test('derivatives of narrow convolutions are not counted for another engine', async t => {
  const [narrow, wide, dense] = [linear(144, 32, 64), linear(576, 64, 16), linear(512, 64, 1)]
  t.equal(shareOf('Conv', 'all', [narrow]), 0)
  t.equal(shareOf('Conv', 'all', [wide, dense]), 1)
  const [few, many] = [144 * 32 * 64, 576 * 64 * 16]
  t.equal(shareOf('Conv', 'all', [narrow, wide]), many / (few + many))
  t.equal(shareOf('Conv', 'last_layer', [narrow]), 1, 'forward passes are faster there whatever the width')
  t.equal(shareOf('MatMul', 'all', [narrow]), 1, 'positions of sequences are rows of one product')
  t.ok(shareOf('Conv', 'last_layer', [narrow], 2) > 1, 'sooner where values take long beside the products')
})
