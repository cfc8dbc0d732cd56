/**
 * @file The second engine: the programs of this library, written as ONNX files by our own writer and run by
 * onnxruntime-node on all cores. It is given nothing but graphs that we wrote ourselves. The package is optional and
 * loaded when it is first asked for.
 */
import { leaveBehind } from '../../core/budget/garbage.js'
import type { DeferredInput, Engine, GramSum, Program, RunOptions } from '../../core/engine/engine.js'
import { convertPrecision } from '../../core/engine/precision.js'
import { GraphError, InternalError, ResourceError } from '../../core/errors/errors.js'
import type { Graph } from '../../core/graph/graph.js'
import { isFloat } from '../../core/ops/element-types.js'
import { simplify, sortNodes } from '../../core/passes/fold.js'
import { type DType, type Precision, type Tensor, tensor, type TensorData } from '../../core/tensor/tensor.js'
import { gramBlocks, gramName, writeOnnx } from '../onnx/index.js'
import { graphText } from './graph-text.js'
import { type SessionStore, sessionStore } from './session-store.js'
import { splitAtInput } from './split-graph.js'
import { withWinograd } from './winograd.js'

type Runtime = typeof import('onnxruntime-node')
type Session = Awaited<ReturnType<Runtime['InferenceSession']['create']>>
type RuntimeTensor = InstanceType<Runtime['Tensor']>
type SessionResults = Awaited<ReturnType<Session['run']>>

/** What can be said to `onnxRuntimeEngine`. */
export interface OnnxRuntimeOptions {
  /** Threads of one operator; by default as many as there are processors. */
  readonly threads?: number | undefined
  /** Runs programs that ONNX Runtime cannot; without it they are refused. */
  readonly fallback?: Engine | undefined
  /** Loads the package onnxruntime-node; by default as this library's own dependency. */
  readonly load?: (() => Promise<unknown>) | undefined
}

/**
 * The engine.
 * @throws ResourceError MISSING_DEPENDENCY when onnxruntime-node is not installed
 */
export async function onnxRuntimeEngine(
  { threads, fallback, load = () => import('onnxruntime-node') }: OnnxRuntimeOptions = {},
): Promise<Engine> {
  const runtime = await loadRuntime(load)
  return {
    name: 'onnxruntime',
    async compile(graph, precision) {
      const program = createProgram(runtime, programSource(graph, precision), threads)
      return fallback === undefined ? program : withFallback(program, () => fallback.compile(graph, precision))
    },
  }
}

/** Runs the other program from the moment on that ONNX Runtime refuses the first. */
function withFallback(program: Program, other: () => Promise<Program>): Program {
  let replacement: Promise<Program> | undefined
  return {
    async run(inputs, options) {
      if (replacement !== undefined) return (await replacement).run(inputs, options)
      try {
        return await program.run(inputs, options)
      } catch (error) {
        // Refused while its sessions are made: nothing has been summed yet.
        if (!(error instanceof GraphError)) throw error
        replacement = other()
        return (await replacement).run(inputs, options)
      }
    },
    dispose() {
      program.dispose()
      void replacement?.then(ready => {
        ready.dispose()
      }, () => undefined)
    },
  }
}

async function loadRuntime(load: () => Promise<unknown>): Promise<Runtime> {
  try {
    const loaded = await load() as Runtime & { readonly default?: Runtime }
    return loaded.default ?? loaded
  } catch (cause) {
    throw new ResourceError('MISSING_DEPENDENCY', "The engine 'onnxruntime' needs the package onnxruntime-node: " +
      'npm install -g onnxruntime-node (or beside your program), or set POLYLAPLACE_ORT to its folder. ' +
      "The engine 'typescript' needs nothing.", { package: 'onnxruntime-node',
      reason: cause instanceof Error ? cause.message.slice(0, 300) : String(cause) })
  }
}

/** A graph that a session can be made of. */
interface Source extends Pick<Graph, 'inputs' | 'outputs'> {
  /** Tells it from graphs that compute something else. */
  readonly text: string
  /** Sorted and folded: only where there is no session yet. */
  readonly prepared: () => Graph
}

function programSource(graph: Graph, precision: Precision): Source {
  let known: Graph | undefined
  const dtype = (own: DType): DType => (isFloat(own) ? precision : own)
  return { inputs: graph.inputs.map(input => ({ ...input, dtype: dtype(input.dtype) })), outputs: graph.outputs,
    text: precision + graphText(graph),
    prepared: () => (known ??= simplify(sortNodes({ ...convertPrecision(graph, precision), parameters: [] }))) }
}

/**
 * Sessions are made at the first run: whether there is a deferred input, and which outputs are summed, is known only
 * then.
 */
