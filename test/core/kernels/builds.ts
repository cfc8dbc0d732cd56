/** @file The kernel builds that this runtime can run; Node 20 has relaxed SIMD behind a flag. */
import { setFlagsFromString } from 'node:v8'
import { type KernelBuild, useKernelBuild } from '../../../core/kernels/kernel-module.js'

/** Every build that the runtime runs, the plain twins last. */
export function allBuilds(): KernelBuild[] {
  if (Number(process.versions.node.split('.')[0]) < 22) setFlagsFromString('--experimental-wasm-relaxed-simd')
  return (['relaxed-simd', 'simd', 'plain'] as const).filter(useKernelBuild)
}
