/** @file `--selftest`: every kind of message there and back, and a fit whose posterior is known in closed form. */
import { InternalError } from '../../core/errors/errors.js'
import { float64, type Tensor } from '../../core/tensor/tensor.js'
import { FRAMES, REFUSED_FRAMES } from '../fixtures/v1.js'
import { tensorFromWire, tensorToWire } from '../frames/arrays.js'
import { decodeMessage } from '../frames/decode.js'
import { type DecodedMap, own } from '../frames/decoded-map.js'
import { encodeFrame, type WireMap } from '../frames/encode.js'
import { HEADER_BYTES } from '../frames/frame.js'
import { mapParameter, textParameter } from '../messages/parameters.js'
import { createMethods } from '../methods/create-methods.js'

/**
 * Tries what the server needs.
 * @returns a sentence that says what was tried
 * @throws InternalError naming what does not work
 */
export async function selfTest(): Promise<string> {
  const messages = Object.entries(FRAMES)
  for (const [name, text] of messages) checkFrame(name, Buffer.from(text, 'base64'))
  const refused = Object.entries(REFUSED_FRAMES)
  for (const [name, text] of refused) checkRefused(name, Buffer.from(text, 'base64'))
  await checkFit()
  return `All is well: ${messages.length} messages there and back, ${refused.length} malformed ones refused, ` +
    'and a small fit with the right numbers.'
}

function checkFrame(name: string, frame: Uint8Array): void {
  const again = encodeFrame(decodeMessage(frame.subarray(HEADER_BYTES)) as WireMap)
  if (Buffer.compare(frame, again) !== 0) {
    throw new InternalError(`The message '${name}' does not come back as it was.`, { fixture: name })
  }
}

function checkRefused(name: string, frame: Uint8Array): void {
  let accepted = true
  try {
    decodeMessage(frame.subarray(HEADER_BYTES))
  } catch {
    accepted = false
  }
  if (accepted) throw new InternalError(`The malformed message '${name}' was accepted.`, { fixture: name })
}

/** A message as it would arrive: through the bytes of a frame. */
function transmitted(message: WireMap): DecodedMap {
  return decodeMessage(encodeFrame(message).subarray(HEADER_BYTES))
}

/**
 * Bayesian linear regression f = w x + b at x = -1, 0, 2 with noise 1/2 and prior precision 3: the posterior's
 * precision is 4 X'X + 3 I = [23 4; 4 15], so that f has the variance (15 x^2 - 8 x + 23) / (23 15 - 16).
 */
async function checkFit(): Promise<void> {
  const array = (shape: readonly number[], values: readonly number[]): WireMap => tensorToWire(float64(shape, values))
  const { run } = createMethods({ readDirectories: [] })
  const call = async (method: string, params: WireMap, creates?: string): Promise<DecodedMap> => {
    const context = { creates, signal: { aborted: false }, onProgress: () => undefined, drop: () => undefined }
    return transmitted(await run(method, transmitted(params), context))
  }
  await call('readNetwork', { layers: [{ type: 'Linear', name: '0' }],
    tensors: { '0.weight': array([1, 1], [2]), '0.bias': array([1], [1]) } }, 'model:1')
  const options = { likelihood: 'regression', structure: 'full', priorPrecision: 3, sigmaNoise: 0.5 }
  const x = array([3, 1], [-1, 0, 2])
  const fitted = await call('fit', { model: 'model:1', options, x, y: array([3, 1], [-1, 1, 5]) }, 'posterior:2')
  const answer = await call('predict', { posterior: textParameter(fitted, 'handle'), x })
  checkVariances(tensorFromWire(own(answer, 'variance'), 'variance'),
    [-1, 0, 2].map(at => (15 * at * at - 8 * at + 23) / (23 * 15 - 16)))
  if (own(mapParameter(fitted, 'summary'), 'examples') !== 3) {
    throw new InternalError('A small fit did not count its examples.')
  }
}

function checkVariances({ data }: Tensor, wanted: readonly number[]): void {
  // Not `> 1e-9`: that would take NaN for right.
  const row = wanted.findIndex((value, i) => !(Math.abs(data[i] - value) <= 1e-9))
  if (row < 0) return
  throw new InternalError(`A small fit gave the variance ${data[row]} where ${wanted[row]} is right.`, { row })
}
