/** @file The bounds of the protocol, in one place, each with its reason. */

/** The protocol versions that this server speaks. */
export const PROTOCOL_VERSIONS = [1] as const

/** Longest frame body that is accepted unless a flag says otherwise: 1 GiB, about 130 million doubles. */
export const DEFAULT_MAX_FRAME = 2 ** 30

/** Containers nest at most this deep: an architecture inside of hints inside of params inside of a request is at 6. */
export const MAX_DEPTH = 16

/** Items of one array or map; bulk numbers travel as bin, so that only layer lists and names count here. */
export const MAX_ITEMS = 10_000

/** Items of a whole message: bounds what a decoder builds from a frame of many small containers. */
export const MAX_TOTAL_ITEMS = 1_000_000

/** Axes of an array. */
export const MAX_RANK = 32

/** Requests under way before BUSY. */
export const DEFAULT_MAX_IN_FLIGHT = 64

/** Models, fits and posteriors alive at once. */
export const DEFAULT_MAX_HANDLES = 1000

/** Compute threads: two models can be worked on at once. */
export const DEFAULT_WORKERS = 2

/** Answers waiting to be read before the server stops reading requests. */
export const OUTPUT_HIGH_WATER = 64 * 2 ** 20

/** A frame's buffer is allocated once this much of it has come, so that a mere claim costs nothing. */
export const CLAIM_PROOF = 2 ** 20

/** A cancelled request is answered after this long even when the compute thread has not stopped yet. */
export const CANCEL_GRACE_MS = 80

/** Least time between two progress notes of one request. */
export const PROGRESS_INTERVAL_MS = 100

/** Whether the client still lives is looked at this often. */
export const PARENT_POLL_MS = 3000

/** How long the end of the process waits for its last answers to be read. */
export const DRAIN_MS = 2000

/** How long a loopback server waits for its client. */
export const CONNECT_MS = 10_000
