/** @file The kinds of objects that live in the compute threads. */

/** The kind of an object that a handle names; parameters that hold handles are named like it. */
export type HandleKind = 'model' | 'fit' | 'posterior' | 'mixture'

/** The parameters that hold handles, each of the kind of its name. */
export const HANDLE_PARAMETERS: readonly HandleKind[] = ['model', 'fit', 'posterior', 'mixture']
