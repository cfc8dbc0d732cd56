/**
 * @file Examples from files or stdin: CSV, NumPy's `.npy` and `.npz`, safetensors, each also packed by gzip. Recognised
 * by content.
 */
import { gunzipSync } from 'node:zlib'
import { looksLikeSafetensors } from '../../adapters/safetensors/index.js'
import { isZip } from '../../adapters/zip/index.js'
import { DataError } from '../../core/errors/errors.js'
import { nearestWord } from '../../core/errors/suggest.js'
import type { Likelihood } from '../../core/options/words.js'
import type { Examples } from '../../core/tensor/examples.js'
import { float64, formatShape, type Tensor } from '../../core/tensor/tensor.js'
import { readBytes, withFileName } from '../files/files.js'
import { readCsv } from './csv.js'
import { chooseArray, readNamedArrays } from './named-arrays.js'
import { isNpy, readNpy } from './npy.js'
import { type KnownLabels, targetsOf } from './targets.js'

/** Examples, their answers where they are known, and what text labels stand for. */
export interface DataExamples {
  readonly x: Examples
  readonly y?: Tensor
  /** The columns or the array of the answers. */
  readonly target?: string
  readonly labels?: readonly string[]
  /** How often each row counts. */
  readonly weights?: Tensor
}

/** What to take from a file. */
export interface DataSelection {
  readonly likelihood: Likelihood
  /** The column or array of answers; a `.npy` file of its own when the examples are one. */
  readonly target: string | undefined
  /** The arrays of inputs, in files of several; separated by commas. */
  readonly arrays: string | undefined
  /** The network's inputs. */
  readonly inputs: readonly { readonly name: string }[]
  /** Whether answers must be there: the last column is then taken when none is named. */
  readonly answered: boolean
  /** The column or array of how often each row counts; a `.npy` file of its own when the examples are one. */
  readonly weights?: string | undefined
  /** What numbers text labels had in an earlier file. */
  readonly labels?: KnownLabels | undefined
}

/**
 * Reads examples from a file.
 * @throws FileError, DataError, UntrustedInputError, their messages beginning with the file's name
 */
export async function readExamples(path: string, selection: DataSelection): Promise<DataExamples> {
  const packed = path === '-' ? await readStdin() : await readBytes(path)
  return withFileName(path === '-' ? 'stdin' : path, async () => {
    const bytes = unpacked(packed)
    if (bytes.length === 0) throw new DataError('EMPTY_DATA', 'The file is empty.')
    if (isNpy(bytes)) return fromNpy(readNpy(bytes), selection)
    if (isZip(bytes) || looksLikeSafetensors(bytes)) return fromNamedArrays(bytes, selection)
    return fromCsv(bytes, selection)
  })
}

/** The most that a packed file may hold. */
const MOST_UNPACKED = 2 ** 31 - 1

/** What gzip has packed; other bytes as they are. */
function unpacked(bytes: Uint8Array): Uint8Array {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes
  try {
    return gunzipSync(bytes, { maxOutputLength: MOST_UNPACKED })
  } catch (error) {
    throw new DataError('BAD_DATA_FILE',
      `It is packed by gzip and cannot be unpacked: ${error instanceof Error ? error.message : String(error)}.`)
  }
}

