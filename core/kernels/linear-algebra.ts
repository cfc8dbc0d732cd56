/** @file The matrix kernels that the rest of the core calls. */
export { type RealArray, symmetricEigen } from './plain.js'
export { gemm, syrk } from './product.js'
export { cholesky, choleskyInverse, triangularInverse, triangularSolve } from './triangular.js'
