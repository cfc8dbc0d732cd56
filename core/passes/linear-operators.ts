/**
 * @file Finds the linear operators of a network: products of a value that carries the examples with a weight, z = W a
 * (+ b).
 *
 * Whatever the layout (weight left or right, transposed or not, examples on any axis), an operator found here can hand
 * out its inputs as N x T x in and the cotangent of its output as K x N x T x out; T counts the positions of one
 * example. A convolution without groups is one too: its inputs are the patches under its window. One in groups is as
 * many operators as it has groups, which are found together.
 */
import type { GraphBuilder } from '../graph/builder.js'
import { type Attribute, batchAxis, type Dim, type Graph, isBatch, type Node, type Parameter } from '../graph/graph.js'
import { patchAttributes } from '../ops/convolution.js'
import { expression } from '../ops/expression.js'
import { numberAttribute } from '../ops/node-attributes.js'
import type { InferredValue } from '../ops/operator.js'
import { exampleLayout, exampleRows } from '../ops/positions.js'
import { sameShape } from '../ops/shape-rules.js'
import { sizeOf } from '../tensor/tensor.js'

/** One use of a weight by a linear operator. */
export interface LinearOperator {
  readonly node: Node
  /** Which input of the node is the weight. */
  readonly weightInput: number
  readonly weight: Parameter
  /** The bias that is added to the product, where there is one. */
  readonly bias?: BiasUse
  readonly in: number
  readonly out: number
  readonly positions: number
  /** The value that is multiplied, and whether its features are on the last axis but one. */
  readonly input: string
  readonly inputSwapped: boolean
  /** The result with the bias added, and whether its features are on the last axis but one. */
  readonly output: string
  readonly outputSwapped: boolean
  readonly inputShape: readonly Dim[]
  readonly outputShape: readonly Dim[]
  /** The product is multiplied by this number. */
  readonly alpha: number
  /**
   * For a convolution, the attributes of the Unfold that makes the patches; `inputShape` and `outputShape` are then N x
   * T x in and N x out x T.
   */
  readonly patches?: Readonly<Record<string, Attribute>>
}

/** A convolution in groups: `in` and `out` are those of one group, and `positions` those of one image. */
export interface GroupedConvolution {
  readonly node: Node
  readonly weightInput: 1
  readonly weight: Parameter
  readonly bias?: BiasUse
  readonly groups: number
  readonly in: number
  readonly out: number
  readonly positions: number
  readonly input: string
  readonly output: string
  /** The axis of the examples. */
  readonly examples: Dim
  readonly patches: Readonly<Record<string, Attribute>>
}

/** Where a bias comes in: which input of which node. */
export interface BiasUse {
  readonly parameter: Parameter
  readonly node: Node
  readonly input: number
}

/** What is needed to look around in a graph. */
interface Surroundings {
  readonly types: ReadonlyMap<string, InferredValue>
  readonly parameters: ReadonlyMap<string, Parameter>
  readonly producers: ReadonlyMap<string, Node>
  readonly consumers: ReadonlyMap<string, readonly Node[]>
  readonly outputs: ReadonlySet<string>
}

/** Every use of a parameter as the weight of a linear operator, in the order of the nodes. */
export function findLinearOperators(graph: Graph, types: ReadonlyMap<string, InferredValue>): LinearOperator[] {
  const around = lookAround(graph, types)
  return graph.nodes.flatMap(node => {
    if (node.op === 'Conv') return numberAttribute(node, 'group', 1) === 1 ? convolution(node, around) : []
    if (node.op !== 'MatMul' && node.op !== 'Gemm') return []
    const found = linearOperator(node, 1, around) ?? linearOperator(node, 0, around)
    return found === undefined ? [] : [found]
  })
}

