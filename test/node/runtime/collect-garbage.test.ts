/** @file Garbage that a thread leaves behind before it rests. */
import t from 'tap'
import { collectGarbage, collectLater } from '../../../node/runtime/collect-garbage.js'

t.test('a thread that is about to rest collects the arrays that it has left', async t => {
  const megabytes = (): number => process.memoryUsage().arrayBuffers / 1e6
  // What was there before may be collected at any time, and would hide the arrays.
  collectGarbage()
  const before = megabytes()
  let kept: Float64Array[] = Array.from({ length: 8 }, () => new Float64Array(1e6))
  t.ok(megabytes() > before + 60, `${kept.length} arrays of 8 MB`)
  kept = []
  await new Promise(resolve => setImmediate(resolve))
  collectGarbage()
  t.ok(megabytes() < before + 30, 'most of them are gone')
})

t.test('what small pieces of work leave is collected when the thread has rested for a moment', async t => {
  const megabytes = (): number => process.memoryUsage().arrayBuffers / 1e6
  collectGarbage()
  const before = megabytes()
  let kept: Float64Array[] = []
  for (let i = 0; i < 8; i++) {
    kept.push(new Float64Array(1e6))
    collectLater(4e6)
  }
  t.ok(megabytes() > before + 60, `${kept.length} arrays of 8 MB`)
  kept = []
  // Without anything to do, and without being asked again.
  while (megabytes() > before + 30) await new Promise(resolve => setTimeout(resolve, 10))
})
