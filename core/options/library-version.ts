/** @file The version of the library, for what files say of themselves; a test compares it with the package's. */

/** As in package.json. */
export const LIBRARY_VERSION = '0.1.0'
