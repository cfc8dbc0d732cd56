/**
 * @file Examples from files or stdin: CSV, Parquet, Arrow, NumPy's `.npy` and `.npz`, safetensors, each also packed by
 * gzip, recognised by content; and images in folders.
 */
import { gunzipSync } from 'node:zlib'
import { looksLikeSafetensors } from '../../adapters/safetensors/index.js'
import { isZip } from '../../adapters/zip/index.js'
import type { InputSummary } from '../../core/answer/posterior-summary.js'
import { DataError } from '../../core/errors/errors.js'
import type { Likelihood } from '../../core/options/words.js'
import type { Examples } from '../../core/tensor/examples.js'
import { float64, formatShape, type Tensor } from '../../core/tensor/tensor.js'
import { isFolder, readBytes, withFileName } from '../files/files.js'
import { arrowTable, isArrow } from './arrow.js'
import { csvTable, decodedText } from './csv.js'
import { isImage } from './image.js'
import { FOLDER, imageColumn, type ImageFiles, imageRows, imagesIn, imagesOf, type PixelOptions } from './images.js'
import { chooseArray, readNamedArrays } from './named-arrays.js'
import { isNpy, readNpy } from './npy.js'
import { isParquet, parquetTable } from './parquet.js'
import { demandDistinctNames, listed, namedColumns, numbersAndTargets, type Table, type TargetColumn } from './table.js'
import { spareColumn, targetColumns } from './target-choice.js'
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
  /** The column that the network does not take, and that is not asked for. */
  readonly leftOut?: string
}

/** What to take from a file. */
export interface DataSelection {
  readonly likelihood: Likelihood
  /** The column or array of answers; a `.npy` file of its own when the examples are one. */
  readonly target: string | undefined
  /** The arrays of inputs, in files of several; separated by commas. */
  readonly arrays: string | undefined
  /** The network's inputs; lengths are -1 for the axis of the examples, 0 where they are open. */
  readonly inputs: readonly InputSummary[]
  /** Whether answers must be there: it must then be clear which column they are. */
  readonly answered: boolean
  /** The column or array of how often each row counts; a `.npy` file of its own when the examples are one. */
  readonly weights?: string | undefined
  /** What numbers text labels have, or had in an earlier file. */
  readonly labels?: KnownLabels | undefined
  /** Whether the first row of text has the names of the columns; undefined: what it looks like. */
  readonly header?: boolean | undefined
  /** How images become numbers. */
  readonly pixels?: PixelOptions | undefined
}

/**
 * Reads examples from a file.
 * @throws FileError, DataError, UntrustedInputError, their messages beginning with the file's name
 */
export async function readExamples(path: string, selection: DataSelection): Promise<DataExamples> {
  if (path !== '-' && await isFolder(path)) {
    return withFileName(path, async () => fromImages(await imagesIn(path), selection))
  }
  const packed = path === '-' ? await readStdin() : await readBytes(path)
  return withFileName(path === '-' ? 'stdin' : path, async () => {
    const bytes = unpacked(packed)
    if (bytes.length === 0) throw new DataError('EMPTY_DATA', 'The file is empty.')
    if (isImage(bytes)) return fromImages({ paths: [path], targets: [] }, selection)
    if (isNpy(bytes) || isZip(bytes) || looksLikeSafetensors(bytes)) demandNoPixels(selection)
    if (isNpy(bytes)) return fromNpy(readNpy(bytes), selection)
    if (isZip(bytes) || looksLikeSafetensors(bytes)) return fromNamedArrays(bytes, selection)
    const table = isParquet(bytes)
      ? await parquetTable(bytes)
      : isArrow(bytes)
      ? await arrowTable(bytes)
      : csvTable(decodedText(bytes), selection.header)
    demandDistinctNames(table)
    const images = imageColumn(table)
    if (images !== undefined) return fromNamedImages(table, images, path, selection)
    demandNoPixels(selection)
    return fromTable(table, selection)
  })
}

