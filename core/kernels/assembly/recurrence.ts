/**
 * @file Steps of recurrences: products of a state with the weights of all gates, which are packed once a sequence, and
 * the new state in one pass over the gates' sums.
 */
import { sigmoidVector, tanhVector } from './elementwise'
import { multiplyPacked, packLeft, passDepth, ROWS } from './gemm'
import { blockColumns } from './micro-kernel'
import { packAcross } from './pack'

/** Numbers of one packed gate for each unit that is summed over. */
// @ts-ignore: decorator
@inline
function packedColumns<T extends number>(n: i32): i32 {
  const width = blockColumns<T>()
  return (n + width - 1) / width * width
}

/** Packs `gates` matrices of n x k, one after the other, as right operands B': panels of columns, pass by pass. */
export function packGates<T extends number>(gates: i32, n: i32, k: i32, b: usize, target: usize): void {
  const rowBytes = <usize> k * sizeof<T>()
  for (let gate = 0; gate < gates; gate++) {
    for (let p = 0; p < k; p += passDepth<T>()) {
      const depth = min(passDepth<T>(), k - p)
      packAcross<T>(blockColumns<T>(), n, depth, b + <usize> p * sizeof<T>(), rowBytes, target)
      target += <usize> packedColumns<T>(n) * <usize> depth * sizeof<T>()
    }
    b += <usize> n * rowBytes
  }
}

/** C_g += A B_g' for A of m x k and, one after the other, packed matrices B_g of n x k and as many C_g of m x n. */
export function addGates<T extends number>(gates: i32, m: i32, n: i32, k: i32, a: usize, packed: usize,
  c: usize): void {
  const size = sizeof<T>()
  const columns = <usize> packedColumns<T>(n)
  for (let p = 0; p < k; p += passDepth<T>()) {
    const depth = min(passDepth<T>(), k - p)
    for (let i = 0; i < m; i += ROWS) {
      const rows = min(ROWS, m - i)
      packLeft<T>(false, rows, depth, a + (<usize> i * <usize> k + <usize> p) * size, <usize> k * size)
      for (let gate = 0; gate < gates; gate++) {
        multiplyPacked<T, T>(rows, n, depth, i32.MAX_VALUE - ROWS, <T> 1,
          packed + (<usize> gate * <usize> k + <usize> p) * columns * size,
          c + (<usize> gate * <usize> m + <usize> i) * <usize> n * size, <usize> n * size)
      }
    }
  }
}

/** A vector of every gate, the cell's and the state's, where less than a vector is left. */
const rest: usize = memory.data(96, 16)

/**
 * One step of an LSTM: c = sigmoid(f) c + sigmoid(i) tanh(g), h = sigmoid(o) tanh(c).
 * @param values the sums of i, o, f and g, `count` numbers each
 */
export function stepLstm<T extends number>(count: i32, values: usize, c: usize, h: usize): void {
  const bytes = <usize> count * sizeof<T>()
  const whole = bytes & ~15
  for (let byte: usize = 0; byte < whole; byte += 16) lstmVector<T>(values + byte, bytes, c + byte, h + byte)
  const left = bytes - whole
  if (left == 0) return
  for (let gate: usize = 0; gate < 4; gate++) memory.copy(rest + 16 * gate, values + gate * bytes + whole, left)
  memory.copy(rest + 64, c + whole, left)
  lstmVector<T>(rest, 16, rest + 64, rest + 80)
  memory.copy(c + whole, rest + 64, left)
  memory.copy(h + whole, rest + 80, left)
}

// @ts-ignore: decorator
@inline
function lstmVector<T extends number>(values: usize, gate: usize, c: usize, h: usize): void {
  const input = sigmoidVector<T>(v128.load(values))
  const output = sigmoidVector<T>(v128.load(values + gate))
  const forget = sigmoidVector<T>(v128.load(values + 2 * gate))
  const candidate = tanhVector<T>(v128.load(values + 3 * gate))
  const cell = v128.add<T>(v128.mul<T>(v128.load(c), forget), v128.mul<T>(candidate, input))
  v128.store(c, cell)
  v128.store(h, v128.mul<T>(tanhVector<T>(cell), output))
}

/**
 * One step of a GRU whose reset gate comes after the recurrent product: n = tanh(v + sigmoid(r) w),
 * h = (1 - sigmoid(z)) n + sigmoid(z) h.
 * @param values the sums of z, r and v, `count` numbers each
 * @param w the candidate's recurrent product with its bias, `count` numbers
 */
export function stepGru<T extends number>(count: i32, values: usize, w: usize, h: usize): void {
  const bytes = <usize> count * sizeof<T>()
  const whole = bytes & ~15
  for (let byte: usize = 0; byte < whole; byte += 16) gruVector<T>(values + byte, bytes, w + byte, h + byte)
  const left = bytes - whole
  if (left == 0) return
  for (let gate: usize = 0; gate < 3; gate++) memory.copy(rest + 16 * gate, values + gate * bytes + whole, left)
  memory.copy(rest + 48, w + whole, left)
  memory.copy(rest + 64, h + whole, left)
  gruVector<T>(rest, 16, rest + 48, rest + 64)
  memory.copy(h + whole, rest + 64, left)
}

// @ts-ignore: decorator
@inline
function gruVector<T extends number>(values: usize, gate: usize, w: usize, h: usize): void {
  const update = sigmoidVector<T>(v128.load(values))
  const reset = sigmoidVector<T>(v128.load(values + gate))
  const sum = v128.add<T>(v128.load(values + 2 * gate), v128.mul<T>(reset, v128.load(w)))
  const fresh = v128.mul<T>(v128.sub<T>(v128.splat<T>(<T> 1), update), tanhVector<T>(sum))
  v128.store(h, v128.add<T>(fresh, v128.mul<T>(update, v128.load(h))))
}
