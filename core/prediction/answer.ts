/** @file How network and linear model make the answer together. */
import type { Link } from '../options/words.js'

/**
 * Classes: p = networkWeight p_network + linearWeight link(f_lin, s S); regression: the mean is
 * networkWeight f + linearWeight f_lin.
 */
export interface Answer {
  readonly link: Link
  /** s, the factor of the variance in the link. */
  readonly varianceScale: number
  readonly networkWeight: number
  readonly linearWeight: number
  /** T that divides the network's logits; absent: 1. */
  readonly networkTemperature?: number | undefined
}
