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

t.test('with two classes the linear model gets (1 - r)/2', async t => {
  const ratio = Math.log1p(Math.exp(-6)) / Math.log1p(Math.exp(-1))
  const gate = oneLogit(6, 1)
  t.ok(Math.abs(gate.ratio - ratio) < 1e-12)
  t.ok(Math.abs(gate.linearWeight - (1 - ratio) / 2) < 1e-12)
  t.equal(gate.networkWeight + gate.linearWeight, 1)
})

t.test('with more classes it gets the square of its error rate on rows left out at most', async t => {
  const nll = (margin: number): number => Math.log1p(2 * Math.exp(-margin))
  for (const missed of [1, 2]) {
    const gate = threeClasses(9, 1, missed)
    t.equal(gate.errorRate, missed / 4)
    t.equal(gate.linearWeight, (missed / 4) ** 2)
  }
  const left = nll(0.1) + 0.1 / 4
  const ratio = nll(0.13) / left
  const calm = threeClasses(0.13, 0.1, 1)
  t.ok(Math.abs(calm.ratio - ratio) < 1e-12 && 1 - ratio < 0.0625)
  t.ok(Math.abs(calm.linearWeight - (1 - ratio)) < 1e-12, 'and 1 - r at most')
})

t.test('the network answers where the linear model names every row left out rightly', async t => {
  const gate = threeClasses(9, 1)
  t.equal(gate.errorRate, 0)
  t.equal(gate.networkWeight, 1)
  t.match(explainGate(gate, 4), /with 0 % of them wrong\. It is right in all of them.*The network answers\.$/)
  t.match(explainGate(threeClasses(9, 1, 1), 4), /with 25 % of them wrong\..* 6\.\d+ % the linear model\.$/)
  t.equal(oneLogit(9, 1).errorRate, undefined, 'two classes')
})

t.test('it answers alone where the network fits its rows worse than it predicts them', async t => {
  t.equal(oneLogit(1, 2).linearWeight, 1)
  t.equal(threeClasses(1, 2).linearWeight, 1)
})

t.test('scores of exactly 0 give weights all the same', async t => {
  for (const gate of [oneLogit(800, 800), oneLogit(1, 800), threeClasses(800, 800), threeClasses(1, 800)]) {
    t.ok(Number.isFinite(gate.ratio))
    t.equal(gate.networkWeight + gate.linearWeight, 1)
  }
  t.equal(oneLogit(800, 800).linearWeight, 0.5)
  t.equal(oneLogit(1, 800).linearWeight, 1)
})
