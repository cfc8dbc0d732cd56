/**
 * @file Operators in double precision for runtimes: the standard has them in float64, and ONNX Runtime (1.30) has no
 * kernel for some of them. They are written in operators for which it does, by their definitions.
 */
import { GraphError, OptionError } from '../../core/errors/errors.js'
import { GraphBuilder } from '../../core/graph/builder.js'
import type { Graph, Node, ValueType } from '../../core/graph/graph.js'
import { isBatch } from '../../core/graph/graph.js'
import { patchAttributes } from '../../core/ops/convolution.js'
import { CENTRES_PER_UNIT, erfCoefficients, LIMIT, TERMS } from '../../core/ops/erf.js'
import { type Expression, expression, type Operand } from '../../core/ops/expression.js'
import { describeNode, numberAttribute, stringAttribute } from '../../core/ops/node-attributes.js'
import { countElements } from '../../core/ops/pooling.js'
import { isRecurrence } from '../../core/ops/recurrence.js'
import { kernelExtents, slidingWindow, type WindowAxis } from '../../core/ops/window.js'
import { inferTypes } from '../../core/passes/infer.js'
import { unrollRecurrences } from '../../core/passes/unroll.js'
import { sizeOf, tensor } from '../../core/tensor/tensor.js'

/** What a definition is written with. */
interface Writing {
  readonly builder: GraphBuilder
  readonly e: Expression
  readonly node: Node
  readonly x: string
  /** Of the inputs, and of the result. */
  readonly types: readonly (ValueType | undefined)[]
  readonly result: ValueType | undefined
  /** Whether the result is a factor of a product. */
  readonly multiplied: boolean
  max(a: Operand, b: Operand): string
  min(a: Operand, b: Operand): string
}

type Definition = (writing: Writing) => string | undefined

/** log(1 + e^x), without overflow. */
const softplus: Definition = ({ e, x, max }) =>
  e.add(max(x, 0), e.apply('Log', e.add(e.apply('Exp', e.apply('Neg', e.apply('Abs', x))), 1)))

/** x above 0, below it alpha (e^(x / divisor) - 1), all times gamma. */
const elu = ({ e, x, max, min }: Writing, alpha: number, divisor = 1, gamma = 1): string => {
  const below = min(x, 0)
  const curve = e.mul(e.sub(e.apply('Exp', divisor === 1 ? below : e.div(below, divisor)), 1), alpha)
  const sum = e.add(max(x, 0), curve)
  return gamma === 1 ? sum : e.mul(sum, gamma)
}

const hardSigmoid = ({ e, x, max, min }: Writing, alpha: number, beta: number): string =>
  max(min(e.add(e.mul(x, alpha), beta), 1), 0)

const half = ({ e }: Writing, a: string): string => e.mul(a, 0.5)

/** The error function by the expansions of core/ops/erf.ts: the coefficients of the nearest centre, Horner's scheme. */
function erf({ builder, e, max, min }: Writing, x: string): string {
  const size = min(e.apply('Abs', x), LIMIT)
  const nearest = e.apply('Floor', e.add(e.mul(size, CENTRES_PER_UNIT), 0.5))
  const centre = builder.node('Cast', [nearest], { to: 7 })
  const distance = e.sub(size, e.div(nearest, CENTRES_PER_UNIT))
  const coefficient = (order: number): string => {
    const values = erfCoefficients(order)
    return builder.node('Gather', [builder.constant(tensor('float64', [values.length], values)), centre])
  }
  let sum = coefficient(TERMS - 1)
  for (let order = TERMS - 2; order >= 0; order--) sum = e.add(e.mul(sum, distance), coefficient(order))
  return e.mul(e.apply('Sign', x), min(max(sum, 0), 1))
}

function gelu(writing: Writing): string | undefined {
  const { e, node, x } = writing
  if (stringAttribute(node, 'approximate', 'none') !== 'none') return undefined
  return e.mul(half(writing, x), e.add(erf(writing, e.mul(x, Math.SQRT1_2)), 1))
}

/** Over all axes behind the channels. */
const overSpace = (op: string): Definition => ({ builder, x, types: [input] }) => {
  const axes = Array.from({ length: (input?.shape.length ?? 2) - 2 }, (_, i) => i + 2)
  return builder.node(op, [x, builder.integers(axes)], { keepdims: 1 })
}

