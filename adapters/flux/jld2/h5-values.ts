/** @file What is stored in an HDF5 file: values with their types, groups of links. */

/** A type of stored values. */
export type H5Type =
  | { readonly kind: 'integer', readonly size: number, readonly signed: boolean }
  | { readonly kind: 'float', readonly size: number, readonly bfloat: boolean }
  | { readonly kind: 'compound', readonly size: number, readonly members: readonly H5Member[] }
  | { readonly kind: 'reference', readonly size: number }
  | { readonly kind: 'array', readonly size: number, readonly extents: readonly number[], readonly element: H5Type }
  | { readonly kind: 'other', readonly size: number }

/** A field of a compound type; `offset` counts from the start of the record. */
export interface H5Member {
  readonly name: string
  readonly offset: number
  readonly type: H5Type
}

/** A stored value: its type, its extents (the reverse of Julia's) and its bytes. */
export interface H5Dataset {
  readonly type: H5Type
  readonly extents: readonly number[]
  readonly bytes: Uint8Array
}

/** An object of the file: a group of named links, a dataset, or something else (a committed type). */
export interface H5Object {
  readonly links: ReadonlyMap<string, number>
  readonly dataset: H5Dataset | undefined
}
