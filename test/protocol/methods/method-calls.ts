/** @file The methods of a compute thread, called as the thread calls them: every message through its bytes. */
import { readFileSync } from 'node:fs'
import type { Tensor } from '../../../core/tensor/tensor.js'
import { tensorFromWire, tensorToWire } from '../../../protocol/frames/arrays.js'
import { decodeMessage } from '../../../protocol/frames/decode.js'
import type { DecodedMap } from '../../../protocol/frames/decoded-map.js'
import { encodeFrame, type WireMap } from '../../../protocol/frames/encode.js'
import type { ProgressReport } from '../../../protocol/messages/notes.js'
import { createMethods } from '../../../protocol/methods/create-methods.js'
import { METHODS } from '../../../protocol/methods/method-table.js'
import { createHandleTable } from '../../../protocol/server/handles.js'

const reread = (message: WireMap): DecodedMap => decodeMessage(encodeFrame(message).subarray(4))

export interface Caller {
  /** Calls a method; rejects with its error. */
  call(method: string, params: WireMap,
    more?: { signal?: { readonly aborted: boolean }, onProgress?: (report: ProgressReport) => void }
  ): Promise<DecodedMap>
  /** Handles that ended with the methods called so far. */
  readonly dropped: string[]
  free(handle: string): void
}

/** A compute thread's methods with the session's part of handling names. */
export function createCaller(readDirectories: readonly string[] = []): Caller {
  const methods = createMethods({ readDirectories })
  const handles = createHandleTable(1000, () => 0)
  const dropped: string[] = []
  return {
    dropped,
    async call(method, params, { signal = { aborted: false }, onProgress = () => undefined } = {}) {
      const kind = METHODS.get(method)?.creates
      const creates = kind === undefined ? undefined : handles.reserve(kind)
      return reread(await methods.run(method, reread(params), { creates, signal, onProgress, drop: handle => {
        dropped.push(handle)
      } }))
    },
    free: handle => {
      methods.free(handle)
    },
  }
}

/** The array of an answer. */
export function arrayIn(answer: DecodedMap, key: string): Tensor {
  return tensorFromWire(answer[key], key)
}

/** A reference case: its file, its data as wire arrays and its expected values. */
export function caseFiles(
  name: string,
): { readonly bytes: Uint8Array, readonly x: WireMap, readonly y: WireMap, readonly xTest: WireMap,
  readonly yTest: WireMap, readonly expected: Expected } {
  const folder = new URL(`../../fixtures/cases/${name}/`, import.meta.url)
  const json = (file: string): Record<string, Plain> =>
    JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as Record<string, Plain>
  const data = json('data.json')
  const array = (key: string, dtype: 'float64' | 'int64' = 'float64'): WireMap =>
    tensorToWire({ dtype, shape: data[key].shape, data: Float64Array.from(data[key].data) })
  return { bytes: new Uint8Array(readFileSync(new URL('model.onnx', folder))), x: array('x'), y: array('y'),
    xTest: array('x_test'), yTest: array('y_test'), expected: json('expected.json') as unknown as Expected }
}

interface Plain {
  readonly shape: number[]
  readonly data: number[]
}

/** What the tests read of expected.json. */
export interface Expected {
  readonly f: { readonly x_test: Plain }
  readonly runs: readonly {
    readonly subset: string
    readonly structure: string
    readonly settings: readonly { readonly marglik: { readonly log_marginal_likelihood: number },
      readonly predictive: { readonly f_var: Plain, readonly probit: Plain } }[]
    readonly tuned: {
      readonly scalar: { readonly optimum: { readonly delta: number, readonly log_marginal_likelihood: number } }
    }
  }[]
}

/** A thread with the network of a classification and a posterior with prior precision 1. */
export async function fittedTo({ bytes, x, y }: ReturnType<typeof caseFiles>,
  more: WireMap = {}): Promise<{ caller: Caller, model: string, posterior: string, summary: DecodedMap }> {
  const caller = createCaller()
  const { handle } = await caller.call('readNetwork', { bytes })
  const answer = await caller.call('fit', { model: String(handle),
    options: { likelihood: 'classification', priorPrecision: 1, ...more }, x, y })
  return { caller, model: String(handle), posterior: String(answer['handle']),
    summary: answer['summary'] as DecodedMap }
}
