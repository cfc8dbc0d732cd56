import fc from 'fast-check'
import t from 'tap'
import { adaptiveScores } from '../../../core/conformal/adaptive-scores.js'
import { calibrateSets, labelSets, type SetOptions } from '../../../core/conformal/label-sets.js'
import { type RandomGenerator, randomGenerator } from '../../../core/tensor/random.js'
import { float64, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { betaDistances, shareDistance } from '../../support/beta-law.js'
import { matrix } from '../../support/metrics-reference.js'

const REPETITIONS = 2000

const classes = (values: ArrayLike<number>): Tensor => tensor('int64', [values.length], values)

/** Three kinds of rows: how the classes are spread over each, and what a model that is wrong says of them. */
const TRUTH = [[0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [0.1, 0.8, 0.1]]
const MODEL = [[0.7, 0.25, 0.05], [0.5, 0.2, 0.3], [0.15, 0.5, 0.35]]

function draw(p: readonly number[], random: RandomGenerator): number {
  const u = random.uniform()
  return u < p[0] ? 0 : u < p[0] + p[1] ? 1 : 2
}

function sample(random: RandomGenerator, n: number): { p: number[][], y: number[] } {
  const kinds = Array.from({ length: n }, () => Math.floor(3 * random.uniform()))
  return { p: kinds.map(kind => MODEL[kind]), y: kinds.map(kind => draw(TRUTH[kind], random)) }
}

/** Probability that the randomised set of threshold tau holds the class: an integral over u, by pieces. */
function exactCoverage(tau: number): number {
  let sum = 0
  MODEL.forEach((p, kind) => {
    p.forEach((own, c) => {
      const before = p.reduce((total, value) => total + (value > own ? value : 0), 0)
      sum += TRUTH[kind][c] / 3 * Math.min(1, Math.max(0, (tau - before) / own))
    })
  })
  return sum
}

t.test('adaptive scores: what lies before a class, and a part of its own', async t => {
  const close = (actual: Float64Array, expected: number[]): boolean =>
    expected.every((value, c) => Math.abs(actual[c] - value) < 1e-8)
  t.ok(close(adaptiveScores(Float64Array.of(0.2, 0.5, 0.3), 1), [1, 0.5, 0.8]))
  t.ok(close(adaptiveScores(Float64Array.of(0.2, 0.5, 0.3), 0.5), [0.9, 0.25, 0.65]))
  t.ok(close(adaptiveScores(Float64Array.of(0.25, 0.25, 0.5), 1), [0.75, 1, 0.5]))
})

t.test('sets in closed form', async t => {
  const p = matrix([[0.6, 0.3, 0.1], [0.5, 0.25, 0.25], [0.1, 0.8, 0.1]])
  const y = classes([1, 0, 1])
  const threshold = calibrateSets(p, y, { score: 'threshold' })
  t.same(threshold, { kind: 'threshold', n: 3, scores: Float64Array.of(1 - 0.8, 0.5, 0.7) })
  const adaptive = calibrateSets(p, y)
  t.match(adaptive, { kind: 'adaptive', n: 3, randomised: false })
  t.same(Array.from(adaptive.scores), [0.5, 0.8, 0.6 + 1e-9 + 0.3])
  const sets = labelSets(adaptive, matrix([[0.5, 0.25, 0.25], [0.85, 0.1, 0.05]]), 0.75)
  // The third smallest of three: 0.9. Cumulative 0.5, 0.75, 1 and 0.85, 0.95, 1.
  t.same(sets.members.data, Uint8Array.of(1, 1, 0, 1, 0, 0))
  t.same(sets.members.shape, [2, 3])
  const cut = labelSets(threshold, matrix([[0.5, 0.25, 0.25], [0.3, 0.3, 0.4]]), 0.5)
  t.same(cut.members.data, Uint8Array.of(1, 0, 0, 0, 0, 1), 'an empty set takes the most probable class')
  t.same(labelSets(threshold, matrix([[0.3, 0.3, 0.4]]), 0.5, false).members.data, Uint8Array.of(0, 0, 0))
})

t.test('too few rows: every class, and that is said', async t => {
  const calibrated = calibrateSets(matrix([[0.9, 0.1]]), classes([0]))
  const { members, note, threshold } = labelSets(calibrated, matrix([[0.99, 0.01]]), 0.9)
  t.same(members.data, Uint8Array.of(1, 1))
  t.equal(threshold, Infinity)
  t.match(note, /needs 9 rows/)
})

t.test('one column of probabilities is two classes', async t => {
  const p = [0.9, 0.2, 0.6, 0.3]
  const y = [1, 0, 0, 1]
  const two = matrix(p.map(value => [1 - value, value]))
  for (const score of ['adaptive', 'threshold'] as const) {
    const one = calibrateSets(float64([4, 1], p), classes(y), { score })
    t.same(one, calibrateSets(two, classes(y), { score }))
    t.same(labelSets(one, float64([4, 1], p), 0.7).members, labelSets(one, two, 0.7).members)
  }
})

const KINDS: SetOptions[] = [{ score: 'threshold' }, { score: 'adaptive' }, { score: 'adaptive', randomised: true,
  seed: 4 }]

for (const options of KINDS) {
  const name = `${options.score} ${options.randomised === true ? 'randomised' : ''}`
  t.test(`sets cover new rows at the level at least: ${name}`, async t => {
    const random = randomGenerator(21)
    const [n, level] = [49, 0.8]
    let inside = 0
    for (let i = 0; i < REPETITIONS; i++) {
      const { p, y } = sample(random, n + 1)
      const calibrated = calibrateSets(matrix(p.slice(0, n)), classes(y.slice(0, n)), { ...options, seed: i })
      inside += labelSets(calibrated, matrix([p[n]]), level, false).members.data[y[n]]
    }
    const share = inside / REPETITIONS
    t.ok(share > level - 4 * Math.sqrt(level * (1 - level) / REPETITIONS), `${share}`)
    // Without ties the coverage is exact. Nine values of the other scores tie, which only adds.
    if (options.randomised === true) t.ok(shareDistance(share, level, REPETITIONS) < 4, `${share}`)
  })

  t.test(`sets grow with the level: ${name}`, async t => {
    const percent = fc.integer({ min: 1, max: 99 })
    fc.assert(fc.property(percent, percent, fc.nat(1000), (a, b, seed) => {
      const { p, y } = sample(randomGenerator(seed), 25)
      const calibrated = calibrateSets(matrix(p), classes(y), options)
      const [low, high] = [Math.min(a, b), Math.max(a, b)].map(level => labelSets(calibrated, matrix(p), level / 100))
      return low.members.data.every((member, i) => member <= high.members.data[i])
    }), { numRuns: 50 })
    t.pass('nothing failed')
  })
}

t.test('randomised sets cover as Beta(k, n + 1 - k) says, whatever the model', async t => {
  const random = randomGenerator(5)
  const [n, level] = [60, 0.85]
  const coverages = Array.from({ length: REPETITIONS }, (_, i) => {
    const { p, y } = sample(random, n)
    const calibrated = calibrateSets(matrix(p), classes(y), { randomised: true, seed: 1000 + i })
    return exactCoverage(labelSets(calibrated, matrix([MODEL[0]]), level).threshold)
  })
  const rank = Math.ceil((n + 1) * level - 1e-9)
  const distance = betaDistances(coverages, rank, n + 1 - rank)
  t.ok(distance.mean < 4 && distance.variance < 4, JSON.stringify(distance))
})

t.test('the same seed gives the same sets; new rows draw other numbers than calibration', async t => {
  const { p, y } = sample(randomGenerator(2), 80)
  const sets = (seed: number) => {
    const calibrated = calibrateSets(matrix(p), classes(y), { randomised: true, seed })
    return labelSets(calibrated, matrix(p), 0.7, false).members.data
  }
  t.same(sets(1), sets(1))
  t.notSame(sets(1), sets(2))
  const calibrated = calibrateSets(matrix(p), classes(y), { randomised: true, seed: 1 })
  const covered = y.filter((label, i) => sets(1)[3 * i + label] === 1).length
  // With the numbers of calibration exactly ceil(81 * 0.7) = 57 of the 80 rows would be covered.
  t.equal(calibrated.scores.filter(score => score <= labelSets(calibrated, matrix(p), 0.7).threshold).length, 57)
  t.not(covered, 57)
})

t.test('the order of rows changes no set without randomness', async t => {
  fc.assert(fc.property(fc.nat(1000), fc.constantFrom('adaptive' as const, 'threshold' as const), (seed, score) => {
    const { p, y } = sample(randomGenerator(seed), 20)
    const one = calibrateSets(matrix(p), classes(y), { score })
    const other = calibrateSets(matrix([...p].reverse()), classes([...y].reverse()), { score })
    return one.scores.every((value, i) => value === other.scores[i])
  }))
  t.pass('nothing failed')
})

t.test('sets of a model that is always right and sure hold one class', async t => {
  const p = Array.from({ length: 30 }, (_, i) => [0, 1, 2].map(c => +(c === i % 3)))
  for (const options of KINDS) {
    const calibrated = calibrateSets(matrix(p), classes(p.map(row => row.indexOf(1))), options)
    t.same(labelSets(calibrated, matrix(p), 0.9).members.data, Uint8Array.from(p.flat()), JSON.stringify(options))
  }
})

t.test('sets refuse what they cannot use', async t => {
  const p = matrix([[0.5, 0.5]])
  t.throws(() => calibrateSets(matrix([[2, -1]]), classes([0])), { code: 'BAD_OPTION' })
  t.throws(() => calibrateSets(p, classes([2])), { code: 'BAD_LABELS' })
  t.throws(() => calibrateSets(p, classes([0]), { score: 'raps' as 'adaptive' }), { code: 'BAD_OPTION' })
  t.throws(() => calibrateSets(p, classes([0]), { randomised: true, seed: -1 }), { code: 'BAD_OPTION' })
  t.throws(() => labelSets(calibrateSets(p, classes([0])), p, 1), { code: 'BAD_OPTION' })
})
