/**
 * @file The WebAssembly module of the kernels: which build the JavaScript runtime can run, its instance, and its
 * memory. The bytes are embedded, the instance is made at first use, and every reason for which a runtime refuses leads
 * to
 * `undefined`: callers then take the plain twins.
 */
import { oneOf } from '../errors/suggest.js'
import { bytes as relaxedBytes } from './generated/relaxed-simd.js'
import { bytes as simdBytes } from './generated/simd.js'
import { allowRelaxedSimd, wantedBuild } from './host.js'
import { pause } from './interruption.js'
import type { RealArray } from './plain.js'

/** Which kernels run: with fused multiply-add, with plain SIMD, or the TypeScript twins. */
export type KernelBuild = (typeof BUILDS)[number]

/** The fastest first. */
const BUILDS = ['relaxed-simd', 'simd', 'plain'] as const

/** What the module exports; addresses and counts are integers. Its source is core/kernels/assembly/index.ts. */
export interface KernelExports {
  readonly memory: { readonly buffer: ArrayBuffer, grow(pages: number): number }
  heapBase(): number
  multiply32: Multiply
  multiply64: Multiply
  multiplyMixed: Multiply
  mirrorLower32(n: number, c: number, ldc: number): void
  mirrorLower64(n: number, c: number, ldc: number): void
  scale32(count: number, factor: number, c: number): void
  scale64(count: number, factor: number, c: number): void
  cholesky(n: number, a: number): number
  triangularSolve(transposed: number, n: number, m: number, l: number, b: number): void
  triangularSolveRight(n: number, m: number, l: number, b: number): void
  symmetricEigenBytes(n: number, ld: number): number
  symmetricEigen(n: number, a: number, ld: number, values: number, work: number): number
  symmetricEigenvaluesBytes(n: number, ld: number): number
  symmetricEigenvalues(n: number, a: number, ld: number, values: number, work: number): number
  exp32: Elementwise
  exp64: Elementwise
  tanh32: Elementwise
  tanh64: Elementwise
  sigmoid32: Elementwise
  sigmoid64: Elementwise
  combine32: Combine
  combine64: Combine
  rectify32(count: number, x: number, out: number): void
  rectify64(count: number, x: number, out: number): void
  addRowDots32(rows: number, n: number, a: number, b: number, out: number): void
  addRowDots64(rows: number, n: number, a: number, b: number, out: number): void
  addWeightedRowDots32(rows: number, n: number, a: number, b: number, w: number, out: number): void
  addWeightedRowDots64(rows: number, n: number, a: number, b: number, w: number, out: number): void
  packedProducts32(rows: number, n: number, x: number, out: number): void
  packedProducts64(rows: number, n: number, x: number, out: number): void
  convolve32: Convolve
  convolve64: Convolve
  gramGatheredMixed: GramGathered
  gramGathered64: GramGathered
  spreadPlanes32: SpreadPlanes
  spreadPlanes64: SpreadPlanes
  poolMaximum32: Pool
  poolMaximum64: Pool
  poolSum32: Pool
  poolSum64: Pool
  poolPositions32: PoolPositions
  poolPositions64: PoolPositions
  gate32: Gate
  gate64: Gate
  softmaxRows32(rows: number, n: number, x: number, out: number): void
  softmaxRows64(rows: number, n: number, x: number, out: number): void
  normaliseRows32: NormaliseRows
  normaliseRows64: NormaliseRows
  sumRows32(rows: number, n: number, factor: number, x: number, out: number): void
  sumRows64(rows: number, n: number, factor: number, x: number, out: number): void
  sumSquares32(rows: number, n: number, x: number, out: number): void
  sumSquares64(rows: number, n: number, x: number, out: number): void
  placeNumbers32: PlaceNumbers
  placeNumbers64: PlaceNumbers
  erf32: ByTable
  erf64: ByTable
  gelu32: ByTable
  gelu64: ByTable
  copyWalk32: CopyWalk
  copyWalk64: CopyWalk
  winogradWeights32: WinogradWeights
  winogradWeights64: WinogradWeights
  winograd32: Winograd
  winograd64: Winograd
  packGates32: PackGates
  packGates64: PackGates
  addGates32: AddGates
  addGates64: AddGates
  stepLstm32: RecurrentStep
  stepLstm64: RecurrentStep
  stepGru32: RecurrentStep
  stepGru64: RecurrentStep
}

