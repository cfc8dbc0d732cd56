import t from 'tap'
import { leaveBehind, useCollector } from '../../../core/budget/garbage.js'

t.test('the collector of the host is asked once so much is left that it is worth the time', async t => {
  const asked: number[] = []
  useCollector(bytes => {
    asked.push(bytes)
  })
  for (let i = 0; i < 4; i++) leaveBehind(10 << 20)
  t.strictSame(asked, [40 << 20], 'the fourth time, with all that was left')
  leaveBehind(10 << 20)
  t.equal(asked.length, 1, 'counted anew')
  leaveBehind(100 << 20)
  t.strictSame(asked.slice(1), [110 << 20])
})
