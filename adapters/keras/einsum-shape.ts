/** @file Shapes of sums of products after Einstein's convention, the first letter of every operand the batch. */

/**
 * The shape of one example of the result, or undefined when the equation does not fit, or mixes examples.
 * @param equation letters only: `abc,adc->abd`
 * @param shapes one example of each operand
 */
export function einsumShape(equation: string, shapes: readonly (readonly number[])[]): number[] | undefined {
  const [left, right] = equation.split('->')
  if (right === undefined || !/^[a-zA-Z]+(,[a-zA-Z]+)*->[a-zA-Z]+$/.test(equation)) return undefined
  const terms = left.split(',')
  const fits = terms.length === shapes.length && terms.every((term, i) => term.length === shapes[i].length + 1)
  if (!fits || terms.some(term => term[0] !== right[0] || term.lastIndexOf(term[0]) > 0)) return undefined
  const extents = new Map<string, number>()
  for (const [i, term] of terms.entries()) {
    for (const [d, letter] of [...term.slice(1)].entries()) {
      if ((extents.get(letter) ?? shapes[i][d]) !== shapes[i][d]) return undefined
      extents.set(letter, shapes[i][d])
    }
  }
  const shape = [...right.slice(1)].map(letter => extents.get(letter))
  return shape.every(extent => extent !== undefined) ? shape : undefined
}
