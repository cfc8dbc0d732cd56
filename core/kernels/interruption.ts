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

/** Work of products, in multiplications, between two looks: some milliseconds. */
const LOOK = 1e8
/** A number that is copied to a kernel or back takes as long as so many multiplications. */
const MULTIPLICATIONS_OF_COPY = 8
/** One in a loop of this language takes as long as so many in a kernel. */
const MULTIPLICATIONS_IN_LOOP = 10

let worked = 0

/**
 * Lets the watch look from time to time while many small products follow each other: one of m x k by k x n begins, or
 * a factorisation or a solution that costs as much.
 */
export function pauseBetweenProducts(m: number, n: number, k: number): void {
  work(m * n * k + MULTIPLICATIONS_OF_COPY * (m * k + k * n + m * n))
}

/** The same in a loop of this language that makes so many multiplications in its next turn. */
export function pauseInLoop(multiplications: number): void {
  work(MULTIPLICATIONS_IN_LOOP * multiplications)
}

function work(multiplications: number): void {
  if (watch === undefined) return
  worked += multiplications
  if (worked < LOOK) return
  worked = 0
  watch(-1)
}
