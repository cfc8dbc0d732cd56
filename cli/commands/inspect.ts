/** @file `polylaplace inspect`: what a network file holds, and what a Laplace approximation of it would cost. */
import type { FileDescription } from '../../adapters/network/index.js'
import { formatBytes } from '../../core/budget/memory.js'
import { LaplaceError, ResourceError } from '../../core/errors/errors.js'
import { inLanguage } from '../../core/errors/option-names.js'
import { oneOf } from '../../core/errors/suggest.js'
import { type Graph, isBatch } from '../../core/graph/graph.js'
import { laplace } from '../../core/laplace/laplace.js'
import { memoryTable, type NetworkSummary, summarizeNetwork } from '../../core/laplace/network-summary.js'
import type { NetworkChoice } from '../../core/network/network.js'
import { type Likelihood, ROW_LIKELIHOODS, type Subset, WHOLE_SUBSETS } from '../../core/options/words.js'
import { sortNodes } from '../../core/passes/fold.js'
import { inferTypes } from '../../core/passes/infer.js'
import { formatShape } from '../../core/tensor/tensor.js'
import { nodeRuntime } from '../../node/runtime/runtime.js'
import { formatCount } from '../../report/numbers.js'
import { CHOICE_OPTIONS, MODEL_OPTIONS } from '../arguments/network-options.js'
import { describeNetworkFile, readNetworkFile } from '../files/network-file.js'
import { describePartialFile } from '../files/partial-file.js'
import { graphPicture, type ShapeText } from '../output/graph-picture.js'
import { toJson } from '../output/json.js'
import { formatSeconds, pairs, table, wrap } from '../output/table.js'
import { noteRemark } from '../output/terminal.js'
import type { Command } from './command.js'

/** The command `inspect`. */
export const inspect: Command = {
  name: 'inspect',
  summary: "a network's layers and tensors, and what each posterior would cost in memory",
  positionals: ['MODEL'],
  options: {
    likelihood: { type: 'string', value: 'NAME',
      help: `${ROW_LIKELIHOODS.join(' | ')}: whether the network suits it, and the sizes for it` },
    graph: { type: 'boolean', help: 'the whole picture of the network, however many nodes it has' },
    rows: { type: 'string', value: 'N', help: 'also what fits to so many rows will take: memory and time' },
    ...CHOICE_OPTIONS,
    ...MODEL_OPTIONS,
    json: { type: 'boolean', help: 'print JSON' },
  },
  run: async (args, terminal) => {
    const [path] = args.positionals
    const partial = await describePartialFile(path)
    if (partial !== undefined) {
      return terminal.write(args.flag('json')
        ? toJson({ format: 'partial fit', ...partial })
        : pairs([['File', `${path} (partial fit)`], ...Object.entries(partial)], terminal.columns))
    }
    const name = args.text('likelihood')
    const likelihood = name === undefined ? undefined : oneOf('likelihood', name, ROW_LIKELIHOODS)
    const description = await describeNetworkFile(path, args)
    // Reading it then fails with that problem.
    if (description.problem !== undefined) {
      terminal.write(args.flag('json') ? toJson(description) : descriptionText(path, description, terminal.columns))
    }
    const { graph, format } = await readNetworkFile(path, args)
    const summary = summarizeNetwork(graph)
    const costs = costsOf(graph, likelihood, { input: args.text('input'), output: args.text('output') },
      args.number('rows'))
    if (args.flag('json')) return terminal.write(toJson({ format, ...summary, ...costs }))
    const picture = graphPicture(sortNodes(graph), shapesOf(graph), terminal.columns - 2, args.flag('graph'))
    terminal.write(
      networkText(path, format, summary, costs, terminal.columns,
        `\nGraph\n${picture.map(line => `  ${line}\n`).join('')}`),
    )
    for (const note of summary.notes) noteRemark(terminal, inLanguage(note, 'cli'))
  },
}

/** The shapes of a graph's values as text, where they can be worked out. */
function shapesOf(graph: Graph): ShapeText {
  try {
    const types = inferTypes(graph)
    return name => shapeText((types.get(name)?.shape ?? []).map(dim => (isBatch(dim) ? -dim.outer * dim.inner : dim)))
  } catch (error) {
    if (error instanceof LaplaceError) return () => ''
    throw error
  }
}

/** What the posteriors of a network need, and why some are not to be had. */
interface Costs {
  /** What fits to a number of rows will take, where one was given. */
  readonly forecasts?: readonly FitForecast[]
  /** The likelihoods whose outputs the network has. */
  readonly likelihoods: readonly Likelihood[]
  readonly memory: ReturnType<typeof memoryTable>
  readonly unavailable: readonly { readonly subset: string, readonly reason: string }[]
}

/** What a fit will take; the last two are absent where it is refused. */
interface FitForecast {
  readonly subset: string
  readonly structure: string
  readonly bytes?: number
  readonly seconds?: number
}

