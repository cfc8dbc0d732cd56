/** @file The evidence on bins of a large spectrum: near enough to start from, while the maximum stays the exact one. */
import t from 'tap'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import { DEFAULT_SETTINGS } from '../../../core/options/hyperparameters.js'
import { type DataFit } from '../../../core/posterior/evidence.js'
import { structuredPosterior } from '../../../core/posterior/structured.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { binned } from '../../../core/tuning/binned-spectrum.js'
import { coarseEvidence, evidenceFunction } from '../../../core/tuning/evidence.js'
import { tuneByMarginalLikelihood } from '../../../core/tuning/marginal-likelihood.js'
import { maximise } from '../../../core/tuning/newton.js'
import { priorGroups } from '../../../core/tuning/prior-groups.js'

const SIZES = [6000, 50, 5000]
const SIZE = SIZES.reduce((sum, size) => sum + size, 0)
const random = randomGenerator(3)
const slots = SIZES.map((size, i) => ({ name: `w${i}`, shape: [size, 1], size,
  offset: SIZES.slice(0, i).reduce((sum, own) => sum + own, 0) })
)
/** Over thirty powers of ten, zeros among them. */
const diagonal = Float64Array.from({ length: SIZE }, (_, i) => (i % 7 === 0 ? 0 : Math.exp(7 * random.normal() - 3)))
const mean = Float64Array.from({ length: SIZE }, (_, i) => random.normal() * (i < 6000 ? 0.1 : 2))
const posterior = structuredPosterior({ structure: 'diag', size: SIZE, diagonal }, slots, mean, { ...DEFAULT_SETTINGS,
  priorMean: 0.05 })
const data: DataFit = { likelihood: likelihoodModel('regression'), loss: 900, examples: 20000, outputs: 1 }

for (const priorStructure of ['scalar', 'layerwise'] as const) {
  for (const tuneNoise of [false, true]) {
    t.test(`the maximum is the exact one: ${priorStructure}${tuneNoise ? ', with the noise' : ''}`, async t => {
      const groups = priorGroups(priorStructure, slots)
      const exact = evidenceFunction(posterior, data, groups, tuneNoise ? 1e-6 : undefined)
      const { settings, note } = tuneByMarginalLikelihood(posterior, data, { priorStructure, tuneNoise })
      t.equal(note, undefined)
      const found = [...[settings.priorPrecision].flatMap(value => typeof value === 'number' ? [value] : [...value]),
        ...(tuneNoise ? [settings.sigmaNoise] : [])].map(Math.log)
      const point = Float64Array.from(found)
      const { value, gradient } = exact.at(point, false)
      t.ok(gradient.every(slope => Math.abs(slope) < 1e-7), `gradient ${gradient.join(', ')}`)
      for (const start of [-8, -2, 3, 9]) {
        const other = maximise(exact, point.map((own, i) => i < groups.length ? start : own))
        t.ok(other.converged && exact.at(other.point, false).value <= value + 1e-9 * Math.abs(value), `from ${start}`)
      }
    })
  }
}

t.test('the coarse evidence is near the exact one, and leaves it three steps', async t => {
  const groups = priorGroups('layerwise', slots)
  const exact = evidenceFunction(posterior, data, groups, 1e-6)
  const coarse = coarseEvidence(posterior, data, groups, 1e-6)
  if (coarse === undefined) throw new Error('There is no coarse evidence of 11,050 eigenvalues.')
  for (const place of [-20, -3, 0, 2, 15]) {
    const point = Float64Array.of(place, place + 1, place - 2, -1)
    const [near, wanted] = [coarse.at(point, true), exact.at(point, true)]
    t.ok(Math.abs(near.value - wanted.value) < SIZE / 64 ** 2 / 8, `value at ${place}`)
    t.ok(near.gradient.every((slope, i) => Math.abs(slope - wanted.gradient[i]!) < SIZE / 64 ** 2), `slope at ${place}`)
    t.ok(near.hessian.every((own, i) => Math.abs(own - wanted.hessian[i]!) < SIZE / 64 ** 2), `curvature at ${place}`)
  }
  const start = maximise(coarse, new Float64Array(4)).point
  t.ok(maximise(exact, start).steps <= 3)
})

t.test('bins keep number and sum, and are few', async t => {
  const bins = binned(diagonal)
  if (bins === undefined) throw new Error('There are no bins.')
  const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0)
  t.equal(sum(bins.counts), SIZE)
  t.ok(Math.abs(sum(bins.values.map((value, i) => value * bins.counts[i]!)) / sum(diagonal) - 1) < 1e-12)
  t.ok(bins.values.length < SIZE / 3)
  t.strictSame(binned(new Float64Array(5000)), { values: Float64Array.of(0), counts: Float64Array.of(5000) })
  t.equal(binned(new Float64Array(100)), undefined)
})

t.test('there is no coarse evidence of few eigenvalues, nor where precisions meet in one matrix', async t => {
  const small = { structure: 'diag', size: 3, diagonal: Float64Array.of(1, 2, 3) } as const
  const own = [{ name: 'w', shape: [3, 1], size: 3, offset: 0 }]
  const few = structuredPosterior(small, own, new Float64Array(3), DEFAULT_SETTINGS)
  t.equal(coarseEvidence(few, data, priorGroups('scalar', own), undefined), undefined)
  const halves = [0, 1].map(i => ({ name: `w${i}`, shape: [1, 1], size: 1, offset: i }))
  const full = structuredPosterior({ structure: 'full', size: 2, matrix: Float64Array.of(2, 1, 1, 2) }, halves,
    new Float64Array(2), DEFAULT_SETTINGS)
  t.equal(coarseEvidence(full, data, priorGroups('layerwise', halves), undefined), undefined)
})
