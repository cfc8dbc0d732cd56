/** @file The engine for a request, in the calling thread and in worker threads alike. */
import type { EngineRequest } from '../../core/engine/chosen-engine.js'
import type { Engine } from '../../core/engine/engine.js'
import { typescriptEngine } from '../../core/engine/typescript.js'
import { loadOnnxRuntime } from './load-onnxruntime.js'

/**
 * Multiplications from which on `auto` takes ONNX Runtime where it is installed: below, loading it takes longer than it
 * saves.
 */
const WORTH_RUNTIME = 2e10

/** `onnxruntime` when asked for, or for much work in float32; the embedded engine otherwise. */
export async function chooseEngine(
  { name, threads, precision, multiplications }: EngineRequest,
): Promise<Engine | undefined> {
  if (name === 'typescript' || (name === 'auto' && (precision === 'float64' || multiplications < WORTH_RUNTIME))) {
    return undefined
  }
  const { onnxRuntimeEngine } = await import('../../adapters/onnxruntime/index.js')
  if (name === 'onnxruntime') return onnxRuntimeEngine({ threads, load: loadOnnxRuntime })
  return onnxRuntimeEngine({ threads, load: loadOnnxRuntime, fallback: typescriptEngine() }).catch(() => undefined)
}