type PackGates = (gates: number, n: number, k: number, b: number, target: number) => void

type AddGates = (gates: number, m: number, n: number, k: number, a: number, packed: number, c: number) => void

type RecurrentStep = (count: number, values: number, other: number, h: number) => void

type WinogradWeights = (outputs: number, inputs: number, turned: number, weights: number, target: number) => void

type Winograd = (outputs: number, inputs: number, tiles: number, image: number, plane: number, line: number,
  origins: number, kernels: number, room: number, bias: number, added: number, rectified: number, out: number,
  outPlane: number, outLine: number, targets: number, edges: number) => void

type NormaliseRows = (rows: number, n: number, centred: number, epsilon: number, x: number, scale: number,
  shift: number, out: number) => void

type PlaceNumbers = (blocks: number, count: number, length: number, x: number, indices: number, step: number,
  out: number) => void

type ByTable = (count: number, x: number, out: number, table: number) => void

type CopyWalk = (from: number, a: number, b: number, rows: number, columns: number, stepA: number, stepB: number,
  rowStep: number, columnStep: number, out: number) => void

type Gate = (below: number, limit: number, count: number, c: number, x: number, out: number) => void

type PoolPositions = (planes: number, columns: number, depth: number, image: number, plane: number, origins: number,
  steps: number, out: number, firstPlaces: number, places: number, firstPlane: number, planeNumbers: number,
  indices: number) => void

type Pool = (planes: number, columns: number, depth: number, image: number, plane: number, origins: number,
  steps: number, out: number) => void

type Convolve = (channels: number, columns: number, depth: number, weights: number, image: number, origins: number,
  steps: number, bias: number, added: number, rectified: number, out: number, plane: number, targets: number) => void

type GramGathered = (n: number, depth: number, image: number, rows: number, columns: number, c: number) => void

type SpreadPlanes = (planes: number, depth: number, height: number, width: number, source: number, target: number,
  lineStep: number, sliceStep: number, planeStep: number) => void

type Combine = (operation: number, count: number, a: number, stepA: number, b: number, stepB: number,
  out: number) => void

type Elementwise = (count: number, x: number) => void

type Multiply = (lower: number, transA: number, transB: number, m: number, n: number, k: number, alpha: number,
  a: number, lda: number, b: number, ldb: number, c: number, ldc: number) => void

interface WebAssemblyApi {
  validate(bytes: Uint8Array): boolean
  readonly Module: new(bytes: Uint8Array) => object
  readonly Instance: new(module: object, imports: object) => { readonly exports: unknown }
}

/** Bytes by which a memory grows. */
export const PAGE = 65536
/** Memory beyond this is given back: a WebAssembly memory cannot shrink, so the instance is dropped. */
const KEPT_BYTES = 64 << 20
/** A memory cannot be larger than this. */
const MAX_BYTES = 65535 * PAGE

/**
 * A module of one function that returns a fused multiply-add of zeros; asking about it spares decoding a build that
 * cannot run.
 */
const RELAXED_PROBE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7b, 3, 2, 1, 0, 0x0a, 0x13,
  1, 0x11, 0, 0x41, 0, 0xfd, 0x0f, 0x41, 0, 0xfd, 0x0f, 0x41, 0, 0xfd, 0x0f, 0xfd, 0x87, 2, 0x0b)

let chosen: KernelBuild | undefined
let module: object | undefined
let instance: KernelExports | undefined

/** The build that runs here. */
export function kernelBuild(): KernelBuild {
  kernels()
  return chosen ?? 'plain'
}

/**
 * Chooses a build; for tests and benchmarks.
 * @returns false, and nothing is changed, where the runtime cannot run it
 */
export function useKernelBuild(build: KernelBuild): boolean {
  const compiled = build === 'plain' ? undefined : compile(build)
  if (build !== 'plain' && compiled === undefined) return false
  chosen = build
  module = compiled
  instance = undefined
  return true
}

