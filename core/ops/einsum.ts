/**
 * @file Einsum: sums of products named by letters, `bij,bjk->bik`. Pairs of operands are contracted by matrix products.
 */
import { GraphError } from '../errors/errors.js'
import { type Dim, isBatch, type Node } from '../graph/graph.js'
import { gemm, type RealArray } from '../kernels/linear-algebra.js'
import { sizeOf, type Tensor } from '../tensor/tensor.js'
import { sumToShape } from './cotangents.js'
import { isFloat } from './element-types.js'
import { acrossExamplesError, badNode, batchAxisError, describeNode, requiredInput,
  stringAttribute } from './node-attributes.js'
import type { BackwardContext, InferredValue, KernelContext, Operator } from './operator.js'
import { formatDims, sameDim } from './shape-rules.js'
import { copyStrided } from './strided-copy.js'

const LETTERS = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ']

/** The letters of every operand's axes and of the result's. */
interface Equation {
  readonly operands: readonly (readonly string[])[]
  readonly result: readonly string[]
}

/** Reads the equation; an ellipsis becomes letters that are not used otherwise. @throws GraphError BAD_GRAPH */
function equationOf(node: Node, ranks: readonly number[]): Equation {
  const text = stringAttribute(node, 'equation').replaceAll(' ', '')
  const [left, right, ...rest] = text.split('->')
  const terms = left.split(',')
  const valid = rest.length === 0 && [...terms, right ?? ''].every(term => /^[a-zA-Z]*(\.\.\.)?[a-zA-Z]*$/.test(term))
  if (!valid || terms.length !== ranks.length) {
    throw badNode(node,
      `the equation '${text.slice(0, 100)}' does not name the axes of its ${ranks.length} operand(s).`)
  }
  const spare = LETTERS.filter(letter => !text.includes(letter))
  const widths = terms.map((term, i) => (term.includes('...') ? ranks[i] - (term.length - 3) : 0))
  const width = Math.max(0, ...widths)
  if (widths.some(own => own < 0) || width > spare.length) {
    throw badNode(node, `the equation '${text.slice(0, 100)}' has more letters than its operands have axes.`)
  }
  const expand = (term: string,
    own: number): string[] => [...term.replace('...', spare.slice(width - own, width).join(''))]
  const operands = terms.map((term, i) => expand(term, widths[i]))
  operands.forEach((letters, i) => {
    if (letters.length !== ranks[i]) {
      throw badNode(node, `'${terms[i]}' of its equation names ${letters.length} axes; the operand has ${ranks[i]}.`)
    }
  })
  const all = operands.flat()
  // Without a right side the result has every letter that occurs once, in alphabetical order, behind the ellipsis.
  const implicit = [...(width > 0 ? ['...'] : []),
    ...[...new Set(all)].filter(letter => !spare.includes(letter) && all.filter(other => other === letter).length === 1)
      .sort()].join('')
  const result = expand(right ?? implicit, width)
  if (new Set(result).size !== result.length || result.some(letter => !all.includes(letter))) {
    throw badNode(node, `the right side of '${text.slice(0, 100)}' must name axes of the operands, each once.`)
  }
  return { operands, result }
}

/** The extent of every letter. @throws GraphError BAD_GRAPH, BATCH_AXIS */
function extentsOf(node: Node, { operands }: Equation, shapes: readonly (readonly Dim[])[]): Map<string, Dim> {
  const extents = new Map<string, Dim>()
  operands.forEach((letters, i) =>
    letters.forEach((letter, axis) => {
      const [known, dim] = [extents.get(letter), shapes[i][axis]]
      if (known !== undefined && !sameDim(known, dim)) {
        const operandShapes = shapes.map(formatDims).join(' and ')
        throw isBatch(known) || isBatch(dim)
          ? batchAxisError(node, `its operands ${operandShapes} pair the batch axis with another one.`)
          : badNode(node, `its operands ${operandShapes} differ along '${letter}'.`)
      }
      extents.set(letter, dim)
    })
  )
  return extents
}

/** A value whose axes are named. */
interface Named {
  readonly letters: readonly string[]
  readonly value: Tensor
}

/**
 * The value with its axes in the order of `letters`; letters that are left out are summed over, a repeated one takes
 * the diagonal.
 */
function arrange({ letters: own, value }: Named, letters: readonly string[], context: KernelContext): Tensor {
  if (own.length === letters.length && own.every((letter, i) => letter === letters[i])) return value
  const strideOf = (letter: string): number =>
    own.reduce((sum, other, axis) => (other === letter ? sum + sizeOf(value.shape.slice(axis + 1)) : sum), 0)
  const extentOf = (letter: string): number => value.shape[own.indexOf(letter)]
  const summed = [...new Set(own)].filter(letter => !letters.includes(letter))
  const order = [...letters, ...summed]
  const shape = letters.map(extentOf)
  const inner = sizeOf(summed.map(extentOf))
  const copy = context.allocate(value.dtype, sizeOf(shape) * inner)
  copyStrided(value.data, 0, { extents: order.map(extentOf), strides: order.map(strideOf) }, copy)
  if (summed.length === 0) return { dtype: value.dtype, shape, data: copy }
  const data = context.allocate(value.dtype, sizeOf(shape)).fill(0)
  for (let i = 0, at = 0; i < data.length; i++) for (const end = at + inner; at < end; at++) data[i] += copy[at]
  return { dtype: value.dtype, shape, data }
}

/**
 * Sums over what neither `kept` nor both operands have: one matrix product for every index of the letters that all
 * share.
 */
