/** @file Arithmetic between arrays, numbers and constants, with Julia's broadcasting. */
import { constantArray, emit } from '../graph/emission.js'
import { type Item, type Scope, tensorItem } from './items.js'

/** Operations of two operands: the graph's operator, and the same on plain numbers. */
export const ARITHMETIC: Readonly<
  Record<string, { readonly op: string, readonly scalar: (a: number, b: number) => number }>
> = {
  '+': { op: 'Add', scalar: (a, b) => a + b },
  '-': { op: 'Sub', scalar: (a, b) => a - b },
  '*': { op: 'Mul', scalar: (a, b) => a * b },
  '/': { op: 'Div', scalar: (a, b) => a / b },
  '^': { op: 'Pow', scalar: (a, b) => a ** b },
  max: { op: 'Max', scalar: Math.max },
  min: { op: 'Min', scalar: Math.min },
}

/**
 * An operation between arrays, numbers and constants, with Julia's broadcasting: leading dimensions meet, which are our
 * last axes.
 */
export function arithmetic(scope: Scope, name: string, a: Item | undefined, b: Item | undefined,
  elementwise: boolean): Item {
  const { op, scalar } = ARITHMETIC[name]
  if (a?.kind === 'number' && b?.kind === 'number') return { kind: 'number', value: scalar(a.value, b.value) }
  if (!elementwise && (a?.kind === 'array' || b?.kind === 'array') && /^[*/^]$/.test(name)) {
    return scope.fail('it multiplies matrices')
  }
  if (!elementwise && a?.kind === 'tensor' && b?.kind === 'tensor' && /^[*/^]$/.test(name)) {
    return scope.fail('it multiplies matrices')
  }
  const left = operand(scope, a)
  const right = operand(scope, b)
  return tensorItem(emit(scope.emission, op, [left.name, right.name], broadcastShapes(scope, left, right)))
}

interface Operand {
  readonly name: string
  readonly shape: readonly number[]
  readonly batched: boolean
}

function operand(scope: Scope, item: Item | undefined): Operand {
  const { emission } = scope
  if (item?.kind === 'tensor') return { ...item.value, batched: true }
  if (item?.kind === 'number') return { name: emission.builder.scalar(item.value), shape: [], batched: false }
  if (item?.kind === 'array') return { ...constantArray(emission, item.array), batched: false }
  return scope.fail('it computes with something that is neither a number nor an array')
}

/** The shape of one example after broadcasting; extents are compared from the last axis. */
function broadcastShapes(scope: Scope, a: Operand, b: Operand): number[] {
  // Batches must meet: two arrays of one batch have equal rank, a constant has no more axes than an example.
  if (a.batched && b.batched && a.shape.length !== b.shape.length) {
    return scope.fail('it combines arrays of different rank')
  }
  const example = a.batched ? a.shape : b.shape
  if ((!a.batched && a.shape.length > example.length) || (!b.batched && b.shape.length > example.length)) {
    return scope.fail('it combines a batch with a larger constant')
  }
  const rank = Math.max(a.shape.length, b.shape.length)
  return Array.from({ length: rank }, (_, i) => {
    const p = a.shape[i - rank + a.shape.length] ?? 1
    const q = b.shape[i - rank + b.shape.length] ?? 1
    if (p !== q && p !== 1 && q !== 1) return scope.fail(`it combines sizes ${p} and ${q}`)
    return Math.max(p, q)
  })
}
