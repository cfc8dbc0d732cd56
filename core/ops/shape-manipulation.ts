/**
 * @file Operators that change a value's shape and not its elements: Reshape, Flatten, Squeeze, Unsqueeze, Transpose,
 * Expand, Shape.
 */
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import { sizeOf, type Tensor, tensor, type TensorData } from '../tensor/tensor.js'
import { broadcastPlan, forEachRow } from './broadcast.js'
import { badNode, batchAxisError, integersAttribute, numberAttribute, requiredInput } from './node-attributes.js'
import type { BackwardContext, InferredValue, Operator } from './operator.js'
import { broadcastDims, constantIntegers, cotangentTarget, elementsPerExample, formatDims, requiredDims,
  resolveAxis } from './shape-rules.js'
import { copyStrided } from './strided-copy.js'

/** The cotangent of an operator that only reshapes: the output's, in the input's shape. */
function reshapeBack({ builder, inputs: [x], cotangents: [cotangent] }: BackwardContext): (string | undefined)[] {
  return [
    cotangent === undefined || x === undefined
      ? undefined
      : builder.node('Reshape', [cotangent, builder.integers(cotangentTarget(x))]),
  ]
}

/** How the elements of a shape lie around the examples: `before` x N x `after`; without a batch axis N is left out. */
function around(shape: readonly Dim[]): { before: number, after: number, hasBatch: boolean } {
  const axis = shape.findIndex(isBatch)
  const dim = shape[axis]
  if (axis < 0 || !isBatch(dim)) return { before: elementsPerExample(shape), after: 1, hasBatch: false }
  return { before: elementsPerExample(shape.slice(0, axis)) * dim.outer,
    after: dim.inner * elementsPerExample(shape.slice(axis + 1)), hasBatch: true }
}

/** The shape that Reshape's second input asks for: 0 copies an extent, -1 takes what is left. */
function reshapedDims(node: Node, shape: readonly Dim[], target: readonly Dim[]): Dim[] {
  const keepZero = numberAttribute(node, 'allowzero', 0) !== 0
  const wanted = target.map((dim, i) => {
    if (dim !== 0 || keepZero) return dim
    if (i >= shape.length) {
      throw badNode(node,
        `its target ${formatDims(target)} copies axis ${i}, and the value of shape ${formatDims(shape)} has none.`)
    }
    return shape[i]
  })
  const { before, after, hasBatch } = around(shape)
  // Formatted where it is thrown: every run asks for its shapes.
  const problem = (): string =>
    `the value of shape ${formatDims(shape)} cannot be given the shape ${formatDims(wanted)}.`
  const inferred = wanted.indexOf(-1)
  const others = elementsPerExample(wanted.filter((_, i) => i !== inferred))
  const rest = before * after / others
  const given = wanted.findIndex(isBatch)
  if (!hasBatch || given >= 0) {
    if (given >= 0 && !hasBatch) throw badNode(node, problem())
    if (inferred < 0 ? rest !== 1 : !Number.isInteger(rest)) throw badNode(node, problem())
    const result = wanted.map((dim, i) => (i === inferred ? rest : dim))
    return given < 0 ? result : placeBatch(node, result, given, before, after, problem)
  }
  if (inferred < 0) throw batchAxisError(node, `${problem()} The target fixes the number of examples.`)
  return placeBatch(node, wanted, inferred, before, after, problem)
}

/** The same of a value that is there, in one turn over the target; undefined where that does not hold its elements. */
function plainlyReshaped(node: Node, shape: readonly number[], target: ArrayLike<number>): number[] | undefined {
  const keepZero = numberAttribute(node, 'allowzero', 0) !== 0
  const result: number[] = []
  let [inferred, known] = [-1, 1]
  for (let i = 0; i < target.length; i++) {
    const dim = target[i] === 0 && !keepZero ? shape[i] : target[i]
    if (dim === -1 && inferred < 0) inferred = i
    else if (!Number.isInteger(dim) || dim < 0) return undefined
    else known *= dim
    result.push(dim)
  }
  const size = sizeOf(shape)
  if (inferred >= 0) result[inferred] = size / known
  return known > 0 && (inferred < 0 ? known === size : size % known === 0) ? result : undefined
}

