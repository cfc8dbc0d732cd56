/** @file The clock of the surroundings, for times that are told and never change a result. */

/** Milliseconds since some moment, where the runtime has a clock. */
export const clock: (() => number) | undefined = (() => {
  const { performance } = globalThis as { performance?: { now(): number } }
  return performance === undefined ? undefined : () => performance.now()
})()
