/**
 * @file Operators of ONNX that are written in others when a file is read: their derivatives come with those of the
 * others.
 */
import type { Node } from '../../../core/graph/graph.js'
import type { Expressed, UpgradeContext } from '../upgrade-context.js'

/**
 * Appends the nodes that an operator consists of and gives the values of its outputs; undefined for a node that can
 * stay as it is.
 * @throws NotExpressible where this node cannot be written so
 */
export type Composition = (node: Node, context: UpgradeContext, opset: number) => readonly Expressed[] | undefined

/** Compositions by operator. */
export type Compositions = readonly (readonly [op: string, composition: Composition])[]

/** Whether an optional input or output is there. */
export function isGiven(name: string | undefined): name is string {
  return name !== undefined && name !== ''
}

/** 0, 1, ..., n - 1. */
export function upTo(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i)
}
