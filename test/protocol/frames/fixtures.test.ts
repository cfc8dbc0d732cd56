import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { UntrustedInputError } from '../../../core/errors/errors.js'
import { decodeMessage } from '../../../protocol/frames/decode.js'
import { encodeFrame, type WireMap } from '../../../protocol/frames/encode.js'

const folder = new URL('../../../protocol/fixtures/v1/', import.meta.url)

/** The message of a description: `{"$bin": base64}` stands for bytes. */
function fromJson(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(fromJson)
  if (typeof value !== 'object' || value === null) return value
  if ('$bin' in value) return new Uint8Array(Buffer.from(String(value.$bin), 'base64'))
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fromJson(item)]))
}

const names = (at: URL): string[] =>
  readdirSync(at).filter(name => name.endsWith('.bin')).map(name => name.slice(0, -4))

t.test('H3 every golden frame decodes to its description and encodes to its bytes', async t => {
  t.ok(names(folder).length >= 50)
  for (const name of names(folder)) {
    const frame = new Uint8Array(readFileSync(new URL(`${name}.bin`, folder)))
    const { message } = JSON.parse(readFileSync(new URL(`${name}.json`, folder), 'utf8')) as { message: unknown }
    const decoded = decodeMessage(frame.subarray(4))
    t.strictSame(decoded, fromJson(message), name)
    t.equal(Buffer.compare(encodeFrame(decoded as WireMap), frame), 0, `${name} byte for byte`)
  }
})

t.test('F4 every frame of the refused ones is refused with its offset', async t => {
  const refused = new URL('refused/', folder)
  t.ok(names(refused).length >= 20)
  for (const name of names(refused)) {
    const frame = readFileSync(new URL(`${name}.bin`, refused))
    t.throws(() => decodeMessage(frame.subarray(4)), UntrustedInputError, name)
    try {
      decodeMessage(frame.subarray(4))
    } catch (error) {
      t.type((error as UntrustedInputError).data['offset'], 'number', name)
    }
  }
  t.equal(({} as Record<string, unknown>)['x'], undefined)
})
