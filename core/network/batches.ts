/**
 * @file Cuts data into batches that are computed at once, with progress, cancellation and room for other work between
 * them.
 */
import { formatBytes } from '../budget/memory.js'
import { breathe, type Progress, throwIfCancelled, type WorkOptions } from '../budget/progress.js'
import { InternalError, ResourceError } from '../errors/errors.js'
import { batchAxis, type GraphInput } from '../graph/graph.js'
import { allocate, rows, sizeOf, type Tensor } from '../tensor/tensor.js'
import type { Inputs } from './input-rows.js'

/**
 * Numbers that the widest values of one batch hold together: enough examples for large products, and no more than some
 * tens of megabytes.
 */
const BATCH_NUMBERS = 1 << 23
const LARGEST_BATCH = 1024

/** Bytes that all values of one batch may take: beyond, more examples make no product faster. */
export const BATCH_BYTES = 64 << 20

/** Examples of one batch, from how many numbers one example needs at its widest. */
export function batchSizeFor(numbersPerExample: number): number {
  return Math.max(1, Math.min(LARGEST_BATCH, Math.floor(BATCH_NUMBERS / Math.max(1, numbersPerExample))))
}

/**
 * Checks the values of one batch against the limit on memory, before anything is computed.
 * @throws ResourceError OUT_OF_MEMORY with what is needed and what would fit
 */
export function checkBatch(count: number, bytesPerExample: number, limit: number): void {
  const needed = count * bytesPerExample
  if (needed <= limit) return
  const fits = Math.floor(limit / bytesPerExample)
  throw new ResourceError('OUT_OF_MEMORY',
    `A batch of ${count} examples would need ${formatBytes(needed)} of intermediate values, more than the limit of ` +
      `${formatBytes(limit)} (option memoryLimit). ${
        fits > 0
          ? `With batchSize ${fits} or less it fits.`
          : `One example alone is too large: raise memoryLimit to ${
            formatBytes(bytesPerExample)
          } or more where the machine has them, or take a network with smaller intermediate values.`
      }`, { needed, limit, fits })
}

/** Examples `from` to `to` of a network's inputs, whichever their batch axes are. */
export function sliceExamples(x: Inputs, inputs: readonly GraphInput[], from: number, to: number): Inputs {
  return new Map(inputs.map(input => [input.name, sliceInput(tensorOf(x, input), input, from, to)] as const))
}

function tensorOf(x: Inputs, { name }: GraphInput): Tensor {
  const value = x.get(name)
  if (value === undefined) throw new InternalError(`The input '${name}' has no value.`)
  return value
}

function sliceInput(x: Tensor, input: GraphInput, from: number, to: number): Tensor {
  const axis = batchAxis(input)
  if (axis <= 0) return rows(x, from, to)
  const { shape } = x
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1)
  const outer = shape.slice(0, axis).reduce((a, b) => a * b, 1)
  const length = (to - from) * inner
  const data = x.data.slice(0, outer * length)
  for (let o = 0; o < outer; o++) {
    data.set(x.data.subarray((o * shape[axis] + from) * inner, (o * shape[axis] + to) * inner), o * length)
  }
  return { dtype: x.dtype, shape: [...shape.slice(0, axis), to - from, ...shape.slice(axis + 1)], data }
}

/**
 * Calls `visit` for every range of `size` examples.
 * @throws CancelledError between two batches
 */
export async function forEachBatch(examples: number, size: number, stage: Progress['stage'], work: WorkOptions,
  visit: (from: number, to: number) => Promise<void>): Promise<void> {
  for (let from = 0; from < examples; from += size) {
    throwIfCancelled(work.signal)
    const to = Math.min(examples, from + size)
    await visit(from, to)
    work.onProgress?.({ stage, done: to, total: examples })
    if (to < examples) await breathe()
  }
}

/** The examples of several batches, one after another along the batch axis of each input. */
export function joinExamples(parts: readonly Inputs[], inputs: readonly GraphInput[]): Inputs {
  return new Map(inputs.map(input => [input.name, joinInput(parts.map(part => tensorOf(part, input)), input)] as const))
}

function joinInput(parts: readonly Tensor[], input: GraphInput): Tensor {
  const [first] = parts
  const axis = Math.max(0, batchAxis(input))
  const examples = parts.reduce((sum, part) => sum + part.shape[axis], 0)
  const shape = [...first.shape.slice(0, axis), examples, ...first.shape.slice(axis + 1)]
  const data = allocate(first.dtype, sizeOf(shape))
  const outer = sizeOf(shape.slice(0, axis))
  const inner = sizeOf(shape.slice(axis + 1))
  for (let o = 0, at = 0; o < outer; o++) {
    for (const part of parts) {
      const length = part.shape[axis] * inner
      data.set(part.data.subarray(o * length, (o + 1) * length), at)
      at += length
    }
  }
  return { dtype: first.dtype, shape, data }
}

/** Some examples of a network's inputs, in the given order. */
export function takeExamples(x: Inputs, inputs: readonly GraphInput[], examples: Int32Array): Inputs {
  return joinExamples(Array.from(examples, n => sliceExamples(x, inputs, n, n + 1)), inputs)
}
