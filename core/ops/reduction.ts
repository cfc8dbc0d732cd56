/** @file Reductions over axes: sums and means. */
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import { sizeOf, type Tensor, type TensorData } from '../tensor.js'
import { expression } from './expression.js'
import { batchAxisError, numberAttribute, requiredInput } from './node-attributes.js'
import type { BackwardContext, InferredValue, Operator } from './operator.js'
import { constantIntegers, cotangentTarget, formatDims, resolveAxis } from './shape-rules.js'

/** The axes that are reduced: the second input, or all of them. */
function reducedAxes(node: Node, axes: readonly number[] | undefined, rank: number): Set<number> {
  if (axes === undefined || axes.length === 0) return numberAttribute(node, 'noop_with_empty_axes', 0) !== 0 ? new Set() : new Set(Array.from({ length: rank }, (_, i) => i))
  return new Set(axes.map(axis => resolveAxis(node, axis, rank)))
}

function axesOf(node: Node, inputs: readonly (InferredValue | undefined)[]): Set<number> {
  const axes = inputs[1] === undefined ? undefined : constantIntegers(node, inputs[1], 'axes')
  return reducedAxes(node, axes, requiredInput(node, inputs, 0).shape.length)
}

function reducedShape<D extends Dim>(node: Node, shape: readonly D[], axes: ReadonlySet<number>): (D | 1)[] {
  const keep = numberAttribute(node, 'keepdims', 1) !== 0
  return keep ? shape.map((dim, axis) => (axes.has(axis) ? 1 : dim)) : shape.filter((_, axis) => !axes.has(axis))
}

type Accumulate = (n: number, x: TensorData, from: number, step: number, out: TensorData, to: number, toStep: number) => void

/** The innermost loop of a sum: along the reduced axis, or element by element across it. */
const addAlong: Accumulate = (n, x, from, step, out, to, toStep) => {
  if (toStep === 0) {
    let sum = out[to]
    for (let i = 0; i < n; i++, from += step) sum += x[from]
    out[to] = sum
  } else for (let i = 0; i < n; i++, from += step, to += toStep) out[to] += x[from]
}

function reduceInto(x: Tensor, axes: ReadonlySet<number>, out: TensorData, accumulate: Accumulate): void {
  const kept = x.shape.map((extent, axis) => (axes.has(axis) ? 1 : extent))
  const steps = kept.map((extent, axis) => (extent === 1 ? 0 : sizeOf(kept.slice(axis + 1))))
  const rank = x.shape.length
  const inner = rank === 0 ? 1 : x.shape[rank - 1]
  const index = new Array<number>(Math.max(0, rank - 1)).fill(0)
  let to = 0
  for (let from = 0; from < x.data.length; from += inner) {
    accumulate(inner, x.data, from, 1, out, to, rank === 0 ? 0 : steps[rank - 1])
    for (let axis = rank - 2; axis >= 0; axis--) {
      to += steps[axis]
      if (++index[axis] < x.shape[axis]) break
      to -= steps[axis] * x.shape[axis]
      index[axis] = 0
    }
  }
}

function reduction(op: string, mean: boolean): Operator {
  return {
    op,
    infer(node, inputs) {
      const x = requiredInput(node, inputs, 0)
      const axes = axesOf(node, inputs)
      if (x.shape.some((dim, axis) => isBatch(dim) && axes.has(axis))) throw batchAxisError(node, `it reduces the batch axis of a value of shape ${formatDims(x.shape)}.`)
      return [{ dtype: x.dtype, shape: reducedShape(node, x.shape, axes) }]
    },
    run(node, inputs, context) {
      const x = requiredInput(node, inputs, 0)
      const axes = reducedAxes(node, inputs[1] === undefined ? undefined : Array.from(inputs[1].data), x.shape.length)
      const shape = reducedShape(node, x.shape, axes)
      const data = context.allocate(x.dtype, sizeOf(shape)).fill(0)
      reduceInto(x, axes, data, addAlong)
      if (mean) {
        const count = x.data.length / data.length
        for (let i = 0; i < data.length; i++) data[i] /= count
      }
      return [{ dtype: x.dtype, shape, data }]
    },
    backward: context => [sumCotangent(context, mean)],
  }
}

/** Every summand gets the sum's cotangent. */
function sumCotangent({ builder, node, inputs, cotangents: [cotangent], lead }: BackwardContext, mean: boolean): string | undefined {
  const [x] = inputs
  if (cotangent === undefined || x === undefined) return undefined
  const axes = axesOf(node, inputs)
  const shape = x.shape.map((dim, axis) => (axes.has(axis) ? 1 : dim))
  const kept = builder.node('Reshape', [cotangent, builder.integers(cotangentTarget({ shape }))])
  const extents = x.shape.map((dim, axis) => (axes.has(axis) && !isBatch(dim) ? dim : 1))
  const scaled = mean ? expression(builder).mul(kept, 1 / sizeOf(extents)) : kept
  return builder.node('Expand', [scaled, builder.integers([...new Array<number>(lead(x)).fill(1), ...extents])])
}

/** Reductions. */
export const reductionOperators: readonly Operator[] = [reduction('ReduceSum', false), reduction('ReduceMean', true)]