function instanceNormalization({ builder, e, node, x, types: [input] }: Writing): string {
  const axes = Array.from({ length: (input?.shape.length ?? 2) - 2 }, (_, i) => i + 2)
  const mean = (value: string): string => builder.node('ReduceMean', [value, builder.integers(axes)], { keepdims: 1 })
  const channels = (name: string): string =>
    builder.node('Reshape', [name, builder.integers([-1, ...axes.map(() => 1)])])
  const centred = e.sub(x, mean(x))
  const deviation = e.apply('Sqrt', e.add(mean(e.mul(centred, centred)), numberAttribute(node, 'epsilon', 1e-5)))
  return e.add(e.mul(e.div(centred, deviation), channels(node.inputs[1])), channels(node.inputs[2]))
}

/** The patches under the window times the weight as a matrix, group by group. */
function convolution({ builder, e, node, x, types: [input, weight], result }: Writing): string | undefined {
  if (input === undefined || weight === undefined || result === undefined) return undefined
  const shape = weight.shape.filter((dim): dim is number => !isBatch(dim))
  if (shape.length !== weight.shape.length) return undefined
  const groups = numberAttribute(node, 'group', 1)
  const [out, ...window] = shape
  const patches = builder.node('Unfold', [x], patchAttributes(node, input.shape, shape))
  const matrices = builder.node('Transpose', [
    builder.node('Reshape', [node.inputs[1], builder.integers([groups, out / groups, sizeOf(window)])]),
  ], { perm: [0, 2, 1] })
  const product = builder.node('Transpose', [builder.node('MatMul', [patches, matrices])], { perm: [0, 1, 3, 2] })
  const space = result.shape.slice(2)
  return withBias({ builder, e, node },
    builder.node('Reshape', [product, builder.integers([0, out, ...space.map(Number)])]), out, space.length)
}

function withBias({ builder, e, node }: Pick<Writing, 'builder' | 'e' | 'node'>, image: string, out: number,
  rank: number): string {
  const bias = node.inputs[2] ?? ''
  if (bias === '') return image
  return e.add(image, builder.node('Reshape', [bias, builder.integers([out, ...new Array<number>(rank).fill(1)])]))
}

/** For every place of the output and of the window the place of the input that meets there; -1 where none does. */
function meetingPlaces(input: readonly number[], output: readonly number[], kernel: readonly number[],
  { strides, dilations, pads }: Record<'strides' | 'dilations' | 'pads', readonly number[]>): number[][] {
  return input.reduce<number[][]>(
    (rows, extent, axis) =>
      rows.flatMap(row =>
        Array.from({ length: output[axis] }, (_, o) =>
          row.flatMap(at =>
            Array.from({ length: kernel[axis] }, (_, k) => {
              const place = (o + pads[axis] - k * dilations[axis]) / strides[axis]
              return at < 0 || place < 0 || place >= extent || !Number.isInteger(place) ? -1 : at * extent + place
            })
          ))
      ),
    [[0]],
  )
}

