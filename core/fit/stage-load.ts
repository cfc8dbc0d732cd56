/** @file What a stage of a fit, or a prediction, holds in memory and takes: by shapes, and by what was measured. */
import { APART, FORWARD_SESSION_BYTES, LIBRARY_BYTES, OTHER_THREAD_BYTES, SESSION_BYTES,
  uncollected } from '../budget/forecast.js'
import { multiplicationRate } from '../budget/rate.js'
import type { BatchHeld } from '../programs/batch-memory.js'
import { engineShare } from '../programs/work.js'
import type { FitTask } from './fit-task.js'

/** What a stage holds in the calling thread, and in all others together. */
export interface Load {
  readonly calling: number
  readonly others: number
  /** Arrays that come and go in the calling thread, in all and at a time: its collector takes those of all stages. */
  readonly passing: number
  readonly piece: number
  readonly seconds: number
  /** What an engine keeps in the calling thread while later stages run. */
  readonly kept?: number
}

/** Nothing. */
export const NONE: Load = { calling: 0, others: 0, passing: 0, piece: 0, seconds: 0 }

/** One after the other. */
export function both(a: Load, b: Load): Load {
  return { calling: Math.max(a.calling, b.calling), others: Math.max(a.others, b.others),
    passing: a.passing + b.passing, piece: Math.max(a.piece, b.piece), seconds: a.seconds + b.seconds }
}

/** Bytes of intermediate values a second, with what is done to each number beside products. */
const VALUE_RATE = 4e8
/** Seconds of what is done once: programs are made, and compiled. */
const ONCE = 0.02

/** Seconds of so many multiplications. */
export function seconds(multiplications: number, threads = 1): number {
  return multiplications / (threads * multiplicationRate())
}

/** What the numbers of the batches take beside the products, and what is done once. */
export function secondsOfValues({ rows, threads, held }: Pick<Spread, 'rows' | 'threads' | 'held'>): number {
  return ONCE + rows * held.working / (threads * VALUE_RATE)
}

/** Batches that are spread over threads. */
export interface Spread {
  readonly threads: number
  readonly rows: number
  /** Rows of a batch. */
  readonly size: number
  readonly rowBytes: number
  readonly held: BatchHeld
  /** Whether ONNX Runtime computes the network. */
  readonly library: boolean
  /** Bytes of a session of it, beside weights and operators. */
  readonly session: number
  /** How many times the values of a batch are held. */
  readonly copies: number
  /** Operators of the network. */
  readonly nodes: number
  /** Bytes of the factors of one batch, which ONNX Runtime writes apart from their sums. */
  readonly grams: number
}

/** Bytes of programs and graphs of another thread for each operator of the network. */
const NODE_BYTES = 24 << 10
/** ONNX Runtime keeps the weights packed; the file, and what it packs them from, are there meanwhile. */
const SESSION_WEIGHTS = 2.3
/**
 * ONNX Runtime keeps the room of what it hands over, and doubles what it keeps when it needs more; of convolutions
 * `copiesOf` counts it.
 */
const LIBRARY_COPIES = 2.5
/** What ONNX Runtime allots for convolutions it does not give back. */
const CONVOLUTION_COPIES = 3.25
/** Bytes of a session for each operator of the network. */
const SESSION_NODE_BYTES = 4 << 10

/** A first run finds no room in the arena; of a forward pass alone a part only. */
export function copiesOf({ evaluator: { subset, linears } }: FitTask, library: boolean): number {
  if (subset === 'last_layer') return library ? 1 : 1.5
  return library && linears.some(({ positions }) => positions > 1) ? CONVOLUTION_COPIES : 2
}

/** Bytes of a session of ONNX Runtime, beside weights and operators. */
export function sessionOf({ evaluator: { subset } }: FitTask): number {
  return subset === 'last_layer' ? FORWARD_SESSION_BYTES : SESSION_BYTES
}

/** Whether ONNX Runtime will compute so much work. */
export function usesLibrary({ evaluator, options, runtime }: FitTask, multiplications: number): boolean {
  const { engine: name, threads } = options
  return runtime.expectedEngine?.({ name, threads, precision: evaluator.precision,
    multiplications: Math.max(1, engineShare(evaluator)) * multiplications }) === 'onnxruntime'
}

/**
 * Batches and what they leave behind: slices of the rows in the calling thread; in each thread that computes the values
 * of one batch, those of a first one, which found no room in the arena, and what is handed over.
 */
export function overThreads({ threads, rows, size, rowBytes, held, library, session, copies, nodes, grams }: Spread,
  used: number, own: number): Omit<Load, 'seconds'> {
  const others = threads > 1 ? threads : 0
  const [passing, piece] = [held.handed + held.written + held.scored, size * (held.handed + held.scored)]
  const each = size * (held.working + Math.max((copies - 1) * held.working, held.after)) +
    Math.min(held.block, rows * held.written) + held.constants + grams + own
    + (library ? session + SESSION_WEIGHTS * held.constants + SESSION_NODE_BYTES * nodes : 0)
    + (library && copies < CONVOLUTION_COPIES ? LIBRARY_COPIES * size * held.handed : 0)
  const loaded = library ? LIBRARY_BYTES : 0
  const rowsPassing = { passing: (others > 0 ? 2 : 1) * rows * rowBytes, piece: size * rowBytes }
  if (others === 0) {
    return { calling: loaded + each, others: 0, passing: rowsPassing.passing + rows * passing,
      piece: rowsPassing.piece + piece }
  }
  const apart = uncollected(rows / threads * (passing + rowBytes), piece, APART)
  return { calling: loaded, ...rowsPassing,
    others: others * (OTHER_THREAD_BYTES + NODE_BYTES * nodes + held.constants) + used * (each + apart) }
}
