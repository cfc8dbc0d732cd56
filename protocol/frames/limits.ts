/** @file The bounds of frames and messages, each with its reason. */

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

/** A frame's buffer is allocated once this much of it has come, so that a mere claim costs nothing. */
export const CLAIM_PROOF = 2 ** 20
