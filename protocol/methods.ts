/** @file The methods of docs/protocol.md section 5, by name, and the state of the compute thread that carries them out. */
import { ProtocolError } from '../core/errors/errors.js'
import { nodeRuntime } from '../node/runtime.js'
import { createFileReader } from './files.js'
import type { MethodName } from './method-table.js'
import { functionalSamples, functionalVariance, logMarginalLikelihood, logProb, predict, predictiveSamples,
  sample } from './methods/asking.js'
import { fit, fitBatch, fitBegin, fitEnd, fitMerged, fitPartial, mergePartials } from './methods/fitting.js'
import type { Method, Workbench } from './methods/method.js'
import { forward, inspect, readNetwork } from './methods/networks.js'
import { createObjectStore } from './methods/objects.js'
import { load, save } from './methods/persistence.js'
import { metrics } from './methods/scoring.js'
import { tune, withPrior } from './methods/tuning.js'
import { get } from './methods/values.js'
import type { MethodSet } from './thread.js'

const METHODS: Readonly<Record<MethodName, Method>> = {
  readNetwork,
  inspect,
  forward,
  fit,
  fitBegin,
  fitBatch,
  fitEnd,
  fitPartial,
  mergePartials,
  fitMerged,
  tune,
  withPrior,
  predict,
  functionalVariance,
  sample,
  predictiveSamples,
  functionalSamples,
  logProb,
  logMarginalLikelihood,
  get,
  save,
  load,
  metrics,
}

/** The methods of one compute thread, which keeps what they make. */
export function createMethods(setup: { readonly readDirectories: readonly string[] }): MethodSet {
  const bench: Workbench = { objects: createObjectStore(), files: createFileReader(setup.readDirectories),
    runtime: nodeRuntime }
  const byName = new Map<string, Method>(Object.entries(METHODS))
  return {
    run: async (name, params, context) => {
      const method = byName.get(name)
      if (method === undefined) {
        throw new ProtocolError('UNKNOWN_METHOD', `There is no method '${name.slice(0, 100)}'.`, {
          method: name.slice(0, 100),
        })
      }
      return method(params, context, bench)
    },
    free: handle => {
      bench.objects.delete(handle)
    },
  }
}
