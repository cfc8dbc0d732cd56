/** @file `polylaplace inspect`: what a network file holds, and what a Laplace approximation of it would cost. */
import { memoryTable, type NetworkSummary, summarizeNetwork } from '../core/network-summary.js'
import { LIKELIHOODS } from '../core/options.js'
import { formatShape } from '../core/tensor.js'
import { oneOf } from '../core/suggest.js'
import type { Command } from './command.js'
import { toJson } from './json.js'
import { MODEL_OPTIONS, readNetworkFile } from './model-file.js'
import { formatBytes, formatCount, pairs, table } from './table.js'
import type { Terminal } from './terminal.js'

export const inspect: Command = {
  name: 'inspect',
  summary: "a network's layers and tensors, and what each posterior would cost in memory",
  positionals: ['MODEL'],
  options: {
    likelihood: { type: 'string', value: 'NAME', help: `${LIKELIHOODS.join(' | ')}: the sizes for this one` },
    ...MODEL_OPTIONS,
    json: { type: 'boolean', help: 'print JSON' },
  },
  run: async (args, terminal) => {
    const name = args.text('likelihood')
    const likelihood = name === undefined ? undefined : oneOf('likelihood', name, LIKELIHOODS)
    const { graph, format } = await readNetworkFile(args.positionals[0], args)
    const summary = summarizeNetwork(graph)
    const memory = memoryTable(graph, likelihood)
    if (args.flag('json')) terminal.write(toJson({ format, ...summary, memory }))
    else report(terminal, args.positionals[0], format, summary, memory)
  },
}

const shapeText = (shape: readonly number[]): string => formatShape(shape.map(extent => (extent === -1 ? 'N' : extent)))

function report(terminal: Terminal, path: string, format: string, summary: NetworkSummary, memory: ReturnType<typeof memoryTable>): void {
  const { inputs, outputs, layers, parameters, parameterCount, precision, digest, notes } = summary
  terminal.write(pairs([
    ['File', `${path} (${format})`],
    ...inputs.map(input => ['Input', `${input.name}: ${shapeText(input.shape)} ${input.dtype}`] as const),
    ...outputs.map(output => ['Output', `${output.name}: ${shapeText(output.shape)}`] as const),
    ['Parameters', `${formatCount(parameterCount)} (${precision})`],
    ['Digest', digest.slice(0, 16)],
  ]))
  terminal.write(`\nLayers\n${table([['layer', 'type', 'parameters'], ...layers.map(layer => [layer.name, layer.type, formatCount(layer.parameters)])])}\n`)
  if (parameters.length > 0) {
    terminal.write(`\nTensors\n${table([['tensor', 'shape', 'parameters'], ...parameters.map(parameter => [parameter.name, formatShape(parameter.shape), formatCount(parameter.size)])])}\n`)
  }
  terminal.write(`\nMemory of a posterior\n${table([['subset', 'structure', 'memory'], ...memory.map(row => [row.subset, row.structure, formatBytes(row.bytes)])])}\n`)
  for (const note of notes) terminal.remark(`Note: ${note}\n`)
}
