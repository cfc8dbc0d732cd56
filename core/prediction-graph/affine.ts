/**
 * @file Chains of products, sums and scalings by constants as one affine function x -> x C + b of the value that they
 * start from: a node where there were several.
 */
import { InternalError } from '../errors/errors.js'
import type { Graph, Node } from '../graph/graph.js'
import { gemm } from '../kernels/linear-algebra.js'
import { elementTypeOf, isFloat } from '../ops/element-types.js'
import type { inferTypes } from '../passes/infer.js'
import { type Producers, producersOf } from '../passes/producers.js'
import { once } from '../posterior/posterior.js'
import { type DType, tensor, toFloat64 } from '../tensor/tensor.js'

type Types = ReturnType<typeof inferTypes>

/** A constant, which has a name as long as it is one of the graph's own. */
interface Constant {
  readonly name: string | undefined
  readonly shape: readonly number[]
  readonly values: () => Float64Array
}

/** x C + b, or factor x + b without a product C. */
interface Affine {
  /** x. */
  readonly of: string
  /** C, k x n. */
  readonly product: Constant | undefined
  readonly factor: number
  /** b: n numbers, or one. */
  readonly plus: Constant | undefined
  /** Neither x nor C, b or the factor have an element below 0: no sum cancels, in whatever order and precision. */
  readonly positive: boolean
  /** The nodes that the chain makes superfluous. */
  readonly length: number
  /** Whether a value between is needed beside the chain, which then repeats a part of the work. */
  readonly shared: boolean
}

/** Multiply-adds of a row that take a runtime about as long as it takes to call a node. */
const LITTLE_WORK = 16384

/** The graph with its chains in fewer nodes; those that compute the values `kept` stay as they are. */
export function withAffineJoined(graph: Graph, types: Types, kept: ReadonlySet<string>): Graph {
  const chains = new Chains(graph, types, kept)
  const initializers = new Map(graph.initializers)
  const nodes = graph.nodes.flatMap(node => {
    const chain = kept.has(node.outputs[0]) ? undefined : chains.endingIn(node)
    if (chain === undefined) return [node]
    const constant = (what: string, value: Constant): string => {
      if (value.name !== undefined && initializers.get(value.name)?.dtype === dtypeOf(types, chain.of)) {
        return value.name
      }
      const name = `${node.outputs[0]}:${what}`
      initializers.set(name, tensor(dtypeOf(types, chain.of), value.shape, value.values()))
      return name
    }
    const shorter = written(chain, node.outputs[0], types, constant)
    // A product past a value that is needed elsewhere may have been what it was needed for.
    const isWorth = shorter.length < chain.length || (shorter.length === 1 && node.op === 'MatMul' && chain.shared)
    return isWorth ? shorter : [node]
  })
  return { ...graph, nodes, initializers }
}

/** The chains of one graph, each found once. */
class Chains {
  private readonly constants: Graph['initializers']
  private readonly types: Types
  private readonly kept: ReadonlySet<string>
  private readonly producers: Producers
  private readonly uses: ReadonlyMap<string, number>
  private readonly found = new Map<string, Affine>()

  constructor(graph: Graph, types: Types, kept: ReadonlySet<string>) {
    this.constants = graph.initializers
    this.types = types
    this.kept = kept
    this.producers = producersOf(graph)
    this.uses = usesOf(graph)
  }

  /** What a node computes, from as far back as it goes; undefined where it is no step of a chain. */
  endingIn(node: Node): Affine | undefined {
    const [first, second] = node.inputs
    const before = this.before(first)
    const chain = node.op === 'Add' && this.constant(second) === undefined
      ? sumOf(before, this.before(second))
      : this.extended(before, node) ?? this.extended(this.start(first), node)
    return chain && { ...chain, length: chain.length + Number(!this.kept.has(node.outputs[0])) }
  }

  private before(name: string): Affine {
    const known = this.found.get(name)
    if (known !== undefined) return known
    const producer = this.producers.get(name)
    const chain = producer && this.endingIn(producer)
    const found = chain === undefined
      ? this.start(name)
      : this.uses.get(name) === 1
      ? chain
      : { ...chain, shared: true, length: 0 }
    this.found.set(name, found)
    return found
  }

  private start(name: string): Affine {
    const producer = this.producers.get(name)
    return { of: name, product: undefined, factor: 1, plus: undefined, length: 0, shared: false,
      positive: producer !== undefined && isPositive(producer) }
  }

