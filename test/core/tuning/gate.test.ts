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

/** Fifty rows of one logit, named by the linear model with that margin, of which it misses some. */
function fiftyRows(missed: number, margin = 2): Gate {
  const labels = Float64Array.from({ length: 50 }, (_, n) => n % 2)
  const f = (size: number, wrong: number): Float64Array =>
    Float64Array.from(labels, (label, n) => (2 * label - 1) * size * (n < wrong ? -1 : 1))
  return gateOf({ likelihood: binary, examples: 50, outputs: 1, labels }, f(9, 0), { f: f(margin, missed),
    covariance: new Float64Array(50) })
}

const sigmoid = (margin: number): number => 1 / (1 + Math.exp(-margin))

t.test('with two classes halfway and linear model get (9 x)^4, a third at most', async t => {
  t.match(fiftyRows(10), { halfwayWeight: 1 / 3, linearWeight: 1 / 3, halfwayScale: 0.5 })
  const gate = fiftyRows(0, 4)
  const x = sigmoid(-4)
  t.ok(Math.abs(gate.doubt! - x) < 1e-12)
  t.ok(Math.abs(gate.halfwayWeight! - (9 * x) ** 4) < 1e-12 && gate.halfwayWeight === gate.linearWeight)
  t.ok(Math.abs(gate.halfwayScale! - 4 * (9 * x) ** 4) < 1e-12 && Math.abs(whole(gate) - 1) < 1e-12)
  const sure = oneLogit(6, 1)
  t.ok(Math.abs(sure.ratio - Math.log1p(Math.exp(-6)) / Math.log1p(Math.exp(-1))) < 1e-12)
  t.ok(fiftyRows(0, 6).networkWeight > 0.999, 'a table that is easy')
})

t.test('x has no unit of the network: its outputs times any number say the same', async t => {
  const gate = threeClasses(9, 1, 1)
  for (const margin of [900, 9e5]) {
    const other = threeClasses(margin, 1, 1)
    t.ok(Math.abs(other.doubt! - gate.doubt!) < 1e-12)
    t.ok(Math.abs(other.linearWeight - gate.linearWeight) < 1e-12)
  }
})

t.test('with more classes x is what both outputs together give to wrong classes, in rows left out', async t => {
  const wrong = (right: number, ...others: number[]): number =>
    1 - 1 / others.reduce((sum, other) => sum + Math.exp(other - right), 1)
  for (const missed of [0, 1, 2]) {
    const gate = threeClasses(9, 2, missed)
    const x = (missed * wrong(2, 2, 0) + (4 - missed) * wrong(4, 0, 0)) / 4
    t.ok(Math.abs(gate.doubt! - x) < 1e-12)
    const q = Math.min(1 / 2, (4.75 * x) ** 4)
    t.ok(Math.abs(gate.halfwayWeight! - q) < 1e-12 && Math.abs(gate.linearWeight - q * x) < 1e-12)
    t.ok(Math.abs(gate.halfwayScale! - Math.min(1 / 2, 4 * q)) < 1e-12)
    t.ok(Math.abs(whole(gate) - 1) < 1e-15)
  }
  t.ok(Math.abs(threeClasses(0, 0).doubt! - 2 / 3) < 1e-12, 'outputs of 0 have no size')
})

t.test('a sure network answers where little of the probability left out goes to wrong classes', async t => {
  const gate = threeClasses(9, 4)
  t.ok(gate.networkWeight > 0.999)
  t.match(explainGate(gate, 4),
    /wrong classes\. That is so little that nothing speaks against.*The answer is 100 % the network/)
  t.match(explainGate(threeClasses(9, 2, 1), 4),
    /left out 15\.9 % of.* 61\.9 % the network, 32\.9 % halfway between both and 5\.2 % the linear model\.$/)
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