function createProgram(runtime: Runtime, source: Source, threads: number | undefined): Program {
  const sessions = new Map<string, Promise<Part>>()
  const part = (key: string, make: () => Source, grams: readonly GramSum[], keep: readonly string[]): Promise<Part> => {
    const name = `${key} ${grams.length > 0 ? 'summed' : ''}`
    const known = sessions.get(name) ??
      createPart(runtime, make(), new Set(grams.map(gram => gram.output)), keep, threads)
    sessions.set(name, known)
    return known
  }
  const outputsOf = async (inputs: ReadonlyMap<string, Tensor>,
    { deferred, grams = [] }: RunOptions): Promise<ReadonlyMap<string, Tensor>> => {
    if (deferred === undefined) return (await part('whole', () => source, grams, [])).run(inputs, grams)
    const split = splitAtInput(source.prepared(), deferred.name)
    const half = (side: 'before' | 'after') => (): Source => ({ ...split[side], prepared: () => split[side],
      text: `${side} ${JSON.stringify(deferred.name)} ${source.text}` })
    const crossing = split.after.inputs.map(input => input.name)
    // Both sessions are made before anything is summed, so that a refusal leaves the sums as they were.
    const [first, second] = [await part('before', half('before'), grams, crossing),
      await part('after', half('after'), grams, [])]
    const before = await first.run(inputs, grams)
    const values = new Map([...inputs, ...before, [deferred.name, deferredValue(deferred, before)] as const])
    const after = await second.run(values, grams)
    return new Map([...before, ...after])
  }
  return {
    async run(inputs, options = {}) {
      const outputs = await outputsOf(inputs, options)
      if (options.read === undefined) return outputs
      options.read(outputs)
      return new Map()
    },
    dispose() {
      for (const session of sessions.values()) {
        session.then(ready => {
          ready.release()
        }, () => undefined)
      }
      sessions.clear()
    },
  }
}

function deferredValue({ from, compute }: DeferredInput, computed: ReadonlyMap<string, Tensor>): Tensor {
  const value = computed.get(from)
  if (value === undefined) throw new InternalError(`The output '${from}' was not computed.`)
  return compute(value)
}

interface Part {
  run(inputs: ReadonlyMap<string, Tensor>, grams: readonly GramSum[]): Promise<Map<string, Tensor>>
  release(): void
}

/**
 * A session of a graph. Outputs in `summed` leave it as Gram matrices of a batch, and as themselves only where they are
 * in `keep` too.
 */
async function createPart(runtime: Runtime, graph: Source, summed: ReadonlySet<string>, keep: readonly string[],
  threads: number | undefined): Promise<Part> {
  const grams = graph.outputs.filter(name => summed.has(name))
  const outputs = graph.outputs.filter(name => !summed.has(name) || keep.includes(name))
  const [store, key] = [storeOf(runtime), JSON.stringify([threads ?? 'all', grams, outputs]) + graph.text]
  const use = <R>(work: (session: Session) => Promise<R>): Promise<R> =>
    store.use(key, () => loneSession(runtime, { ...graph.prepared(), outputs }, grams, threads), work)
  store.enter(key)
  // Gram matrices are written to the same arrays by every run: fresh ones would pile up until they are collected.
  let places: Record<string, RuntimeTensor | null> | undefined = await use(async ({ outputNames }) =>
    Object.fromEntries(outputNames.map(name => [name, null]))
  ).catch((error: unknown) => {
    store.leave(key)
    throw error
  })
  const part: Part = {
    async run(inputs, sums) {
      const feeds = Object.fromEntries(graph.inputs.map(({ name, dtype }) => {
        const value = inputs.get(name)
        if (value === undefined) throw new InternalError(`The input '${name}' is missing.`)
        return [name, toRuntime(runtime, value, dtype)]
      }))
      const old = places
      places = undefined
      const results = await use(session => (old === undefined ? session.run(feeds) : session.run(feeds, old)))
      for (const { output, sum } of sums) if (grams.includes(output)) addBlocks(sum, output, results)
      places = Object.fromEntries(
        Object.keys(results).map(name => [name, outputs.includes(name) ? null : results[name]]),
      )
      return new Map(outputs.map(name => [name, fromRuntime(name, results[name])] as const))
    },
    release() {
      if (abandoned.unregister(part)) store.leave(key)
    },
  }
  abandoned.register(part, { store, key }, part)
  return part
}

/** Parts that nobody released before they became garbage leave their sessions. */
const abandoned = new FinalizationRegistry<{ readonly store: SessionStore<Session>, readonly key: string }>(
  ({ store, key }) => {
    store.leave(key)
  },
)

const stores = new WeakMap<Runtime, SessionStore<Session>>()

function storeOf(runtime: Runtime): SessionStore<Session> {
  const store = stores.get(runtime) ?? sessionStore<Session>()
  stores.set(runtime, store)
  return store
}