function lookAround(graph: Graph, types: ReadonlyMap<string, InferredValue>): Surroundings {
  const producers = new Map<string, Node>()
  const consumers = new Map<string, Node[]>()
  for (const node of graph.nodes) {
    for (const name of node.outputs) if (name !== '') producers.set(name, node)
    for (const name of node.inputs) {
      const readers = consumers.get(name)
      if (readers === undefined) consumers.set(name, [node])
      else readers.push(node)
    }
  }
  return { types, producers, consumers,
    parameters: new Map(graph.parameters.map(parameter => [parameter.name, parameter] as const)),
    outputs: new Set(graph.outputs) }
}

function linearOperator(node: Node, weightInput: 0 | 1, around: Surroundings): LinearOperator | undefined {
  const traced = traceWeight(node.inputs[weightInput], around)
  const input = node.inputs[1 - weightInput]
  const [inputType, outputType] = [around.types.get(input), around.types.get(node.outputs[0])]
  const matrix = traced === undefined ? [] : matrixShape(traced.parameter.shape)
  if (traced === undefined || matrix.length !== 2 || inputType === undefined || outputType === undefined ||
    inputType.shape.length < 2 || batchAxis(inputType) < 0) return undefined
  const [transA, transB] = [numberAttribute(node, 'transA', 0) !== 0, numberAttribute(node, 'transB', 0) !== 0]
  const swaps = traced.swapped !== (weightInput === 1 ? transB : transA)
  // As the right operand the weight is met as in x out, as the left one as out x in.
  // Shapes cannot tell for a square weight: met the wrong way round, its A and B would be exchanged without an error.
  if (swaps !== (traced.parameter.transposed !== (weightInput === 1))) return undefined
  const inputSwapped = weightInput === 1 ? transA : !transB
  const outputSwapped = weightInput === 0
  const [out, inputs] = matrix
  const rows = featuresLast(inputType.shape, inputSwapped)
  if (isBatch(rows[rows.length - 1])) return undefined
  const { before, after } = exampleLayout(rows)
  const bias = findBias(node, { out, axisFromEnd: outputSwapped ? 2 : 1 }, outputType.shape, around)
  const output = bias === undefined ? node.outputs[0] : bias.node.outputs[0]
  return {
    node,
    weightInput,
    weight: traced.parameter,
    in: inputs,
    out,
    positions: before * after,
    input,
    inputSwapped,
    inputShape: inputType.shape,
    output,
    outputSwapped,
    outputShape: outputType.shape,
    alpha: numberAttribute(node, 'alpha', 1),
    ...(bias === undefined ? {} : { bias }),
  }
}

/** Every use of a parameter as the weight of a convolution in groups, in the order of the nodes. */
export function findGroupedConvolutions(graph: Graph, types: ReadonlyMap<string, InferredValue>): GroupedConvolution[] {
  const around = lookAround(graph, types)
  return graph.nodes.flatMap(node => {
    const groups = node.op === 'Conv' ? numberAttribute(node, 'group', 1) : 1
    return groups === 1 ? [] : convolution(node, around).map((whole): GroupedConvolution => {
      const { weight, bias, in: inputs, out, input, output, inputShape: [examples, positions], patches = {} } = whole
      // Of a bias that is used elsewhere too, more than these groups is to be counted.
      const own = bias !== undefined && around.consumers.get(bias.parameter.name)?.length === 1
      return { node, weightInput: 1, weight, groups, in: inputs, out: out / groups, positions: Number(positions), input,
        output: own || bias === undefined || bias.node === node ? output : node.outputs[0], examples, patches,
        ...(own ? { bias } : {}) }
    })
  })
}

