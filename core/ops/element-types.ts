/** @file ONNX' numbers of element types, as the attribute `to` of Cast has them. */
import type { Node } from '../graph/graph.js'
import type { DType } from '../tensor/tensor.js'
import { isNarrowInteger, isNarrowReal } from './narrow-types.js'
import { badNode } from './node-attributes.js'

const FLOATS: ReadonlyMap<number, DType> = new Map([[1, 'float32'], [10, 'float32'], [16, 'float32'], [11, 'float64']])
const INTEGERS: ReadonlySet<number> = new Set([2, 3, 4, 5, 6, 7, 12, 13])
const BOOL = 9

/**
 * The dtype in which values of an ONNX element type are held here.
 * @throws GraphError BAD_GRAPH for text and complex numbers
 */
export function dtypeOf(node: Node, elementType: number): DType {
  const dtype = FLOATS.get(elementType) ??
    (INTEGERS.has(elementType) ? 'int64' : elementType === BOOL ? 'bool' : undefined)
  if (dtype === undefined) {
    throw badNode(node, `element type ${elementType} is not supported; expected a float, integer or bool type.`)
  }
  return dtype
}

/**
 * The attributes of a Cast to an element type: the dtype that its values are held in, and where they lose digits on the
 * way (`storage`) the element type itself. Integers of 32 bits are taken as they are.
 */
export function castAttributes(elementType: number): Readonly<Record<string, number>> {
  if (isNarrowReal(elementType)) return { to: elementTypeOf('float32'), storage: elementType }
  return isNarrowInteger(elementType)
    ? { to: elementTypeOf('int64'), storage: elementType }
    : { to: elementType }
}

/** The ONNX element type of a dtype. */
export function elementTypeOf(dtype: DType): number {
  switch (dtype) {
    case 'float32':
      return 1
    case 'float64':
      return 11
    case 'int64':
      return 7
    case 'bool':
      return BOOL
  }
}

/** Whether values of the dtype are real numbers, through which gradients flow. */
export function isFloat(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float64'
}
