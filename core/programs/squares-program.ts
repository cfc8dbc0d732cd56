/**
 * @file Programs for the diagonal of H in other coordinates: a backward pass with every gradient rotated into
 * orthonormal bases and squared (EKFAC; George et al. 2018).
 *
 * Of a layer without positions the square of an outer product is the outer product of the squares, (U_B' g)^2 and
 * (U_A' a)^2, whose sum over the rows is one matrix product. All other gradients are written out for each seed: those
 * of a layer with positions, U_B' (sum_t g_t a_t') U_A, in whichever order takes fewer multiplications, and for all
 * seeds of a row in one product.
 */
import { GraphBuilder } from '../graph/builder.js'
import { BATCH, type Graph } from '../graph/graph.js'
import { removeDead } from '../passes/fold.js'
import { identity } from '../tensor/identity.js'
import { type Precision, tensor } from '../tensor/tensor.js'
import { asOutput } from './backward-start.js'
import type { FactorDescription, FactorsProgram } from './factors-program.js'

/** A part of a tensor seen as out x in, and bases with vectors in columns; an undefined one is the identity. */
export interface RotatedPart {
  readonly out: number
  readonly in: number
  readonly left: Float64Array | undefined
  readonly right: Float64Array | undefined
}

/** A tensor's parts, one after another: one, or one a group of a convolution. */
export type RotatedTensor = readonly RotatedPart[]

/** Where the squares of one parameter are found: names of a program's outputs. */
export type SquaresDescription =
  /** sum_n g_n a_n': `a` is N x in and `g` N x out, summed over the seeds. */
  | { readonly kind: 'outer', readonly parameter: number, readonly in: number, readonly out: number, readonly a: string,
    readonly g: string }
  /** sum_n s_n: `squares` is N x size. */
  | { readonly kind: 'summed', readonly parameter: number, readonly squares: string }

/** A factors program, with squares in place of its factors. */
export interface SquaresProgram {
  readonly graph: Graph
  readonly seed: string
  readonly output: string
  readonly outputs: number
  readonly squares: readonly SquaresDescription[]
}

/** The squares of a network's gradients. @param tensors the bases of the program's parameters */
export function squaresProgram(program: FactorsProgram, tensors: readonly RotatedTensor[],
  precision: Precision): SquaresProgram {
  const builder = GraphBuilder.from(program.graph, precision)
  const squares = appendSquares(builder, program, tensors)
  const { seed, output, outputs } = program
  return { graph: removeDead(builder.build([...new Set([output, ...namesOf(squares)])])), seed, output, outputs,
    squares }
}

/** The names of the outputs. */
function namesOf(squares: readonly SquaresDescription[]): string[] {
  return squares.flatMap(own => (own.kind === 'outer' ? [own.a, own.g] : [own.squares]))
}

/** Squares of the gradients of a layer whose inputs and whose outputs' gradients are given. */
export interface LayerSquares {
  readonly graph: Graph
  /** N x 1 x in. */
  readonly a: string
  /** K x N x 1 x out. */
  readonly g: string
  readonly squares: readonly SquaresDescription[]
}

/** The squares of one layer. @param parameters its weight, and its bias where it has one */
export function layerSquares(layer: { readonly in: number, readonly out: number }, seeds: number,
  parameters: readonly { readonly name: string, readonly role: 'weight' | 'bias' }[], tensors: readonly RotatedTensor[],
  precision: Precision): LayerSquares {
  const builder = new GraphBuilder(precision)
  const a = builder.input('a', [BATCH, 1, layer.in])
  const g = builder.input('g', [seeds, BATCH, 1, layer.out])
  const named = (role: string): string | undefined => parameters.find(own => own.role === role)?.name
  const factor: FactorDescription = { kind: 'linear', weight: named('weight'), bias: named('bias'), in: layer.in,
    out: layer.out, positions: 1, a, g }
  const squares = appendSquares(builder, { parameters: parameters.map(({ name }) => name), factors: [factor], seeds },
    tensors)
  return { graph: builder.build([...new Set(namesOf(squares))]), a, g, squares }
}

type Linear = Extract<FactorDescription, { kind: 'linear' }>

/** Appends the squares of every parameter that has a gradient. */
function appendSquares(builder: GraphBuilder,
  { parameters, factors, seeds }: Pick<FactorsProgram, 'parameters' | 'factors' | 'seeds'>,
  tensors: readonly RotatedTensor[]): SquaresDescription[] {
  const rotate = rotation(builder)
  const squared = once(name => builder.node('Mul', [name, name]))
  const summed = (axis: number) =>
    once(name => builder.node('ReduceSumSquare', [name, builder.integers([axis])], { keepdims: 0 }))
  const [summedFirst, summedSecond] = [summed(0), summed(1)]
  return parameters.flatMap((name, parameter): SquaresDescription[] => {
    const tensor = tensors[parameter]
    const uses = factors.filter(factor =>
      factor.kind === 'direct' ? factor.parameter === name : factor.weight === name || factor.bias === name
    )
    if (uses.length === 0) return []
    const [part] = tensor
    const [use] = uses
    if (uses.length === 1 && use.kind === 'linear' && use.positions === 1) {
      const g = summedFirst(rotate(use.g, part.left))
      if (use.weight !== name) return [{ kind: 'summed', parameter, squares: asOutput(builder, g) }]
      return [{ kind: 'outer', parameter, in: use.in, out: use.out, a: squared(rotate(use.a, part.right)), g }]
    }
    // Gradients of a weight have the rows first, all others the seeds.
    const rowsFirst = uses.some(factor => factor.kind === 'linear' && factor.weight === name)
    const gradients = uses.map(factor => {
      if (factor.kind === 'linear' && factor.weight === name) {
        return weightGradient(builder, factor, part, seeds, rotate)
      }
      const own = factor.kind === 'direct'
        ? rotatedTensor(builder, factor.gradient, tensor)
        : rotate(sumOfPositions(builder, factor), part.left)
      return rowsFirst ? builder.node('Transpose', [own], { perm: [1, 0, 2] }) : own
    })
    const gradient = gradients.reduce((sum, own) => builder.node('Add', [sum, own]))
    return [{ kind: 'summed', parameter, squares: (rowsFirst ? summedSecond : summedFirst)(gradient) }]
  })
}

