/** @file What can be seen of tensors that an exporter has worked into others: a file has fewer than its module. */
import type { Graph } from '../../core/graph/graph.js'
import { isUniform } from './exported-constants.js'
import type { GraphMessage, ModelMessage, NodeMessage } from './messages.js'
import { namesIn, type Origin, type Origins } from './tensor-origins.js'

const LAYERS = new Set(['Conv', 'ConvTranspose', 'Gemm'])

/** Names that torch's older exporter gives to weights that it has computed. */
const COMPUTED = /^onnx::(Conv|ConvTranspose|Gemm)_\d+$/

const RULE = 'pkg.onnxscript.rewriter.rule_name'
const SCOPES = 'pkg.torch.onnx.name_scopes'
/** torch's call that a node was: `%conv2d : [...] = call_function[...](args = (%x, %p_weight, %p_bias), ...)`. */
const CALL = 'pkg.torch.onnx.fx_node'

/** A sentence about layers whose weights hold others, and tensors that are one; undefined where none are seen. */
export function describeFolded({ producer_name: producer }: ModelMessage, message: GraphMessage, origins: Origins,
  { initializers }: Pick<Graph, 'initializers'>, parameters: readonly string[]): string | undefined {
  if (producer !== 'pytorch') return undefined
  const found: readonly [string, readonly string[]][] = [
    ['worked other tensors, as a rule those of normalisations, into the weights of', foldedLayers(message, origins)],
    ['made of other tensors (as those of parametrizations)', parameters.filter(name => isMixed(origins.get(name)))],
    ['merged with equal tensors', [...mergedTensors(message), ...sharedBetweenModules(message, origins, initializers)]],
    ['left out the zeros that were the bias of', withoutBias(message)],
  ]
  const parts = found.flatMap(([what, names]) => (names.length === 0 ? [] : [`${what} ${listed(names)}`]))
  return parts.length === 0 ? undefined : `The exporter has ${parts.join(', has ')}: the file has other parameters ` +
    'than the network that it was exported from, and the posterior is over those of the file. A torch module that is ' +
    'given itself (in Python) has its own; so has a file that torch.onnx.export has written with dynamo=True and ' +
    'optimize=False.'
}

function foldedLayers({ node: nodes = [], initializer = [] }: GraphMessage, origins: Origins): string[] {
  const own = new Set(initializer.map(({ name }) => name))
  const noted = [...origins.values()].some(({ kind }) => kind === 'parameter')
  const isFolded = (name: string): boolean => (noted ? !origins.has(name) : COMPUTED.test(name))
  return nodes.flatMap(node => {
    const weight = node.input?.[1] ?? ''
    return LAYERS.has(node.op_type ?? '') && own.has(weight) && isFolded(weight) ? [nameOf(node, weight)] : []
  })
}

function isMixed(origin: Origin | undefined): boolean {
  return origin !== undefined && origin.kind === undefined && origin.from.length > 0 && origin.mixed === true
}

/** Names of the module's tensors that stand for another one. */
function mergedTensors({ node: nodes = [], initializer = [] }: GraphMessage): string[] {
  const own = new Set(initializer.map(({ name }) => name))
  return nodes.flatMap(({ op_type: op, input: [source = ''] = [], output: [name = ''] = [] }) =>
    op === 'Identity' && own.has(source) && /^[\w.]+\.\w+$/.test(name) ? [name] : []
  )
}

/** Parameters of equal numbers (ones, zeros) that several modules use: each had one of its own. */
function sharedBetweenModules({ node: nodes = [] }: GraphMessage, origins: Origins,
  initializers: Graph['initializers']): string[] {
  const modules = new Map<string, Set<string>>()
  for (const { input = [], metadata_props: properties = [] } of nodes) {
    const scopes = namesIn(properties.find(({ key }) => key === SCOPES)?.value ?? '')
    if (scopes.length < 2) continue
    for (const name of input) {
      if (origins.get(name)?.kind !== 'parameter') continue
      modules.set(name, (modules.get(name) ?? new Set<string>()).add(scopes[scopes.length - 2]))
    }
  }
  return [...modules].filter(([name, users]) => {
    const value = initializers.get(name)
    return users.size > 1 && value !== undefined && isUniform(value, value.data[0])
  }).map(([name]) => name)
}

/** Layers whose bias an exporter has left out as it was all zeros. Zeros that stood for none are left out as well. */
function withoutBias({ node: nodes = [] }: GraphMessage): string[] {
  return nodes.filter(({ metadata_props: properties = [] }) =>
    properties.some(({ key, value }) => key === RULE && value.startsWith('RemoveOptionalBias')) &&
    hadBias(properties.find(({ key }) => key === CALL)?.value)
  ).map(node => nameOf(node, node.input?.[1] ?? ''))
}

/** Whether the third argument of torch's call was a tensor; where no call is noted it may have been. */
function hadBias(call?: string): boolean {
  const given = /args = \(([^)]*)/.exec(call ?? '')?.[1]
  return given === undefined || /^%/.test(given.split(', ')[2] ?? '')
}

function nameOf({ name = '' }: NodeMessage, weight: string): string {
  return name === '' ? weight : name
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 3).map(name => `'${name}'`).join(', ')
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown
}
