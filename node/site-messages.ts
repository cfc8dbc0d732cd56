/** @file What the calling thread and its worker threads say to each other. */
import type { ErrorCode, ErrorData } from '../core/errors/errors.js'
import type { PosteriorParts } from '../core/posterior/posterior-parts.js'
import type { VarianceKind } from '../core/posterior/posterior.js'
import type { FitKind, FitSums, LabelledBatch, SiteSetup } from '../core/parallel/worker.js'
import type { Tensor } from '../core/tensor/tensor.js'

/** A call of a place's method. */
export type SiteCall =
  | { readonly method: 'add', readonly kind: FitKind, readonly lane: number, readonly batch: LabelledBatch }
  | { readonly method: 'adopt', readonly lane: number, readonly sums: FitSums }
  | { readonly method: 'collect', readonly lane: number }
  /** `parts` is the number under which the posterior was sent. */
  | { readonly method: 'gaussian', readonly parts: number, readonly x: Tensor, readonly kind: VarianceKind }

export type ToSite =
  | { readonly type: 'open', readonly site: number, readonly setup: SiteSetup }
  | { readonly type: 'close', readonly site: number }
  | { readonly type: 'parts', readonly number: number, readonly parts: PosteriorParts }
  | { readonly type: 'call', readonly site: number, readonly id: number, readonly call: SiteCall }

export interface FromSite {
  readonly call: number
  readonly ok?: unknown
  readonly error?: { readonly code: ErrorCode | undefined, readonly message: string, readonly data: ErrorData }
}
