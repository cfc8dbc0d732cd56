/** @file 61 of the list of attacks: more draws than there is memory for. */
import t from 'tap'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import { monteCarlo } from '../../../core/prediction/monte-carlo.js'

t.test('61 draws beyond the memory limit are refused before they are made', async t => {
  const gaussian = { f: new Float64Array(3), variance: new Float64Array(9), examples: 1, outputs: 3 }
  for (const samples of [2 ** 28, 2 ** 31, 2 ** 53]) {
    t.throws(() => monteCarlo(likelihoodModel('classification'), gaussian, { samples, seed: 1 }), {
      code: 'OUT_OF_MEMORY',
      message: /option samples/,
    })
  }
})
