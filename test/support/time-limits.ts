/** @file Limits of time in tests that hold on a machine that is busy with other work, too. */
import { readFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import { setTimeout } from 'node:timers/promises'

/** Milliseconds after which something is taken to hang, whatever else the machine does. */
export const HANG = 600_000

/** How many want a processor: on the average of a minute, or now, which may be more. */
function waiting(): number {
  try {
    return Math.max(loadavg()[0], Number(/ (\d+)\//.exec(readFileSync('/proc/loadavg', 'utf8'))?.[1]) - 1)
  } catch {
    return loadavg()[0]
  }
}

/** A limit in milliseconds as it is promised on a quiet machine, and longer the more others wait for its processors. */
export function allowed(ms: number): number {
  return ms * (1 + 20 * Math.max(0, waiting() / availableParallelism() - 0.5))
}

/**
 * The shortest of several times: other work only ever adds to one. Tries again, after pauses that grow, while the limit
 * is not kept, so that a machine that is busy for some seconds fails nothing.
 * @param run does it once and returns the milliseconds that it took
 */
export async function fastest(limit: number, run: () => Promise<number>, tries = 20): Promise<number> {
  let best = Infinity
  for (let i = 0; i < tries && best >= limit; i++) {
    if (i > 2) await setTimeout(50 * i)
    best = Math.min(best, await run())
  }
  return best
}

/**
 * Milliseconds since the call. On a busy machine the clock counts what others do, and the processor's time counts the
 * collector's and the compiler's threads: the lesser one is that of what ran in between.
 */
export function stopwatch(): () => number {
  const [start, cpu] = [performance.now(), process.cpuUsage()]
  return () => {
    const { user, system } = process.cpuUsage(cpu)
    return Math.min(performance.now() - start, (user + system) / 1000)
  }
}

/** The milliseconds of `run` at its quickest: again while the limit is not kept, since the first time compiles, too. */
export function quickest(limit: number, run: () => void, tries = 5): number {
  let best = Infinity
  for (let i = 0; i < tries && best >= limit; i++) {
    const elapsed = stopwatch()
    run()
    best = Math.min(best, elapsed())
  }
  return best
}
