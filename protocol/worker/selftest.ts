/** @file `--selftest`: every kind of message there and back, and a fit whose posterior is known in closed form. */
import { InternalError } from '../../core/errors/errors.js'
import { float64 } from '../../core/tensor/tensor.js'
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
  return `All is well: ${messages.length} messages there and back, ${refused.length} malformed ones refused, and a small fit with the right numbers.`
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

/** Bayesian linear regression f = w x + b at x = -1, 0, 2 with noise 1/2 and prior precision 3: precision 4 X'X + 3 I. */
async function checkFit(): Promise<void> {
  const array = (shape: readonly number[], values: readonly number[]): WireMap => tensorToWire(float64(shape, values))
  const { run } = createMethods({ readDirectories: [] })
  const call = async (method: string, params: WireMap, creates?: string): Promise<DecodedMap> => {
    const context = { creates, signal: { aborted: false }, onProgress: () => undefined, drop: () => undefined }
    // As it would arrive: through the bytes of a frame.
    return decodeMessage(
      encodeFrame(await run(method, decodeMessage(encodeFrame(params).subarray(HEADER_BYTES)), context)).subarray(
        HEADER_BYTES,
      ),
    )
  }
  await call('readNetwork', { layers: [{ type: 'Linear', name: '0' }],
    tensors: { '0.weight': array([1, 1], [2]), '0.bias': array([1], [1]) } }, 'model:1')
  const options = { likelihood: 'regression', structure: 'full', priorPrecision: 3, sigmaNoise: 0.5 }
  const x = array([3, 1], [-1, 0, 2])
  const fitted = await call('fit', { model: 'model:1', options, x, y: array([3, 1], [-1, 1, 5]) }, 'posterior:2')
  const answer = await call('predict', { posterior: textParameter(fitted, 'handle'), x })
  const wanted = float64([3, 1], [-1, 0, 2].map(at => (15 * at * at - 8 * at + 23) / (23 * 15 - 16)))
  const variance = tensorFromWire(own(answer, 'variance'), 'variance')
  const far = wanted.data.findIndex((value, i) => !(Math.abs(variance.data[i] - value) <= 1e-9))
  if (far >= 0) {
    throw new InternalError(`A small fit gave the variance ${variance.data[far]} where ${wanted.data[far]} is right.`, {
      row: far,
    })
  }
  if (own(mapParameter(fitted, 'summary'), 'examples') !== 3) {
    throw new InternalError('A small fit did not count its examples.')
  }
}
