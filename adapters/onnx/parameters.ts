/**
 * @file Which tensors of a file are trainable. ONNX does not say: initialisers also hold statistics, masks, axes,
 * shapes and plain numbers. A tensor is a parameter by what uses it.
 */
import type { Graph, Node } from '../../core/graph/graph.js'
import type { OpenChoice } from '../../core/graph/open-choice.js'
import { isFloat } from '../../core/ops/element-types.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { isWeightInCode } from './code-constants.js'
import { areCosineAndSine, isAttentionMask, isEvenlySpaced, isMadeConstant, isMask,
  isUniform } from './exported-constants.js'
import { LAYOUT, lookAround, PRODUCTS, sourceOf, type Surroundings } from './surroundings.js'
import { originOf, type Origins, OWN_NAME } from './tensor-origins.js'

/** Operators that pass parts of a tensor on. */
const PARTS = new Set(['Split', 'Slice'])

/**
 * The inputs that hold what an operator has learnt. The running mean and variance of BatchNormalization are not among
 * them.
 */
const LEARNT: ReadonlyMap<string, readonly number[]> = new Map([
  ['Gemm', [0, 1, 2]],
  ['MatMul', [0, 1]],
  ['Conv', [1, 2]],
  ['ConvTranspose', [1, 2]],
  ['RNN', [1, 2, 3, 5]],
  ['GRU', [1, 2, 3, 5]],
  ['LSTM', [1, 2, 3, 5, 6, 7]],
  ['BatchNormalization', [1, 2]],
  ['LayerNormalization', [1, 2]],
  ['InstanceNormalization', [1, 2]],
  ['GroupNormalization', [1, 2]],
  ['RMSNormalization', [1]],
  ['PRelu', [1]],
])

/** Initial states, which are zeros where none are learnt. */
const STATES: ReadonlyMap<string, readonly number[]> = new Map([['RNN', [5]], ['GRU', [5]], ['LSTM', [5, 6]]])

/**
 * The names of the trainable tensors of a graph whose nodes are in topological order, in the order of its initialisers.
 * @param origins what the file says of its tensors
 */
export function findParameters(graph: Graph, origins: Origins): string[] {
  const around = lookAround(graph, origins)
  const made = madeByExporters(graph)
  return [...graph.initializers].filter(([name, value]) => {
    if (!isFloat(value.dtype) || value.data.length === 0) return false
    const single = value.shape.length === 0
    const origin = originOf(origins, name)
    if (origin?.learnt === true && value.data.length === 1) return around.uses.has(name)
    switch (origin?.kind) {
      case 'parameter':
        return around.uses.has(name)
      case 'constant':
        return false
      case 'code':
        return !single && !made.has(name) && isWeightInCode(name, value, around)
      default:
        return !single && !made.has(name) && isLearnt(name, value, around)
    }
  }).map(([name]) => name)
}

/** Operators whose scale and shift an exporter writes as ones and zeros where the network has none. */
const NORMALISING = new Set(['InstanceNormalization', 'LayerNormalization', 'BatchNormalization', 'GroupNormalization'])

/** Names that an exporter makes up; those of a network's own tensors are the paths to them. */
const MADE_UP = /^$|^onnx::|^_?val_\d+|^const(ant)?[_:\d]|Constant_\d*_?output|_output_\d+$|^\d+$/i

/** The names of real tensors that an exporter has written by itself. */
function madeByExporters(graph: Graph): Set<string> {
  const real = [...graph.initializers].filter(([, value]) => isFloat(value.dtype) && value.data.length > 1)
  const made = new Set(real.filter(([, value]) => isMadeConstant(value)).map(([name]) => name))
  for (const node of graph.nodes) {
    if (!NORMALISING.has(node.op)) continue
    const names = node.inputs.slice(1, 3).filter(name => name !== '')
    const values = names.map(name => graph.initializers.get(name))
    const plain = values.every((value, i) => value !== undefined && isUniform(value, 1 - i))
    if (plain && names.every(name => MADE_UP.test(name))) { for (const name of names) made.add(name) }
  }
  const tables = real.filter(([name]) => !made.has(name))
  for (const [name, value] of tables) {
    for (const [other, twin] of tables) {
      if (name !== other && areCosineAndSine(value, twin)) made.add(name).add(other)
    }
  }
  return made
}

