/** @file Chains of dense layers in fitted objects: matrices in x out, one vector each. */
import { DataError } from '../../core/errors/errors.js'
import { formatShape, type Tensor } from '../../core/tensor/tensor.js'
import type { Structure } from './fields.js'

/** A matrix with its axes exchanged: rows x columns as columns x rows, copied. */
export function transposed({ dtype, shape: [rows, columns], data }: Tensor): Tensor {
  const result = data instanceof Float32Array ? new Float32Array(data.length) : new Float64Array(data.length)
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = data[i * columns + j]
  return { dtype, shape: [columns, rows], data: result }
}

/** Checks that matrices (in x out) follow on each other and that each has its vector. @throws DataError BAD_ARRAY */
export function checkChain({ what }: Structure, matrices: readonly Tensor[], vectors: readonly Tensor[]): void {
  const fail = (message: string): never => {
    throw new DataError('BAD_ARRAY', `${what}: ${message}.`)
  }
  if (matrices.length !== vectors.length) {
    fail(`there are ${matrices.length} weight matrices and ${vectors.length} bias vectors`)
  }
  matrices.forEach(({ shape }, i) => {
    if (shape.length !== 2 || shape.includes(0)) {
      fail(`the weights of layer ${i} must be a matrix; they are ${formatShape(shape)}`)
    }
    if (i > 0 && matrices[i - 1].shape[1] !== shape[0]) {
      fail(`layer ${i} takes ${shape[0]} inputs, and layer ${i - 1} has ${matrices[i - 1].shape[1]} outputs`)
    }
    if (vectors[i].shape.length !== 1 || vectors[i].shape[0] !== shape[1]) {
      fail(`the bias of layer ${i} must have ${shape[1]} elements; it is ${formatShape(vectors[i].shape)}`)
    }
  })
}
