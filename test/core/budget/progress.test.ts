import t from 'tap'
import { formatSeconds, type Progress, shareOfRounds, shareReporter, tellExpected, timeLeft,
  withTimeLeft } from '../../../core/budget/progress.js'

/** What is told when the reports come at these milliseconds. */
function told(reports: readonly (readonly [number, Progress])[]): Progress[] {
  const heard: Progress[] = []
  let at = 0
  const tell = withTimeLeft(progress => heard.push(progress), () => at)
  for (const [ms, progress] of reports) {
    at = ms
    tell(progress)
  }
  return heard
}

t.test('the time that is left is that of the rest at the speed until now', async t => {
  const fit = (done: number): Progress => ({ stage: 'fit', done, total: 100 })
  const [early, tenth, half, end] = told([[10, fit(1)], [1000, fit(10)], [5000, fit(50)], [10000, fit(100)]])
  t.equal(early.left, undefined, 'not from the first steps')
  t.equal(tenth.left, 9)
  t.equal(half.left, 5)
  t.equal(end.left, 0)
  t.equal(timeLeft(half), 'about 5 s left')
})

t.test('a stage has a time of its own, and none where its end is not known', async t => {
  const [, , round, first, second] = told([
    [500, { stage: 'fit', done: 5, total: 10 }],
    [1000, { stage: 'fit', done: 10, total: 10 }],
    [1500, { stage: 'tune', done: 3 }],
    [10_000, { stage: 'predict', done: 10, total: 40 }],
    [12_000, { stage: 'predict', done: 20, total: 40 }],
  ])
  t.equal(round.left, undefined)
  t.equal(timeLeft(round), '')
  t.equal(first.left, undefined)
  t.equal(second.left, 4)
})

t.test('times are said in units that suit them', async t => {
  t.same([0.04, 3.4, 42, 600, 9000].map(formatSeconds), ['0.04 s', '3 s', '42 s', '10 min', '2.5 h'])
})

t.test('shares of a part of a stage are told as percentages, each once', t => {
  const told: Progress[] = []
  const report = shareReporter({ onProgress: progress => told.push(progress) }, 'tune', 50, 90)
  for (const share of [0, -1, 0.001, 0.5, 0.4, 2]) report(share)
  t.strictSame(told, [50, 70, 90].map(done => ({ stage: 'tune', done, total: 100 })))
  t.end()
})

t.test('the share of a search grows with every round, and is never all of it', t => {
  const shares = Array.from({ length: 40 }, (_, rounds) => shareOfRounds(rounds, 6))
  t.ok(shares.every((share, i) => share < 1 && (i === 0 || share > shares[i - 1]!)))
  t.equal(shares[0], 0)
  t.end()
})

t.test('a long stage says what it is expected to take before its first batch; a short one does not', async t => {
  const told: Progress[] = []
  const work = { onProgress: withTimeLeft(progress => told.push(progress), () => 0) }
  tellExpected(work, 'fit', 8, () => 1e7)
  t.same(told, [])
  tellExpected(work, 'fit', 8, () => 1e18)
  t.match(told, [{ stage: 'fit', done: 0, total: 8 }])
  t.ok(told[0].left! > 1e4, 'no machine multiplies so fast')
  tellExpected({}, 'fit', 8, () => {
    throw new Error('nobody is told, and nothing is counted')
  })
})
