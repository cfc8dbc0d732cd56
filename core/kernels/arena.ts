/**
 * @file The arena: kernel memory in which the values of a program live while it runs, so that kernels work on them in
 * place.
 *
 * It has a kernel instance of its own, because growing a memory detaches all arrays in it: the arena has all its room
 * from the start, which costs the system no memory until it is written to. What finds no room stays on the JavaScript
 * heap, and kernels copy it as they do elsewhere. Runs are synchronous, so that one arena serves all programs of a
 * thread. Constants of programs, weights above all, stay at its end from run to run.
 */
import { aligned, anotherInstance, giveUpKernelMemory, type KernelBuild, kernelBuild, type KernelExports, kernelView,
  PAGE, withKernelMemory } from './kernel-module.js'
import type { RealArray } from './plain.js'

/** The room of the arena; hosts that refuse so much give it less. */
const MOST_BYTES = 512 << 20
/** Of memory beyond this that was written to at least a quarter must be in use: it cannot shrink, so it is given up. */
const KEPT_BYTES = 64 << 20

/** Of the arena's room constants may take so much, a part of which nothing may need any more. */
export const CONSTANT_BYTES = 128 << 20

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
  /** Where the constants begin, which are placed from the end downwards; other values lie before it. */
  bottom: number
  /** Their places, by the arrays that they are copies of. */
  constants: WeakMap<RealArray | Int32Array, RealArray | Int32Array>
  /** Bytes of constants whose arrays are gone. */
  forgotten: number
}

let arena: Arena | undefined

const registry = new FinalizationRegistry<{ readonly of: Arena, readonly bytes: number }>(({ of, bytes }) => {
  of.forgotten += bytes
})

/** Before a run: nothing lives in the arena. */
export function beginArena(): void {
  const build = kernelBuild()
  // From here on the values of the run before are written over: called while a program runs, this would give its
  // values' memory away a second time, and its results would be wrong numbers.
  if (arena?.build === build && arena.touched <= Math.max(KEPT_BYTES, 4 * arena.reached) &&
    arena.forgotten <= KEPT_BYTES) {
    arena.top = arena.reached = arena.kernel.heapBase()
    return
  }
  const kernel = roomyInstance()
  const base = kernel?.heapBase() ?? 0
  arena = kernel &&
    { build, kernel, top: base, reached: base, touched: base, bottom: kernel.memory.buffer.byteLength,
      constants: new WeakMap(), forgotten: 0 }
}

/** Before work on values that may live in the arena: those stay, and others are gone. */
export function beginArenaUnless(value: RealArray): void {
  if (arena === undefined || value.buffer !== arena.kernel.memory.buffer) beginArena()
}

/**
 * A table that kernels read, where it lies in the arena from run to run, or as it is where there is no room. Nothing
 * may change it.
 */
export function arenaConstant<A extends RealArray | Int32Array>(table: A): A {
  if (arena === undefined) return table
  const known = arena.constants.get(table)
  if (known !== undefined) return known as A
  return placed(arena, table, Math.min(CONSTANT_BYTES, arena.kernel.memory.buffer.byteLength / 4))
}

/** Less than this stays for the next run. */
const LEAST_BYTES = 8 << 20

/**
 * Gives up the arena and what kernels share of large memory, between runs: for a thread that has nothing to do for a
 * while. The next run has an arena of its own. Returns the bytes of what is given up.
 */
export function giveUpArena(): number {
  const shared = giveUpKernelMemory(LEAST_BYTES)
  if (arena === undefined) return shared
  const held = arena.touched + arena.kernel.memory.buffer.byteLength - arena.bottom
  if (held < LEAST_BYTES) return shared
  arena = undefined
  return shared + held
}

/** Constants of a program, where they lie in the arena. */
export interface PlacedConstants {
  /** Those of a program that has its place in another epoch of the arena are gone. */
  readonly epoch: object | undefined
  readonly arrays: readonly RealArray[]
}

/**
 * At the start of a run: its constants in the arena, those that find no room as they are. Nothing may change them.
 * @param before what was returned to the run before
 */
export function placeConstants(arrays: readonly RealArray[], before: PlacedConstants | undefined): PlacedConstants {
  if (before !== undefined && before.epoch === arena?.constants) return before
  if (arena === undefined) return { epoch: undefined, arrays }
  const own = arena
  const { buffer } = own.kernel.memory
  const budget = Math.min(CONSTANT_BYTES, buffer.byteLength / 4)
  const bytesOf = (some: readonly RealArray[]): number =>
    some.reduce((sum, { byteLength }) => sum + aligned(byteLength), 0)
  const taken = buffer.byteLength - own.bottom
  const missing = arrays.filter(array => !own.constants.has(array))
  if (taken + bytesOf(missing) > budget && bytesOf(arrays) <= budget) {
    // Room for this program's: the others' are placed again when they run.
    own.constants = new WeakMap()
    own.bottom = buffer.byteLength
  }
  return { epoch: own.constants,
    arrays: arrays.map(array => (own.constants.get(array) as RealArray | undefined) ?? placed(own, array, budget)) }
}

function placed<A extends RealArray | Int32Array>(own: Arena, array: A, budget: number): A {
  const { buffer } = own.kernel.memory
  const bytes = aligned(array.byteLength)
  const room = Math.min(budget - (buffer.byteLength - own.bottom), own.bottom - own.top)
  if (array.length === 0 || bytes > room) return array
  own.bottom -= bytes
  const copy = kernelView(own.kernel, array, own.bottom, array.length)
  copy.set(array)
  own.constants.set(array, copy)
  registry.register(array, { of: own, bytes })
  return copy
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
  if (offset + size > arena.bottom) return undefined
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
export function arenaScope<T>(work: () => T): T {
  const [own, top] = [arena, arena?.top ?? 0]
  const result = work()
  if (own !== undefined && own === arena) own.top = top
  return result
}

/**
 * Runs a kernel on operands of which at least one lives in the arena; the others are copied in, and out again when
 * written.
 * @param most bytes of the others: an arena that has held many once is given up, and its pages with it
 * @returns false, and nothing is done, where none lives there or there is no room for the others
 */
export function inArena(operands: readonly Operand[], work: (kernel: KernelExports, ...addresses: number[]) => void,
  most = Infinity): boolean {
  if (arena === undefined) return false
  const { kernel, top, bottom } = arena
  const { buffer } = kernel.memory
  const outside = operands.filter(({ array }) => array.buffer !== buffer)
  if (outside.length === operands.length) return false
  const bytes = copiedBytes(outside)
  if (bytes > most || top + bytes > bottom) return false
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
