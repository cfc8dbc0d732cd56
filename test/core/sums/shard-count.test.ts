/** @file How many shards the sums of a fit have: a part of the result, whatever the threads. */
import t from 'tap'
import { shardCount } from '../../../core/sums/accumulation.js'

const MB = 2 ** 20
const LIMIT = 4096 * MB

t.test('two threads have work wherever two sums take no more than half of the limit', async t => {
  t.equal(shardCount(MB, LIMIT), 8)
  t.equal(shardCount(4.5 * MB, LIMIT), 4, 'a power of two, so that two threads have as many each')
  t.equal(shardCount(60 * MB, MB), 2, 'small sums have two under any limit')
  t.equal(shardCount(1000 * MB, LIMIT), 2)
  t.equal(shardCount(1100 * MB, LIMIT), 1)
})
