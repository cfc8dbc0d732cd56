/**
 * @file Entry of the WebAssembly module: each kernel for f32, f64 and, where products of f32 are summed in f64, mixed.
 */
import { combine, gate, rectify } from './arithmetic'
import { clearUpper, factor } from './cholesky'
import { erfRow, geluRow } from './erf'
import { expInPlace, sigmoidInPlace, tanhInPlace } from './elementwise'
import { convolve, gramGathered, spreadPlanes } from './gathered'
import { mirrorLower, multiply, scale } from './gemm'
import { packedProducts } from './packed-products'
import { addRowDots, addWeightedRowDots } from './row-dots'
import { addGates, packGates, stepGru, stepLstm } from './recurrence'
import { poolMaximum, poolPositions, poolSum } from './pool'
import { normaliseRows, placeNumbers, softmaxRows, sumRows, sumSquares } from './rows'
import { decompose, eigenvalues, eigenvalueWorkBytes, eigenWorkBytes } from './symmetric-eigen'
import { solveLower, solveLowerTransposed, solveRight } from './triangular-solve'
import { copyWalk } from './walk'
import { winograd, winogradWeights } from './winograd'

/** First byte that the kernels do not use themselves: the caller's arguments start here. */
export function heapBase(): usize {
  return (__heap_base + 15) & ~15
}

/** C += alpha op(A) op(B) for f32; with `lower`, blocks of C wholly above its diagonal are left out. */
export function multiply32(lower: bool, transA: bool, transB: bool, m: i32, n: i32, k: i32, alpha: f32, a: usize,
  lda: i32, b: usize, ldb: i32, c: usize, ldc: i32): void {
  multiply<f32, f32>(lower, transA, transB, m, n, k, alpha, a, lda, b, ldb, c, ldc)
}

/** C += alpha op(A) op(B) for f64; with `lower`, blocks of C wholly above its diagonal are left out. */
export function multiply64(lower: bool, transA: bool, transB: bool, m: i32, n: i32, k: i32, alpha: f64, a: usize,
  lda: i32, b: usize, ldb: i32, c: usize, ldc: i32): void {
  multiply<f64, f64>(lower, transA, transB, m, n, k, alpha, a, lda, b, ldb, c, ldc)
}

/** C += alpha op(A) op(B) for A and B of f32 and C of f64: panels are multiplied in f32 and added in f64. */
export function multiplyMixed(lower: bool, transA: bool, transB: bool, m: i32, n: i32, k: i32, alpha: f32, a: usize,
  lda: i32, b: usize, ldb: i32, c: usize, ldc: i32): void {
  multiply<f32, f64>(lower, transA, transB, m, n, k, alpha, a, lda, b, ldb, c, ldc)
}

/** Copies the strict lower triangle of C (n x n, f32) to the upper one. */
export function mirrorLower32(n: i32, c: usize, ldc: i32): void {
  mirrorLower<f32>(n, c, ldc)
}

/** Copies the strict lower triangle of C (n x n, f64) to the upper one. */
export function mirrorLower64(n: i32, c: usize, ldc: i32): void {
  mirrorLower<f64>(n, c, ldc)
}

/** c *= factor for `count` f32; a factor of 0 clears, be it NaN that was there. */
export function scale32(count: i32, factor: f32, c: usize): void {
  scale<f32>(count, factor, c)
}

/** c *= factor for `count` f64; a factor of 0 clears, be it NaN that was there. */
export function scale64(count: i32, factor: f64, c: usize): void {
  scale<f64>(count, factor, c)
}

/**
 * Cholesky factor of the n x n matrix at `a`, in place, zeros above it. Returns -1, or the index of the first pivot
 * that is not positive.
 */
export function cholesky(n: i32, a: usize): i32 {
  const failed = factor(n, a, n)
  clearUpper(n, a, n)
  return failed
}

/** L X = B, or Lᵀ X = B with `transposed`, in place for lower-triangular L of n x n and B of n x m. */
export function triangularSolve(transposed: bool, n: i32, m: i32, l: usize, b: usize): void {
  if (transposed) solveLowerTransposed(n, m, l, n, b, m)
  else solveLower(n, m, l, n, b, m)
}

