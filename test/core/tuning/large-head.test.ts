/** @file A large last layer is tuned by modes in the eigenbasis of its features; they are those of Newton's method. */
import t from 'tap'
import { symmetricEigen } from '../../../core/kernels/linear-algebra.js'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import { rowReservoir } from '../../../core/sums/row-reservoir.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { linearMode } from '../../../core/tuning/linear-mode.js'
import { linearModel } from '../../../core/tuning/linear-model.js'
import { rotatedModes } from '../../../core/tuning/rotated-mode.js'
import { relativeDifference } from '../../support/compare.js'

for (const [name, outputs] of [['classification', 5], ['multilabel', 3], ['regression', 2]] as const) {
  for (const [examples, inputs] of [[60, 12], [20, 40]] as const) {
    t.test(`${name}: ${examples} rows of ${inputs} features`, async t => {
      const random = randomGenerator(examples)
      const likelihood = likelihoodModel(name)
      const labels = Float64Array.from({ length: examples * likelihood.targetWidth(outputs) }, () =>
        name === 'classification' ? Math.floor(random.uniform() * outputs) : Math.round(random.uniform()))
      const slots = [{ name: 'weight', shape: [outputs, inputs], offset: 0, size: outputs * inputs }, { name: 'bias',
        shape: [outputs], offset: outputs * inputs, size: outputs }]
      const model = linearModel(likelihood, slots, { features: random.fillNormal(new Float64Array(examples * inputs)),
        labels, examples })
      const start = random.fillNormal(new Float64Array(model.size))
      const [scale, delta] = [0.7, 0.3]
      const wanted = await linearMode(model, { scale, precision: new Float64Array(model.size).fill(delta),
        priorMean: new Float64Array(model.size) }, start)
      const own = await rotatedModes(model, start).modeAt(scale, delta, 1e-9, {})
      t.ok(relativeDifference(own.w, wanted.w) < 1e-6, `weights ${relativeDifference(own.w, wanted.w)}`)
      t.ok(relativeDifference(own.f, wanted.f) < 1e-6, 'outputs')
      t.ok(Math.abs(own.loss / wanted.loss - 1) < 1e-6, 'loss')
      const finder = rotatedModes(model, start)
      for (const before of [0.9, 0.5]) await finder.modeAt(scale, before, 0.03, {})
      const last = await finder.modeAt(scale, delta, 1e-9, {})
      t.ok(relativeDifference(last.w, wanted.w) < 1e-6, 'from the modes before it')
      const [{ inputs: values }] = model.spectrum(wanted.f, 'kron')
      const curvature = model.curvature(wanted.f, { structure: 'kron' })
      const [block] = curvature.structure === 'kron' ? curvature.blocks : []
      const factor = block.kind === 'weight' ? symmetricEigen(inputs, block.A).values : new Float64Array(0)
      const largest = factor[inputs - 1] / examples
      t.ok(values.every((value, i) => Math.abs(value - factor[i] / examples) < 1e-12 * largest), 'eigenvalues of A')
      const rough = await rotatedModes(model, start, true).modeAt(scale, delta, 1e-4, {})
      t.ok(relativeDifference(rough.f, wanted.f) < 1e-3, 'outputs of a sample of rows')
    })
  }
}

t.test('rows beyond the limit are kept as a sample that does not depend on the batches', t => {
  const features = Float64Array.from({ length: 400 }, (_, i) => Math.floor(i / 2))
  const labels = Float64Array.from({ length: 200 }, (_, i) => i)
  const keptBy = (size: number) => {
    const reservoir = rowReservoir(5, 0, 100)
    for (let from = 0; from < 200; from += size) {
      const to = Math.min(200, from + size)
      reservoir.add(features.subarray(2 * from, 2 * to), labels.subarray(from, to), new Int32Array(to - from).fill(1))
    }
    return reservoir.data()
  }
  const [one, many] = [keptBy(200), keptBy(7)]
  t.strictSame(one.labels, many.labels)
  t.equal(one.seen, 200)
  t.ok(one.examples <= 50 && one.examples > 10, `${one.examples} rows`)
  t.strictSame(Array.from(one.features), Array.from(one.labels).flatMap(label => [label, label]),
    'rows with their labels')
  t.end()
})

t.test('rows of many outputs are fewer', t => {
  const reservoir = rowReservoir(5, 10, 1000)
  reservoir.add(new Float32Array(400), new Float64Array(200), new Int32Array(200).fill(1))
  const { examples, seen } = reservoir.data()
  t.equal(seen, 200)
  t.ok(examples <= 1000 / 22 && examples > 10, `${examples} rows`)
  t.end()
})