/**
 * The choices of parameters where the file leaves them open.
 * @param guessed those of the parameters that neither a name nor a remark of the exporter calls learnt
 */
export function openChoices(graph: Graph, parameters: readonly string[], guessed: readonly string[],
  origins: Origins): OpenChoice[] {
  const chosen = new Set(parameters)
  const statistics = new Set(
    graph.nodes.filter(node => node.op === 'BatchNormalization').flatMap(node => node.inputs.slice(3, 5)),
  )
  const read = new Set(graph.nodes.flatMap(node => node.inputs))
  const others = [...graph.initializers].filter(([name, value]) =>
    isFloat(value.dtype) && value.data.length > 1 && !chosen.has(name) && !statistics.has(name) && read.has(name)
  ).map(([name]) => name)
  const numbers = [...graph.initializers].filter(([name, value]) =>
    isFloat(value.dtype) && value.data.length === 1 && !chosen.has(name) &&
    (originOf(origins, name)?.from.some(source => OWN_NAME.test(source)) ?? isOwnNumber(graph, name))
  ).map(([name]) => name)
  const isInCode = (name: string): boolean => originOf(origins, name)?.kind === 'code'
  const left = (names: readonly string[], why: string, after: string): OpenChoice => ({ names, counted: false,
    sentence: [`Not counted as parameters, because ${why}`, `The option parameters says otherwise${after}.`] })
  const taken = (names: readonly string[], why: string, after: string): OpenChoice => ({ names, counted: true,
    sentence: [`Counted as parameters ${why}`, after] })
  return [
    left(others.filter(name => !isInCode(name)), 'nothing that learns uses them', ''),
    left(numbers, 'single numbers are settings more often than learnt', ", with '*' for those that are counted"),
    taken(guessed, 'by their use alone, because nothing in the file says whether they were learnt',
      'Those that were not (random features, fixed filters, standardisation) belong in the option freeze.'),
    left(others.filter(isInCode), "the file has them as constants of the network's code", ''),
    taken(parameters.filter(isInCode),
      "because layers multiply and add them, though the file has them as constants of the network's code",
      'If they were not learnt, name them in the option freeze.'),
  ].filter(({ names }) => names.length > 0)
}

/** What a single number that was learnt goes through: a temperature, a scale's logarithm, a power. */
const SCALING = new Set(['Mul', 'Add', 'Sub', 'Div', 'Pow', 'Exp', 'Softplus', 'Sigmoid', 'Abs', 'Reciprocal'])

/** Names that torch's older exporter gives to numbers that it has worked out, of settings or of what was learnt. */
const WORKED_OUT = /^onnx::\w+_\d+$/

/**
 * Whether a single number scales or shifts a value and may be learnt: it has a name of the network's own, or it was
 * worked out by the exporter and is none that code would hold.
 */
function isOwnNumber(graph: Graph, name: string): boolean {
  const value = Number(graph.initializers.get(name)?.data[0])
  return (WORKED_OUT.test(name) ? !isSetting(value) : OWN_NAME.test(name) && !MADE_UP.test(name))
    && graph.nodes.some(({ op, inputs }) => SCALING.has(op) && inputs.includes(name))
}

/** Whether a number is one of few digits, or the root or the reciprocal of one: what code is written with. */
function isSetting(value: number): boolean {
  return [value, 1 / value, value ** 2, value ** -2].some(number => {
    const short = Number(number.toPrecision(3))
    return Math.abs(short - number) <= 3e-7 * Math.abs(number)
  })
}

/** Arithmetic that makes a weight of others: scales, weight norm, a masked or an adapted weight. */
const ARITHMETIC = new Set(['Mul', 'Div', 'Add', 'Sub'])

/** Functions of a tensor that make what the network uses: positive weights, rows of probabilities, triangles. */
const FUNCTIONS = new Set(['Trilu', 'Exp', 'Softplus', 'Sigmoid', 'Tanh', 'Softmax', 'Abs', 'Relu', 'Neg', 'Sqrt'])

