import fc from 'fast-check'
import t from 'tap'
import { UntrustedInputError } from '../../../core/errors/errors.js'
import { decodeMessage } from '../../../protocol/frames/decode.js'
import { own } from '../../../protocol/frames/decoded-map.js'
import { encodeFrame, type WireMap } from '../../../protocol/frames/encode.js'
import { scanMessage } from '../../../protocol/frames/scan.js'
import { quickest } from '../../support/time-limits.js'

t.test('F4 bombs end at once', async t => {
  const bombs = [
    Uint8Array.from([0x81, 0xa1, 97, ...Array.from({ length: 24_000 }, () => [0xdc, 0xff, 0xff]).flat()]),
    new Uint8Array(1_000_000).fill(0x91).map((byte, i) => (i === 0 ? 0x81 : i === 1 ? 0xa0 : byte)),
    // 10,000 lists of 10,000 nils: small enough each, too many together.
    Uint8Array.from([0x81, 0xa0, 0xdc, 0x27, 0x10,
      ...Array.from({ length: 120 }, () => [0xdc, 0x27, 0x10, ...Array<number>(10_000).fill(0xc0)]).flat()]),
  ]
  for (const bomb of bombs) {
    const took = quickest(1000, () => {
      t.throws(() => {
        scanMessage(bomb)
      }, UntrustedInputError)
    })
    t.ok(took < 1000)
  }
})

t.test('F4 no input makes the scanner fail otherwise than by its own error, and what it accepts decodes', async t => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), bytes => {
    const map = Uint8Array.from([0x82, 0xa1, 97, ...bytes])
    try {
      decodeMessage(map)
    } catch (error) {
      if (!(error instanceof UntrustedInputError)) throw error
    }
  }), { numRuns: 5000 })
  t.pass('nothing failed')
})

t.test('F5 whole numbers come back equal, whichever way they travelled', async t => {
  const wire = fc.letrec(tie => ({
    value: fc.oneof({ maxDepth: 4 }, fc.boolean(), fc.constant(null), fc.string({ unit: 'grapheme' }),
      fc.double({ noNaN: true }).map(v => v + 0), fc.integer(), fc.maxSafeInteger(), fc.uint8Array(),
      fc.array(tie('value'), { maxLength: 20 }),
      fc.dictionary(fc.string().filter(key => key !== '__proto__'), tie('value'), { maxKeys: 20,
        noNullPrototype: true })),
  })).value
  fc.assert(fc.property(wire, value => {
    const decoded = decodeMessage(encodeFrame({ value } as WireMap).subarray(4))
    const plain = (item: unknown): unknown =>
      JSON.stringify(item, (_, v: unknown) => (v instanceof Uint8Array ? [...v] : v === -0 ? 0 : v))
    if (plain(own(decoded, 'value')) !== plain(value)) {
      throw new Error(`${String(plain(value))} became ${String(plain(own(decoded, 'value')))}`)
    }
  }), { numRuns: 500 })
  t.equal(own(decodeMessage(Uint8Array.from([0x81, 0xa1, 97, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0])), 'a'), 2 ** 32,
    'a 64-bit integer is a number')
  t.equal(own(decodeMessage(encodeFrame({ a: 1.0 }).subarray(4)), 'a'), 1)
})

t.test('keys of Object.prototype are not found', async t => {
  const map = decodeMessage(encodeFrame({ a: 1 }).subarray(4))
  t.equal(own(map, 'constructor'), undefined)
  t.equal(own(map, 'toString'), undefined)
})
