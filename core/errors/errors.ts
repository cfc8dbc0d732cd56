/**
 * @file The one error root and the closed table of its codes.
 *
 * The table is the source of the documented list (docs/errors.md) and of the exception classes of the
 * Python and R clients: `npm run build` writes them from here. Numbers are stable: never reuse one.
 */

/** What a code means; `family` is the class it is thrown as in every language. */
export interface ErrorEntry {
  readonly number: number
  readonly family: ErrorFamily
  readonly meaning: string
}

/** The error classes, alike in TypeScript, Python (`polylaplace.ShapeError`) and R (`laplace_error_shape`). */
export type ErrorFamily = 'ShapeError' | 'DataError' | 'OptionError' | 'GraphError' | 'NumericalError'
  | 'UntrustedInputError' | 'ProtocolError' | 'CancelledError' | 'ResourceError' | 'StateError' | 'InternalError'

const entry = <F extends ErrorFamily>(number: number, family: F, meaning: string): ErrorEntry & {
  readonly family: F
} => ({ number, family, meaning })

/** Every error code with its number, its class and its meaning. */
export const ERROR_CODES = {
  SHAPE_MISMATCH: entry(101, 'ShapeError', 'An array does not have the shape that the network or the call needs.'),
  EMPTY_DATA: entry(201, 'DataError', 'There are no examples.'),
  NOT_FINITE: entry(202, 'DataError', 'An array holds NaN or infinity where finite numbers are needed.'),
  BAD_LABELS: entry(203, 'DataError', 'Labels are not of the kind that the likelihood needs.'),
  BAD_ARRAY: entry(204, 'DataError', 'A value is not an array of numbers.'),
  BAD_DATA_FILE: entry(205, 'DataError', 'A data file (CSV, NumPy, safetensors) cannot be used as examples.'),
  BAD_OPTION: entry(301, 'OptionError', 'An option has a value that is not allowed.'),
  UNKNOWN_OPTION: entry(302, 'OptionError', 'There is no option of this name.'),
  BAD_COMBINATION: entry(303, 'OptionError', 'Options that cannot be used together.'),
  BAD_GRAPH: entry(401, 'GraphError', 'The network is not a valid graph of operations.'),
  UNSUPPORTED_OPERATOR: entry(402, 'GraphError', 'The network uses an operator that is not supported.'),
  NOT_DIFFERENTIABLE: entry(403, 'GraphError',
    'An operator between the parameters and the output has no derivative rule.'),
  AMBIGUOUS_NETWORK: entry(404, 'GraphError',
    'It must be said which network, input or output of the file is meant, or what shape its input has.'),
  NO_LAST_LAYER: entry(405, 'GraphError', 'The network does not end in a linear layer.'),
  BATCH_AXIS: entry(406, 'GraphError', 'The examples of a batch are not kept apart by the network.'),
  NOT_POSITIVE_DEFINITE: entry(501, 'NumericalError', 'A matrix that must be positive definite is not.'),
  NO_CONVERGENCE: entry(502, 'NumericalError', 'An iteration did not converge.'),
  OVERFLOW: entry(505, 'NumericalError', 'A result is too large or too small for the precision it is computed in.'),
  UNTRUSTED_INPUT: entry(601, 'UntrustedInputError', 'A file or a message is malformed or exceeds a limit.'),
  UNSUPPORTED_FORMAT: entry(602, 'UntrustedInputError',
    'A file is of a recognised or unknown kind that is not supported.'),
  MISSING_ARCHITECTURE: entry(603, 'UntrustedInputError',
    'A file holds weights only, and the architecture must be given.'),
  PROTOCOL: entry(701, 'ProtocolError', 'A message does not follow the protocol.'),
  NOT_INITIALIZED: entry(702, 'ProtocolError', 'A request came before hello.'),
  UNKNOWN_METHOD: entry(703, 'ProtocolError', 'There is no method of this name.'),
  BUSY: entry(704, 'ProtocolError', 'Too many requests are under way; retry when one has been answered.'),
  UNKNOWN_HANDLE: entry(705, 'ProtocolError',
    'There is no such handle, or it has been freed, or it is of another kind.'),
  VERSION_MISMATCH: entry(706, 'ProtocolError', 'Client and server have no protocol version in common.'),
  CANCELLED: entry(801, 'CancelledError', 'The work was cancelled.'),
  DEADLINE: entry(802, 'CancelledError', 'The work did not end before its deadline.'),
  OUT_OF_MEMORY: entry(901, 'ResourceError', 'The work would need more memory than is allowed.'),
  MISSING_DEPENDENCY: entry(902, 'ResourceError', 'An optional package that this needs is not installed.'),
  NOT_WRITTEN: entry(905, 'ResourceError', 'A file could not be written; what was there before is unchanged.'),
  NOT_FITTED: entry(1001, 'StateError', 'The posterior has not been fitted yet.'),
  DIGEST_MISMATCH: entry(1002, 'StateError', 'Parts that belong to different networks or options were combined.'),
  DUPLICATE_CHUNK: entry(1003, 'StateError', 'Parts that were combined have the same rows of data in them.'),
  INTERNAL: entry(1101, 'InternalError', 'A fault of this library; please report it.'),
} satisfies Record<string, ErrorEntry>

