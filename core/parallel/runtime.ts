/** @file What the core takes from its surroundings: engines that it does not contain, and a solver for small systems. */
import type { Engine, Program } from '../engine/engine.js'
import { typescriptEngine } from '../engine/typescript.js'
import { ResourceError } from '../errors/errors.js'
import type { EngineName } from '../options/words.js'
import type { Site, SiteSetup } from './worker.js'
import type { Precision } from '../tensor/tensor.js'
import type { SmallSolver } from '../tuning/newton.js'

/** What an engine is chosen by. */
export interface EngineRequest {
  readonly name: EngineName
  readonly threads: number | undefined
  readonly precision: Precision
  /** Multiplications that are known to come. */
  readonly multiplications: number
}

/** Places in other threads. */
export interface Team { readonly sites: readonly Site[] }

/** Injected by the package's Node entry; the core alone has the embedded engine. */
export interface Host {
  /** An engine for a request, or undefined for the embedded one. @throws ResourceError MISSING_DEPENDENCY */
  readonly engine?: (request: EngineRequest) => Promise<Engine | undefined>
  /** Worker threads for a network, or undefined where there are none (or only one is wanted). They end by themselves. */
  readonly team?: (setup: SiteSetup, threads: number | undefined) => Team | undefined
  /** Solves the Newton step of a few hyper-parameters. */
  readonly solver?: SmallSolver
}

/** An engine that is chosen when the first program is compiled, by the work that was announced until then. */
export interface ChosenEngine extends Engine {
  /** Announces work. */
  expect(multiplications: number): void
  /** The engine's name once it is chosen. */
  chosen(): Promise<Engine['name']>
}

/** The engine for a name. @throws ResourceError MISSING_DEPENDENCY at the first program when it is not available */
export function chosenEngine({ name: wanted, threads }: { readonly name: EngineName, readonly threads: number | undefined }, precision: Precision, host: Host): ChosenEngine {
  let choice: Promise<Engine> | undefined
  let multiplications = 0
  let name: Engine['name'] = 'typescript'
  const choose = async (): Promise<Engine> => {
    const engine = await host.engine?.({ name: wanted, threads, precision, multiplications })
    if (engine === undefined && wanted === 'onnxruntime') {
      throw new ResourceError('MISSING_DEPENDENCY', "The engine 'onnxruntime' is not available here; use engine 'typescript', or the package's Node entry with onnxruntime-node installed.", { package: 'onnxruntime-node' })
    }
    const result = engine ?? typescriptEngine()
    name = result.name
    return result
  }
  return {
    get name() { return name },
    expect: more => { multiplications += more },
    chosen: async () => (await (choice ??= choose())).name,
    compile: async (graph, own): Promise<Program> => (await (choice ??= choose())).compile(graph, own),
  }
}
