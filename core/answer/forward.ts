/** @file The plain network on rows of data. */
import { DEFAULT_MEMORY_LIMIT } from '../budget/memory.js'
import type { WorkOptions } from '../budget/progress.js'
import { chosenEngine } from '../engine/chosen-engine.js'
import { estimateMemory } from '../engine/estimate-memory.js'
import { textOption } from '../errors/demand.js'
import { knownOptions, oneOf } from '../errors/suggest.js'
import { demandGraph, type Graph } from '../graph/graph.js'
import { inOwnLayout, termsOf } from '../likelihood/output-layout.js'
import { BATCH_BYTES, batchSizeFor, checkBatch, forEachBatch, sliceExamples } from '../network/batches.js'
import type { PositionsChoice } from '../network/class-axis.js'
import { networkInputs } from '../network/input-rows.js'
import { prepareForData } from '../network/network.js'
import { type EngineName, ENGINES, type Likelihood, LIKELIHOODS } from '../options/words.js'
import type { Runtime } from '../parallel/runtime.js'
import { exampleCount, type Examples } from '../tensor/examples.js'
import { float64, type Tensor } from '../tensor/tensor.js'

/** What the plain network is run with. */
export interface ForwardOptions extends PositionsChoice {
  /** With a likelihood of classes, a softmax or sigmoid at the end is left out. */
  readonly likelihood?: Likelihood | undefined
  readonly input?: string | undefined
  readonly output?: string | undefined
  readonly engine?: EngineName | undefined
}

const FORWARD_OPTIONS: readonly (keyof ForwardOptions)[] = ['likelihood', 'input', 'output', 'engine', 'positions',
  'classAxis']

/**
 * Outputs of the network, N x C, or with positions as the network has them: logits where it ends in a softmax or
 * sigmoid, otherwise what it computes.
 * @throws GraphError, ShapeError, DataError
 */
export async function forward(graph: Graph, x: Examples, options: ForwardOptions = {}, runtime: Runtime = {},
  work: WorkOptions = {}): Promise<Tensor> {
  demandGraph('The network', graph)
  knownOptions('forward', options, FORWARD_OPTIONS)
  textOption('input', options.input)
  textOption('output', options.output)
  const likelihood = options.likelihood === undefined ? undefined : oneOf('likelihood', options.likelihood, LIKELIHOODS)
  const network = prepareForData(graph, likelihood, options, x)
  const rows = networkInputs(x, network, network.precision, () => undefined)
  const examples = exampleCount(x)
  const name = options.engine === undefined ? 'auto' : oneOf('engine', options.engine, ENGINES)
  const program = await chosenEngine({ name, threads: undefined }, network.precision, runtime).compile(network.graph,
    network.precision)
  const width = network.outputs * termsOf(network)
  const f = new Float64Array(examples * width)
  const each = estimateMemory(network.graph, 1, network.precision)
  checkBatch(1, each, DEFAULT_MEMORY_LIMIT)
  const size = Math.max(1, Math.min(batchSizeFor(width), Math.floor(BATCH_BYTES / each)))
  await forEachBatch(examples, size, 'predict', work, async (from, to) => {
    const results = await program.run(sliceExamples(rows, network.inputs, from, to))
    f.set(results.get(network.output)?.data ?? [], from * width)
  })
  program.dispose()
  return inOwnLayout(network, float64([examples, width], f), [examples])
}
