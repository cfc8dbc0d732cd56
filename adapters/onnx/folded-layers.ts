/** @file What can be seen of tensors that an exporter has worked into others: a file has fewer than its module. */
import type { GraphMessage, ModelMessage } from './messages.js'
import type { Origins } from './tensor-origins.js'

const LAYERS = new Set(['Conv', 'ConvTranspose', 'Gemm'])

/** Names that torch's older exporter gives to weights that it has computed. */
const COMPUTED = /^onnx::(Conv|ConvTranspose|Gemm)_\d+$/

/** A sentence about layers whose weights hold others, and tensors that are one; undefined where none are seen. */
export function describeFolded({ producer_name: producer }: ModelMessage, graph: GraphMessage, origins: Origins):
  | string
  | undefined {
  if (producer !== 'pytorch') return undefined
  const layers = foldedLayers(graph, origins)
  const merged = mergedTensors(graph)
  const parts = [
    ...layers.length === 0 ? [] : [
      `has worked other tensors, as a rule those of normalisations, into the weights of ${listed(layers)}`,
    ],
    ...merged.length === 0 ? [] : [`has merged ${listed(merged)} with equal tensors`],
  ]
  return parts.length === 0 ? undefined : `The exporter ${parts.join(', and ')}: the file has fewer parameters than ` +
    'the network that it was exported from, and the posterior is over those of the file. A torch module that is ' +
    'given itself (in Python) has all of them; so has a file that torch.onnx.export has written with dynamo=True and ' +
    'optimize=False.'
}

function foldedLayers({ node: nodes = [], initializer = [] }: GraphMessage, origins: Origins): string[] {
  const own = new Set(initializer.map(({ name }) => name))
  const noted = [...origins.values()].some(({ kind }) => kind === 'parameter')
  const isFolded = (name: string): boolean => (noted ? !origins.has(name) : COMPUTED.test(name))
  return nodes.flatMap(({ op_type: op = '', name = '', input: [, weight = ''] = [] }) =>
    LAYERS.has(op) && own.has(weight) && isFolded(weight) ? [name === '' ? weight : name] : []
  )
}

/** Names of the module's tensors that stand for another one. */
function mergedTensors({ node: nodes = [], initializer = [] }: GraphMessage): string[] {
  const own = new Set(initializer.map(({ name }) => name))
  return nodes.flatMap(({ op_type: op, input: [source = ''] = [], output: [name = ''] = [] }) =>
    op === 'Identity' && own.has(source) && /^[\w.]+\.\w+$/.test(name) ? [name] : []
  )
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).map(name => `'${name}'`).join(', ')
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown
}