/** sum_t g_t a_t' of each seed and example in the bases, N x K x out in. */
function weightGradient(builder: GraphBuilder, { a, g, in: inputs, out, positions }: Linear, part: RotatedPart,
  seeds: number, rotate: (rows: string, vectors: Float64Array | undefined) => string): string {
  const [leftFirst, rightFirst] = [positions <= inputs, positions <= seeds * out]
  const turned = (columns: string): string =>
    part.left === undefined ? columns : builder.node('MatMul', [transposedBasis(builder, part.left, out), columns])
  const columns = builder.node('Transpose', [g], { perm: [0, 1, 3, 2] })
  // A row's seeds one under another: one product of seeds out x positions.
  const stacked = builder.node('Reshape', [
    builder.node('Transpose', [leftFirst ? turned(columns) : columns], { perm: [1, 0, 2, 3] }),
    builder.integers([0, seeds * out, positions]),
  ])
  const summed = builder.node('MatMul', [stacked, rightFirst ? rotate(a, part.right) : a])
  const gradient = rightFirst ? summed : rotate(summed, part.right)
  const size = builder.integers([0, seeds, out * inputs])
  if (leftFirst) return builder.node('Reshape', [gradient, size])
  const apart = builder.node('Reshape', [gradient, builder.integers([0, seeds, out, inputs])])
  return builder.node('Reshape', [turned(apart), size])
}

/** The transpose of a basis, size x size. */
function transposedBasis(builder: GraphBuilder, vectors: Float64Array, size: number): string {
  return builder.node('Transpose', [builder.constant(tensor(builder.precision, [size, size], vectors), 'basis')], {
    perm: [1, 0],
  })
}

/** A tensor's gradients in the bases of its parts, K x N x size. */
function rotatedTensor(builder: GraphBuilder, gradient: string, parts: RotatedTensor): string {
  const [{ out, in: inputs, left, right }] = parts
  if (left === undefined && right === undefined) return gradient
  const shaped = builder.node('Reshape', [gradient, builder.integers([0, 0, parts.length, out, inputs])])
  const stack = (vectors: (part: RotatedPart) => Float64Array | undefined, size: number): string => {
    const data = new Float64Array(parts.length * size * size)
    parts.forEach((part, i) => {
      data.set(vectors(part) ?? identity(size), i * size * size)
    })
    return builder.constant(tensor(builder.precision, [parts.length, size, size], data), 'basis')
  }
  const turned = right === undefined
    ? shaped
    : builder.node('MatMul', [shaped, stack(part => part.right, inputs)])
  const both = left === undefined ? turned : builder.node('MatMul', [
    builder.node('Transpose', [stack(part => part.left, out)], { perm: [0, 2, 1] }),
    turned,
  ])
  return builder.node('Reshape', [both, builder.integers([0, 0, parts.length * out * inputs])])
}

/** sum_t g_t of each seed and example, K x N x out: a product with ones, which kernels have. */
function sumOfPositions(builder: GraphBuilder, { g, positions, out }: Linear): string {
  const ones = builder.constant(tensor(builder.precision, [positions, 1], new Float64Array(positions).fill(1)), 'ones')
  const columns = builder.node('Transpose', [g], { perm: [0, 1, 3, 2] })
  return builder.node('Reshape', [builder.node('MatMul', [columns, ones]), builder.integers([0, 0, out])])
}

/** Rows in a basis; those of a weight and its bias are the same ones. */
function rotation(builder: GraphBuilder): (rows: string, vectors: Float64Array | undefined) => string {
  const bases = new Map<Float64Array, (rows: string) => string>()
  return (rows, vectors) => {
    if (vectors === undefined) return rows
    const known = bases.get(vectors)
    if (known !== undefined) return known(rows)
    const size = Math.sqrt(vectors.length)
    const basis = builder.constant(tensor(builder.precision, [size, size], vectors), 'basis')
    const rotate = once(name => builder.node('MatMul', [name, basis]))
    bases.set(vectors, rotate)
    return rotate(rows)
  }
}

/** A function of names that appends nodes for each of them once. */
function once(append: (name: string) => string): (name: string) => string {
  const done = new Map<string, string>()
  return name => {
    const value = done.get(name) ?? append(name)
    done.set(name, value)
    return value
  }
}