/** Puts the batch axis at `axis`, if whole examples stay together there. */
function placeBatch(node: Node, shape: readonly Dim[], axis: number, before: number, after: number,
  problem: () => string): Dim[] {
  const outer = before / elementsPerExample(shape.slice(0, axis))
  const inner = after / elementsPerExample(shape.slice(axis + 1))
  if (!Number.isInteger(outer) || !Number.isInteger(inner) || outer === 0 || inner === 0) {
    throw batchAxisError(node, `${problem()} Parts of different examples would share an index.`)
  }
  return shape.map((dim, i) => (i === axis ? { outer, inner } : dim))
}

const reshape: Operator = {
  op: 'Reshape',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    return [{ dtype: x.dtype,
      shape: reshapedDims(node, x.shape, requiredDims(node, requiredInput(node, inputs, 1), 'target shape')),
      ...(x.dims === undefined ? {} : { dims: x.dims }) }]
  },
  run(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    const target = requiredInput(node, inputs, 1).data
    const shape = plainlyReshaped(node, x.shape, target) ?? reshapedDims(node, x.shape, Array.from(target)) as number[]
    return [{ dtype: x.dtype, shape, data: x.data }]
  },
  backward: reshapeBack,
}

function flattened(node: Node, shape: readonly Dim[]): Dim[] {
  const axis = numberAttribute(node, 'axis', 1)
  const split = axis < 0 ? axis + shape.length : axis
  if (split < 0 || split > shape.length) {
    throw badNode(node, `axis ${axis} does not exist; the value has ${shape.length} axes.`)
  }
  return [merged(shape.slice(0, split)), merged(shape.slice(split))]
}

/** One axis in place of several. */
function merged(shape: readonly Dim[]): Dim {
  const { before, after, hasBatch } = around(shape)
  return hasBatch ? { outer: before, inner: after } : before
}

const flatten: Operator = {
  op: 'Flatten',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    return [{ dtype: x.dtype, shape: flattened(node, x.shape) }]
  },
  run(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    return [{ ...x, shape: flattened(node, x.shape) as number[] }]
  },
  backward: reshapeBack,
}

function squeezed<D extends Dim>(node: Node, shape: readonly D[], axes: readonly number[] | undefined): D[] {
  if (axes === undefined) return shape.filter(dim => dim !== 1)
  const removed = new Set(axes.map(axis => resolveAxis(node, axis, shape.length)))
  for (const axis of removed) {
    if (shape[axis] !== 1) {
      throw badNode(node,
        `axis ${axis} of a value of shape ${formatDims(shape)} cannot be removed: its extent is not 1.`)
    }
  }
  return shape.filter((_, axis) => !removed.has(axis))
}

const squeeze: Operator = {
  op: 'Squeeze',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    return [{ ...plain(x),
      shape: squeezed(node, x.shape, inputs[1] === undefined ? undefined : constantIntegers(node, inputs[1], 'axes')) }]
  },
  run(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    return [{ ...x, shape: squeezed(node, x.shape, inputs[1] === undefined ? undefined : Array.from(inputs[1].data)) }]
  },
  backward: reshapeBack,
}

function unsqueezed<D extends Dim>(node: Node, shape: readonly D[], axes: readonly number[]): (D | 1)[] {
  const rank = shape.length + axes.length
  const added = new Set(axes.map(axis => resolveAxis(node, axis, rank)))
  if (added.size !== axes.length) throw badNode(node, `its axes ${axes.join(', ')} name one axis twice.`)
  const rest = [...shape]
  return Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : rest.shift() ?? 1))
}

const unsqueeze: Operator = {
  op: 'Unsqueeze',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    return [{ ...plain(x),
      shape: unsqueezed(node, x.shape, constantIntegers(node, requiredInput(node, inputs, 1), 'axes')) }]
  },
  run(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    return [{ ...x, shape: unsqueezed(node, x.shape, Array.from(requiredInput(node, inputs, 1).data)) }]
  },
  backward: reshapeBack,
}