/** A convolution, with the weight out x in x kernel as a matrix. */
function convolution(node: Node, around: Surroundings): LinearOperator[] {
  const traced = traceWeight(node.inputs[1], around)
  const [inputType, outputType] = [around.types.get(node.inputs[0]), around.types.get(node.outputs[0])]
  if (traced === undefined || traced.swapped || traced.parameter.transposed || inputType === undefined ||
    outputType === undefined || batchAxis(inputType) !== 0) return []
  if (!sameShape(traced.parameter.shape, around.types.get(node.inputs[1])?.shape ?? [])) return []
  const [out, ...window] = traced.parameter.shape
  const inputs = sizeOf(window)
  const patches = patchAttributes(node, inputType.shape, traced.parameter.shape)
  const positions = sizeOf(outputType.shape.slice(2) as readonly number[])
  const bias = findBias(node, { out, axisFromEnd: outputType.shape.length - 1 }, outputType.shape, around)
  const [examples] = inputType.shape
  const { before, after } = exampleLayout([examples, positions, inputs])
  return [{
    node,
    weightInput: 1,
    weight: traced.parameter,
    in: inputs,
    out,
    positions: before * after,
    patches,
    input: node.inputs[0],
    inputSwapped: false,
    inputShape: [examples, positions, inputs],
    output: bias === undefined ? node.outputs[0] : bias.node.outputs[0],
    outputSwapped: true,
    outputShape: [examples, out, positions],
    alpha: 1,
    ...(bias === undefined ? {} : { bias }),
  }]
}

/** A weight's extents without leading axes of one element, as recurrences have them. */
function matrixShape(shape: readonly number[]): readonly number[] {
  const first = shape.findIndex((extent, axis) => extent !== 1 || axis >= shape.length - 2)
  return shape.slice(first)
}

/** Follows a weight back through transpositions, copies and the removal of leading axes to its parameter. */
function traceWeight(name: string, { producers, parameters, types }: Surroundings): { parameter: Parameter,
  swapped: boolean } | undefined {
  let swapped = false
  for (let current = name;;) {
    const parameter = parameters.get(current)
    if (parameter !== undefined) return { parameter, swapped }
    const node = producers.get(current)
    if (node === undefined) return undefined
    if (node.op === 'Transpose') {
      const { perm } = node.attributes
      if (Array.isArray(perm) && (perm.length !== 2 || perm[0] === 0)) return undefined
      swapped = !swapped
    } else if (node.op === 'Squeeze') {
      const [from, to] = [types.get(node.inputs[0])?.shape ?? [], types.get(node.outputs[0])?.shape ?? []]
      if (!sameShape(matrixShape(from.filter(dim => !isBatch(dim)) as number[]), to)) return undefined
    } else if (node.op !== 'Identity' && node.op !== 'Cast') return undefined
    current = node.inputs[0]
  }
}

/** Nodes that keep a bias' elements in order. */
const RESHAPING = new Set(['Identity', 'Cast', 'Reshape', 'Squeeze', 'Unsqueeze', 'Flatten'])

function traceBias(name: string, { producers, parameters }: Surroundings): Parameter | undefined {
  for (let current = name;;) {
    const parameter = parameters.get(current)
    if (parameter !== undefined) return parameter.transposed ? undefined : parameter
    const node = producers.get(current)
    if (node === undefined || !RESHAPING.has(node.op)) return undefined
    current = node.inputs[0]
  }
}

/** A bias of `out` elements on one axis of the product. */
interface BiasLayout {
  readonly out: number
  readonly axisFromEnd: number
}

/** The bias of a product: Gemm's or Conv's own, or a parameter that the only reader of the product adds to it. */
function findBias(node: Node, layout: BiasLayout, shape: readonly Dim[], around: Surroundings): BiasUse | undefined {
  if (node.op === 'Conv' && node.inputs.length > 2 && node.inputs[2] !== '') {
    return biasAt(node, 2, { ...layout, axisFromEnd: 1 }, around)
  }
  if (node.op === 'Gemm' && node.inputs.length > 2 && node.inputs[2] !== '') {
    return numberAttribute(node, 'beta', 1) === 1 ? biasAt(node, 2, layout, around) : undefined
  }
  const readers = around.consumers.get(node.outputs[0]) ?? []
  const [add] = readers
  // Where something else reads the product too, its cotangent is not that of the sum: gradients of the other path would
  // be lost.
  if (readers.length !== 1 || add.op !== 'Add' || around.outputs.has(node.outputs[0])) return undefined
  const sum = around.types.get(add.outputs[0])
  if (sum === undefined || !sameShape(sum.shape, shape)) return undefined
  return biasAt(add, add.inputs[0] === node.outputs[0] ? 1 : 0, layout, around)
}