  /** The chain with a node behind it, in the precision that it starts in. */
  private extended(chain: Affine, node: Node): Affine | undefined {
    const { op, inputs, outputs, attributes } = node
    if (op === 'Cast') {
      const isExact = attributes['storage'] === undefined && this.isReal(inputs[0]) && this.isReal(outputs[0])
      return isExact ? chain : undefined
    }
    const constant = this.constant(inputs[1])
    if (constant === undefined || !this.isReal(chain.of)) return undefined
    const result = op === 'Mul' ? scaled(chain, constant) : this.extendedBySum(chain, node, constant)
    const [from, to] = [chain.of, inputs[0]].map(name => dtypeOf(this.types, name))
    // Sums for which float64 was chosen stay in it, and long ones of float32 do not become float64.
    const keeps = op === 'Mul' || from === to || (from === 'float32' && result?.positive === true)
    return keeps ? result : undefined
  }

  private extendedBySum(chain: Affine, { op, inputs, attributes }: Node, constant: Constant): Affine | undefined {
    if (op === 'Add') return added(chain, constant)
    if ((op !== 'MatMul' && op !== 'Gemm') || constant.shape.length !== 2) return undefined
    if (this.types.get(chain.of)?.shape.length !== 2 && chain.product !== undefined) return undefined
    const { transA = 0, transB = 0, alpha = 1, beta = 1 } = attributes
    if (transA !== 0 || alpha !== 1 || beta !== 1) return undefined
    const product = multiplied(chain, transB === 0 ? constant : transposed(constant))
    if (product === undefined || inputs[2] === undefined || inputs[2] === '') return product
    const plus = this.constant(inputs[2])
    return plus && added(product, plus)
  }

  private constant(name: string | undefined): Constant | undefined {
    const value = name === undefined ? undefined : this.constants.get(name)
    return value === undefined || !isFloat(value.dtype)
      ? undefined
      : { name, shape: value.shape, values: once(() => toFloat64(value)) }
  }

  private isReal(name: string): boolean {
    const type = this.types.get(name)
    return type !== undefined && isFloat(type.dtype)
  }
}

/** Operators whose results are never negative; a product of a value with itself is another. */
const POSITIVE = new Set(['ReduceSumSquare', 'Abs', 'Exp', 'Relu', 'Sigmoid', 'Softmax', 'Softplus', 'Sqrt'])

function isPositive({ op, inputs }: Node): boolean {
  return POSITIVE.has(op) || (op === 'Mul' && inputs[0] === inputs[1])
}

/** (x C + b) D = x (C D) + b D where nothing cancels and that is no more work. */
function multiplied(chain: Affine, right: Constant): Affine | undefined {
  const positive = chain.positive && right.values().every(value => value >= 0)
  const { product: left, plus, factor } = chain
  const [m, n] = right.shape
  if (left === undefined) {
    if (plus !== undefined) return undefined
    const product = factor === 1 ? right : constantOf(right.shape, right.values().map(value => value * factor))
    return { ...chain, positive, product, factor: 1 }
  }
  const [k] = left.shape
  const allowed = chain.shared ? k * n <= LITTLE_WORK : k * n <= k * m + m * n
  if (!positive || !allowed) return undefined
  const rows = plus && (sizeOf(plus) === m ? plus.values() : new Float64Array(m).fill(plus.values()[0]))
  return { ...chain, positive, product: constantOf([k, n], times(k, m, n, left.values(), right.values())),
    plus: rows && constantOf([n], times(1, m, n, rows, right.values())) }
}

/** The scaled chain, by one number. */
function scaled(chain: Affine, constant: Constant): Affine | undefined {
  if (sizeOf(constant) !== 1 || constant.shape.length > 1) return undefined
  const { product, plus, factor } = chain
  if (chain.shared && product !== undefined && sizeOf(product) > LITTLE_WORK) return undefined
  const [by] = constant.values()
  const timesBy = (own: Constant | undefined): Constant | undefined =>
    own && constantOf(own.shape, own.values().map(value => value * by))
  return { ...chain, positive: chain.positive && by >= 0, product: timesBy(product), plus: timesBy(plus),
    factor: product === undefined ? factor * by : 1 }
}

