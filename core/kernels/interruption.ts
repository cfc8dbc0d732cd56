/**
 * @file A way to look while kernels run: whether to stop, and how far a decomposition has come. Kernels are
 * synchronous, so that nothing else can happen in their thread; what they call here can read memory that another
 * thread writes, and throw.
 */

/**
 * Called every few milliseconds within long kernels; what it throws ends them.
 * @param share how much of an eigen-decomposition is done, 0 to 1; negative where that is not known
 */
export type Watch = (share: number) => void

let watch: Watch | undefined

/** Has all kernels of this thread watched from now on, or by nobody. @returns who watched before */
export function watchKernels(next: Watch | undefined): Watch | undefined {
  const before = watch
  watch = next
  return before
}

/** What `work` returns, with its kernels watched by `own` and by who watches already. */
export function watched<R>(own: Watch, work: () => R): R {
  const before = watchKernels(share => {
    before?.(share)
    own(share)
  })
  try {
    return work()
  } finally {
    watchKernels(before)
  }
}

/** For the kernels: lets the watch look. */
export function pause(share: number): void {
  watch?.(share)
}
