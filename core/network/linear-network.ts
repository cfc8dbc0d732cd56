/**
 * @file The parameters of the linear model over all weights: weights and biases of layers. Scale and shift of a
 * normalisation keep their values: a scale lies about 1 and multiplies what a layer's weights multiply already, so that
 * a prior about 0 with the precision of the weights says something else of it.
 */
import type { Network } from './network.js'

/** Operators with scale and shift behind their input. */
const NORMALISATIONS = new Set(['BatchNormalization', 'LayerNormalization'])

/** The network without scales and shifts among its parameters; itself where there are none, or no others. */
export function linearNetwork(network: Network): Network {
  const { graph } = network
  const fixed = fixedNames(network)
  return fixed.size === 0
    ? network
    : { ...network, graph: { ...graph, parameters: graph.parameters.filter(({ name }) => !fixed.has(name)) } }
}

/** Names that are shown before the rest is counted. */
const SHOWN = 4

/** What is told of scales and shifts that keep their values. */
export function notesOfFixed(network: Network): string[] {
  const names = Array.from(fixedNames(network), name => `'${name}'`)
  if (names.length === 0) return []
  const rest = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : ''
  return [
    `Scale and shift of normalisations (${names.slice(0, SHOWN).join(', ')}${rest}) keep their values: the linear `
    + 'model is one of weights and biases.',
  ]
}

function fixedNames({ graph: { nodes, parameters } }: Network): Set<string> {
  const beside = new Set(nodes.flatMap(({ op, inputs }) => (NORMALISATIONS.has(op) ? inputs.slice(1, 3) : [])))
  const own = parameters.map(({ name }) => name).filter(name => beside.has(name))
  return new Set(own.length === parameters.length ? [] : own)
}
