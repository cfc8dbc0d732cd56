/** @file A fingerprint of a network, so that parts of different networks are never combined. */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex } from '@noble/hashes/utils.js'
import type { Graph } from './graph/graph.js'

/** SHA-256 (hexadecimal) over a graph's nodes, its outputs, and its initialisers with their values. */
export function graphDigest(graph: Graph): string {
  const hash = sha256.create()
  const text = (value: unknown): void => { hash.update(new TextEncoder().encode(JSON.stringify(value))) }
  text([graph.inputs.map(input => [input.name, input.dtype, input.shape]), graph.outputs, graph.nodes.map(node => [node.op, node.inputs, node.outputs, Object.entries(node.attributes)]), graph.parameters])
  for (const [name, value] of graph.initializers) {
    text([name, value.dtype, value.shape])
    hash.update(new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength))
  }
  return bytesToHex(hash.digest())
}