/** An inferred value without its constant, whose shape would no longer fit. */
function plain({ dtype, shape, dims }: InferredValue): InferredValue {
  return { dtype, shape, ...(dims === undefined ? {} : { dims }) }
}

function permutation(node: Node, rank: number): readonly number[] {
  const perm = integersAttribute(node, 'perm', Array.from({ length: rank }, (_, i) => rank - 1 - i))
  if (perm.length !== rank || [...perm].sort((a, b) => a - b).some((axis, i) => axis !== i)) {
    throw badNode(node, `perm [${perm.join(', ')}] does not order the ${rank} axes of its input.`)
  }
  return perm
}

const transpose: Operator = {
  op: 'Transpose',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    return [{ dtype: x.dtype, shape: permutation(node, x.shape.length).map(axis => x.shape[axis]) }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const perm = permutation(node, x.shape.length)
    const shape = perm.map(axis => x.shape[axis])
    const order = perm.filter(axis => x.shape[axis] !== 1)
    if (order.every((axis, i) => i === 0 || axis > order[i - 1])) return [{ ...x, shape }]
    const data = context.allocate(x.dtype, x.data.length)
    permute(x, perm, data)
    return [{ dtype: x.dtype, shape, data }]
  },
  backward({ builder, node, inputs: [x], outputs: [y], cotangents: [cotangent], lead }) {
    if (cotangent === undefined || x === undefined) return [undefined]
    const perm = permutation(node, x.shape.length)
    const front = lead(y)
    const inverse = perm.map((_, axis) => perm.indexOf(axis) + front)
    return [
      builder.node('Transpose', [cotangent], { perm: [...Array.from({ length: front }, (_, i) => i), ...inverse] }),
    ]
  },
}

/** Copies x with its axes in the order of `perm`. */
function permute({ shape, data }: Tensor, perm: readonly number[], out: TensorData): void {
  const steps = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)))
  copyStrided(data, 0, { extents: perm.map(axis => shape[axis]), strides: perm.map(axis => steps[axis]) }, out)
}

/** Broadcasts its input to a shape, in which 1 stands for "as it is". */
const expand: Operator = {
  op: 'Expand',
  infer(node, inputs) {
    const x = requiredInput(node, inputs, 0)
    return [{ dtype: x.dtype,
      shape: broadcastDims(node, x.shape, requiredDims(node, requiredInput(node, inputs, 1), 'target shape')) }]
  },
  run(node, inputs, context) {
    const x = requiredInput(node, inputs, 0)
    const plan = broadcastPlan(x.shape, Array.from(requiredInput(node, inputs, 1).data))
    const data = context.allocate(x.dtype, sizeOf(plan.shape))
    const last = plan.extents.length - 1
    const [inner, step] = [plan.extents[last], plan.strides[0][last]]
    forEachRow(plan, ([from], at) => {
      if (step === 0) data.fill(x.data[from], at, at + inner)
      else for (let i = 0; i < inner; i++) data[at + i] = x.data[from + i * step]
    })
    return [{ dtype: x.dtype, shape: plan.shape, data }]
  },
  backward: (
    { inputs: [x], cotangents: [cotangent], unbroadcast },
  ) => [cotangent === undefined || x === undefined ? undefined : unbroadcast(cotangent, x)],
}

function slicedShape<D>(node: Node, shape: readonly D[]): readonly D[] {
  return shape.slice(numberAttribute(node, 'start', 0),
    node.attributes['end'] === undefined ? undefined : numberAttribute(node, 'end'))
}

/** The extents of its input, which may be multiples of the batch size. */
const shapeOperator: Operator = {
  op: 'Shape',
  infer(node, inputs) {
    const dims = slicedShape(node, requiredInput(node, inputs, 0).shape)
    return [{ dtype: 'int64', shape: [dims.length], dims }]
  },
  run(node, inputs) {
    const extents = slicedShape(node, requiredInput(node, inputs, 0).shape)
    return [tensor('int64', [extents.length], extents)]
  },
  backward: () => [undefined],
}

/** Operators that change shapes. */
export const shapeOperators: readonly Operator[] = [reshape, flatten, squeeze, unsqueeze, transpose, expand,
  shapeOperator]
