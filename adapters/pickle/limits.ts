/** @file Bounds on what a pickle may hold. */

/** Bounds on one pickle. */
export interface PickleLimits {
  /** Values put on the stack: a tensor of a state dict takes about 20, a number of a training log one. */
  readonly values: number
  /**
   * Lists, dictionaries, tuples and objects: about 5 for a tensor. Each costs some hundred bytes of memory for one byte
   * of file.
   */
  readonly containers: number
  /** Open marks: lists inside each other that are still being filled. */
  readonly marks: number
  /** Bytes of a key of a dictionary. Names of tensors have about 50. */
  readonly keyBytes: number
  /** Bytes of an integer of any size; the longest that PyTorch writes has 10. */
  readonly integerBytes: number
  /** Bytes of a line of text: a module, a class, a number. */
  readonly lineBytes: number
}

/** The bounds that apply unless others are given. */
export const PICKLE_LIMITS: PickleLimits = { values: 2_000_000, containers: 500_000, marks: 100_000, keyBytes: 65_536,
  integerBytes: 256, lineBytes: 1024 }
