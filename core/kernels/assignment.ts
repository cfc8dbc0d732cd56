/** @file The assignment of rows to columns of a square matrix that has the least sum. */

/**
 * The assignment of least cost: entry i is the column of row i. By shortest augmenting paths with potentials (Kuhn
 * 1955; Jonker and Volgenant 1987), O(n^3).
 * @param cost n x n, finite
 */
export function assignment(cost: Float64Array, n: number): Int32Array {
  // Row of each column; column n stands for the row that is being placed.
  const rowOf = new Int32Array(n + 1).fill(-1)
  const [u, v] = [new Float64Array(n), new Float64Array(n + 1)]
  for (let row = 0; row < n; row++) place(cost, n, row, rowOf, u, v)
  const columns = new Int32Array(n)
  for (let column = 0; column < n; column++) columns[rowOf[column]] = column
  return columns
}

/** Places one more row, and moves others along the shortest path to a free column. */
function place(cost: Float64Array, n: number, row: number, rowOf: Int32Array, u: Float64Array, v: Float64Array): void {
  const distance = new Float64Array(n + 1).fill(Infinity)
  const previous = new Int32Array(n + 1).fill(n)
  const visited = new Uint8Array(n + 1)
  rowOf[n] = row
  let column = n
  do {
    visited[column] = 1
    const from = rowOf[column]
    let next = n
    let step = Infinity
    for (let j = 0; j < n; j++) {
      if (visited[j] === 1) continue
      const reduced = cost[from * n + j] - u[from] - v[j]
      if (reduced < distance[j]) {
        distance[j] = reduced
        previous[j] = column
      }
      if (distance[j] < step) {
        step = distance[j]
        next = j
      }
    }
    for (let j = 0; j <= n; j++) {
      if (visited[j] === 1) {
        u[rowOf[j]] += step
        v[j] -= step
      } else distance[j] -= step
    }
    column = next
  } while (rowOf[column] !== -1)
  while (column !== n) {
    rowOf[column] = rowOf[previous[column]]
    column = previous[column]
  }
}

/** The cycles of a permutation that move something, each as the places that it leads through. */
export function movedCycles(permutation: Int32Array): number[][] {
  const seen = new Uint8Array(permutation.length)
  const cycles: number[][] = []
  for (let start = 0; start < permutation.length; start++) {
    const cycle: number[] = []
    for (let at = start; seen[at] === 0; at = permutation[at]) {
      seen[at] = 1
      cycle.push(at)
    }
    if (cycle.length > 1) cycles.push(cycle)
  }
  return cycles
}