/** X Lᵀ = B in place for B of m x n. */
export function triangularSolveRight(n: i32, m: i32, l: usize, b: usize): void {
  solveRight(n, m, l, n, b, n)
}

/** Bytes of workspace that `symmetricEigen` needs beside the matrix and its eigenvalues. */
export function symmetricEigenBytes(n: i32, ld: i32): usize {
  return eigenWorkBytes(n, ld)
}

/**
 * A = V diag(values) Vᵀ of a symmetric matrix of n rows, `ld` numbers apart; V replaces A. Returns false where it does
 * not converge.
 */
export function symmetricEigen(n: i32, a: usize, ld: i32, values: usize, work: usize): bool {
  return decompose(n, a, ld, values, work)
}

/** Bytes of workspace that `symmetricEigenvalues` needs beside the matrix and its eigenvalues. */
export function symmetricEigenvaluesBytes(n: i32, ld: i32): usize {
  return eigenvalueWorkBytes(n, ld)
}

/** Eigenvalues, in no order, of a symmetric matrix, which is overwritten. Returns false where it does not converge. */
export function symmetricEigenvalues(n: i32, a: usize, ld: i32, values: usize, work: usize): bool {
  return eigenvalues(n, a, ld, values, work)
}

/** x_i = e^x_i for `count` f32. */
export function exp32(count: i32, x: usize): void {
  expInPlace<f32>(count, x)
}

/** x_i = e^x_i for `count` f64. */
export function exp64(count: i32, x: usize): void {
  expInPlace<f64>(count, x)
}

/** x_i = tanh x_i for `count` f32. */
export function tanh32(count: i32, x: usize): void {
  tanhInPlace<f32>(count, x)
}

/** x_i = tanh x_i for `count` f64. */
export function tanh64(count: i32, x: usize): void {
  tanhInPlace<f64>(count, x)
}

/** x_i = 1 / (1 + e^-x_i) for `count` f32. */
export function sigmoid32(count: i32, x: usize): void {
  sigmoidInPlace<f32>(count, x)
}

/** x_i = 1 / (1 + e^-x_i) for `count` f64. */
export function sigmoid64(count: i32, x: usize): void {
  sigmoidInPlace<f64>(count, x)
}

/** out = a (operation) b for `count` f32; a step is 4, or 0 for one number throughout. */
export function combine32(operation: i32, count: i32, a: usize, stepA: usize, b: usize, stepB: usize,
  out: usize): void {
  combine<f32>(operation, count, a, stepA, b, stepB, out)
}

/** out = a (operation) b for `count` f64; a step is 8, or 0 for one number throughout. */
export function combine64(operation: i32, count: i32, a: usize, stepA: usize, b: usize, stepB: usize,
  out: usize): void {
  combine<f64>(operation, count, a, stepA, b, stepB, out)
}

/** out_i = max(x_i, 0) for `count` f32; NaN stays NaN. */
export function rectify32(count: i32, x: usize, out: usize): void {
  rectify<f32>(count, x, out)
}

/** out_i = max(x_i, 0) for `count` f64; NaN stays NaN. */
export function rectify64(count: i32, x: usize, out: usize): void {
  rectify<f64>(count, x, out)
}

/** out_r += sum_i a_ri b_ri for rows of n f32, added up in f64. */
export function addRowDots32(rows: i32, n: i32, a: usize, b: usize, out: usize): void {
  addRowDots<f32>(rows, n, a, b, out)
}

/** out_r += sum_i a_ri b_ri w_ri for rows of n f32, added up in f64. */
export function addWeightedRowDots32(rows: i32, n: i32, a: usize, b: usize, w: usize, out: usize): void {
  addWeightedRowDots<f32>(rows, n, a, b, w, out)
}

/** out_r += sum_i a_ri b_ri for rows of n f64. */
export function addRowDots64(rows: i32, n: i32, a: usize, b: usize, out: usize): void {
  addRowDots<f64>(rows, n, a, b, out)
}

/** out_r += sum_i a_ri b_ri w_ri for rows of n f64. */
export function addWeightedRowDots64(rows: i32, n: i32, a: usize, b: usize, w: usize, out: usize): void {
  addWeightedRowDots<f64>(rows, n, a, b, w, out)
}

