/** @file An HDF5 file as plain values: what is read of it in another thread can be sent to this one. */
import { UntrustedInputError } from '../../core/errors/errors.js'
import type { Tensor } from '../../core/tensor/tensor.js'

/** A group with all that is in it. */
export interface Hdf5Tree {
  /** Members by name, in the file's order. */
  readonly members: ReadonlyMap<string, Hdf5Tree | Hdf5Array>
  /** Attributes that are text, or a list of texts. */
  readonly texts: ReadonlyMap<string, string | string[]>
}

/** A data set; or why it is none of numbers. */
export type Hdf5Array = { readonly tensor: Tensor } | { readonly refusal: string }

/** A group of an HDF5 file. */
export interface Hdf5Group {
  /** Names of the members, in the file's order. */
  keys(): string[]
  /** A group inside this one (`a/b` for deeper ones), or undefined. */
  group(name: string): Hdf5Group | undefined
  /**
   * An array of numbers, or undefined when there is none of this name.
   * @throws UntrustedInputError when it is of another kind
   */
  tensor(name: string): Tensor | undefined
  /** An attribute that is text or a list of texts, or undefined. */
  text(name: string): string | string[] | undefined
}

/** What a group offers to those who read networks. */
export function groupOf(tree: Hdf5Tree): Hdf5Group {
  return {
    keys: () => [...tree.members.keys()],
    group: name => {
      const found = memberAt(tree, name)
      return found !== undefined && 'members' in found ? groupOf(found) : undefined
    },
    tensor: name => {
      const found = memberAt(tree, name)
      if (found === undefined || 'members' in found) return undefined
      if ('tensor' in found) return found.tensor
      throw new UntrustedInputError(found.refusal, { format: 'HDF5', path: name }, 'UNSUPPORTED_FORMAT')
    },
    text: name => tree.texts.get(name),
  }
}

function memberAt(tree: Hdf5Tree, path: string): Hdf5Tree | Hdf5Array | undefined {
  let current: Hdf5Tree | Hdf5Array | undefined = tree
  for (const part of path.split('/')) {
    current = current !== undefined && 'members' in current ? current.members.get(part) : undefined
  }
  return current
}
