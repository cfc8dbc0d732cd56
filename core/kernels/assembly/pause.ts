/**
 * @file Where long kernels let their host look whether to go on. The host ends a kernel by throwing: kernels keep
 * nothing between calls that a broken-off one could spoil.
 */

/** @param share how much of the work of an eigen-decomposition is done; negative where the kernel cannot tell */
// @ts-ignore: decorator
@external('host', 'pause')
export declare function pause(share: f64): void