/** The products x_i x_j, i <= j, of each row of n f32: rows x n (n + 1) / 2. */
export function packedProducts32(rows: i32, n: i32, x: usize, out: usize): void {
  packedProducts<f32>(rows, n, x, out)
}

/** The products x_i x_j, i <= j, of each row of n f64: rows x n (n + 1) / 2. */
export function packedProducts64(rows: i32, n: i32, x: usize, out: usize): void {
  packedProducts<f64>(rows, n, x, out)
}

/** out = W G + bias + added, rectified or not, for weights and a gathered matrix of f32: see assembly/gathered.ts. */
export function convolve32(channels: i32, columns: i32, depth: i32, weights: usize, image: usize, origins: usize,
  steps: usize, bias: usize, added: usize, rectified: bool, out: usize, plane: usize, targets: usize): void {
  convolve<f32>(channels, columns, depth, weights, image, origins, steps, bias, added, rectified, out, plane, targets)
}

/** The same for f64. */
export function convolve64(channels: i32, columns: i32, depth: i32, weights: usize, image: usize, origins: usize,
  steps: usize, bias: usize, added: usize, rectified: bool, out: usize, plane: usize, targets: usize): void {
  convolve<f64>(channels, columns, depth, weights, image, origins, steps, bias, added, rectified, out, plane, targets)
}

/** The lower triangle of C += G G' for a gathered matrix of f32 and C of f64. */
export function gramGatheredMixed(n: i32, depth: i32, image: usize, rows: usize, columns: usize, c: usize): void {
  gramGathered<f32, f64>(n, depth, image, rows, columns, c)
}

/** The lower triangle of C += G G' for a gathered matrix of f64. */
export function gramGathered64(n: i32, depth: i32, image: usize, rows: usize, columns: usize, c: usize): void {
  gramGathered<f64, f64>(n, depth, image, rows, columns, c)
}

/** Copies planes of depth x height lines of `width` f32 into planes with more room. */
export function spreadPlanes32(planes: i32, depth: i32, height: i32, width: i32, source: usize, target: usize,
  lineStep: usize, sliceStep: usize, planeStep: usize): void {
  spreadPlanes<f32>(planes, depth, height, width, source, target, lineStep, sliceStep, planeStep)
}

/** The same for f64. */
export function spreadPlanes64(planes: i32, depth: i32, height: i32, width: i32, source: usize, target: usize,
  lineStep: usize, sliceStep: usize, planeStep: usize): void {
  spreadPlanes<f64>(planes, depth, height, width, source, target, lineStep, sliceStep, planeStep)
}

/** The largest number of every window of planes of f32: see assembly/pool.ts. */
export function poolMaximum32(planes: i32, columns: i32, depth: i32, image: usize, plane: usize, origins: usize,
  steps: usize, out: usize): void {
  poolMaximum<f32>(planes, columns, depth, image, plane, origins, steps, out)
}

/** The largest number of every window of planes of f64: see assembly/pool.ts. */
export function poolMaximum64(planes: i32, columns: i32, depth: i32, image: usize, plane: usize, origins: usize,
  steps: usize, out: usize): void {
  poolMaximum<f64>(planes, columns, depth, image, plane, origins, steps, out)
}

/** The sum of every window of planes of f32: see assembly/pool.ts. */
export function poolSum32(planes: i32, columns: i32, depth: i32, image: usize, plane: usize, origins: usize,
  steps: usize, out: usize): void {
  poolSum<f32>(planes, columns, depth, image, plane, origins, steps, out)
}

/** The sum of every window of planes of f64: see assembly/pool.ts. */
export function poolSum64(planes: i32, columns: i32, depth: i32, image: usize, plane: usize, origins: usize,
  steps: usize, out: usize): void {
  poolSum<f64>(planes, columns, depth, image, plane, origins, steps, out)
}

/** The largest number of every window of planes of f32, and where it is: see assembly/pool.ts. */
export function poolPositions32(planes: i32, columns: i32, depth: i32, image: usize, plane: usize, origins: usize,
  steps: usize, out: usize, firstPlaces: usize, places: usize, firstPlane: f64, planeNumbers: f64,
  indices: usize): void {
  poolPositions<f32>(planes, columns, depth, image, plane, origins, steps, out, firstPlaces, places, firstPlane,
    planeNumbers, indices)
}