/** A tensor, or what has been made of it. */
interface Made {
  readonly name: string
  /** By arithmetic of weights alone; or by products and functions too, whose results also shift and scale values. */
  readonly by: 'layout' | 'arithmetic' | 'functions'
}

/** Whether an operator that learns reads the tensor, in whatever layout, or a weight that is made of it. */
function isLearnt(name: string, value: Tensor, around: Surroundings): boolean {
  const open: Made[] = [{ name, by: 'layout' }]
  const seen = new Set([name])
  for (let current = open.pop(); current !== undefined; current = open.pop()) {
    for (const { node, input } of around.uses.get(current.name) ?? []) {
      const moved = LAYOUT.has(node.op) || PARTS.has(node.op)
      const making = moved ? (input === 0 ? 'layout' : undefined) : makesWeights(node, input, name, value, around)
      if (making !== undefined) {
        const by = current.by === 'functions' || moved ? current.by : making
        open.push(...node.outputs.filter(output => !seen.has(output)).map(output => ({ name: output, by })))
        for (const output of node.outputs) seen.add(output)
      }
      if (moved || (making !== undefined && PRODUCTS.has(node.op))) continue
      if (current.by === 'layout' ? learnsFrom(node, input, name, value, around) : isWeightOf(node, input, around)) {
        return true
      }
      if (current.by === 'functions' && ARITHMETIC.has(node.op) && varies(node.outputs[0], around)) return true
    }
  }
  return false
}

/** How a node makes a weight of the value, or of what was made of it; undefined where its result is none. */
function makesWeights(node: Node, input: number, name: string, value: Tensor, { fixed }: Surroundings):
  | Made['by']
  | undefined {
  if (!fixed.has(node.outputs[0]) || value.data.length < 2 || isMask(value)) return undefined
  if (ARITHMETIC.has(node.op)) return node.op === 'Div' && input === 1 ? undefined : 'arithmetic'
  if (PRODUCTS.has(node.op)) return 'functions'
  return FUNCTIONS.has(node.op) && input === 0 && OWN_NAME.test(name) && !MADE_UP.test(name) ? 'functions' : undefined
}

/** Whether a node multiplies what depends on the input with the value. */
function isWeightOf(node: Node, input: number, { fixed }: Surroundings): boolean {
  return PRODUCTS.has(node.op) && input < 2 && !fixed.has(node.outputs[0])
}

function learnsFrom(node: Node, input: number, name: string, value: Tensor, around: Surroundings): boolean {
  if (node.op === 'Gemm' && input === 2 && node.attributes['beta'] === 0) return false
  if (STATES.get(node.op)?.includes(input) === true && isUniform(value, 0)) return false
  if (LEARNT.get(node.op)?.includes(input) === true) return true
  switch (node.op) {
    case 'Einsum':
      return !isMask(value)
    case 'Gather':
      return input === 0 && value.shape.length > 1
    case 'Add':
      return shiftsValue(node, input, value, around)
    case 'Sub':
      return value.data.length > 1 && input === 1 && shiftsValue(node, input, value, around) &&
        (!MADE_UP.test(name) || name.startsWith('onnx::')) && !isUniform(value, value.data[0]) && !isEvenlySpaced(value)
    case 'Mul':
      return value.data.length > 1 && !isMask(value) && !isUniform(value, 0) &&
        (varies(node.inputs[1 - input], around) || varies(node.outputs[0], around))
    case 'Concat':
      return value.data.length > 1 && node.inputs.some(name => varies(name, around)) &&
        (!MADE_UP.test(name) || value.data.some(element => element !== value.data[0]))
    default:
      return false
  }
}

/** Whether a value depends on the input and is more than the input made ready. */
function varies(name: string, { fixed, prepared }: Surroundings): boolean {
  return !fixed.has(name) && !prepared.has(name)
}

/** A bias: a vector, or the single number that is added to a product with one output. */
function shiftsValue(node: Node, input: number, value: Tensor, around: Surroundings): boolean {
  const other = node.inputs[1 - input]
  if (!varies(other, around)) return false
  if (value.data.length > 1) return !isAttentionMask(value)
  return value.shape.length > 0 && PRODUCTS.has(sourceOf(other, around)?.op ?? '')
}
