/** @file How often a linear model of features is wrong on rows left out. */
import t from 'tap'
import { ridgeError } from '../../../core/linear-model/ridge-error.js'
import { randomGenerator } from '../../../core/tensor/random.js'

/** Rows of three classes about corners that are `far` from each other, in two features and a constant. */
function corners(far: number, examples = 90): { phi: Float64Array, labels: Float64Array } {
  const random = randomGenerator(1)
  const labels = Float64Array.from({ length: examples }, (_, n) => n % 3)
  const rows = Array.from(labels,
    label => [far * Number(label === 1) + random.normal(), far * Number(label === 2) + random.normal(), 1])
  return { phi: Float64Array.from(rows.flat()), labels }
}

t.test('none where classes lie apart, near chance where features say nothing', async t => {
  const error = (far: number): number => ridgeError({ ...corners(far), examples: 90, classes: 3 }, {})
  t.equal(error(20), 0)
  t.ok(error(2) > 0.05 && error(2) < 0.4)
  t.ok(error(0) > 0.5)
})

t.test('the only row of a class is named wrongly, as the others have not seen the class', async t => {
  const { phi, labels } = corners(20)
  const alone = labels.map((label, n) => (n === 4 ? 3 : label))
  t.ok(Math.abs(ridgeError({ phi, labels: alone, examples: 90, classes: 5 }, {}) - 1 / 90) < 1e-12)
})

t.test('features that are constant, or all 0, name the largest class', async t => {
  const labels = Float64Array.of(0, 0, 0, 1, 2)
  for (const value of [1, 0]) {
    const error = ridgeError({ phi: new Float64Array(5).fill(value), labels, examples: 5, classes: 3 }, {})
    t.ok(Math.abs(error - 0.4) < 1e-12)
  }
})
