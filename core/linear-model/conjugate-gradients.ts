/** @file Preconditioned conjugate gradients for a symmetric positive definite operator (Hestenes and Stiefel 1952). */

/** A vector that nearly solves A x = b, and whether it does to the accuracy that was asked for. */
export interface ConjugateSolution {
  readonly x: Float64Array
  readonly converged: boolean
}

/** What is solved: A, and roughly its inverse. Either may return the same array again, which is read until then. */
export interface ConjugateSystem {
  times(v: Float64Array): Float64Array | Promise<Float64Array>
  precondition(v: Float64Array): Float64Array
  /** The inner product in which A and the preconditioner are symmetric; the usual one where there is none. */
  readonly inner?: (a: Float64Array, b: Float64Array) => number
  /** Where the solution, the residual and the direction are kept, of the right-hand side's length each. */
  readonly room?: readonly [Float64Array, Float64Array, Float64Array]
}

/**
 * Solves A x = b.
 * @param accuracy of the residual, relative to that of x = 0, in the norm of the preconditioner
 * @param most products with A
 */
export async function conjugateGradients({ times, precondition, inner = dot, room }: ConjugateSystem, b: Float64Array,
  accuracy: number, most: number): Promise<ConjugateSolution> {
  const [x, residual, direction] = room ?? [new Float64Array(b.length), b.slice(), new Float64Array(b.length)]
  x.fill(0)
  residual.set(b)
  let z = precondition(residual)
  direction.set(z)
  let rho = inner(residual, z)
  const target = accuracy ** 2 * rho
  for (let k = 0; k < most && rho > target && rho > 0; k++) {
    const image = await times(direction)
    const length = rho / inner(direction, image)
    for (let i = 0; i < x.length; i++) {
      x[i] += length * direction[i]
      residual[i] -= length * image[i]
    }
    z = precondition(residual)
    const next = inner(residual, z)
    const share = next / rho
    rho = next
    for (let i = 0; i < x.length; i++) direction[i] = z[i] + share * direction[i]
  }
  // Negative where the preconditioner is not positive definite: nothing was solved then.
  return { x, converged: rho >= 0 && rho <= target }
}

/** a . b */
export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i]
  return sum
}
