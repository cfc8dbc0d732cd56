/** @file How much of the answer the linear model over all weights gets, from its leave-one-out scores. */
import t from 'tap'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
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

/** Three rows of three classes, each right by that margin. */
function threeClasses(network: number, left: number): Gate {
  const f = (margin: number): Float64Array => Float64Array.of(margin, 0, 0, 0, margin, 0, 0, 0, margin)
  return gateOf({ likelihood: classes, examples: 3, outputs: 3, labels: Float64Array.of(0, 1, 2) }, f(network), {
    f: f(left),
    covariance: new Float64Array(27),
  })
}

t.test('with two classes the linear model gets (1 - r)/2', async t => {
  const ratio = Math.log1p(Math.exp(-6)) / Math.log1p(Math.exp(-1))
  const gate = oneLogit(6, 1)
  t.ok(Math.abs(gate.ratio - ratio) < 1e-12)
  t.ok(Math.abs(gate.linearWeight - (1 - ratio) / 2) < 1e-12)
  t.equal(gate.networkWeight + gate.linearWeight, 1)
})

t.test('with more classes it gets (1 - r)/2 too, and at most an eighth', async t => {
  const nll = (margin: number): number => Math.log1p(2 * Math.exp(-margin))
  t.equal(threeClasses(9, 1).linearWeight, 0.125)
  const ratio = nll(1.2) / nll(1)
  t.ok(ratio > 0.75)
  t.ok(Math.abs(threeClasses(1.2, 1).linearWeight - (1 - ratio) / 2) < 1e-12)
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
