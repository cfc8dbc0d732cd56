/** @file Sums that an engine adds to while a program runs. */

/** Where a'a and g'g of one linear operator are added: the arrays of its weight's block. */
export interface OperatorSums {
  readonly A: Float64Array
  readonly B: Float64Array
}
