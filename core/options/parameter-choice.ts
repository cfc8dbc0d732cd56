/** @file How a user says which tensors of a network are its parameters. */

/** Tensors by name, by glob (`*` for any letters, `?` for one), or by index in the network's list of parameters. */
export type TensorChoice = string | number | readonly (string | number)[]

/** What takes part in theta, and what does not. */
export interface ParameterChoice {
  /** The parameters, in the order of theta; also real tensors that the reader took for constants, by their names. */
  readonly parameters?: TensorChoice | undefined
  /** Parameters that keep their values and take no part in the posterior. */
  readonly freeze?: TensorChoice | undefined
}

/**
 * Parameters by flat index in theta (from 0, tensor after tensor), by names and globs of tensors or names of modules,
 * or `count` of them: those of the largest magnitude or score, or a sample drawn by the seed.
 */
export type SubnetworkChoice = readonly string[] | ArrayLike<number> | {
  readonly count: number
  /** A score for each parameter: the variances of a diagonal posterior, or of snapshots of the weights. */
  readonly by: 'magnitude' | 'random' | ArrayLike<number>
  readonly seed?: number | undefined
}
