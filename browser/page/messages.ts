/** @file What page and worker say to each other. */

import type { Likelihood } from '../../core/options/words.js'

/** What is to be fitted. */
export interface Job {
  readonly network: Uint8Array
  /** The program that reads HDF5: gzip, base64. */
  readonly hdf5: string
  /** CSV of rows with their answers. */
  readonly training: Uint8Array
  /** CSV of rows that the network has not seen; without them a fifth of the training rows is kept aside. */
  readonly heldOut: Uint8Array | undefined
  readonly likelihood: Exclude<Likelihood, 'custom' | 'reward_modeling'>
  /** The columns of the answers; the last one where none is named. */
  readonly target: string
}

/** What the worker answers. */
export type Answer =
  | { readonly kind: 'progress', readonly stage: string, readonly share: number | undefined }
  | { readonly kind: 'done', readonly report: string, readonly posterior: Uint8Array,
    readonly onnx: Uint8Array | string, readonly notes: readonly string[] }
  | { readonly kind: 'failed', readonly message: string }
