/** @file The engine for a request, in the calling thread and in worker threads alike. */
import type { EngineRequest } from '../../core/engine/chosen-engine.js'
import type { Engine } from '../../core/engine/engine.js'
import { typescriptEngine } from '../../core/engine/typescript.js'
import { hasOnnxRuntime, loadOnnxRuntime } from './load-onnxruntime.js'

/**
 * Multiplications from which on `auto` takes ONNX Runtime where it is installed. Measured on one core: loading it and
 * making the sessions of a network takes 0.05 to 0.2 s, a multiplication 2e-11 s there (convolutions and products of
 * float32) and 6e-11 to 1.2e-10 s in the embedded engine: below, loading takes longer than it saves.
 */
const WORTH_RUNTIME = 3e9

/** Whether it was looked for in vain: looking again would cost every fit some milliseconds. */
let missing = false

function usesEmbedded({ name, precision, multiplications }: EngineRequest): boolean {
  return name === 'typescript' ||
    (name === 'auto' && (missing || precision === 'float64' || multiplications < WORTH_RUNTIME))
}

/** What `chooseEngine` will give, before anything is loaded. */
export function expectedEngine(request: EngineRequest): Engine['name'] {
  return usesEmbedded(request) || (request.name === 'auto' && !hasOnnxRuntime()) ? 'typescript' : 'onnxruntime'
}

/** `onnxruntime` when asked for, or for much work in float32; the embedded engine otherwise. */
export async function chooseEngine(
  request: EngineRequest,
): Promise<Engine | undefined> {
  if (usesEmbedded(request)) return undefined
  const { name, threads } = request
  if (name === 'auto' && !hasOnnxRuntime()) {
    missing = true
    return undefined
  }
  const { onnxRuntimeEngine } = await import('../../adapters/onnxruntime/index.js')
  if (name === 'onnxruntime') return onnxRuntimeEngine({ threads, load: loadOnnxRuntime })
  try {
    return await onnxRuntimeEngine({ threads, load: loadOnnxRuntime, fallback: typescriptEngine() })
  } catch {
    missing = true
    return undefined
  }
}
