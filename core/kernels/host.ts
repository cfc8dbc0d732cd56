/** @file What a host that is Node.js says of the kernels: flags of V8, and a variable of the environment. */

interface NodeProcess {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly getBuiltinModule?: (name: string) => { setFlagsFromString?(flags: string): void } | undefined
}

const { process } = globalThis as { process?: NodeProcess }

/**
 * The build that POLYLAPLACE_KERNELS names: 'simd' gives the same bits on every host with SIMD, as the fused
 * multiply-add of the other build rounds once where it rounds twice.
 */
export function wantedBuild(): string | undefined {
  return process?.env?.POLYLAPLACE_KERNELS
}

/** Has V8 of Node 20 take relaxed SIMD, which later ones take unasked; every thread asks before it compiles. */
export function allowRelaxedSimd(): void {
  try {
    process?.getBuiltinModule?.('node:v8')?.setFlagsFromString?.('--experimental-wasm-relaxed-simd')
  } catch {
    // Other hosts that are like Node.js have no such flags.
  }
}
