/** @file Agreement of a network with rows: its sums against their definitions, and sums of parts against the whole. */
import t, { type Test } from 'tap'
import { addAgreement, type Agreement, mergeAgreements, type TargetAgreement,
  zeroAgreement } from '../../../core/likelihood/agreement.js'
import type { Likelihood } from '../../../core/options/words.js'
import { randomGenerator } from '../../../core/tensor/random.js'

const random = randomGenerator(11)
const normals = (count: number, shift = 0): Float64Array =>
  Float64Array.from({ length: count }, () => shift + random.normal())
const integers = (count: number, below: number): Float64Array =>
  Float64Array.from({ length: count }, () => Math.floor(random.uniform() * below))

/** The agreement of rows from..to. */
function part(likelihood: Likelihood, outputs: number, f: Float64Array, y: Float64Array, from: number,
  to: number): Agreement {
  const width = likelihood === 'classification' ? 1 : outputs
  return addAgreement(zeroAgreement(likelihood, outputs), f.subarray(from * outputs, to * outputs),
    y.subarray(from * width, to * width), to - from)
}

const entries = (agreement: Agreement | undefined): number[] =>
  Object.values(agreement ?? {}).flatMap(value => (value instanceof Float64Array
    ? Array.from(value)
    : [typeof value === 'number' ? value : 0])
  )

function close(t: Test, a: Agreement | undefined, b: Agreement | undefined, message: string): void {
  const [x, y] = [entries(a), entries(b)]
  t.equal(x.length, y.length, message)
  const worst = x.reduce((most, value, i) => Math.max(most, Math.abs(value - y[i]) / (1 + Math.abs(y[i]))), 0)
  t.ok(worst < 1e-9, `${message}: ${worst}`)
}

for (const [likelihood, outputs] of [['classification', 4], ['classification', 300], ['binary', 1], ['multilabel', 3], [
  'regression',
  1,
], ['regression', 3], ['regression', 40]] as const) {
  t.test(`${likelihood} of ${outputs}: parts add up in any order and grouping`, async t => {
    const n = 60
    const f = normals(n * outputs, 1e4)
    const y = likelihood === 'classification'
      ? integers(n, outputs)
      : likelihood === 'regression'
      ? normals(n * outputs, -3e4)
      : integers(n * outputs, 2)
    const whole = part(likelihood, outputs, f, y, 0, n)
    const [a, b, c] = [[0, 7], [7, 8], [8, n]].map(([from, to]) => part(likelihood, outputs, f, y, from, to))
    close(t, mergeAgreements(mergeAgreements(a, b), c), whole, '(a + b) + c')
    close(t, mergeAgreements(a, mergeAgreements(b, c)), whole, 'a + (b + c)')
    close(t, mergeAgreements(c, mergeAgreements(a, b)), whole, 'c + (a + b)')
    close(t, mergeAgreements(zeroAgreement(likelihood, outputs), whole), whole, '0 + whole')
    close(t, mergeAgreements(whole, zeroAgreement(likelihood, outputs)), whole, 'whole + 0')
    t.equal(whole.examples, n)
    t.equal(mergeAgreements(undefined, whole), undefined, 'what is not known stays so')
  })
}

t.test('classes: the confusion matrix by its definition', async t => {
  const f = Float64Array.of(2, 1, 0, /**/ 0, 1, 2, /**/ 1, 3, 2, /**/ 5, 0, 0)
  const agreement = part('classification', 3, f, Float64Array.of(0, 2, 2, 1), 0, 4)
  t.match(agreement, { kind: 'classes', right: 2, least: 1, counts: Float64Array.of(1, 1, 2),
    confusion: Float64Array.of(1, 0, 0, 1, 0, 0, 0, 1, 1) })
  t.match(part('classification', 300, normals(600), Float64Array.of(0, 299), 0, 2), { confusion: { length: 0 } },
    'too many classes for a matrix')
})

t.test('labels: counts by output, label and answer', async t => {
  const f = Float64Array.of(1, -1, /**/ -2, -1, /**/ 3, 1)
  const agreement = part('multilabel', 2, f, Float64Array.of(1, 0, 1, 1, 0, 1), 0, 3)
  t.match(agreement, { counts: Float64Array.of(0, 1, 1, 1, /**/ 1, 0, 1, 1) })
})

t.test('targets far from zero keep their digits', async t => {
  const [n, outputs] = [500, 2]
  const f = normals(n * outputs)
  const y = Float64Array.from(f, (value, i) => 3 * value + 0.1 * (i % 7))
  const near = part('regression', outputs, f, y, 0, n) as TargetAgreement
  const far = Array.from({ length: n / 10 },
    (_, i) =>
      part('regression', outputs, f.map(value => value + 1e8), y.map(value => value + 1e8), 10 * i, 10 * i + 10))
    .reduce<Agreement | undefined>((sum, each) => mergeAgreements(sum, each),
      zeroAgreement('regression', outputs)) as TargetAgreement
  for (const key of ['squaresY', 'squaresF', 'residuals', 'products'] as const) {
    near[key].forEach((value, i) => t.ok(Math.abs(far[key][i] - value) < 1e-5 * near.squaresY[0], `${key}[${i}]`))
  }
  const means = [0, 1].map(c => f.filter((_, i) => i % 2 === c).reduce((sum, value) => sum + value / n, 0))
  near.meanF.forEach((mean, c) => t.ok(Math.abs(mean - means[c]) < 1e-12))
  const product = f.reduce((sum, value, i) => (i % 2 === 0 ? sum + (value - means[0]) * y[i + 1] : sum), 0)
  t.ok(Math.abs(near.products[1] - product) < 1e-8, 'products[c, d] is of output c and target d')
})
