/** @file Cholesky factor by halving: A11 = L11 L11ᵀ, L21 = A21 L11⁻ᵀ, A22 - L21 L21ᵀ = L22 L22ᵀ. */
import { multiply } from './gemm'
import { half, solveRight, SUBSTITUTED } from './triangular-solve'

/**
 * Factors the lower triangle in place; numbers above the diagonal are overwritten. Returns -1, or the index of the
 * first pivot that is not positive.
 */
export function factor(n: i32, a: usize, lda: i32): i32 {
  if (n <= SUBSTITUTED) return factorSmall(n, a, lda)
  const n1 = half(n)
  const a21 = a + (<usize> n1 * <usize> lda << 3)
  const a22 = a21 + (<usize> n1 << 3)
  const failed = factor(n1, a, lda)
  if (failed >= 0) return failed
  solveRight(n1, n - n1, a, lda, a21, lda)
  multiply<f64, f64>(true, false, true, n - n1, n - n1, n1, -1, a21, lda, a21, lda, a22, lda)
  const failedBelow = factor(n - n1, a22, lda)
  return failedBelow < 0 ? -1 : n1 + failedBelow
}

function factorSmall(n: i32, a: usize, lda: i32): i32 {
  const stride = <usize> lda << 3
  for (let j = 0; j < n; j++) {
    const rowJ = a + <usize> j * stride
    let pivot = load<f64>(rowJ + (<usize> j << 3))
    for (let p = 0; p < j; p++) {
      const value = load<f64>(rowJ + (<usize> p << 3))
      pivot -= value * value
    }
    if (!(pivot > 0)) return j
    pivot = sqrt(pivot)
    store<f64>(rowJ + (<usize> j << 3), pivot)
    for (let i = j + 1; i < n; i++) {
      const rowI = a + <usize> i * stride
      let sum = load<f64>(rowI + (<usize> j << 3))
      for (let p = 0; p < j; p++) sum -= load<f64>(rowI + (<usize> p << 3)) * load<f64>(rowJ + (<usize> p << 3))
      store<f64>(rowI + (<usize> j << 3), sum / pivot)
    }
  }
  return -1
}

/** Sets the numbers above the diagonal to zero. */
export function clearUpper(n: i32, a: usize, lda: i32): void {
  for (let i = 0; i < n - 1; i++) {
    memory.fill(a + ((<usize> i * <usize> lda + <usize> i + 1) << 3), 0, <usize> (n - 1 - i) << 3)
  }
}