/** The largest number of every window of planes of f64, and where it is: see assembly/pool.ts. */
export function poolPositions64(planes: i32, columns: i32, depth: i32, image: usize, plane: usize, origins: usize,
  steps: usize, out: usize, firstPlaces: usize, places: usize, firstPlane: f64, planeNumbers: f64,
  indices: usize): void {
  poolPositions<f64>(planes, columns, depth, image, plane, origins, steps, out, firstPlaces, places, firstPlane,
    planeNumbers, indices)
}

/** out = c where x is above the limit (or below it), else 0, for `count` f32. */
export function gate32(below: bool, limit: f32, count: i32, c: usize, x: usize, out: usize): void {
  gate<f32>(below, limit, count, c, x, out)
}

/** out = c where x is above the limit (or below it), else 0, for `count` f64. */
export function gate64(below: bool, limit: f64, count: i32, c: usize, x: usize, out: usize): void {
  gate<f64>(below, limit, count, c, x, out)
}

/** out = softmax x for rows of n f32. */
export function softmaxRows32(rows: i32, n: i32, x: usize, out: usize): void {
  softmaxRows<f32>(rows, n, x, out)
}

/** Rows of n f32 normalised by their own mean and variance: see assembly/rows.ts. */
export function normaliseRows32(rows: i32, n: i32, centred: bool, epsilon: f64, x: usize, scale: usize, shift: usize,
  out: usize): void {
  normaliseRows<f32>(rows, n, centred, epsilon, x, scale, shift, out)
}

/** out_r = factor times the sum of row r of n f32. */
export function sumRows32(rows: i32, n: i32, factor: f64, x: usize, out: usize): void {
  sumRows<f32>(rows, n, factor, x, out)
}

/** out_j = sum_r x_rj^2 of rows of n f32. */
export function sumSquares32(rows: i32, n: i32, x: usize, out: usize): void {
  sumSquares<f32>(rows, n, x, out)
}

/** out_j = sum_r x_rj^2 of rows of n f64. */
export function sumSquares64(rows: i32, n: i32, x: usize, out: usize): void {
  sumSquares<f64>(rows, n, x, out)
}

/** Adds f32 to the places that indices name: see assembly/rows.ts. */
export function placeNumbers32(blocks: i32, count: i32, length: i32, x: usize, indices: usize, step: i32,
  out: usize): void {
  placeNumbers<f32>(blocks, count, length, x, indices, step, out)
}

/** Adds f64 to the places that indices name: see assembly/rows.ts. */
export function placeNumbers64(blocks: i32, count: i32, length: i32, x: usize, indices: usize, step: i32,
  out: usize): void {
  placeNumbers<f64>(blocks, count, length, x, indices, step, out)
}

/** out = erf x for `count` f32; the table is that of core/ops/erf.ts. */
export function erf32(count: i32, x: usize, out: usize, table: usize): void {
  erfRow<f32>(count, x, out, table)
}

/** out = x Phi(x) for `count` f32. */
export function gelu32(count: i32, x: usize, out: usize, table: usize): void {
  geluRow<f32>(count, x, out, table)
}

/** out = f32 in another order: see assembly/walk.ts. */
export function copyWalk32(from: usize, a: i32, b: i32, rows: i32, columns: i32, stepA: i32, stepB: i32, rowStep: i32,
  columnStep: i32, out: usize): void {
  copyWalk<f32>(from, a, b, rows, columns, stepA, stepB, rowStep, columnStep, out)
}

/** out = softmax x for rows of n f64. */
export function softmaxRows64(rows: i32, n: i32, x: usize, out: usize): void {
  softmaxRows<f64>(rows, n, x, out)
}

/** Rows of n f64 normalised by their own mean and variance: see assembly/rows.ts. */
export function normaliseRows64(rows: i32, n: i32, centred: bool, epsilon: f64, x: usize, scale: usize, shift: usize,
  out: usize): void {
  normaliseRows<f64>(rows, n, centred, epsilon, x, scale, shift, out)
}

/** out_r = factor times the sum of row r of n f64. */
export function sumRows64(rows: i32, n: i32, factor: f64, x: usize, out: usize): void {
  sumRows<f64>(rows, n, factor, x, out)
}

