/** @file The handshake: what the first request must say. */
import { ProtocolError } from '../../core/errors/errors.js'
import type { Language } from '../../core/errors/option-names.js'
import { type DecodedMap, own } from '../frames/decoded-map.js'

/** The protocol versions that this server speaks, the lowest first. */
const PROTOCOL_VERSIONS: readonly number[] = [1]

/** What a client says of itself in its first request. */
export interface Hello {
  /** The version that both speak. */
  readonly protocol: number
  /** The client's process. */
  readonly pid: number | undefined
  /** The language that the client's users read. */
  readonly language: Language
  /** Longest frame body that the client takes. */
  readonly maxFrame: number | undefined
}

/**
 * Reads the parameters of `hello`.
 * @param token what the client must know, undefined where none is asked for
 * @throws ProtocolError NOT_INITIALIZED without the token, PROTOCOL, VERSION_MISMATCH
 */
export function readHello(params: DecodedMap, token: string | undefined): Hello {
  if (token !== undefined && !sameText(own(params, 'token'), token)) {
    throw new ProtocolError('NOT_INITIALIZED',
      'hello must carry the token that this server was started with (environment variable POLYLAPLACE_TOKEN).')
  }
  return { protocol: commonVersion(own(params, 'protocol')), pid: optionalCount(params, 'pid'),
    language: languageOf(own(params, 'client')), maxFrame: optionalCount(params, 'maxFrame') }
}

/** The language of a client `python/0.2.0`; that of this server for others. */
function languageOf(client: unknown): Language {
  const name = typeof client === 'string' ? client.split('/', 1)[0] : ''
  return name === 'python' || name === 'r' ? name : 'node'
}

/** The highest version of a range that this server speaks. */
function commonVersion(range: unknown): number {
  if (!Array.isArray(range) || range.length !== 2 || !range.every(Number.isSafeInteger)) {
    throw new ProtocolError('PROTOCOL', "hello needs 'protocol': [lowest, highest] version that the client speaks.", {
      parameter: 'protocol',
    })
  }
  const [min, max] = range as [number, number]
  const protocol = PROTOCOL_VERSIONS.findLast(version => version >= min && version <= max)
  if (protocol !== undefined) return protocol
  throw new ProtocolError('VERSION_MISMATCH',
    `The client speaks protocol versions ${min} to ${max}, and this server ${PROTOCOL_VERSIONS.join(', ')}. ` +
      'Update the older of the two.', { client: [min, max], server: [...PROTOCOL_VERSIONS] })
}

/** A whole number above 0; anything else counts as absent, because later versions may say more here. */
function optionalCount(params: DecodedMap, key: string): number | undefined {
  const value = own(params, key)
  return Number.isSafeInteger(value) && Number(value) > 0 ? Number(value) : undefined
}

/** @throws ProtocolError when a loopback server has no token of at least 16 characters */
export function checkToken(token: string | undefined): string {
  if (token === undefined || token.length < 16) {
    throw new ProtocolError('PROTOCOL',
      'The loopback transport needs a one-time token of at least 16 characters in the environment variable ' +
        'POLYLAPLACE_TOKEN.')
  }
  return token
}

/** Compares without telling by its time how much was right: `===` would stop at the first difference. */
function sameText(given: unknown, wanted: string): boolean {
  if (typeof given !== 'string' || given.length !== wanted.length) return false
  let difference = 0
  for (let i = 0; i < wanted.length; i++) difference |= given.charCodeAt(i) ^ wanted.charCodeAt(i)
  return difference === 0
}