/** Refuses options of images for a file that holds numbers. @throws DataError BAD_DATA_FILE */
function demandNoPixels({ pixels }: DataSelection): void {
  if (pixels === undefined || Object.values(pixels).every(value => value === undefined)) return
  throw new DataError('BAD_DATA_FILE',
    'It holds numbers, no images: --pixels, --pixel-mean, --pixel-std and --channels are of images. Leave them out.')
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

/** The images that a table names, with the answers beside them. */
function fromNamedImages(table: Table, place: number, path: string, selection: DataSelection): Promise<DataExamples> {
  const { target, answered, likelihood, inputs } = selection
  const places = answered || target !== undefined
    ? targetColumns(table, target, { likelihood, inputs, others: [table.columns[place].name] })
    : []
  return fromImages(imagesOf(table, place, places, path), selection)
}

async function fromImages({ paths, targets }: ImageFiles,
  { target, answered, likelihood, labels, inputs, pixels, weights }: DataSelection): Promise<DataExamples> {
  if (inputs.length !== 1) {
    throw new DataError('BAD_DATA_FILE',
      `The network has ${inputs.length} inputs, and images are one. Give arrays, as .npz.`)
  }
  if (weights !== undefined) throw new DataError('BAD_DATA_FILE', 'Images have no weights. Give arrays, as .npz.')
  const x = await imageRows(paths, inputs[0].shape, pixels ?? {})
  if (targets.length === 0 || (!answered && target === undefined)) return { x }
  if (labels === undefined) checkNumbers(targets)
  return { x, target: targets.map(({ name }) => name).join(', '), ...targetsOf(targets, likelihood, labels) }
}

/** Folders that are numbers: sorted as text, 10 comes before 2, and other libraries count them in that order. */
function checkNumbers([{ name, cells }]: readonly TargetColumn[]): void {
  const classes = [...new Set(cells)].sort()
  if (name !== FOLDER || classes.some(label => !/^\d+$/.test(label))) return
  if (classes.every((label, i) => Number(label) === i)) return
  throw new DataError('BAD_LABELS',
    `The folders are the numbers ${listed(classes)}, which are not 0, 1, 2, ... in this ` +
      "order: say with --classes which of them each of the network's outputs is.")
}

function fromTable(table: Table, selection: DataSelection): DataExamples {
  const { target, likelihood, answered, labels, inputs, weights: weightName } = selection
  const spare = answered || target !== undefined ? undefined : spareColumn(table, inputs)
  if (spare !== undefined) {
    const rest = { ...table, columns: table.columns.filter((_, i) => i !== spare) }
    return { ...fromTable(rest, selection), leftOut: table.columns[spare].name }
  }
  const names = table.columns.map(({ name }) => name)
  const weightPlaces = weightName === undefined ? [] : namedColumns(names, weightName)
  const targetPlaces = answered || target !== undefined
    ? targetColumns(table, target, { likelihood, inputs, others: weightPlaces.map(at => names[at]) })
    : []
  const weights = weightPlaces.length === 0 ? {} : { weights: weightsOf(table, weightPlaces) }
  const numbers = numbersAndTargets({ ...table, columns: table.columns.filter((_, i) => !weightPlaces.includes(i)) },
    targetPlaces.map(place => place - weightPlaces.filter(at => at < place).length))
  const { rows, columns, targets, values: data } = numbers
  if (columns.length === 0) throw new DataError('BAD_DATA_FILE', 'The file has no columns beside the target.')
  const values = float64([rows, columns.length], data)
  const x = numbers.header ? [{ values, columns }] : values
  const answers = targets.length === 0
    ? {}
    : { target: targets.map(({ name }) => name).join(', '), ...targetsOf(targets, likelihood, labels) }
  checkWidth(columns, targets, inputs)
  return { x, ...weights, ...answers }
}

/** Columns for a network that does not know them by name are as many as it takes. @throws DataError */
function checkWidth(columns: readonly string[], targets: readonly TargetColumn[],
  inputs: readonly InputSummary[]): void {
  if (inputs.length !== 1 || inputs[0].columns !== undefined) return
  const [{ shape }] = inputs
  const width = shape.slice(1).reduce((product, size) => product * size, 1)
  if (width <= 0 || width === columns.length) return
  const beside = targets.length === 0 ? '' : ` beside the answers (${targets.map(({ name }) => name).join(', ')})`
  throw new DataError('BAD_DATA_FILE',
    `The network takes ${width} numbers an example, and the file has ${columns.length} columns${beside}: ${
      listed(columns)
    }. Give the columns of its training alone, in their order.`, { expected: width, actual: columns.length })
}

/** How often each row counts. */
function weightsOf(table: Table, [place]: readonly number[]): Tensor {
  return float64([table.rows], numbersAndTargets({ ...table, columns: [table.columns[place]] }, []).values)
}

async function fromNpy(array: Tensor, selection: DataSelection): Promise<DataExamples> {
  const { target, answered, weights } = selection
  const own = weights === undefined ? {} : { weights: await npyFile(weights) }
  if (target !== undefined && target !== 'last') return { x: array, y: await npyFile(target), ...own }
  return { ...(answered || target !== undefined ? splitColumns(array, selection) : { x: array }), ...own }
}

async function npyFile(path: string): Promise<Tensor> {
  const bytes = await readBytes(path)
  return withFileName(path, () => readNpy(bytes))
}

/** Examples and answers in one array: a table without names. */
function splitColumns({ shape, data }: Tensor, { target, likelihood, inputs }: DataSelection): DataExamples {
  if (shape.length !== 2 || shape[1] < 2) {
    throw new DataError('BAD_DATA_FILE',
      `The array is ${formatShape(shape)}; examples with answers in one array are N x D, the answer in the last ` +
        'column. Give the answers as another file: --target FILE.npy.', { shape })
  }
  const [rows, width] = shape
  const columns = Array.from({ length: width },
    (_, column) => ({ name: `x${column + 1}`,
      cells: Float64Array.from({ length: rows }, (_, row) => data[row * width + column]) }))
  const table = { rows, header: false, place: (row: number) => `row ${row + 1}`, columns }
  const [place] = targetColumns(table, target, { likelihood, inputs, others: [],
    advice: 'Give them as another file, --target FILE.npy; --target last is the last column.' })
  return {
    x: float64([rows, width - 1], numbersAndTargets(table, [place]).values),
    y: float64([rows], columns[place].cells),
    target: `column ${place + 1}`,
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
