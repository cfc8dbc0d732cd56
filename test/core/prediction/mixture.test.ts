/** @file Links that do not count the common shift, the mixture of network and linear model, and novelty. */
import t from 'tap'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import { narrowed } from '../../../core/posterior/variance-kind.js'
import { pairwiseProbit } from '../../../core/prediction/mean-field.js'
import { mixture } from '../../../core/prediction/mixture.js'
import { noveltyOf } from '../../../core/prediction/novelty.js'
import { probit } from '../../../core/prediction/probit.js'
import { zeroSum, zeroSumVariances } from '../../../core/prediction/zero-sum.js'
import { relativeDifference } from '../../support/compare.js'
import { drawer } from '../../support/random-network.js'

const draw = drawer(9)
const [N, C] = [6, 4]
const f = Float64Array.from(draw(N, C).data)
const root = draw(N, C, C).data
const S = Float64Array.from({ length: N * C * C }, (_, at) => {
  const [n, c, d] = [Math.floor(at / (C * C)), Math.floor(at / C) % C, at % C]
  let sum = 0
  for (let k = 0; k < C; k++) sum += root[(n * C + c) * C + k] * root[(n * C + d) * C + k]
  return sum
})
/** S + 100 1 1': the variance of a shift of all logits together. */
const shifted = S.map(value => value + 100)
const sums = (covariance: Float64Array) => narrowed(covariance, 'covariance', 'sums', C)

t.test('zero_sum and pairwise leave a shift of all logits alone, probit does not', async t => {
  t.ok(relativeDifference(zeroSum(f, sums(shifted), N, C), zeroSum(f, sums(S), N, C)) < 1e-12)
  t.ok(relativeDifference(pairwiseProbit(f, shifted, N, C), pairwiseProbit(f, S, N, C)) < 1e-12)
  const classification = likelihoodModel('classification')
  const diagonal = (s: Float64Array) => Float64Array.from({ length: N * C }, (_, i) => s[i * C + i % C])
  t.ok(
    relativeDifference(probit(classification, f, diagonal(shifted), N, C),
      probit(classification, f, diagonal(S), N, C)) > 0.1,
  )
  const centred = Float64Array.from({ length: C * C }, (_, at) => Number(Math.floor(at / C) === at % C) - 1 / C)
  const expected = Float64Array.from({ length: N * C }, (_, i) => {
    const [n, c] = [Math.floor(i / C), i % C]
    let sum = 0
    for (let a = 0; a < C; a++) {
      for (let b = 0; b < C; b++) sum += centred[c * C + a] * S[(n * C + a) * C + b] * centred[c * C + b]
    }
    return sum
  })
  t.ok(relativeDifference(zeroSumVariances(sums(S), N, C), expected) < 1e-12, 'the variances of f_c - mean_c f')
})

t.test('two classes pairwise are the probit of their difference', async t => {
  const logits = Float64Array.of(0.3, -1, 2, 2.5)
  const covariance = Float64Array.of(1, 0.2, 0.2, 3, 2, -0.5, -0.5, 1)
  const p = pairwiseProbit(logits, covariance, 2, 2)
  const one = probit(likelihoodModel('binary'), Float64Array.of(-1.3, 0.5), Float64Array.of(3.6, 4), 2, 1)
  t.ok(relativeDifference(Float64Array.of(p[1], p[3]), one) < 1e-12)
})

t.test('a mixture is the weighted mean of both, and its parts add up', async t => {
  const classification = likelihoodModel('classification')
  const linear = Float64Array.from(draw(N, C).data)
  const answer = { link: 'zero_sum' as const, varianceScale: 1, networkWeight: 0.7, linearWeight: 0.3 }
  const { probabilities, parts } = mixture(classification, answer, { f, linear, covariance: S, kind: 'covariance',
    examples: N, outputs: C })
  const [network, own] = [classification.inverseLink(f, N, C), zeroSum(linear, sums(S), N, C)]
  t.ok(relativeDifference(probabilities, network.map((p, i) => 0.7 * p + 0.3 * own[i])) < 1e-14)
  const { total, aleatoric, epistemic } = parts(1)
  t.ok(total.every((value, n) => value <= Math.log(C) + 1e-12 && aleatoric[n] >= 0 && epistemic[n] >= 0))
  t.same(parts(1), parts(1), 'seeded')
})

t.test('a part of a mixture may lie halfway, with a factor of the variance of its own', async t => {
  const classification = likelihoodModel('classification')
  const linear = Float64Array.from(draw(N, C).data)
  const answer = { link: 'zero_sum' as const, varianceScale: 0, networkWeight: 0.5, linearWeight: 0.1,
    halfwayWeight: 0.4, halfwayScale: 0.25 }
  const { probabilities, parts } = mixture(classification, answer, { f, linear, covariance: S, kind: 'covariance',
    examples: N, outputs: C })
  const between = zeroSum(f.map((value, i) => (value + linear[i]!) / 2), sums(S.map(value => value / 4)), N, C)
  const [network, own] = [classification.inverseLink(f, N, C), classification.inverseLink(linear, N, C)]
  t.ok(relativeDifference(probabilities, network.map((p, i) => 0.5 * p + 0.1 * own[i]! + 0.4 * between[i]!)) < 1e-14)
  const { total, aleatoric, epistemic } = parts(1)
  t.ok(total.every((value, n) => Math.abs(value - aleatoric[n]! - epistemic[n]!) < 1e-12 || epistemic[n] === 0))
})

t.test('novelty is the rank among the training rows', async t => {
  const training = Float64Array.of(1, 2, 3, 4)
  const { score, pValue } = noveltyOf(Float64Array.of(0.5, 0.5, 2, 4, 9, 9), 3, training, undefined)
  t.same([...score], [0.5, 3, 9])
  t.same([...pValue], [1, 3 / 5, 1 / 5])
  t.same([...noveltyOf(Float64Array.of(4, 8), 1, training, Float64Array.of(1, 2)).score], [3])
})
