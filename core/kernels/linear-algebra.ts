/** @file The matrix kernels that the rest of the core calls. */
export { symmetricEigen, symmetricEigenvalues } from './eigen.js'
export { lowRankEigen } from './low-rank-eigen.js'
export { matrixTimes } from './matrix-vector.js'
export { packedLength, packedProducts } from './packed-products.js'
export type { Eigen } from './plain-eigen.js'
export { type RealArray, zerosLike } from './plain.js'
export { gemm, syrk } from './product.js'
export { addRowDots, addWeightedRowDots } from './row-dots.js'
export { transposed } from './transposed.js'
export { cholesky, choleskyInverse, inverseTrace, triangularInverse, triangularSolve,
  triangularSolveRight } from './triangular.js'