/** The fits of the memory table, and the one that is chosen when nothing is said. */
function forecastsOf(graph: Graph, likelihood: Likelihood, choice: NetworkChoice, rows: number,
  memory: Costs['memory']): FitForecast[] {
  const fits = [{ subset: 'auto', structure: 'auto', options: {} },
    ...memory.map(({ subset, structure }) => ({ subset, structure, options: { subset, structure } }))]
  return fits.map(({ subset, structure, options }) => {
    try {
      const { bytes, seconds } = laplace(graph, { likelihood, ...options, ...choice }, nodeRuntime)
        .forecast({ rows })
      return { subset, structure, bytes, seconds }
    } catch (error) {
      if (error instanceof ResourceError) return { subset, structure }
      throw error
    }
  })
}

function costsOf(graph: Graph, wanted: Likelihood | undefined, choice: NetworkChoice, rows?: number): Costs {
  const likelihoods = ROW_LIKELIHOODS.filter(likelihood =>
    WHOLE_SUBSETS.some(subset => obstacle(graph, likelihood, subset, choice) === undefined)
  )
  const likelihood = wanted ?? likelihoods[0] ?? ROW_LIKELIHOODS[0]
  const unavailable = WHOLE_SUBSETS.flatMap(subset => {
    const reason = obstacle(graph, likelihood, subset, choice)
    return reason === undefined ? [] : [{ subset, reason }]
  })
  const memory = unavailable.length === WHOLE_SUBSETS.length ? [] : memoryTable(graph, likelihood, choice)
  return { likelihoods, memory, unavailable, ...(rows === undefined || memory.length === 0
    ? {}
    : { forecasts: forecastsOf(graph, likelihood, choice, rows, memory) }) }
}

/** Why a subset of a network cannot have a posterior; undefined where it can. */
function obstacle(graph: Graph, likelihood: Likelihood, subset: Subset, choice: NetworkChoice): string | undefined {
  try {
    laplace(graph, { likelihood, subset, ...choice })
    return undefined
  } catch (error) {
    if (error instanceof LaplaceError) return error.message
    throw error
  }
}

const shapeText = (
  shape: readonly number[],
): string => (shape.length === 0
  ? 'unknown shape'
  : formatShape(shape.map(extent => (extent === -1 ? 'N' : extent < 0 ? `${-extent} N` : extent))))

function networkText(path: string, format: string, summary: NetworkSummary,
  { likelihoods, memory, unavailable, forecasts }: Costs, columns: number, picture: string): string {
  const { inputs, outputs, layers, parameters, parameterCount, precision, digest } = summary
  return pairs([
    ['File', `${path} (${format})`],
    ...inputs.map(input => ['Input', `${input.name}: ${shapeText(input.shape)} ${input.dtype}`] as const),
    ...outputs.map(output => ['Output', `${output.name}: ${shapeText(output.shape)}`] as const),
    ['Parameters', `${formatCount(parameterCount)} (${precision})`],
    ['Likelihoods', likelihoods.length === 0 ? 'none' : likelihoods.join(', ')],
    ['Digest', digest.slice(0, 16)],
  ], columns) + picture + layerTable(layers) +
    tensorTable(parameters.map(({ name, shape, size }) => [name, formatShape(shape), formatCount(size)]),
      'parameters') +
    (memory.length === 0
      ? ''
      : `\nMemory of a posterior\n${
        table([['subset', 'structure', 'memory', 'partial fit'],
          ...memory.map(row => [row.subset, row.structure, formatBytes(row.bytes), formatBytes(row.partialBytes)])])
      }\n`) +
    (forecasts === undefined ?
      '' :
      `\nFits\n${
        table([['subset', 'structure', 'memory', 'time'], ...forecasts.map((
          { subset, structure, bytes, seconds },
        ) => [subset, structure, bytes === undefined ? 'too large' : formatBytes(bytes),
          seconds === undefined ? '' : formatSeconds(seconds)]
        )])
      }\n`) +
    notAvailable(unavailable, columns)
}

/** A reason that holds for every subset is said once. */
function notAvailable(unavailable: Costs['unavailable'], columns: number): string {
  const reasons = [...new Set(unavailable.map(({ reason }) => reason))]
  return reasons.map(reason => {
    const subsets = unavailable.filter(row => row.reason === reason).map(({ subset }) => subset)
    return `\n${wrap(`Not available: ${subsets.join(', ')}. ${reason}`, columns).join('\n')}\n`
  }).join('')
}

/** A file from which no network can be built: what is in it all the same. */
function descriptionText(path: string, { format, tensors, layers }: FileDescription, columns: number): string {
  return pairs([['File', `${path} (${format})`]], columns) + layerTable(layers) +
    tensorTable(tensors.map(({ name, shape, dtype }) => [name, formatShape(shape), dtype]), 'type')
}

function layerTable(layers: FileDescription['layers']): string {
  if (layers.length === 0) return ''
  return `\nLayers\n${
    table([['layer', 'type', 'parameters'],
      ...layers.map(({ name, type, parameters }) => [name, type, formatCount(parameters)])])
  }\n`
}

function tensorTable(rows: readonly (readonly string[])[], last: string): string {
  return rows.length === 0 ? '' : `\nTensors\n${table([['tensor', 'shape', last], ...rows])}\n`
}
