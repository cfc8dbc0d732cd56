/** @file The gate of a last layer, and leave-one-out with a covariance that is not the linear model's own. */
import t from 'tap'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import { leaveOneOut } from '../../../core/linear-model/leave-one-out.js'
import { explainLastLayerGate } from '../../../core/tuning/explain.js'
import { type Gate, lastLayerGate } from '../../../core/tuning/gate.js'

const binary = likelihoodModel('binary')
const classes = likelihoodModel('classification')
const labels = Float64Array.of(1, 0, 1, 0)
const probabilities = (f: readonly number[]): Float64Array => binary.inverseLink(Float64Array.from(f), 4, 1)

/** Mean NLL of logits by the definition. */
function nllOf(f: readonly number[]): number {
  return f.reduce((sum, value, i) => sum + Math.log1p(Math.exp(labels[i] === 1 ? -value : value)), 0) / f.length
}

t.test('where nothing says how often it errs the linear model gets 1 - r, with its own variance', async t => {
  const [network, left] = [[4, -4, 4, -4], [1, -1, 0.5, 1]]
  const gate = lastLayerGate({ likelihood: binary, examples: 4, outputs: 1, labels }, Float64Array.from(network),
    () => probabilities(left))
  const ratio = nllOf(network) / nllOf(left)
  t.ok(Math.abs(gate.ratio - ratio) < 1e-12)
  t.ok(Math.abs(gate.leftOutNll - nllOf(left)) < 1e-12)
  t.ok(Math.abs(gate.linearWeight - (1 - ratio)) < 1e-12)
  t.equal(gate.networkWeight + gate.linearWeight, 1)
  t.equal(gate.varianceScale, 1)
})

t.test('with two classes halfway and linear model get (5 e)^2, at most a third, three times the variance', async t => {
  const gate = (errorRate: number): Gate =>
    lastLayerGate({ likelihood: binary, examples: 4, outputs: 1, labels }, Float64Array.of(9, -9, 9, -9), () =>
      probabilities([1, -1, 0.5, 1]), errorRate)
  const { networkWeight, halfwayWeight, linearWeight, varianceScale, halfwayScale } = gate(0.1)
  t.ok(Math.abs(linearWeight - 0.25) < 1e-12)
  t.equal(halfwayWeight, linearWeight)
  t.ok(Math.abs(networkWeight - 0.5) < 1e-12)
  t.equal(varianceScale, 3)
  t.equal(halfwayScale, 3)
  t.equal(gate(0).networkWeight, 1)
  t.equal(gate(0.5).linearWeight, 1 / 3)
})

t.test('with more classes it gets a quarter of 1 - r, with a quarter of its variance', async t => {
  const three = Float64Array.of(0, 1, 2)
  const sure = Float64Array.of(5, 0, 0, 0, 5, 0, 0, 0, 5)
  const even = new Float64Array(9)
  const gate = lastLayerGate({ likelihood: classes, examples: 3, outputs: 3, labels: three }, sure,
    () => classes.inverseLink(even, 3, 3))
  const ratio = Math.log(1 + 2 * Math.exp(-5)) / Math.log(3)
  t.ok(Math.abs(gate.linearWeight - (1 - ratio) / 4) < 1e-12)
  t.equal(gate.varianceScale, 0.25)
  t.equal(gate.link, 'zero_sum')
})

t.test('with more classes halfway and linear model get (1.2 e)^2 each', async t => {
  const three = Float64Array.of(0, 1, 2)
  const sure = Float64Array.of(5, 0, 0, 0, 5, 0, 0, 0, 5)
  const gate = (errorRate: number): Gate =>
    lastLayerGate({ likelihood: classes, examples: 3, outputs: 3, labels: three }, sure, () =>
      classes.inverseLink(new Float64Array(9), 3, 3), errorRate)
  t.ok(Math.abs(gate(0.25).linearWeight - 0.09) < 1e-12)
  t.equal(gate(0.25).halfwayWeight, gate(0.25).linearWeight)
  t.equal(gate(0).networkWeight, 1)
  t.match(explainLastLayerGate(gate(0.25), 3), /shuffled weights.* names 25 % of the rows left out wrongly\. /)
})

t.test('the linear model answers alone where the network underfits, not where it is merely sure', async t => {
  const weight = (network: readonly number[], left: readonly number[]): number =>
    lastLayerGate({ likelihood: binary, examples: 4, outputs: 1, labels }, Float64Array.from(network), () =>
      probabilities(left)).linearWeight
  t.equal(weight([-0.5, 0.5, -0.5, 0.5], [3, -3, 3, -3]), 1)
  t.equal(weight([2.5, -2.5, 2.5, -2.5], [6, -6, 6, -6]), 0)
  t.equal(weight([1, -1, 1, -1], [1.2, -1.2, 1.2, -1.2]), 0)
})

t.test('leave-one-out bears a covariance that leaves a row nothing', async t => {
  // With p = 1/2 the curvature is 1/4: a variance of 8 would leave 1 - 2 < 0 of the row's precision.
  const rows = { likelihood: classes, examples: 1, outputs: 2, labels: Float64Array.of(0) }
  const left = leaveOneOut(rows, Float64Array.of(0, 0), Float64Array.of(8, 0, 0, 8))
  t.ok(left.f.every(Number.isFinite) && left.covariance.every(Number.isFinite))
  t.ok(left.f[0] < left.f[1], 'without the row its class is the less likely one')
  t.ok(left.covariance[0] > 8, 'and less is known than with it')
})
