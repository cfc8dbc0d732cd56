/** @file 48 of the list of attacks: HDF5 files that make the library run for ever, or take gigabytes. */
import t from 'tap'
import { readNetwork } from '../../../node/read-network.js'
import { fixture } from '../../support/fixture.js'

const refused = { code: 'UNTRUSTED_INPUT', data: { format: 'HDF5' } }

t.test('48 a file that makes the library run for ever ends at the deadline', async t => {
  await t.rejects(readNetwork(fixture('attacks/hang.h5')), { ...refused, message: /did not end within/ })
})

t.test('48 a file that makes the library take gigabytes gets no more than its arrays can need', async t => {
  const before = process.resourceUsage().maxRSS
  await t.rejects(readNetwork(fixture('attacks/mem-1.8GB.h5')), refused)
  // In kilobytes; the library itself and its thread take some 80 MB.
  t.ok(process.resourceUsage().maxRSS - before < 400_000)
})

t.test('48 what is whole is read in the same way', async t => {
  for (const name of ['perceptron.h5', 'perceptron.keras']) {
    const [apart, here] = await Promise.all([readNetwork(fixture(`keras/${name}`)),
      readNetwork(fixture(`keras/${name}`), { hdf5: undefined })])
    t.same([...apart.initializers], [...here.initializers])
  }
})