/** The chain with a row, or a number, added. */
function added(chain: Affine, constant: Constant): Affine | undefined {
  const { product, plus, shared } = chain
  const n = product?.shape[1] ?? 1
  const isRow = sizeOf(constant) === 1
    ? constant.shape.length <= 1
    : sizeOf(constant) === n && constant.shape.at(-1) === n && constant.shape.length <= 2
  if (!isRow || (shared && product !== undefined && sizeOf(product) > LITTLE_WORK)) return undefined
  const positive = chain.positive && constant.values().every(value => value >= 0)
  if (plus === undefined) return { ...chain, positive, plus: constant }
  return positive ? { ...chain, positive, plus: sumOfRows(plus, constant) } : undefined
}

/** x C + b + x D + c = x (C + D) + (b + c), where the one with D is needed for nothing else. */
function sumOf(a: Affine, b: Affine): Affine | undefined {
  if (a.of !== b.of || a.product === undefined || b.product === undefined || (a.shared && b.shared)) return undefined
  const [one, other] = [a.product, b.product]
  if (one.shape[0] !== other.shape[0] || one.shape[1] !== other.shape[1]) return undefined
  const sum = (left: Constant, right: Constant): Constant =>
    constantOf(left.shape, left.values().map((value, i) => value + right.values()[i]))
  const plus = a.plus === undefined || b.plus === undefined ? a.plus ?? b.plus : sumOfRows(a.plus, b.plus)
  return { of: a.of, product: sum(one, other), factor: 1, plus, positive: a.positive && b.positive,
    length: a.length + b.length, shared: a.shared || b.shared }
}

/** Two rows, either of which may be a number. */
function sumOfRows(a: Constant, b: Constant): Constant {
  const size = Math.max(sizeOf(a), sizeOf(b))
  const at = (own: Constant, i: number): number => own.values()[sizeOf(own) === 1 ? 0 : i]
  return constantOf([size], Float64Array.from({ length: size }, (_, i) => at(a, i) + at(b, i)))
}

/** The nodes of a chain. */
function written({ of, product, factor, plus }: Affine, result: string, types: Types,
  constant: (what: string, value: Constant) => string): Node[] {
  const isGemm = product !== undefined && plus !== undefined && types.get(of)?.shape.length === 2
  const steps: Omit<Node, 'outputs'>[] = []
  const then = (op: string, inputs: readonly string[], attributes: Node['attributes'] = {}): void => {
    steps.push({ op, inputs: [steps.length === 0 ? of : `${result}:${steps.length}`, ...inputs], attributes })
  }
  if (isGemm) then('Gemm', [constant('product', product), constant('plus', plus)])
  else if (product !== undefined) then('MatMul', [constant('product', product)])
  else if (factor !== 1) then('Mul', [constant('factor', constantOf([], Float64Array.of(factor)))])
  if (plus !== undefined && !isGemm) then('Add', [constant('plus', plus)])
  const to = dtypeOf(types, result)
  if (dtypeOf(types, of) !== to) then('Cast', [], { to: elementTypeOf(to) })
  if (steps.length === 0) then('Identity', [])
  return steps.map((step, i) => ({ ...step, outputs: [i === steps.length - 1 ? result : `${result}:${i + 1}`] }))
}

function dtypeOf(types: Types, name: string): DType {
  const type = types.get(name)
  if (type === undefined) throw new InternalError(`The graph has no value '${name}'.`)
  return type.dtype
}

function constantOf(shape: readonly number[], values: Float64Array): Constant {
  return { name: undefined, shape, values: () => values }
}

function sizeOf({ shape }: Constant): number {
  return shape.reduce((a, b) => a * b, 1)
}

function transposed({ shape: [rows, columns], values }: Constant): Constant {
  return { name: undefined, shape: [columns, rows],
    values: once(() => values().map((_, i, all) => all[i % rows * columns + Math.floor(i / rows)])) }
}

/** A product of matrices, rows x between and between x columns. */
function times(rows: number, between: number, columns: number, a: Float64Array, b: Float64Array): Float64Array {
  const product = new Float64Array(rows * columns)
  gemm(false, false, rows, columns, between, 1, a, b, 0, product)
  return product
}

/** How often a value is read; being a result is one of them. */
function usesOf({ nodes, outputs }: Graph): Map<string, number> {
  const uses = new Map<string, number>()
  for (const name of [...nodes.flatMap(({ inputs }) => inputs), ...outputs]) uses.set(name, (uses.get(name) ?? 0) + 1)
  return uses
}
