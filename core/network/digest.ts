/** @file A fingerprint of a network, so that parts of different networks are never combined. */
import { bytesToHex } from '@noble/hashes/utils.js'
import { type Attribute, demandGraph, type Dim, type Graph, isBatch } from '../graph/graph.js'
import { createSha256 } from '../kernels/sha256.js'

/** Graphs never change, and every posterior of a network is asked for its fingerprint. */
const known = new WeakMap<Graph, string>()

/**
 * SHA-256 (hexadecimal) over a graph's nodes, its outputs, and its initialisers with their values; lengths that are
 * open do not count.
 */
export function graphDigest(graph: Graph): string {
  demandGraph('The network', graph)
  const digest = known.get(graph) ?? computeDigest(graph)
  known.set(graph, digest)
  return digest
}

function computeDigest(graph: Graph): string {
  const hash = createSha256()
  const text = (value: unknown): void => {
    hash.update(new TextEncoder().encode(JSON.stringify(value)))
  }
  text([
    graph.inputs.map(
      input => [input.name, input.dtype,
        input.shape.map((dim, axis) => (input.openAxes?.includes(axis) === true ? '?' : plainDim(dim)))],
    ),
    graph.outputs,
    graph.nodes.map(
      node => [node.op, node.inputs, node.outputs,
        Object.keys(node.attributes).sort().map(key => [key, plainAttribute(node.attributes[key])])],
    ),
    graph.parameters.map(parameter => [parameter.name, parameter.shape, parameter.transposed]),
  ])
  // In the map's order: a reader that lists the same weights otherwise gives another digest, and saved posteriors stop
  // fitting.
  for (const [name, value] of graph.initializers) {
    text([name, value.dtype, value.shape])
    hash.update(new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength))
  }
  return bytesToHex(hash.digest())
}

// Lists, because the order in which an object's fields were set must not matter.
/** An extent as plain data. */
export function plainDim(dim: Dim): number | readonly number[] {
  return isBatch(dim) ? [dim.outer, dim.inner] : dim
}

function plainAttribute(attribute: Attribute): unknown {
  return typeof attribute === 'object' && 'data' in attribute
    ? [attribute.dtype, attribute.shape, Array.from(attribute.data)]
    : attribute
}
