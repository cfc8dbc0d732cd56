/**
 * @file Between which numbers the values of a graph lie, whatever its input and its parameters are: interval arithmetic
 * (R. E. Moore, "Interval Analysis", 1966). It shows which outputs are probabilities.
 */
import { type Graph, isBatch, type Node } from '../graph/graph.js'
import type { InferredValue } from '../ops/operator.js'
import { elementsPerExample } from '../ops/shape-rules.js'
import { follow, type Producers, producersOf } from './producers.js'

/** The least and the greatest value that an element can have. */
export interface Range {
  readonly low: number
  readonly high: number
}

type Types = ReadonlyMap<string, InferredValue>

/** What is known before a node. */
interface Known {
  readonly types: Types
  readonly producers: Producers
  readonly rangeOf: (name: string) => Range
}

const SUMS = new Set(['ReduceSum', 'ReduceL1'])

const ANY: Range = { low: -Infinity, high: Infinity }
const range = (low: number, high: number): Range => ({ low, high })
const hull = (ranges: readonly Range[]): Range =>
  range(Math.min(...ranges.map(({ low }) => low)), Math.max(...ranges.map(({ high }) => high)))
/** The range of an increasing function. */
const increasing = (f: (x: number) => number) => ({ low, high }: Range): Range => range(f(low), f(high))

function product(a: Range, b: Range): Range {
  const ends = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high]
  // 0 times infinity stands for values as large as one likes times 0.
  return hull(ends.map(end => (Number.isNaN(end) ? range(0, 0) : range(end, end))))
}

const reciprocal = ({ low, high }: Range): Range =>
  low >= 0 ? range(1 / high, 1 / Math.max(low, 0)) : high < 0 ? range(1 / high, 1 / low) : ANY
const sum = (a: Range, b: Range): Range => range(a.low + b.low, a.high + b.high)
const negative = ({ low, high }: Range): Range => range(-high, -low)

/** Operators whose result's elements are elements of their input, or means of them. */
const REARRANGING = new Set(['Identity', 'Cast', 'Dropout', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose',
  'Slice', 'Gather', 'GatherElements', 'Split', 'Expand', 'Tile', 'ReduceMean', 'ReduceMax', 'ReduceMin', 'MaxPool',
  'GlobalAveragePool', 'GlobalMaxPool'])

/** The range of a result that one input decides. */
const UNARY: Readonly<Record<string, (x: Range) => Range>> = {
  Abs: ({ low, high }) => range(low > 0 ? low : high < 0 ? -high : 0, Math.max(-low, high)),
  Erf: () => range(-1, 1),
  Exp: increasing(Math.exp),
  HardSigmoid: () => range(0, 1),
  HardSwish: ({ high }) => range(-0.375, Math.max(0, high)),
  Log: increasing(x => Math.log(Math.max(0, x))),
  LogSoftmax: () => range(-Infinity, 0),
  Neg: negative,
  Reciprocal: reciprocal,
  Relu: increasing(x => Math.max(0, x)),
  Sigmoid: () => range(0, 1),
  Softmax: () => range(0, 1),
  Softplus: increasing(x => (x > 30 ? x : Math.log1p(Math.exp(x)))),
  Softsign: () => range(-1, 1),
  Sqrt: increasing(x => Math.sqrt(Math.max(0, x))),
  Tanh: () => range(-1, 1),
  Cos: () => range(-1, 1),
  Sin: () => range(-1, 1),
}

/** The range of a result of several inputs. */
const VARIADIC: Readonly<Record<string, (x: readonly Range[]) => Range>> = {
  Add: ([a, b]) => sum(a, b),
  Clip: ([x, low = ANY, high = ANY]) => increasing(value => Math.min(high.high, Math.max(low.low, value)))(x),
  Concat: hull,
  Div: ([a, b]) => product(a, reciprocal(b)),
  Max: x => range(Math.max(...x.map(({ low }) => low)), Math.max(...x.map(({ high }) => high))),
  Mean: hull,
  Min: x => range(Math.min(...x.map(({ low }) => low)), Math.min(...x.map(({ high }) => high))),
  Mul: ([a, b]) => product(a, b),
  Pow: ([a]) => (a.low >= 0 ? range(0, Infinity) : ANY),
  Sub: ([a, b]) => sum(a, negative(b)),
  Sum: x => x.reduce(sum),
  Where: ([, a, b]) => hull([a, b]),
}

