import t from 'tap'
import { allFinite } from '../../../core/tensor/finite.js'

const VALUES = [0, -0, 1, -1, 2 ** -149, -(2 ** -126), (2 - 2 ** -23) * 2 ** 127, -(2 - 2 ** -23) * 2 ** 127]

for (const make of [Float32Array, Float64Array]) {
  t.test(make.name, async t => {
    t.ok(allFinite(new make(0)))
    for (let length = 1; length < 10; length++) {
      const values = make.from(VALUES.concat(VALUES).slice(0, length))
      t.ok(allFinite(values), `${length} numbers`)
      for (let at = 0; at < length; at++) {
        for (const bad of [NaN, Infinity, -Infinity]) {
          const others = values.slice()
          others[at] = bad
          t.notOk(allFinite(others), `${bad} at ${at} of ${length}`)
        }
      }
    }
    t.notOk(allFinite(make.of(NaN, 1, 2).subarray(0, 1)), 'of a part alone')
    t.ok(allFinite(make.of(NaN, 1, 2).subarray(1)), 'of a part alone')
  })
}

t.test('NaN of any sign and any bits', async t => {
  for (const bits of [0x7fc00000, 0xffc00000, 0x7f800001, 0xffffffff]) {
    const values = new Float32Array(5)
    new Uint32Array(values.buffer)[3] = bits
    t.notOk(allFinite(values), bits.toString(16))
  }
})
