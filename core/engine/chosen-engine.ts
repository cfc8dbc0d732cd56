/** @file An engine by name, chosen when it is known how much work there is. */
import { ResourceError } from '../errors/errors.js'
import type { EngineName } from '../options/words.js'
import type { Precision } from '../tensor/tensor.js'
import type { Engine, Program } from './engine.js'
import { typescriptEngine } from './typescript.js'

/** What an engine is chosen by. */
export interface EngineRequest {
  readonly name: EngineName
  readonly threads: number | undefined
  readonly precision: Precision
  /** Multiplications that are known to come. */
  readonly multiplications: number
}

/** Where engines come from that the core does not contain. */
export interface EngineProvider {
  /** An engine for a request, or undefined for the embedded one. @throws ResourceError MISSING_DEPENDENCY */
  readonly engine?: (request: EngineRequest) => Promise<Engine | undefined>
}

/** An engine that is chosen when the first program is compiled, by the work that was announced until then. */
export interface ChosenEngine extends Engine {
  /** Announces work. */
  announceWork(multiplications: number): void
  /** The engine's name once it is chosen. */
  chosen(): Promise<Engine['name']>
}

/** The engine for a name. @throws ResourceError MISSING_DEPENDENCY at the first program when it is not available */
export function chosenEngine(
  { name: wanted, threads }: { readonly name: EngineName, readonly threads: number | undefined },
  precision: Precision,
  provider: EngineProvider,
): ChosenEngine {
  let choice: Promise<Engine> | undefined
  let multiplications = 0
  let name: Engine['name'] = 'typescript'
  const choose = async (): Promise<Engine> => {
    const engine = await provider.engine?.({ name: wanted, threads, precision, multiplications })
    if (engine === undefined && wanted === 'onnxruntime') {
      throw new ResourceError('MISSING_DEPENDENCY',
        "The engine 'onnxruntime' is not available here; use engine 'typescript', or the package's Node entry with " +
          'onnxruntime-node installed.', { package: 'onnxruntime-node' })
    }
    const result = engine ?? typescriptEngine()
    name = result.name
    return result
  }
  return {
    get name() {
      return name
    },
    announceWork: more => {
      multiplications += more
    },
    chosen: async () => (await (choice ??= choose())).name,
    compile: async (graph, own): Promise<Program> => (await (choice ??= choose())).compile(graph, own),
  }
}
