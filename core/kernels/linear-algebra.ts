/** @file The matrix kernels that the rest of the core calls. */
export { type RealArray, cholesky, gemm, symmetricEigen, syrk, triangularSolve } from './plain.js'
