/** @file How network and linear model make the answer together. */
import type { Link } from '../options/words.js'

/**
 * Classes: p = networkWeight p_network + halfwayWeight link((f + f_lin)/2, halfwayScale S) + linearWeight
 * link(f_lin, s S); regression: the mean is networkWeight f + linearWeight f_lin.
 */
export interface Answer {
  readonly link: Link
  /** s, the factor of the variance in the link. */
  readonly varianceScale: number
  readonly networkWeight: number
  readonly linearWeight: number
  /** Of the outputs halfway between network and linear model; absent: 0. */
  readonly halfwayWeight?: number | undefined
  /** The factor of their variance in the link; absent: 0. */
  readonly halfwayScale?: number | undefined
  /** T that divides the network's logits; absent: 1. */
  readonly networkTemperature?: number | undefined
}
