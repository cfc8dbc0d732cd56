/** @file Operators on the bits of integers, which are taken as two's complements of 64 bits. */
import type { Node } from '../graph/graph.js'
import { type BinaryRow, broadcastPlan, runBinary } from './broadcast.js'
import { badNode, requiredInput } from './node-attributes.js'
import type { Operator } from './operator.js'
import { broadcastDims } from './shape-rules.js'

/** Numbers of 32 bits are combined as such; longer ones as big integers. */
function row(narrow: (a: number, b: number) => number, wide: (a: bigint, b: bigint) => bigint): BinaryRow {
  return (n, a, ai, as, b, bi, bs, out, oi) => {
    for (let i = 0; i < n; i++, ai += as, bi += bs) {
      const [x, y] = [a[ai], b[bi]]
      out[oi + i] = (x | 0) === x && (y | 0) === y
        ? narrow(x, y)
        : Number(BigInt.asIntN(64, wide(BigInt(x), BigInt(y))))
    }
  }
}

function bitwise(op: string, combine: BinaryRow): Operator {
  const operands = <T extends { dtype: string }>(node: Node, inputs: readonly (T | undefined)[]): [T, T] => {
    const [a, b] = [requiredInput(node, inputs, 0), requiredInput(node, inputs, 1)]
    if (a.dtype !== 'int64' || b.dtype !== 'int64') throw badNode(node, 'its operands must be integers.')
    return [a, b]
  }
  return {
    op,
    infer(node, inputs) {
      const [a, b] = operands(node, inputs)
      return [{ dtype: a.dtype, shape: broadcastDims(node, a.shape, b.shape) }]
    },
    run(node, inputs, context) {
      const [a, b] = operands(node, inputs)
      const plan = broadcastPlan(a.shape, b.shape)
      const data = context.allocate('int64', plan.shape.reduce((size, extent) => size * extent, 1))
      runBinary(combine, plan, a.data, b.data, data)
      return [{ dtype: 'int64', shape: plan.shape, data }]
    },
    backward: () => [undefined, undefined],
  }
}

/** Bits of integers. */
export const bitwiseOperators: readonly Operator[] = [
  bitwise('BitwiseAnd', row((a, b) => a & b, (a, b) => a & b)),
  bitwise('BitwiseOr', row((a, b) => a | b, (a, b) => a | b)),
  bitwise('BitwiseXor', row((a, b) => a ^ b, (a, b) => a ^ b)),
]
