/**
 * @file The arena: kernel memory in which the values of a program live while it runs, so that kernels work on them in
 * place.
 *
 * It has a kernel instance of its own, because growing a memory detaches all arrays in it: the arena has all its room
 * from the start, which costs the system no memory until it is written to. What finds no room stays on the JavaScript
 * heap, and kernels copy it as they do elsewhere. Runs are synchronous, so that one arena serves all programs of a
 * thread.
 */
import { aligned, anotherInstance, type KernelBuild, kernelBuild, type KernelExports, kernelView, PAGE,
  withKernelMemory } from './kernel-module.js'
import type { RealArray } from './plain.js'

/** The room of the arena; hosts that refuse so much give it less. */
const MOST_BYTES = 512 << 20
/** Of memory beyond this that was written to at least a quarter must be in use: it cannot shrink, so it is given up. */
const KEPT_BYTES = 64 << 20

/** An array that a kernel reads, or writes too: 'update' reads what is there, 'write' does not. */
export interface Operand {
  readonly array: RealArray | Int32Array
  readonly use: 'read' | 'write' | 'update'
}

interface Arena {
  readonly build: KernelBuild
  readonly kernel: KernelExports
  /** First free byte. */
  top: number
  /** The last bytes that this run, and any run, has written to. */
  reached: number
  touched: number
}

let arena: Arena | undefined

/** Before a run: nothing lives in the arena. */
export function beginArena(): void {
  const build = kernelBuild()
  // From here on the values of the run before are written over: called while a program runs, this would give its
  // values' memory away a second time, and its results would be wrong numbers.
  if (arena?.build === build && arena.touched <= Math.max(KEPT_BYTES, 4 * arena.reached)) {
    arena.top = arena.reached = arena.kernel.heapBase()
    return
  }
  const kernel = roomyInstance()
  const base = kernel?.heapBase() ?? 0
  arena = kernel && { build, kernel, top: base, reached: base, touched: base }
}

/** An instance with as much of the wanted room as the host gives. */
function roomyInstance(): KernelExports | undefined {
  const kernel = anotherInstance()
  if (kernel === undefined) return undefined
  for (let bytes = MOST_BYTES; bytes > KEPT_BYTES / 4; bytes /= 2) {
    const missing = bytes - kernel.memory.buffer.byteLength
    if (missing <= 0) break
    try {
      kernel.memory.grow(Math.ceil(missing / PAGE))
      break
    } catch {
      // Half of it may be granted.
    }
  }
  return kernel
}

function reach(used: Arena, end: number): void {
  used.reached = Math.max(used.reached, end)
  used.touched = Math.max(used.touched, end)
}

/** Room for a value until the next run. @returns undefined where there is none left */
export function arenaBlock(bytes: number): { readonly buffer: ArrayBuffer, readonly offset: number } | undefined {
  if (arena === undefined) return undefined
  const size = aligned(bytes)
  const offset = arena.top
  if (offset + size > arena.kernel.memory.buffer.byteLength) return undefined
  arena.top += size
  reach(arena, arena.top)
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

/** Runs `work`; room that it has taken from the arena is free afterwards. */
export function arenaScope(work: () => void): void {
  const [own, top] = [arena, arena?.top ?? 0]
  work()
  if (own !== undefined && own === arena) own.top = top
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
  if (top + bytes > buffer.byteLength) return false
  reach(arena, top + bytes)
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
