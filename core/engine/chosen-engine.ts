/** @file An engine by name, chosen when it is known how much work there is. */
import { ResourceError } from '../errors/errors.js'
import type { Graph } from '../graph/graph.js'
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
  /** The engine that a request will get, as far as can be told before it is loaded. */
  readonly expectedEngine?: (request: EngineRequest) => Engine['name']
}

/**
 * An engine that is chosen by the work that has been announced: the embedded one until another is worth its start.
 * Programs follow when the choice changes.
 */
export interface ChosenEngine extends Engine {
  /**
   * Announces work, and chooses again; no program may be running. Resolves to the engine's name.
   * @throws ResourceError MISSING_DEPENDENCY when the engine that was asked for is not available
   */
  announceWork(multiplications: number): Promise<Engine['name']>
  /** Chooses as for work that will be announced, so that what little runs before compiles no program twice. */
  expectWork(multiplications: number): Promise<Engine['name']>
}

/** The engine for a name. @throws ResourceError MISSING_DEPENDENCY at the first program when it is not available */
export function chosenEngine(
  { name: wanted, threads }: { readonly name: EngineName, readonly threads: number | undefined },
  precision: Precision,
  provider: EngineProvider,
): ChosenEngine {
  const embedded = typescriptEngine()
  let choice: Promise<Engine> | undefined
  let multiplications = 0
  let name: Engine['name'] = embedded.name
  const ask = async (work: number): Promise<Engine> => {
    const engine = await provider.engine?.({ name: wanted, threads, precision, multiplications: work })
    if (engine === undefined && wanted === 'onnxruntime') {
      throw new ResourceError('MISSING_DEPENDENCY',
        "The engine 'onnxruntime' is not available here; use engine 'typescript', or the package's Node entry with " +
          'onnxruntime-node installed.', { package: 'onnxruntime-node' })
    }
    const result = engine ?? embedded
    name = result.name
    return result
  }
  const choose = async (work: number): Promise<Engine['name']> => {
    const before = await choice
    if (before === undefined || (wanted === 'auto' && before === embedded)) choice = ask(work)
    return (await choice ?? embedded).name
  }
  return {
    get name() {
      return name
    },
    announceWork: more => choose(multiplications += more),
    expectWork: more => choose(multiplications + more),
    compile: async (graph, own) => followingProgram(() => choice ??= ask(multiplications), graph, own),
  }
}

/** A program of the engine that is chosen when it runs. */
async function followingProgram(chosen: () => Promise<Engine>, graph: Graph, precision: Precision): Promise<Program> {
  let engine = await chosen()
  let program = await engine.compile(graph, precision)
  return {
    run: async (inputs, options) => {
      const now = await chosen()
      if (now !== engine) {
        program.dispose()
        engine = now
        program = await engine.compile(graph, precision)
      }
      return program.run(inputs, options)
    },
    dispose: () => {
      program.dispose()
    },
  }
}