function contract(a: Named, b: Named, kept: ReadonlySet<string>, context: KernelContext): Named {
  const own = (named: Named, other: Named): string[] =>
    [...new Set(named.letters)].filter(letter => kept.has(letter) && !other.letters.includes(letter))
  const shared = [...new Set(a.letters)].filter(letter => b.letters.includes(letter))
  const [stack, depth] = [shared.filter(letter => kept.has(letter)), shared.filter(letter => !kept.has(letter))]
  const [left, right] = [own(a, b), own(b, a)]
  const [first, second] = [arrange(a, [...stack, ...left, ...depth], context),
    arrange(b, [...stack, ...depth, ...right], context)]
  const shape = [...first.shape.slice(0, stack.length + left.length),
    ...second.shape.slice(stack.length + depth.length)]
  const count = sizeOf(first.shape.slice(0, stack.length))
  const [rows, inner, columns] = [sizeOf(first.shape.slice(stack.length, stack.length + left.length)),
    sizeOf(first.shape.slice(stack.length + left.length)), sizeOf(second.shape.slice(stack.length + depth.length))]
  const data = context.allocate(first.dtype, sizeOf(shape))
  const part = (values: Tensor['data'], i: number, size: number): RealArray =>
    (values as RealArray).subarray(i * size, (i + 1) * size)
  for (let i = 0; i < count; i++) {
    gemm(false, false, rows, columns, inner, 1, part(first.data, i, rows * inner),
      part(second.data, i, inner * columns), 0, part(data, i, rows * columns))
  }
  return { letters: [...stack, ...left, ...right], value: { dtype: first.dtype, shape, data } }
}

const einsum: Operator = {
  op: 'Einsum',
  infer(node, inputs) {
    const values = inputs.map((_, i) => requiredInput(node, inputs, i))
    const equation = equationOf(node, values.map(({ shape }) => shape.length))
    const { dtype } = requiredInput(node, values, 0)
    if (!isFloat(dtype)) throw badNode(node, `its operands must be real numbers; they are of type ${dtype}.`)
    const extents = extentsOf(node, equation, values.map(({ shape }) => shape))
    for (const [letter, dim] of extents) {
      if (isBatch(dim) && !equation.result.includes(letter)) {
        throw acrossExamplesError(node, `it sums over the examples (its letter '${letter}').`)
      }
    }
    return [{ dtype, shape: equation.result.map(letter => extents.get(letter) ?? 1) }]
  },
  run(node, inputs, context) {
    const values = inputs.map((_, i) => requiredInput(node, inputs, i))
    const { operands, result } = equationOf(node, values.map(({ shape }) => shape.length))
    const named = values.map((value, i): Named => ({ letters: operands[i], value }))
    const total = named.reduce((sum, operand, i) =>
      contract(sum, operand, new Set([...result, ...operands.slice(i + 1).flat()]), context)
    )
    return [arrange(total, result, context)]
  },
  // Both operands of a product are put in order.
  workspace: (_node, shapes) => shapes.reduce((sum, shape) => sum + sizeOf(shape), 0),
  backward(context) {
    const { inputs, needs, cotangents: [cotangent] } = context
    return cotangent === undefined
      ? []
      : inputs.map((input,
        i) => (input !== undefined && needs[i] === true ? operandCotangent(context, cotangent, i, input) : undefined)
      )
  },
}

/** The cotangent of one operand is another sum of products: that of the result with the other operands. */
function operandCotangent({ builder, node, inputs, outputs: [y] }: BackwardContext, cotangent: string, index: number,
  input: InferredValue): string {
  const { operands, result } = equationOf(node, inputs.map(value => value?.shape.length ?? 0))
  const own = operands[index]
  const refuse = (problem: string): GraphError =>
    new GraphError('NOT_DIFFERENTIABLE', `${describeNode(node)} has no derivative rule where ${problem}.`, {
      op: node.op,
      node: node.name ?? node.outputs[0],
    })
  if (new Set(own).size !== own.length) throw refuse('an operand names an axis twice')
  const [seed = '', examples = ''] = LETTERS.filter(letter => !operands.flat().includes(letter))
  if (examples === '') throw refuse('all letters are in use')
  const batch = y.shape.findIndex(isBatch)
  const keeps = input.shape.some(isBatch)
  const lead = [seed, ...(batch < 0 ? [examples] : [])]
  const front = [...lead, ...(batch >= 0 && !keeps ? [result[batch]] : [])]
  const others = inputs.flatMap((_, i) => (i === index ? [] : [i]))
  const available = new Set([...result, ...others.flatMap(i => [...operands[i]])])
  const reached = own.filter(letter => available.has(letter))
  const left = [[...lead, ...result], ...others.map(i => operands[i])].map(letters => letters.join('')).join(',')
  const sum = builder.node('Einsum', [cotangent, ...others.map(i => node.inputs[i])], {
    equation: `${left}->${[...front, ...reached].join('')}`,
  })
  // Where the operand is the same for all examples, several positions of one example are added up.
  const perExample = (
    value: string,
  ): string => (batch >= 0 && !keeps
    ? sumToShape(builder, value, [y.shape[batch], ...input.shape], input.shape)
    : value)
  if (reached.length === own.length) return perExample(sum)
  // What is summed over in this operand alone gets the same cotangent everywhere.
  const missing = own.flatMap((letter, axis) => (available.has(letter) ? [] : [axis]))
  const column = builder.node('Unsqueeze', [sum, builder.integers(missing.map(axis => axis + front.length))])
  return perExample(
    builder.node('Expand', [column,
      builder.integers([...front.map(() => 1),
        ...input.shape.map((extent, axis) => (missing.includes(axis) ? Number(extent) : 1))])]),
  )
}

/** Sums of products. */
export const einsumOperators: readonly Operator[] = [einsum]
