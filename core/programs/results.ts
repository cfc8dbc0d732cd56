/** @file What programs leave: results by their names, and the program itself when it is no longer needed. */
import type { Program } from '../engine/engine.js'
import { InternalError } from '../errors/errors.js'
import type { RealArray } from '../kernels/linear-algebra.js'
import type { Tensor } from '../tensor/tensor.js'

/** The numbers of a result. @throws InternalError where there is none, or a boolean one */
export function realResult(results: ReadonlyMap<string, Tensor>, name: string): RealArray {
  const found = results.get(name)
  if (found === undefined) throw new InternalError(`The program has no result '${name}'.`)
  return realData(found)
}

/** The numbers of a real tensor. @throws InternalError for a boolean one */
export function realData({ data }: Tensor): RealArray {
  if (data instanceof Uint8Array) throw new InternalError('A real result was expected, and a boolean one was found.')
  return data
}

/** Ends a program when it has been made; that it could not be made has been said to who asked for it. */
export function release(compiled: Promise<Program> | undefined): void {
  void compiled?.then(program => {
    program.dispose()
  }, () => undefined)
}
