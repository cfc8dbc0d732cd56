/**
 * @file The methods of docs/protocol.md section 5, by name, and the state of the compute thread that carries them out.
 */
import { ProtocolError } from '../../core/errors/errors.js'
import { knownOptions } from '../../core/errors/suggest.js'
import { nodeRuntime } from '../../node/runtime/runtime.js'
import { compare } from './compare.js'
import { conformalize } from './conformalize.js'
import { createFileReader } from './file-reader.js'
import { addRows, digestChunk, fit, fitBatch, fitBegin, fitEnd, fitMerged, fitPartial, forecast, forget, mergePartials,
  subtractPartial } from './fits.js'
import type { MethodSet } from './method-set.js'
import { type MethodName, METHODS as ENTRIES } from './method-table.js'
import type { Method, ThreadState } from './method.js'
import { metrics } from './metrics.js'
import { conformalizeMixture, mix } from './mixtures.js'
import { filesBeside, forward, inspect, readNetwork } from './networks.js'
import { createObjectStore } from './object-store.js'
import { get } from './posterior-values.js'
import { functionalSamples, functionalVariance, influence, inputGradients, logMarginalLikelihood, logProb, predict,
  predictiveSamples, sample } from './predictions.js'
import { tune, withPrior } from './priors.js'
import { figures, report } from './report.js'
import { load, save } from './storage.js'
import { toOnnx } from './to-onnx.js'

const METHODS: Readonly<Record<MethodName, Method>> = {
  readNetwork,
  filesBeside,
  inspect,
  forward,
  forecast,
  fit,
  fitBegin,
  fitBatch,
  fitEnd,
  fitPartial,
  digestChunk,
  mergePartials,
  subtractPartial,
  addRows,
  forget,
  fitMerged,
  tune,
  withPrior,
  conformalize,
  mix,
  conformalizeMixture,
  predict,
  functionalVariance,
  influence,
  inputGradients,
  sample,
  predictiveSamples,
  functionalSamples,
  logProb,
  logMarginalLikelihood,
  get,
  save,
  toOnnx,
  load,
  compare,
  figures,
  report,
  metrics,
}

/** The methods of one compute thread, which keeps what they make. */
export function createMethods(setup: { readonly readDirectories: readonly string[] }): MethodSet {
  const state: ThreadState = { objects: createObjectStore(), files: createFileReader(setup.readDirectories),
    runtime: nodeRuntime }
  // A map, not the record itself: `METHODS['constructor']` would be a function.
  const byName = new Map<string, Method>(Object.entries(METHODS))
  return {
    run: async (name, params, context) => {
      const method = byName.get(name)
      if (method === undefined) {
        throw new ProtocolError('UNKNOWN_METHOD', `There is no method '${name.slice(0, 100)}'.`, {
          method: name.slice(0, 100),
        })
      }
      knownOptions(name, params, ENTRIES.get(name)?.takes ?? [])
      return method(params, context, state)
    },
    free: handle => {
      state.objects.delete(handle)
    },
  }
}
