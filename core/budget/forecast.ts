/** @file What long work will take: bytes beyond what the process holds, and seconds, before anything is computed. */

/** What a piece of work takes. */
export interface Need {
  /** Bytes at its widest, beyond what the process holds before. */
  readonly bytes: number
  readonly seconds: number
}

/** What a stage of the work takes. */
export interface StageForecast extends Need {
  readonly stage: 'fit' | 'tune' | 'predict' | 'sample' | 'save'
}

/** The stages one after another: the most bytes that any of them takes, and the seconds of all together. */
export interface Forecast extends Need {
  readonly stages: readonly StageForecast[]
}

/** Compiled code, and the objects of a small piece of work, of the calling thread. */
export const CALLING_BYTES = 27 << 20
/** Another thread has a heap and the library's code of its own. */
export const OTHER_THREAD_BYTES = 15 << 20
/** The library of ONNX Runtime in memory. */
export const LIBRARY_BYTES = 24 << 20
/** Of ONNX Runtime in each thread, of a program that goes back through the network. */
export const SESSION_BYTES = 14 << 20
/** The same of a program that only goes forward. */
export const FORWARD_SESSION_BYTES = 8 << 20
/** Arrays that nobody needs any more are taken when so many bytes of them have come together, or so many of them. */
interface Collected {
  readonly bytes: number
  readonly pieces: number
}

const CALLING: Collected = { bytes: 32 << 20, pieces: 32 }
/** Another thread keeps few young objects. */
export const APART: Collected = { bytes: 32 << 20, pieces: 8 }

/** What comes while the collector works. */
const LATE_BYTES = 2 << 20

/**
 * Bytes that are held by arrays that came and went, `churn` in all, `piece` at a time: the collector starts after the
 * piece that is one too many, and works while the next one begins.
 */
export function uncollected(churn: number, piece: number, { bytes, pieces }: Collected = CALLING): number {
  return Math.min(churn, Math.min(bytes, pieces * piece) + piece + Math.min(piece, LATE_BYTES))
}

/** The forecast of some stages. */
export function forecastOf(stages: readonly StageForecast[]): Forecast {
  return { bytes: Math.ceil(stages.reduce((most, { bytes }) => Math.max(most, bytes), 0)),
    seconds: stages.reduce((sum, { seconds }) => sum + seconds, 0), stages }
}
