import t from 'tap'
import { withOwnPages } from '../../../core/tensor/own-pages.js'

t.test('arrays of zeros of the length that is asked for, whatever lies behind them', async t => {
  for (const length of [0, 1, 2 ** 19 - 1, 2 ** 19, 2 ** 20, 2 ** 22 + 512, 2 ** 22 + 513]) {
    const array = withOwnPages(length)
    t.equal(array.length, length)
    t.ok(array.every(value => value === 0))
    array.fill(1)
    t.equal(array.slice().buffer.byteLength, 8 * length, 'a copy takes its own numbers only')
  }
})

t.test('only arrays of 4 to 32 MiB lie in a larger buffer', async t => {
  const spare = (bytes: number): number => withOwnPages(bytes / 8).buffer.byteLength - bytes
  t.equal(spare((4 << 20) - 8), 0)
  t.ok(spare(4 << 20) > 0)
  t.ok(spare(32 << 20) > 0)
  t.equal(spare(33 << 20), 0)
})
