/** @file What a graph computes, as text: two graphs have one text only where they compute the same. */
import type { Attribute, Graph } from '../../core/graph/graph.js'
import { onceForGraph } from '../../core/graph/once.js'
import { plainDim } from '../../core/network/digest.js'
import { isFloat } from '../../core/ops/element-types.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { weightsFingerprint } from './weights-fingerprint.js'

/** Bytes from which on a fingerprint of weights is shorter than they, as text that is escaped. */
const LARGE_TENSOR = 64

/**
 * Nodes, inputs, and weights as they are now: arrays may be changed in place before the next fit. Making a file and its
 * digest would take five times as long.
 */
export function graphText(graph: Graph): string {
  return structureText(graph) +
    JSON.stringify([...graph.initializers].map(([name, value]) => [name, tensorText(value)]))
}

/** All but the weights. */
const structureText = onceForGraph(({ inputs, outputs, nodes }) =>
  JSON.stringify([
    inputs.map(({ name, dtype, shape }) => [name, dtype, shape.map(plainDim)]),
    outputs,
    nodes.map((
      { op, inputs: read, outputs: made, attributes },
    ) => [op, read, made, Object.entries(attributes).map(([name, value]) => [name, attribute(value)])]),
  ])
)

/** Numbers as text, as JSON writes one word for all that are not finite, and a zero without its sign. */
function attribute(value: Attribute): unknown {
  if (typeof value === 'number') return numberOf(value)
  if (typeof value === 'string') return value
  if ('data' in value) return { tensor: tensorText(value) }
  return value.map(item => (typeof item === 'number' ? numberOf(item) : item))
}

function numberOf(value: number): { readonly number: string } {
  return { number: Object.is(value, -0) ? '-0' : String(value) }
}

const decoder = new TextDecoder('latin1')

/** The bytes themselves, one character each, or a fingerprint of them. */
function tensorText({ dtype, shape, data: { buffer, byteOffset, byteLength } }: Tensor): unknown {
  const bytes = new Uint8Array(buffer, byteOffset, byteLength)
  const large = isFloat(dtype) && byteLength >= LARGE_TENSOR
  return [dtype, shape, large ? [weightsFingerprint(bytes)] : decoder.decode(bytes)]
}
