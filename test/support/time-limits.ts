/** @file Limits of time in tests that hold on a machine that is busy with other work, too. */
import { availableParallelism, loadavg } from 'node:os'

/** Milliseconds after which something is taken to hang, whatever else the machine does. */
export const HANG = 600_000

/** A limit in milliseconds as it is promised on a quiet machine, and longer the more others wait for its processors. */
export function allowed(ms: number): number {
  return ms * (1 + 20 * Math.max(0, loadavg()[0] / availableParallelism() - 0.5))
}

/**
 * The shortest of several times: other work only ever adds to one. Tries again while the limit is not kept.
 * @param run does it once and returns the milliseconds that it took
 */
export async function fastest(limit: number, run: () => Promise<number>, tries = 5): Promise<number> {
  let best = Infinity
  for (let i = 0; i < tries && best >= limit; i++) best = Math.min(best, await run())
  return best
}
