/** @file The products of all pairs of numbers of a row. */

/** For each of `rows` rows of n numbers the products x_i x_j, i <= j, one i after another. */
export function packedProducts<T extends number>(rows: i32, n: i32, x: usize, out: usize): void {
  const size = sizeof<T>()
  for (let row = 0; row < rows; row++) {
    const end = x + <usize> n * size
    for (; x < end; x += size) {
      const left = load<T>(x)
      const factor = v128.splat<T>(left)
      let right = x
      for (; right + 16 <= end; right += 16) {
        v128.store(out, v128.mul<T>(factor, v128.load(right)))
        out += 16
      }
      for (; right < end; right += size) {
        store<T>(out, <T> (left * load<T>(right)))
        out += size
      }
    }
  }
}
