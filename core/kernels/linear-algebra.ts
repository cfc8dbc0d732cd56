/** @file The matrix kernels that the rest of the core calls. */
export { type RealArray, cholesky, symmetricEigen, triangularSolve } from './plain.js'
export { gemm, syrk } from './product.js'