/** What meets at every place of the output times the weight as a matrix, group by group. */
function transposedConvolution({ builder, e, node, x, types: [input, weight], result }: Writing): string | undefined {
  const { attributes } = node
  const automatic = attributes['auto_pad'] !== undefined && attributes['auto_pad'] !== 'NOTSET'
  if (input === undefined || weight === undefined || result === undefined || automatic ||
    attributes['output_shape'] !== undefined || weight.shape.some(isBatch)) return undefined
  const groups = numberAttribute(node, 'group', 1)
  const [channels, out, ...kernel] = weight.shape as readonly number[]
  const [from, to] = [input, result].map(({ shape }) => shape.slice(2).map(Number))
  const ones = kernel.map(() => 1)
  const list = (key: string, usual: readonly number[]): readonly number[] =>
    attributes[key] as readonly number[] | undefined ?? usual
  const table = meetingPlaces(from, to, kernel, { strides: list('strides', ones), dilations: list('dilations', ones),
    pads: list('pads', [...ones, ...ones].map(() => 0)) })
  const [window, places] = [sizeOf(kernel), sizeOf(to)]
  const planes = builder.node('Reshape', [x, builder.integers([0, channels, sizeOf(from)])])
  // A row of zeros behind the places stands for what is outside of the input.
  const rows = builder.node('Pad', [builder.node('Transpose', [planes], { perm: [0, 2, 1] }),
    builder.integers([0, 0, 0, 0, 1, 0])])
  const picked = builder.node('Gather', [rows,
    builder.constant(tensor('int64', [places, window], table.flat().map(at => (at < 0 ? sizeOf(from) : at))))], {
    axis: 1,
  })
  const apart = builder.node('Reshape', [picked, builder.integers([0, places, window, groups, channels / groups])])
  const patches = builder.node('Reshape', [builder.node('Transpose', [apart], { perm: [0, 3, 1, 4, 2] }),
    builder.integers([0, groups, places, channels / groups * window])])
  const matrices = builder.node('Reshape', [
    builder.node('Transpose', [
      builder.node('Reshape', [node.inputs[1], builder.integers([groups, channels / groups, out, window])]),
    ], { perm: [0, 1, 3, 2] }),
    builder.integers([groups, channels / groups * window, out]),
  ])
  const product = builder.node('Transpose', [builder.node('MatMul', [patches, matrices])], { perm: [0, 1, 3, 2] })
  return withBias({ builder, e, node }, builder.node('Reshape', [product, builder.integers([0, groups * out, ...to])]),
    groups * out, to.length)
}

/**
 * 1 / (1 + e^-x) where it is multiplied: ONNX Runtime takes x sigmoid(x) for one operator that it has in float32 only.
 */
function sigmoid({ e, x, multiplied }: Writing): string | undefined {
  return multiplied ? e.div(1, e.add(e.apply('Exp', e.apply('Neg', x)), 1)) : undefined
}

/** For every place of the output and of the window the place of the input that is there; -1 outside of it. */
function placesUnder(axes: readonly WindowAxis[]): number[][] {
  return axes.reduce<number[][]>(
    (rows, { input, output, kernel, stride, dilation, front }) =>
      rows.flatMap(row =>
        Array.from({ length: output }, (_, o) =>
          row.flatMap(at =>
            Array.from({ length: kernel }, (_, k) => {
              const place = o * stride + k * dilation - front
              return at < 0 || place < 0 || place >= input ? -1 : at * input + place
            })
          ))
      ),
    [[0]],
  )
}

/** What is under the window, added up, by the number of elements that each mean is of. */
function averagePool({ builder, e, node, x, types: [input], result }: Writing): string | undefined {
  if (input === undefined || result === undefined || input.shape.slice(1).some(isBatch)) return undefined
  const [channels, ...extents] = input.shape.slice(1).map(Number)
  const axes = slidingWindow(node, extents, kernelExtents(node, extents.length),
    numberAttribute(node, 'ceil_mode', 0) !== 0)
  const table = placesUnder(axes)
  const outside = sizeOf(extents)
  const planes = builder.node('Reshape', [x, builder.integers([0, channels, outside])])
  // A zero behind the places stands for what is outside of the input.
  const padded = builder.node('Pad', [planes, builder.integers([0, 0, 0, 0, 0, 1])])
  const places = tensor('int64', [table.length, table[0].length], table.flat().map(at => (at < 0 ? outside : at)))
  const picked = builder.node('Gather', [padded, builder.constant(places)], { axis: 2 })
  const sums = builder.node('ReduceSum', [picked, builder.integers([-1])], { keepdims: 0 })
  const means = e.div(sums, builder.constant(tensor('float64', [table.length], countElements(node, axes))))
  return builder.node('Reshape', [means, builder.integers([0, channels, ...axes.map(({ output }) => output)])])
}

/** The slope below 0 times x. */
const leaky = ({ e, x, max, min }: Writing, slope: Operand): string => e.add(max(x, 0), e.mul(min(x, 0), slope))

const SELU = { alpha: 1.6732632423543772, gamma: 1.0507009873554805 }