/** out = erf x for `count` f64; the table is that of core/ops/erf.ts. */
export function erf64(count: i32, x: usize, out: usize, table: usize): void {
  erfRow<f64>(count, x, out, table)
}

/** out = x Phi(x) for `count` f64. */
export function gelu64(count: i32, x: usize, out: usize, table: usize): void {
  geluRow<f64>(count, x, out, table)
}

/** out = f64 in another order: see assembly/walk.ts. */
export function copyWalk64(from: usize, a: i32, b: i32, rows: i32, columns: i32, stepA: i32, stepB: i32, rowStep: i32,
  columnStep: i32, out: usize): void {
  copyWalk<f64>(from, a, b, rows, columns, stepA, stepB, rowStep, columnStep, out)
}

/** The kernels of 3 x 3 of f32, transformed and packed: see assembly/winograd.ts. */
export function winogradWeights32(outputs: i32, inputs: i32, turned: bool, weights: usize, target: usize): void {
  winogradWeights<f32>(outputs, inputs, turned, weights, target)
}

/** A convolution of 3 x 3 of f32: see assembly/winograd.ts. */
export function winograd32(outputs: i32, inputs: i32, tiles: i32, image: usize, plane: usize, line: usize,
  origins: usize, kernels: usize, room: usize, bias: usize, added: usize, rectified: bool, out: usize, outPlane: usize,
  outLine: usize, targets: usize, edges: usize): void {
  winograd<f32>(outputs, inputs, tiles, image, plane, line, origins, kernels, room, bias, added, rectified, out,
    outPlane, outLine, targets, edges)
}

/** The kernels of 3 x 3 of f64, transformed and packed: see assembly/winograd.ts. */
export function winogradWeights64(outputs: i32, inputs: i32, turned: bool, weights: usize, target: usize): void {
  winogradWeights<f64>(outputs, inputs, turned, weights, target)
}

/** A convolution of 3 x 3 of f64: see assembly/winograd.ts. */
export function winograd64(outputs: i32, inputs: i32, tiles: i32, image: usize, plane: usize, line: usize,
  origins: usize, kernels: usize, room: usize, bias: usize, added: usize, rectified: bool, out: usize, outPlane: usize,
  outLine: usize, targets: usize, edges: usize): void {
  winograd<f64>(outputs, inputs, tiles, image, plane, line, origins, kernels, room, bias, added, rectified, out,
    outPlane, outLine, targets, edges)
}

/** Packs the weights of gates of f32: see assembly/recurrence.ts. */
export function packGates32(gates: i32, n: i32, k: i32, b: usize, target: usize): void {
  packGates<f32>(gates, n, k, b, target)
}

/** C_g += A B_g' for packed gates of f32: see assembly/recurrence.ts. */
export function addGates32(gates: i32, m: i32, n: i32, k: i32, a: usize, packed: usize, c: usize): void {
  addGates<f32>(gates, m, n, k, a, packed, c)
}

/** One step of an LSTM of f32: see assembly/recurrence.ts. */
export function stepLstm32(count: i32, values: usize, c: usize, h: usize): void {
  stepLstm<f32>(count, values, c, h)
}

/** One step of a GRU of f32: see assembly/recurrence.ts. */
export function stepGru32(count: i32, values: usize, w: usize, h: usize): void {
  stepGru<f32>(count, values, w, h)
}

/** Packs the weights of gates of f64: see assembly/recurrence.ts. */
export function packGates64(gates: i32, n: i32, k: i32, b: usize, target: usize): void {
  packGates<f64>(gates, n, k, b, target)
}

/** C_g += A B_g' for packed gates of f64: see assembly/recurrence.ts. */
export function addGates64(gates: i32, m: i32, n: i32, k: i32, a: usize, packed: usize, c: usize): void {
  addGates<f64>(gates, m, n, k, a, packed, c)
}

/** One step of an LSTM of f64: see assembly/recurrence.ts. */
export function stepLstm64(count: i32, values: usize, c: usize, h: usize): void {
  stepLstm<f64>(count, values, c, h)
}

/** One step of a GRU of f64: see assembly/recurrence.ts. */
export function stepGru64(count: i32, values: usize, w: usize, h: usize): void {
  stepGru<f64>(count, values, w, h)
}
