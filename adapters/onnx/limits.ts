/** @file Bounds on what an ONNX file may claim, each far above what real networks hold. */

/** Protocol Buffers cannot describe more; larger networks keep their weights in files of their own. */
export const MOST_BYTES = 2 ** 31 - 1
/** Messages inside of each other; three for each subgraph. Exporters nest If and Loop a few times at most. */
export const DEEPEST_MESSAGE = 64
/**
 * Nodes, tensors, attributes, dimensions and other messages together; the largest language models hold about 100,000.
 */
export const MOST_MESSAGES = 500_000
/** Names, numbers and texts outside of tensors' data; lists in attributes are short except for decision trees. */
export const MOST_VALUES = 1_000_000
/** Bytes of a name. */
export const LONGEST_NAME = 65_535
/** Axes of a tensor, as in NumPy. */
export const MOST_AXES = 32
/** Elements of one tensor; the data in the file bound it long before this. */
export const MOST_ELEMENTS = 2 ** 31 - 1
/** Nodes that calls of a file's own functions are replaced by; the largest exports of torch have some 20,000. */
export const MOST_INLINED = 200_000
/** Calls of a file's own functions inside of each other; torch's exports nest modules some ten deep. */
export const DEEPEST_CALLS = 256
/** Times that a loop is written out, and nodes that all loops of a file together become. */
export const MOST_ITERATIONS = 1_000
export const MOST_UNROLLED = 200_000
