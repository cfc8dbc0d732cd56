/** @file The largest resident memory of this process, MB: since it began, and since some moment. */
import { readFileSync, writeFileSync } from 'node:fs'

/** The largest resident memory of this process so far, MB. */
export function peakMb() {
  return process.resourceUsage().maxRSS * 1024 / 1e6
}

/** A function that says how much more memory than `before_mb`, which is resident now, was resident at once since. */
export function peakSince() {
  const before_mb = process.memoryUsage.rss() / 1e6
  try {
    // Linux forgets the peak until now.
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    return () => ({ before_mb, taken_mb: peakMb() - before_mb })
  }
  return () => ({ before_mb,
    taken_mb: Number(/VmHWM:\s*(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024 / 1e6 - before_mb })
}
