/** @file The bounds of the server, each with its reason. */

/** Requests under way before BUSY. */
export const DEFAULT_MAX_IN_FLIGHT = 64

/** Models, fits and posteriors alive at once. */
export const DEFAULT_MAX_HANDLES = 1000

/** Compute threads: two models can be worked on at once. */
export const DEFAULT_WORKERS = 2

/** Bytes of answers waiting to be read before the server stops reading requests. */
export const OUTPUT_HIGH_WATER = 64 * 2 ** 20

/** A cancelled request is answered after this long even when the compute thread has not stopped yet. */
export const CANCEL_GRACE_MS = 80

/**
 * A compute thread that works on after its request has been answered so is ended this much later: long enough for the
 * longest step that cannot be stopped in the middle, a factorisation of a matrix that is just small enough.
 */
export const DEFAULT_THREAD_GRACE_MS = 5000

/** Whether the client still lives is looked at this often. */
export const PARENT_POLL_MS = 3000

/** How long the end of the process waits for its last answers to be read, on a busy machine too. */
export const DRAIN_MS = 30_000

/** How long it waits for its last words on stderr to be read, which nobody may do. */
export const LAST_WORDS_MS = 2000

/** How long the end of the process waits for its threads before it is ended by force. */
export const THREADS_END_MS = 5000

/** How long a loopback server waits for its client. */
export const CONNECT_MS = 10_000