async function readStdin(): Promise<Uint8Array> {
  const parts: Buffer[] = []
  for await (const part of process.stdin) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

function fromCsv(bytes: Uint8Array,
  { target, likelihood, answered, labels, weights: weightName }: DataSelection): DataExamples {
  if (bytes.includes(0)) {
    throw new DataError('BAD_DATA_FILE', 'This is neither CSV text nor a NumPy or safetensors file.')
  }
  const table = readCsv(new TextDecoder().decode(bytes), target ?? (answered ? 'last' : undefined))
  if (table.columns.length === 0) throw new DataError('BAD_DATA_FILE', 'The file has no columns beside the target.')
  const all = float64([table.rows, table.columns.length], table.values)
  const { values, columns, weights } = weightName === undefined
    ? { values: all, columns: table.columns, weights: {} }
    : withoutColumn(all, table.columns, weightName)
  const x = table.header ? [{ values, columns }] : values
  return table.targets.length === 0
    ? { x, ...weights }
    : { x, ...weights, target: table.targets.map(({ name }) => name).join(', '),
      ...targetsOf(table.targets, likelihood, labels) }
}

/** The columns without the one of the rows' weights, and that one. */
function withoutColumn({ shape: [rows, width], data }: Tensor, names: readonly string[],
  name: string): { values: Tensor, columns: readonly string[], weights: { weights: Tensor } } {
  const at = names.indexOf(name)
  if (at < 0) {
    const near = nearestWord(name, names)
    throw new DataError('BAD_DATA_FILE',
      `There is no column '${name}' of weights.${near === undefined ? '' : ` Did you mean '${near}'?`}`)
  }
  const rest = names.filter((_, i) => i !== at)
  const values = Float64Array.from(data).filter((_, i) => i % width !== at)
  const weights = Float64Array.from({ length: rows }, (_, row) => data[row * width + at])
  return { values: float64([rows, width - 1], values), columns: rest, weights: { weights: float64([rows], weights) } }
}

async function fromNpy(array: Tensor, { target, answered, weights }: DataSelection): Promise<DataExamples> {
  const own = weights === undefined ? {} : { weights: await npyFile(weights) }
  if (target !== undefined) return { x: array, y: await npyFile(target), ...own }
  return answered ? { ...splitLastColumn(array), ...own } : { x: array, ...own }
}

async function npyFile(path: string): Promise<Tensor> {
  const bytes = await readBytes(path)
  return withFileName(path, () => readNpy(bytes))
}

function splitLastColumn({ shape, data }: Tensor): DataExamples {
  if (shape.length !== 2 || shape[1] < 2) {
    throw new DataError('BAD_DATA_FILE',
      `The array is ${formatShape(shape)}; examples with answers in one array are N x D, the answer in the last ` +
        'column. Give the answers as another file: --target FILE.npy.', { shape })
  }
  const [n, width] = shape
  return {
    x: float64([n, width - 1],
      Float64Array.from({ length: n * (width - 1) },
        (_, i) => data[Math.floor(i / (width - 1)) * width + i % (width - 1)])),
    y: float64([n], Float64Array.from({ length: n }, (_, i) => data[i * width + width - 1])),
  }
}

const USUAL_TARGETS = ['y', 'Y', 'target', 'targets', 'labels', 'label']
const USUAL_INPUTS = ['x', 'X', 'inputs', 'input', 'data', 'features']

function fromNamedArrays(bytes: Uint8Array,
  { target, arrays: chosen, inputs, answered, weights: weightName }: DataSelection): DataExamples {
  const arrays = readNamedArrays(bytes)
  const take = (name: string): Tensor => {
    const value = arrays.get(name)
    if (value === undefined) throw new DataError('BAD_DATA_FILE', `There is no array '${name}'.`)
    return value
  }
  const yName = answered || target !== undefined ? chooseArray(arrays, 'target', target, USUAL_TARGETS) : undefined
  const rest = [...arrays.keys()].filter(name => name !== yName && name !== weightName && !USUAL_TARGETS.includes(name))
  const weights = weightName === undefined ? {} : { weights: take(weightName) }
  const several = chosen === undefined
    ? inputs.map(({ name }) => name).filter(name => rest.includes(name))
    : chosen.split(',').map(name => name.trim())
  const x = several.length > 1
    ? several.map(name => ({ name, values: take(name) }))
    : take(chooseArray(arrays, 'inputs', chosen, USUAL_INPUTS, several[0] ?? (rest.length === 1 ? rest[0] : undefined)))
  return yName === undefined ? { x, ...weights } : { x, y: take(yName), target: yName, ...weights }
}