function biasAt(node: Node, input: number, { out, axisFromEnd }: BiasLayout, around: Surroundings):
  | BiasUse
  | undefined {
  const parameter = traceBias(node.inputs[input], around)
  const shape = around.types.get(node.inputs[input])?.shape
  if (parameter === undefined || shape === undefined || sizeOf(parameter.shape) !== out) return undefined
  return out === 1 || shape[shape.length - axisFromEnd] === out ? { parameter, node, input } : undefined
}

function featuresLast(shape: readonly Dim[], swapped: boolean): readonly Dim[] {
  return swapped ? [...shape.slice(0, -2), shape[shape.length - 1], shape[shape.length - 2]] : shape
}

/** Appends the nodes that compute a linear operator's inputs as N x T x in (times its alpha). */
export function appendInputRows(builder: GraphBuilder, operator: LinearOperator): string {
  const { input, inputShape, inputSwapped, alpha, patches } = operator
  if (patches !== undefined) {
    const [examples, positions, width] = inputShape
    return exampleRows(builder, builder.node('Unfold', [input], patches), [examples, 1, positions, width], false)
  }
  const value = inputSwapped ? swapLast(builder, input, inputShape.length) : input
  const rows = exampleRows(builder, value, featuresLast(inputShape, inputSwapped), false)
  // On one factor only, and on a: on g it would scale the gradient of the bias too, and on both the weight's by
  // alpha^2.
  return alpha === 1 ? rows : expression(builder).mul(rows, alpha)
}

/** Appends the nodes that bring the cotangent of a linear operator's output to K x N x T x out. */
export function appendCotangentRows(builder: GraphBuilder, operator: LinearOperator, cotangent: string): string {
  const { outputShape, outputSwapped, patches } = operator
  if (patches !== undefined) {
    const [examples, out, positions] = outputShape
    const flat = builder.node('Reshape', [cotangent,
      builder.integers([0, isBatch(examples) ? -1 : examples, Number(out), Number(positions)])])
    return exampleRows(builder, swapLast(builder, flat, outputShape.length + 1), featuresLast(outputShape, true), true)
  }
  const value = outputSwapped ? swapLast(builder, cotangent, outputShape.length + 1) : cotangent
  return exampleRows(builder, value, featuresLast(outputShape, outputSwapped), true)
}

/** Appends the nodes that compute the inputs of a convolution in groups as N x R x G x T x in. */
export function appendGroupInputs(builder: GraphBuilder, operator: GroupedConvolution): string {
  const { input, patches, groups, positions, examples } = operator
  const columns = builder.node('Unfold', [input], patches)
  return exampleRows(builder, columns, [examples, groups, positions * operator.in], false)
}

/** Appends the nodes that bring the cotangent of a convolution in groups to K x N x R x G x T x out. */
export function appendGroupCotangents(builder: GraphBuilder, operator: GroupedConvolution, cotangent: string): string {
  const { groups, out, positions, examples } = operator
  const flat = builder.node('Reshape', [cotangent, builder.integers([0, -1, groups, out, positions])])
  return exampleRows(builder, swapLast(builder, flat, 5), [examples, groups, positions * out], true)
}

function swapLast(builder: GraphBuilder, value: string, rank: number): string {
  return builder.node('Transpose', [value], {
    perm: [...Array.from({ length: rank - 2 }, (_, axis) => axis), rank - 1, rank - 2],
  })
}