/** A code of the table above. */
export type ErrorCode = keyof typeof ERROR_CODES

/** Machine-readable details: expected and actual values, offsets, limits. Plain data, so that it crosses the wire. */
export type ErrorData = Readonly<Record<string, unknown>>

/** The root of every error that this library throws on purpose. */
export class LaplaceError extends Error {
  readonly code: ErrorCode
  readonly data: ErrorData

  constructor(code: ErrorCode, message: string, data: ErrorData = {}, options?: ErrorOptions) {
    super(message, options)
    this.name = ERROR_CODES[code].family
    this.code = code
    this.data = data
  }
}

/** An array's shape does not fit. `data`: `expected`, `actual`. */
export class ShapeError extends LaplaceError {
  constructor(message: string, data: ErrorData = {}) {
    super('SHAPE_MISMATCH', message, data)
  }
}

type CodeOf<F extends ErrorFamily> = {
  [C in ErrorCode]: (typeof ERROR_CODES)[C]['family'] extends F ? C : never
}[ErrorCode]

/** Data that cannot be used: empty, not finite, labels of the wrong kind. */
export class DataError extends LaplaceError {
  constructor(code: CodeOf<'DataError'>, message: string, data: ErrorData = {}) {
    super(code, message, data)
  }
}

/** A wrong option; `data` holds `option`, `value` and, where there is one, `suggestion`. */
export class OptionError extends LaplaceError {
  constructor(code: CodeOf<'OptionError'>, message: string, data: ErrorData = {}) {
    super(code, message, data)
  }
}

/** A network that cannot be run or differentiated; `data` names the node and the operator. */
export class GraphError extends LaplaceError {
  constructor(code: CodeOf<'GraphError'>, message: string, data: ErrorData = {}) {
    super(code, message, data)
  }
}

/** Linear algebra failed; `data` carries the numbers (pivot index and value, residual, iterations). */
export class NumericalError extends LaplaceError {
  constructor(code: CodeOf<'NumericalError'>, message: string, data: ErrorData = {}) {
    super(code, message, data)
  }
}

/** Where an untrusted input went wrong. */
export interface UntrustedInputData {
  /** The format being read, for example `pickle` or `zip`. */
  readonly format: string
  /** Byte offset in the input. */
  readonly offset?: number
  /** The bound that was exceeded. */
  readonly limit?: number
  /** The value that was found. */
  readonly actual?: unknown
  /** Where in the structure: a tensor's name, an entry's path. */
  readonly path?: string
}

/** What is known where untrusted input went wrong, beside its format. */
export type InputFault = Omit<UntrustedInputData, 'format'>

/** A file or a message from outside is malformed, exceeds a limit, or is of an unsupported kind. */
export class UntrustedInputError extends LaplaceError {
  constructor(message: string, data: UntrustedInputData, code: CodeOf<'UntrustedInputError'> = 'UNTRUSTED_INPUT') {
    super(code, message, { ...data })
  }
}

/** A message that does not follow the protocol. */
export class ProtocolError extends LaplaceError {
  constructor(code: CodeOf<'ProtocolError'>, message: string, data: ErrorData = {}) {
    super(code, message, data)
  }
}

/** The work was cancelled or ran out of time; the previous state is untouched. */
export class CancelledError extends LaplaceError {
  constructor(code: CodeOf<'CancelledError'> = 'CANCELLED', message = 'The work was cancelled.') {
    super(code, message)
  }
}

/** Memory or an optional package is missing; `data` holds the bytes needed and allowed, or the package. */
export class ResourceError extends LaplaceError {
  constructor(code: CodeOf<'ResourceError'>, message: string, data: ErrorData = {}) {
    super(code, message, data)
  }
}

/** An operation that the present state does not allow. */
export class StateError extends LaplaceError {
  constructor(code: CodeOf<'StateError'>, message: string, data: ErrorData = {}) {
    super(code, message, data)
  }
}

/** A branch that cannot be reached unless this library is wrong. */
export class InternalError extends LaplaceError {
  constructor(message: string, data: ErrorData = {}) {
    super('INTERNAL', message, data)
  }
}

const CLASSES: Readonly<Record<ErrorFamily, { readonly prototype: LaplaceError }>> = { ShapeError, DataError,
  OptionError, GraphError, NumericalError, UntrustedInputError, ProtocolError, CancelledError, ResourceError,
  StateError, InternalError }

/** The error of a code in its class, as another thread has thrown it. */
export function errorOf(code: ErrorCode, message: string, data: ErrorData): LaplaceError {
  const error = new LaplaceError(code, message, data)
  Object.setPrototypeOf(error, CLASSES[ERROR_CODES[code].family].prototype)
  return error
}
