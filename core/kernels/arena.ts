/**
 * @file The arena: kernel memory in which the values of a program live while it runs, so that kernels work on them in
 * place.
 *
 * It has a kernel instance of its own, because its memory may grow only when nothing lives in it: growing detaches all
 * arrays. So it grows between runs, to what the last run asked for; what finds no room stays on the JavaScript heap,
 * and kernels copy it as they do elsewhere. Runs are synchronous, so that one arena serves all programs of a thread.
 */
import { aligned, anotherInstance, type KernelBuild, kernelBuild, type KernelExports, kernelView,
  withKernelMemory } from './kernel-module.js'
import type { RealArray } from './plain.js'

/** The arena does not grow beyond this. */
const MOST_BYTES = 256 << 20
/** Of memory beyond this at least a quarter must be in use: it cannot shrink, so it is given up. */
const KEPT_BYTES = 64 << 20

/** An array that a kernel reads, or writes too: 'update' reads what is there, 'write' does not. */
export interface Operand {
  readonly array: RealArray
  readonly use: 'read' | 'write' | 'update'
}

interface Arena {
  readonly build: KernelBuild
  readonly kernel: KernelExports
  /** First free byte. */
  top: number
  /** Bytes that the run has asked for so far: blocks, and the most that was copied in at once. */
  blocks: number
  copies: number
}

let arena: Arena | undefined

/** Before a run: nothing lives in the arena, and it has the room that the run before it asked for. */
export function beginArena(): void {
  const build = kernelBuild()
  const wanted = Math.min(MOST_BYTES, arena === undefined ? 0 : arena.blocks + arena.copies)
  const kept = arena?.build === build && arena.kernel.memory.buffer.byteLength <= Math.max(KEPT_BYTES, 4 * wanted)
  const kernel = kept ? arena?.kernel : anotherInstance()
  if (kernel === undefined) {
    arena = undefined
    return
  }
  const base = kernel.heapBase()
  const missing = base + wanted - kernel.memory.buffer.byteLength
  // Growing detaches every array in this memory: its length becomes 0, and sums over it become NaN or 0, without an
  // error.
  if (missing > 0) growOrLeave(kernel, missing)
  // From here on the values of the run before are written over: called while a program runs, this would give its
  // values' memory away a second time, and its results would be wrong numbers.
  arena = { build, kernel, top: base, blocks: 0, copies: 0 }
}

/** Room for a value until the next run. @returns undefined where there is none left */
export function arenaBlock(bytes: number): { readonly buffer: ArrayBuffer, readonly offset: number } | undefined {
  if (arena === undefined) return undefined
  const size = aligned(bytes)
  arena.blocks += size
  const offset = arena.top
  if (offset + size > arena.kernel.memory.buffer.byteLength) return undefined
  arena.top += size
  return { buffer: arena.kernel.memory.buffer, offset }
}

/**
 * An array of the type of `like` and of arbitrary content, in the arena or, where there is no room, on the heap. It
 * lasts until the next run.
 */
export function arenaArray<A extends RealArray>(like: A, length: number): A {
  const View = like.constructor as new(buffer: ArrayBuffer, offset: number, length: number) => A
  const block = arenaBlock(length * like.BYTES_PER_ELEMENT)
  return block === undefined
    ? new View(new ArrayBuffer(length * like.BYTES_PER_ELEMENT), 0, length)
    : new View(block.buffer, block.offset, length)
}

/**
 * Runs a kernel on operands of which at least one lives in the arena; the others are copied in, and out again when
 * written.
 * @returns false, and nothing is done, where none lives there or there is no room for the others
 */
export function inArena(operands: readonly Operand[],
  work: (kernel: KernelExports, ...addresses: number[]) => void): boolean {
  if (arena === undefined) return false
  const { kernel, top } = arena
  const { buffer } = kernel.memory
  const outside = operands.filter(({ array }) => array.buffer !== buffer)
  if (outside.length === operands.length) return false
  const bytes = copiedBytes(outside)
  arena.copies = Math.max(arena.copies, bytes)
  if (top + bytes > buffer.byteLength) return false
  runOnCopies(kernel, top, operands, work)
  return true
}

/**
 * The same on operands that live anywhere.
 * @returns false, and nothing is done, where there are no kernels or not enough memory
 */
export function inKernelMemory(operands: readonly Operand[],
  work: (kernel: KernelExports, ...addresses: number[]) => void): boolean {
  if (inArena(operands, work)) return true
  return withKernelMemory(copiedBytes(operands), (kernel, base) => {
    runOnCopies(kernel, base, operands, work)
    return true
  }) ?? false
}

function copiedBytes(operands: readonly Operand[]): number {
  return operands.reduce((sum, { array }) => sum + aligned(array.byteLength), 0)
}

/** Copies operands that live elsewhere into the kernel's memory from `base` on. */
function runOnCopies(kernel: KernelExports, base: number, operands: readonly Operand[],
  work: (kernel: KernelExports, ...addresses: number[]) => void): void {
  const { buffer } = kernel.memory
  // An array that is given twice gets two copies: a kernel that writes to one operand must not read the result through
  // another.
  let next = base
  const addresses = operands.map(({ array, use }) => {
    if (array.buffer === buffer) return array.byteOffset
    const address = next
    next += aligned(array.byteLength)
    if (use !== 'write') kernelView(kernel, array, address, array.length).set(array)
    return address
  })
  work(kernel, ...addresses)
  operands.forEach(({ array, use }, i) => {
    if (use !== 'read' && array.buffer !== buffer) array.set(kernelView(kernel, array, addresses[i], array.length))
  })
}

function growOrLeave(kernel: KernelExports, bytes: number): void {
  try {
    kernel.memory.grow(Math.ceil(bytes / 65536))
  } catch {
    // Values then stay on the heap.
  }
}
