/** @file How much of the answer the linear model over all weights gets, from its leave-one-out scores. */
import t from 'tap'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import { explainGate } from '../../../core/tuning/explain.js'
import { type Gate, gateOf } from '../../../core/tuning/gate.js'

const binary = likelihoodModel('binary')
const classes = likelihoodModel('classification')

/** Four rows of two classes by one logit, the classes in turn; margins of network and linear model, no variance. */
function oneLogit(network: number, left: number): Gate {
  const signs = [1, -1, 1, -1]
  return gateOf({ likelihood: binary, examples: 4, outputs: 1, labels: Float64Array.of(1, 0, 1, 0) },
    Float64Array.from(signs, sign => sign * network), { f: Float64Array.from(signs, sign => sign * left),
    covariance: new Float64Array(4) })
}

/** Rows of three classes, each named rightly by that margin, but for the first ones that the linear model misses. */
function threeClasses(network: number, left: number, missed = 0): Gate {
  const labels = Float64Array.of(0, 1, 2, 0)
  const f = (margin: number, wrong: number): Float64Array =>
    Float64Array.from({ length: 12 }, (_, i) => {
      const n = Math.floor(i / 3)
      const named = n < wrong ? (labels[n] + 1) % 3 : labels[n]
      return i % 3 === named ? margin : 0
    })
  return gateOf({ likelihood: classes, examples: 4, outputs: 3, labels }, f(network, 0), { f: f(left, missed),
    covariance: new Float64Array(36) })
}

/** What all parts get together. */
const whole = ({ networkWeight, halfwayWeight = 0, linearWeight }: Gate): number =>
  networkWeight + halfwayWeight + linearWeight

/** Fifty rows of one logit, of which the linear model misses some. */
function fiftyRows(missed: number): Gate {
  const labels = Float64Array.from({ length: 50 }, (_, n) => n % 2)
  const f = (margin: number, wrong: number) =>
    Float64Array.from(labels, (label, n) => (2 * label - 1) * margin * (n < wrong ? -1 : 1))
  return gateOf({ likelihood: binary, examples: 50, outputs: 1, labels }, f(9, 0), { f: f(2, missed),
    covariance: new Float64Array(50) })
}

t.test('with two classes halfway and linear model get (5 e)^2, a third at most', async t => {
  t.match(fiftyRows(10), { halfwayWeight: 1 / 3, linearWeight: 1 / 3, halfwayScale: 0.5 })
  const gate = fiftyRows(1)
  t.ok(Math.abs(gate.errorRate! - 0.02) < 1e-12)
  t.ok(Math.abs(gate.halfwayWeight! - 0.01) < 1e-12 && gate.halfwayWeight === gate.linearWeight)
  t.ok(Math.abs(gate.halfwayScale! - 0.04) < 1e-12 && Math.abs(whole(gate) - 1) < 1e-12)
  const sure = oneLogit(6, 1)
  t.ok(Math.abs(sure.ratio - Math.log1p(Math.exp(-6)) / Math.log1p(Math.exp(-1))) < 1e-12)
  t.match(sure, { errorRate: 0, networkWeight: 1, linearWeight: 0 }, 'a table that is easy')
})

t.test('with more classes the error rate on rows left out says how much the network is doubted', async t => {
  for (const missed of [1, 2]) {
    const e = missed / 4
    const gate = threeClasses(9, 1, missed)
    t.equal(gate.errorRate, e)
    t.ok(Math.abs(gate.linearWeight - e ** 3) < 1e-15)
    t.ok(Math.abs(gate.networkWeight - (1 - e ** 2 - e ** 3) * (1 - gate.ratio ** 2)) < 1e-15)
    t.equal(gate.halfwayScale, e)
    t.ok(Math.abs(whole(gate) - 1) < 1e-15)
  }
  const wrong = threeClasses(9, 1, 4)
  t.match(wrong, { errorRate: 1, networkWeight: 0, linearWeight: 1, halfwayWeight: 0 }, 'of all rows left out')
})

t.test('r^2 of the share of the network is halfway', async t => {
  const nll = (margin: number): number => Math.log1p(2 * Math.exp(-margin))
  const ratio = nll(0.13) / (nll(0.1) + 0.1 / 4)
  const calm = threeClasses(0.13, 0.1, 1)
  t.ok(Math.abs(calm.ratio - ratio) < 1e-12 && ratio > 0.9)
  t.ok(Math.abs(calm.networkWeight - (1 - 0.25 ** 2 - 0.25 ** 3) * (1 - ratio ** 2)) < 1e-12)
})

t.test('a sure network answers where the linear model names every row left out rightly', async t => {
  const gate = threeClasses(9, 1)
  t.match(gate, { errorRate: 0, linearWeight: 0 })
  t.ok(gate.networkWeight > 0.999)
  t.match(explainGate(gate, 4), /with 0 % of them wrong\. It is right in all of them.*The answer is 100 % the network/)
  t.match(explainGate(threeClasses(9, 1, 1), 4),
    /with 25 % of them wrong\..* 92\.2 % the network, 6\.3 % halfway between both and 1\.6 % the linear model\.$/)
})

t.test('it answers alone where the network fits its rows worse than it predicts them', async t => {
  t.equal(oneLogit(1, 2).linearWeight, 1)
  t.equal(threeClasses(1, 2).linearWeight, 1)
})

t.test('scores of exactly 0 give weights all the same', async t => {
  for (const gate of [oneLogit(800, 800), oneLogit(1, 800), threeClasses(800, 800), threeClasses(1, 800)]) {
    t.ok(Number.isFinite(gate.ratio))
    t.ok(Math.abs(whole(gate) - 1) < 1e-15)
  }
  t.equal(oneLogit(800, 800).linearWeight, 0)
  t.equal(oneLogit(1, 800).linearWeight, 1)
})