/** Adds the blocks of a Gram matrix to its sum. */
function addBlocks(sum: Float64Array, output: string, results: SessionResults): void {
  const n = Math.sqrt(sum.length)
  gramBlocks(n).forEach(({ from, to }, i) => {
    const { data } = fromRuntime(output, results[gramName(output, i)])
    for (let row = from; row < to; row++) addTo(sum, row * n, data, (row - from) * to, to)
  })
}

/** One loop for each precision, so that it stays fast. */
function addTo(sum: Float64Array, at: number, data: TensorData, from: number, count: number): void {
  if (data instanceof Float32Array) { for (let i = 0; i < count; i++) sum[at + i] += data[from + i] }
  else for (let i = 0; i < count; i++) sum[at + i] += data[from + i]
}

/** How a session is made: with which optimisations, and with the weights beside the file or in it. */
interface SessionForm {
  readonly level: 'all' | 'basic'
  readonly beside: boolean
}

/**
 * From memory weights are read where they lie; a package that is older wants them in the file, which is two copies
 * more. Some fusions of the highest level have no float64 kernel: without them the graph may run.
 */
const FORMS: readonly SessionForm[] = [{ level: 'all', beside: true }, { level: 'all', beside: false }, {
  level: 'basic',
  beside: false,
}]

/**
 * What files and rewritten weights have left before a session is made, and after it, about: it goes at once, as the
 * session's own copies are nothing that a collector of garbage knows of.
 */
function weightBytes({ initializers }: Graph): number {
  let bytes = 0
  for (const { data } of initializers.values()) bytes += 2 * data.byteLength
  return bytes
}

/** `createSession`, and nothing of what it was made from. @throws GraphError UNSUPPORTED_OPERATOR */
async function loneSession(runtime: Runtime, graph: Graph, grams: readonly string[],
  threads: number | undefined): Promise<Session> {
  const session = await createSession(runtime, graph, grams, threads)
  leaveBehind(weightBytes(graph))
  return session
}

/** @throws GraphError UNSUPPORTED_OPERATOR when ONNX Runtime has no kernel for the graph */
async function createSession(runtime: Runtime, graph: Graph, grams: readonly string[],
  threads: number | undefined): Promise<Session> {
  // What is summed is no output of the graph yet: it would be taken for dead.
  const rewritten = { ...withWinograd({ ...graph, outputs: [...graph.outputs, ...grams] }), outputs: graph.outputs }
  let cause: unknown
  for (const { level, beside } of FORMS) {
    const weights: { path: string, data: Uint8Array }[] = []
    const keep = (data: Uint8Array): string => {
      const path = `weight ${weights.length}`
      weights.push({ path, data })
      return path
    }
    const bytes = writeOnnx(rewritten, { grams, ...(beside ? { beside: keep } : {}) })
    leaveBehind(weightBytes(rewritten))
    try {
      return await runtime.InferenceSession.create(bytes, {
        executionProviders: ['cpu'],
        graphOptimizationLevel: level,
        logSeverityLevel: 4,
        // A plan of memory by the shapes of inputs is a second arena beside the one of the run that it is made from.
        enableMemPattern: false,
        ...(weights.length === 0 ? {} : { externalData: weights }),
        ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
      })
    } catch (error) {
      cause = error
    }
  }
  throw unsupported(cause instanceof Error ? cause.message.slice(0, 300) : String(cause))
}

function unsupported(reason: string): GraphError {
  const op = /implementation for (\w+)/.exec(reason)?.[1]
  return new GraphError('UNSUPPORTED_OPERATOR', `The engine 'onnxruntime' cannot run this network: ${reason}. ` +
    `Use engine 'typescript' or 'auto', or subset last_layer.`, { op })
}

function toRuntime(runtime: Runtime, { data, shape }: Tensor, dtype: DType): RuntimeTensor {
  switch (dtype) {
    case 'float32':
      return new runtime.Tensor('float32', data instanceof Float32Array ? data : Float32Array.from(data), shape)
    case 'float64':
      return new runtime.Tensor('float64', data instanceof Float64Array ? data : Float64Array.from(data), shape)
    case 'int64':
      return new runtime.Tensor('int64', BigInt64Array.from(data, BigInt), shape)
    case 'bool':
      return new runtime.Tensor('bool', Uint8Array.from(data), shape)
  }
}

function fromRuntime(name: string, value: RuntimeTensor): Tensor {
  const { type, dims, data } = value
  if (type === 'float32' || type === 'float64') {
    return { dtype: type, shape: dims, data: data as Float32Array | Float64Array }
  }
  if (type === 'int64') return tensor('int64', dims, Array.from(data as BigInt64Array, Number))
  if (type === 'bool') return tensor('bool', dims, data as Uint8Array)
  throw new InternalError(`ONNX Runtime gave the output '${name}' as ${type}.`)
}