const DEFINITIONS: ReadonlyMap<string, Definition> = new Map<string, Definition>([
  ['AveragePool', averagePool],
  ['Celu', w => elu(w, numberAttribute(w.node, 'alpha', 1), numberAttribute(w.node, 'alpha', 1))],
  ['Conv', convolution],
  ['ConvTranspose', transposedConvolution],
  ['Cosh', w => half(w, w.e.add(w.e.apply('Exp', w.x), w.e.apply('Exp', w.e.apply('Neg', w.x))))],
  ['Elu', w => elu(w, numberAttribute(w.node, 'alpha', 1))],
  ['Erf', w => erf(w, w.x)],
  ['Gelu', gelu],
  ['GlobalAveragePool', overSpace('ReduceMean')],
  ['GlobalMaxPool', overSpace('ReduceMax')],
  ['HardSigmoid', w => hardSigmoid(w, numberAttribute(w.node, 'alpha', 0.2), numberAttribute(w.node, 'beta', 0.5))],
  ['HardSwish', w => w.e.mul(w.x, hardSigmoid(w, 1 / 6, 0.5))],
  ['InstanceNormalization', instanceNormalization],
  ['LeakyRelu', w => leaky(w, numberAttribute(w.node, 'alpha', 0.01))],
  ['Mish', w => w.e.mul(w.x, w.e.apply('Tanh', softplus(w) ?? w.x))],
  ['PRelu', w => leaky(w, w.node.inputs[1])],
  ['Selu', w => elu(w, numberAttribute(w.node, 'alpha', SELU.alpha), 1, numberAttribute(w.node, 'gamma', SELU.gamma))],
  ['Sigmoid', sigmoid],
  ['Sinh', w => half(w, w.e.sub(w.e.apply('Exp', w.x), w.e.apply('Exp', w.e.apply('Neg', w.x))))],
  ['Softplus', softplus],
  ['Softsign', w => w.e.div(w.x, w.e.add(w.e.apply('Abs', w.x), 1))],
  ['Tan', w => w.e.div(w.e.apply('Sin', w.x), w.e.apply('Cos', w.x))],
  ['ThresholdedRelu', w => w.e.mul(w.x, w.e.indicator('Greater', w.x, numberAttribute(w.node, 'alpha', 1)))],
])

/**
 * The graph with recurrences written out, time after time, where they compute in float64.
 * @throws OptionError BAD_COMBINATION for sequences that are too long for it
 */
function withoutDoubleRecurrences(graph: Graph): Graph {
  const recurrences = graph.nodes.filter(({ op }) => isRecurrence(op))
  if (recurrences.length === 0) return graph
  const types = inferTypes(graph)
  if (recurrences.every(({ inputs: [x] }) => types.get(x)?.dtype !== 'float64')) return graph
  try {
    return unrollRecurrences(graph, 'float64')
  } catch (error) {
    if (!(error instanceof GraphError) || error.code !== 'NOT_DIFFERENTIABLE') throw error
    throw new OptionError('BAD_COMBINATION',
      `${describeNode(recurrences[0])} has no float64 kernel in ONNX Runtime, and its sequence is too long to be ` +
        'written out. Ask for float32 (option dtype).', { option: 'dtype', value: 'float64' })
  }
}

/** The graph with such operators written out where they compute in float64. */
export function withDoubleKernels(whole: Graph): Graph {
  const graph = withoutDoubleRecurrences(whole)
  if (!graph.nodes.some(({ op }) => DEFINITIONS.has(op))) return graph
  const types = inferTypes(graph)
  const factors = new Set(graph.nodes.filter(({ op }) => op === 'Mul').flatMap(({ inputs }) => inputs))
  const builder = GraphBuilder.from(graph, 'float64')
  builder.nodes.length = 0
  const e = expression(builder)
  const named = (operand: Operand): string => (typeof operand === 'number' ? builder.scalar(operand) : operand)
  const binary = (op: string) => (a: Operand, b: Operand): string => builder.node(op, [named(a), named(b)])
  for (const node of graph.nodes) {
    const [x] = node.inputs
    const define = types.get(x)?.dtype === 'float64' ? DEFINITIONS.get(node.op) : undefined
    const value = define?.({ builder, e, node, x, types: node.inputs.map(name => types.get(name)),
      result: types.get(node.outputs[0]), multiplied: factors.has(node.outputs[0]), max: binary('Max'),
      min: binary('Min') })
    if (value === undefined) builder.nodes.push(node)
    else builder.nodes.push({ op: 'Identity', inputs: [value], outputs: node.outputs, attributes: {} })
  }
  return builder.build(graph.outputs)
}
