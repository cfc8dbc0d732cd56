/** @file The arrays of numbers in a Flux file by name, without a network around them. */
import type { Tensor } from '../../core/tensor/tensor.js'
import { openJulia } from './julia/julia-file.js'
import { rowMajor } from './julia/row-major.js'
import { torchTensors } from './julia/torch-layout.js'
import { contentsOf, readArrays } from './networks.js'

/**
 * Reads every array of numbers of a BSON.jl file.
 * @returns tensors by path (variable, then fields and positions from 1), in the order of the file, indexed as in Julia
 * @throws UntrustedInputError UNTRUSTED_INPUT for a malformed file
 */
export function readFluxTensors(bytes: Uint8Array): Map<string, Tensor> {
  const file = openJulia(bytes)
  const arrays = readArrays(file, contentsOf(file), new Map())
  return new Map(arrays.map(({ path, array }) => [path, rowMajor(array)]))
}

/**
 * The arrays of a BSON.jl file named and laid out as PyTorch does, for use with an architecture: a list of parameters
 * becomes `0.weight`, `0.bias`, `1.weight` and so on.
 * @throws UntrustedInputError UNTRUSTED_INPUT for a malformed file
 */
export function readFluxTorchTensors(bytes: Uint8Array): Map<string, Tensor> {
  const file = openJulia(bytes)
  return torchTensors(readArrays(file, contentsOf(file), new Map()))
}
