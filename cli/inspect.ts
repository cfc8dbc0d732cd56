/** @file `polylaplace inspect`: what a network file holds, and what a Laplace approximation of it would cost. */
import type { FileDescription } from '../adapters/network/index.js'
import { LaplaceError } from '../core/errors.js'
import type { Graph } from '../core/graph/graph.js'
import { laplace } from '../core/laplace.js'
import { memoryTable, type NetworkSummary, summarizeNetwork } from '../core/network-summary.js'
import { type Likelihood, LIKELIHOODS, SUBSETS } from '../core/options.js'
import { oneOf } from '../core/suggest.js'
import { formatShape } from '../core/tensor.js'
import type { Command } from './command.js'
import { toJson } from './json.js'
import { describeNetworkFile, MODEL_OPTIONS, readNetworkFile } from './model-file.js'
import { formatBytes, formatCount, pairs, table } from './table.js'

export const inspect: Command = {
  name: 'inspect',
  summary: "a network's layers and tensors, and what each posterior would cost in memory",
  positionals: ['MODEL'],
  options: {
    likelihood: { type: 'string', value: 'NAME', help: `${LIKELIHOODS.join(' | ')}: whether the network suits it, and the sizes for it` },
    ...MODEL_OPTIONS,
    json: { type: 'boolean', help: 'print JSON' },
  },
  run: async (args, terminal) => {
    const [path] = args.positionals
    const name = args.text('likelihood')
    const likelihood = name === undefined ? undefined : oneOf('likelihood', name, LIKELIHOODS)
    const description = await describeNetworkFile(path, args)
    // Reading it then fails with that problem.
    if (description.problem !== undefined) terminal.write(args.flag('json') ? toJson(description) : descriptionText(path, description))
    const { graph, format } = await readNetworkFile(path, args)
    const summary = summarizeNetwork(graph)
    const costs = costsOf(graph, likelihood)
    terminal.write(args.flag('json') ? toJson({ format, ...summary, ...costs }) : networkText(path, format, summary, costs))
    if (!args.flag('json')) for (const note of summary.notes) terminal.remark(`Note: ${note}\n`)
  },
}

/** What the posteriors of a network need, and why some are not to be had. */
interface Costs {
  readonly memory: ReturnType<typeof memoryTable>
  readonly unavailable: readonly { readonly subset: string, readonly reason: string }[]
}

function costsOf(graph: Graph, likelihood: Likelihood | undefined): Costs {
  const unavailable = SUBSETS.flatMap(subset => {
    try {
      laplace(graph, { likelihood: likelihood ?? 'regression', subset })
      return []
    } catch (error) {
      if (error instanceof LaplaceError) return [{ subset, reason: error.message }]
      throw error
    }
  })
  const none = SUBSETS.every(subset => unavailable.some(row => row.subset === subset))
  return { memory: none ? [] : memoryTable(graph, likelihood), unavailable }
}

const shapeText = (shape: readonly number[]): string => (shape.length === 0 ? 'unknown shape' : formatShape(shape.map(extent => (extent === -1 ? 'N' : extent))))

function networkText(path: string, format: string, summary: NetworkSummary, { memory, unavailable }: Costs): string {
  const { inputs, outputs, layers, parameters, parameterCount, precision, digest } = summary
  return pairs([
    ['File', `${path} (${format})`],
    ...inputs.map(input => ['Input', `${input.name}: ${shapeText(input.shape)} ${input.dtype}`] as const),
    ...outputs.map(output => ['Output', `${output.name}: ${shapeText(output.shape)}`] as const),
    ['Parameters', `${formatCount(parameterCount)} (${precision})`],
    ['Digest', digest.slice(0, 16)],
  ]) + layerTable(layers) + tensorTable(parameters.map(({ name, shape, size }) => [name, formatShape(shape), formatCount(size)]), 'parameters') +
    (memory.length === 0 ? '' : `\nMemory of a posterior\n${table([['subset', 'structure', 'memory'], ...memory.map(row => [row.subset, row.structure, formatBytes(row.bytes)])])}\n`) +
    unavailable.map(({ subset, reason }) => `\nNot available: subset ${subset}. ${reason}\n`).join('')
}

/** A file from which no network can be built: what is in it all the same. */
function descriptionText(path: string, { format, tensors, layers }: FileDescription): string {
  return pairs([['File', `${path} (${format})`]]) + layerTable(layers) + tensorTable(tensors.map(({ name, shape, dtype }) => [name, formatShape(shape), dtype]), 'type')
}

function layerTable(layers: FileDescription['layers']): string {
  if (layers.length === 0) return ''
  return `\nLayers\n${table([['layer', 'type', 'parameters'], ...layers.map(({ name, type, parameters }) => [name, type, formatCount(parameters)])])}\n`
}

function tensorTable(rows: readonly (readonly string[])[], last: string): string {
  return rows.length === 0 ? '' : `\nTensors\n${table([['tensor', 'shape', last], ...rows])}\n`
}