/**
 * The kernels, or `undefined` where the runtime has no WebAssembly SIMD or refuses it.
 * @throws OptionError BAD_OPTION for a POLYLAPLACE_KERNELS that names no build
 */
export function kernels(): KernelExports | undefined {
  if (chosen === undefined) {
    const wanted = wantedBuild() ?? ''
    const first = wanted === '' ? BUILDS[0] : oneOf('POLYLAPLACE_KERNELS', wanted, BUILDS)
    BUILDS.slice(BUILDS.indexOf(first)).some(useKernelBuild)
  }
  if (module === undefined) return undefined
  instance ??= instantiate(module)
  return instance
}

/** Another instance of the kernels, with memory of its own. */
export function anotherInstance(): KernelExports | undefined {
  return kernels() === undefined || module === undefined ? undefined : instantiate(module)
}

/**
 * Runs `work` with `bytes` of kernel memory free from address `base`, a multiple of 16, on. All calls share that
 * memory: `work` must not call a function that asks for it too.
 * @returns what `work` returns, or `undefined` when there are no kernels or not that much memory
 */
export function withKernelMemory<R>(bytes: number, work: (kernel: KernelExports, base: number) => R): R | undefined {
  const kernel = kernels()
  if (kernel === undefined) return undefined
  const base = kernel.heapBase()
  const missing = base + bytes - kernel.memory.buffer.byteLength
  if (missing > 0 && !grow(kernel, missing)) return undefined
  try {
    // A view of this memory in the result would change under its reader at the next call.
    return work(kernel, base)
  } finally {
    if (kernel.memory.buffer.byteLength > KEPT_BYTES) instance = undefined
  }
}

/** Gives up the memory that calls share where it holds so many bytes, and returns them; the next call makes another. */
export function giveUpKernelMemory(least: number): number {
  const held = instance?.memory.buffer.byteLength ?? 0
  if (held < least) return 0
  instance = undefined
  return held
}

/** Rounds a number of bytes up to whole vectors. */
export function aligned(bytes: number): number {
  return Math.ceil(bytes / 16) * 16
}

/** A view of kernel memory with the element type of `like`; valid until the memory grows. */
export function kernelView<A extends RealArray | Int32Array>(kernel: KernelExports, like: A, address: number,
  length: number): A {
  const View = like.constructor as new(buffer: ArrayBuffer, offset: number, length: number) => A
  return new View(kernel.memory.buffer, address, length)
}

function grow(kernel: KernelExports, bytes: number): boolean {
  if (kernel.memory.buffer.byteLength + bytes > MAX_BYTES) return false
  try {
    kernel.memory.grow(Math.ceil(bytes / PAGE))
    return true
  } catch {
    return false
  }
}

function compile(build: 'relaxed-simd' | 'simd'): object | undefined {
  const api = (globalThis as { WebAssembly?: WebAssemblyApi }).WebAssembly
  if (api === undefined) return undefined
  try {
    if (build === 'relaxed-simd' && !takesRelaxedSimd(api)) return undefined
    const bytes = decode(build === 'simd' ? simdBytes : relaxedBytes)
    return api.validate(bytes) ? new api.Module(bytes) : undefined
  } catch {
    // A content policy may forbid compiling; old browsers refuse large modules on their main thread.
    return undefined
  }
}

function takesRelaxedSimd(api: WebAssemblyApi): boolean {
  if (api.validate(RELAXED_PROBE)) return true
  allowRelaxedSimd()
  return api.validate(RELAXED_PROBE)
}

function decode(base64: string): Uint8Array {
  const native = (Uint8Array as { fromBase64?: (text: string) => Uint8Array }).fromBase64
  if (native !== undefined) return native.call(Uint8Array, base64)
  const text = atob(base64)
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}

function instantiate(from: object): KernelExports | undefined {
  const api = (globalThis as { WebAssembly?: WebAssemblyApi }).WebAssembly
  try {
    return api && new api.Instance(from, { host: { pause } }).exports as KernelExports
  } catch {
    return undefined
  }
}
