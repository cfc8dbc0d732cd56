/** @file What a network can say of its rows before it is trained: its features have learnt nothing of them. */
import type { WorkOptions } from '../budget/progress.js'
import { watched } from '../kernels/interruption.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { FactoredJacobian } from '../programs/factored-jacobian.js'
import { type RandomGenerator, randomGenerator } from '../tensor/random.js'
import { leftOutMeans } from './regression-model.js'

/**
 * theta with the values of each tensor in another order: sizes are those of the network, and nothing of the rows is
 * left in its features. Of several outputs, which may be on other scales, tensors with a row an output keep their rows.
 */
export function shuffledParameters(theta: Float64Array, slots: readonly ParameterSlot[], seed: number,
  outputs: number): Float64Array {
  const result = theta.slice()
  const random = randomGenerator(seed)
  for (const { offset, size, shape } of slots) {
    const width = outputs > 1 && shape[0] === outputs ? size / outputs : size
    for (let at = offset; at < offset + size; at += width) shuffle(result.subarray(at, at + width), random)
  }
  return result
}

/** Fisher and Yates. */
function shuffle(values: Float64Array, random: RandomGenerator): void {
  for (let i = values.length - 1; i > 0; i--) {
    const j = Math.floor(random.uniform() * (i + 1))
    const kept = values[i]
    values[i] = values[j]
    values[j] = kept
  }
}

/**
 * y - f_-n of every row by the linear model of an untrained network about the mean of the targets, N x C.
 * @param jacobian of the untrained network, with one-hot seeds
 * @param labels N x C
 * @param sizes rows of each example, where an example has several
 * @param onShare is told how much of the decompositions is done
 * @throws NumericalError, CancelledError
 */
export function untrainedErrors(slots: readonly ParameterSlot[], jacobian: FactoredJacobian, labels: Float64Array,
  work: WorkOptions, sizes?: Int32Array, onShare: (share: number) => void = () => undefined): Float64Array {
  const { examples, seeds: outputs } = jacobian
  const means = new Float64Array(outputs)
  labels.forEach((value, i) => {
    means[i % outputs] += value / examples
  })
  const rows = { slots, jacobian, examples, outputs, labels, f0: labels.map((_, i) => means[i % outputs]), sizes }
  const errors = labels.slice()
  for (let c = 0; c < outputs; c++) {
    const means = watched(share => {
      onShare((c + share) / outputs)
    }, () => leftOutMeans(rows, c, work))
    means.forEach((mean, n) => {
      errors[n * outputs + c] -= mean
    })
  }
  return errors
}