/** The range of a value of a graph with these types, whose nodes are in order; unbounded where nothing is known. */
export function valueRange(graph: Graph, types: Types, wanted: string): Range {
  const producers = producersOf(graph)
  const known = new Map<string, Range>()
  const rangeOf = (name: string): Range => {
    const found = known.get(name) ?? constantRange(types.get(name))
    known.set(name, found)
    return found
  }
  for (const node of decisiveNodes(graph, wanted)) {
    const inputs = node.inputs.map(name => (name === '' ? ANY : rangeOf(name)))
    const found = nodeRange(node, inputs, { types, producers, rangeOf })
    for (const name of node.outputs) known.set(name, found)
  }
  return rangeOf(wanted)
}

/** The nodes that decide about a range, in order: behind a product, say, it is unbounded whatever its operands are. */
function decisiveNodes({ nodes }: Graph, wanted: string): Node[] {
  const needed = new Set([wanted])
  return nodes.toReversed().filter(node => {
    if (!node.outputs.some(name => needed.has(name)) || !isBounded(node.op)) return false
    for (const name of node.inputs) needed.add(name)
    return true
  }).reverse()
}

function isBounded(op: string): boolean {
  return REARRANGING.has(op) || SUMS.has(op) || op in UNARY || op in VARIADIC
}

function constantRange(value: InferredValue | undefined): Range {
  if (value?.constant === undefined) return ANY
  let [low, high] = [Infinity, -Infinity]
  for (const element of value.constant.data) {
    low = Math.min(low, element)
    high = Math.max(high, element)
  }
  return low <= high ? range(low, high) : ANY
}

function nodeRange(node: Node, inputs: readonly Range[], { types, producers, rangeOf }: Known): Range {
  const [x] = inputs
  if (REARRANGING.has(node.op)) return x
  if (SUMS.has(node.op)) {
    const count = terms(node, types)
    return product(node.op === 'ReduceL1' ? UNARY.Abs(x) : x, range(count, count))
  }
  if (node.op === 'Div' && x.low >= 0 && isAtLeast(node.inputs[1], node.inputs[0], { producers, rangeOf })) {
    return range(0, 1)
  }
  // x x is never negative, whatever x is.
  if (node.op === 'Mul' && node.inputs[0] === node.inputs[1]) return product(UNARY.Abs(x), UNARY.Abs(x))
  return UNARY[node.op]?.(x) ?? VARIADIC[node.op]?.(inputs) ?? ANY
}

/** How many elements of the input one element of the result sums. */
function terms({ inputs, outputs }: Node, types: Types): number {
  const [from, to] = [types.get(inputs[0]), types.get(outputs[0])]
  return from === undefined || to === undefined
    ? Infinity
    : elementsPerExample(from.shape.map(dim => (isBatch(dim) ? 1 : dim)))
      / elementsPerExample(to.shape.map(dim => (isBatch(dim) ? 1 : dim)))
}

/**
 * Whether a value is at least as large as each of the terms, none of which is negative, that it sums: as in a softmax
 * that is spelled out, where a small number may be added to the sum, or keep it from being smaller.
 */
function isAtLeast(name: string, term: string, known: Pick<Known, 'producers' | 'rangeOf'>): boolean {
  const node = follow(name, known.producers)
  if (name === term) return true
  if (node === undefined) return false
  const { op, inputs } = node
  const first = (): number => inputs.findIndex(input => isAtLeast(input, term, known))
  if (op === 'Add' || op === 'Sum') {
    const some = first()
    return some >= 0 && inputs.every((input, i) => i === some || known.rangeOf(input).low >= 0)
  }
  if (op === 'Max') return first() >= 0
  if (op === 'Clip') return (inputs[2] ?? '') === '' && isAtLeast(inputs[0], term, known)
  return SUMS.has(op) && inputs[0] === term
}
