/** @file What a posterior will need, said before it is allocated. */
import type { LinearShape } from '../curvature/accumulate.js'
import type { ParameterSlot } from '../curvature/curvature.js'
import { ResourceError } from '../errors/errors.js'
import type { Structure } from '../options/words.js'

/** The largest posterior that is fitted without being asked for: 4 GiB. */
export const DEFAULT_MEMORY_LIMIT = 4 * 2 ** 30

const DOUBLE = 8

/**
 * Bytes that the posterior of a structure needs at its peak: the curvature with its factorisation.
 * full: P x P twice; kron: both factors of every weight with their eigenvectors; diag: P twice.
 */
export function posteriorBytes(structure: Structure, slots: readonly ParameterSlot[], linears: readonly LinearShape[]): number {
  const size = slots.reduce((sum, slot) => sum + slot.size, 0)
  switch (structure) {
    case 'full': return 2 * DOUBLE * size * size
    case 'diag': return 2 * DOUBLE * size
    case 'kron': return 2 * DOUBLE * linears.reduce((sum, { in: inputs, out, bias }) => sum + inputs * inputs + (bias < 0 ? 1 : 2) * out * out, 0)
  }
}

/**
 * Checks a posterior's need against the limit.
 * @throws ResourceError OUT_OF_MEMORY naming both, and what to use instead
 */
export function checkMemory(structure: Structure, slots: readonly ParameterSlot[], linears: readonly LinearShape[], limit: number): void {
  const bytes = posteriorBytes(structure, slots, linears)
  if (bytes <= limit) return
  const alternatives = (['kron', 'diag'] as const).filter(other => other !== structure && posteriorBytes(other, slots, linears) <= limit)
  throw new ResourceError('OUT_OF_MEMORY',
    `A ${structure} posterior of these parameters would need ${formatBytes(bytes)}, more than the limit of ${formatBytes(limit)} (option memoryLimit). ` +
    (alternatives.length > 0 ? `Use structure ${alternatives.join(' or ')}, or subset last_layer.` : 'Use subset last_layer.'),
    { structure, needed: bytes, limit, alternatives })
}

/**
 * Checks an array that a call is about to make against the default limit.
 * @throws ResourceError OUT_OF_MEMORY naming both, and what to do
 */
export function checkBytes(what: string, bytes: number, advice: string): void {
  if (bytes <= DEFAULT_MEMORY_LIMIT) return
  throw new ResourceError('OUT_OF_MEMORY', `${what} would need ${formatBytes(bytes)}, more than the limit of ${formatBytes(DEFAULT_MEMORY_LIMIT)}. ${advice}`, { needed: bytes, limit: DEFAULT_MEMORY_LIMIT })
}

/** A number of bytes in the unit that suits it. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  const unit = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  return `${Number((bytes / 1024 ** unit).toPrecision(3))} ${units[unit]}`
}
