/**
 * @file Which array of the data belongs to which input of a network: by name where there are names, else by place.
 * Columns of a table are matched by their names too, so that their order does not matter.
 */
import { DataError, ShapeError } from '../errors/errors.js'
import { nearestWord } from '../errors/suggest.js'
import { type GraphInput, isBatch } from '../graph/graph.js'
import { arraysOf, exampleCount, type Examples, type InputArray } from '../tensor/examples.js'
import { allocate, formatShape, sizeOf, type Tensor } from '../tensor/tensor.js'

/** What examples are matched with. */
export interface InputNames {
  /** The inputs that the output depends on. */
  readonly inputs: readonly GraphInput[]
  /** The names of all inputs of the graph; arrays for the others are passed over. */
  readonly declared: readonly string[]
}

/** How messages describe an input: its name, its shape, and whether it takes integers. */
export function describeInput({ name, shape, dtype }: GraphInput): string {
  const extents = formatShape(shape.map(dim => (isBatch(dim) ? 'N' : dim)))
  return `'${name}' is ${extents}${dtype === 'int64' ? ' integers' : ''}`
}

/**
 * The array of each input, its columns in the network's order.
 * @throws DataError BAD_ARRAY when arrays or columns are missing, or there are others; ShapeError when the arrays have
 * different numbers of rows
 */
export function matchInputs(x: Examples, network: InputNames): ReadonlyMap<string, InputArray> {
  const arrays = arraysOf(x)
  const matched = matchedArrays(arrays, network)
  const examples = exampleCount(x)
  for (const { name, values } of arrays) {
    if (arrays.length === 1 || values.shape[0] === examples) continue
    throw new ShapeError(
      `All inputs must have the same number of rows: ${
        arrays.map((array, i) => `${label(array, i)} has ${array.values.shape[0] ?? 'none'}`).join(', ')
      }.`,
      { expected: examples, actual: values.shape[0], name },
    )
  }
  return new Map(network.inputs.map(input => [input.name, withOrderedColumns(matched(input.name), input)] as const))
}

function label({ name }: InputArray, place: number): string {
  return name === undefined ? `array ${place}` : `'${name}'`
}

function matchedArrays(given: readonly InputArray[], network: InputNames): (name: string) => InputArray {
  const { inputs, declared } = network
  const columns = inputs.length === 1 && given.length > 0 && given.every(isColumn)
    && given.every(({ name }) => name !== inputs[0].name)
  const arrays = columns ? [tableOf(given)] : given
  const [first] = arrays
  const parts = arrays.length === 1 && inputs.length > 1 && first.columns !== undefined && first.name === undefined
    ? columnsByInput(first.values, first.columns, inputs)
    : arrays
  if (parts.length > 0 && parts.every(({ name }) => name === undefined)) {
    const order = parts.length === declared.length ? declared : inputs.map(({ name }) => name)
    if (parts.length === order.length) return name => parts[order.indexOf(name)]
    throw wrongArrays(`there ${parts.length === 1 ? 'is 1 array' : `are ${parts.length} arrays`} without a name`,
      network)
  }
  checkNames(parts, network)
  return name => {
    const own = parts.find(part => part.name === name)
    if (own === undefined) {
      const names = parts.map(part => `'${part.name ?? ''}'`).join(', ')
      throw wrongArrays(`'${name}' is missing${names === '' ? '' : ` among ${names}`}`, network)
    }
    return own
  }
}

/** @throws DataError for arrays that are no input's */
function checkNames(arrays: readonly InputArray[], network: InputNames): void {
  const other = arrays.find(({ name }) => name === undefined || !network.declared.includes(name))
  if (other === undefined) return
  const suggestion = nearestWord(other.name ?? '', network.declared)
  throw wrongArrays(other.name === undefined
    ? 'some arrays have names and others have none'
    : `there is no input '${other.name}'${suggestion === undefined ? '' : ` (did you mean '${suggestion}'?)`}`, network)
}

function wrongArrays(problem: string, { inputs, declared }: InputNames): DataError {
  const names = inputs.map(({ name }) => name)
  const listed = inputs.slice(0, 20).map(describeInput).join(', ') + (inputs.length > 20 ? ', ...' : '')
  const how = inputs.length === 1
    ? 'Give its array alone, or by this name.'
    : 'Give an array for each by name, or as a list in this order.'
  return new DataError('BAD_ARRAY',
    `The network takes ${inputs.length === 1 ? 'one input' : `${inputs.length} inputs`}, ${listed}; ${problem}. ${how}`,
    {
      array: 'x',
      expected: names.slice(0, 100),
      declared: declared.slice(0, 100),
    })
}

/** A named array with one number an example. */
function isColumn({ name, values: { shape, data } }: InputArray): boolean {
  return name !== undefined && shape.length > 0 && data.length === shape[0]
}

/** Columns side by side; each has one number an example. */
function tableOf(columns: readonly InputArray[]): InputArray {
  const rows = columns[0].values.shape[0]
  const integers = columns.every(({ values }) => values.dtype === 'int64')
  const single = columns.every(({ values }) => values.dtype === 'float32')
  const dtype = integers ? 'int64' : single ? 'float32' : 'float64'
  const data = allocate(dtype, rows * columns.length)
  columns.forEach(({ values }, c) => {
    for (let row = 0; row < rows; row++) data[row * columns.length + c] = values.data[row]
  })
  return { values: { dtype, shape: [rows, columns.length], data }, columns: columns.map(({ name }) => name ?? '') }
}

/**
 * A table's columns as the arrays of several inputs: the column of an input's name, or the columns that are called by
 * it and a number (x1, x2, x.1, x_1, x[0]), in the order of the numbers.
 */
function columnsByInput(table: Tensor, columns: readonly string[], inputs: readonly GraphInput[]): InputArray[] {
  const taken = new Set<number>()
  const parts = inputs.flatMap(({ name }): InputArray[] => {
    const places = columnsOfInput(columns, name)
    places.forEach(place => taken.add(place))
    return places.length === 0 ? [] : [{ name, values: takeColumns(table, places) }]
  })
  const others = columns.flatMap((name, place): InputArray[] =>
    taken.has(place) ? [] : [{ name, values: takeColumns(table, [place]) }]
  )
  return [...parts, ...others]
}

/** The places of the columns that are an input's by its name. */
export function columnsOfInput(columns: readonly string[], name: string): number[] {
  if (columns.includes(name)) return [columns.indexOf(name)]
  return columns.flatMap((column, place) => {
    const number = column.startsWith(name) ? /^[._[]?(\d+)\]?$/.exec(column.slice(name.length)) : null
    return number === null ? [] : [{ place, number: Number(number[1]) }]
  }).sort((a, b) => a.number - b.number).map(({ place }) => place)
}

/** Some columns of a table, in this order. */
function takeColumns({ dtype, shape, data }: Tensor, places: readonly number[]): Tensor {
  const [rows] = shape
  const width = sizeOf(shape.slice(1))
  const result = allocate(dtype, rows * places.length)
  for (let row = 0, at = 0; row < rows; row++) for (const place of places) result[at++] = data[row * width + place]
  return { dtype, shape: [rows, places.length], data: result }
}

/** The array with its columns as the input's are called, where both have names. */
function withOrderedColumns(array: InputArray, { name, columns: wanted }: GraphInput): InputArray {
  const { columns, values } = array
  if (wanted === undefined || columns === undefined || wanted.every((column, i) => column === columns[i])
      && columns.length === wanted.length) return array
  const missing = wanted.filter(column => !columns.includes(column))
  const others = columns.filter(column => !wanted.includes(column))
  if (missing.length > 0 || others.length > 0 || columns.length !== wanted.length) {
    const list = (names: readonly string[]): string => names.slice(0, 10).map(each => `'${each}'`).join(', ')
    throw new DataError('BAD_ARRAY',
      `The columns of '${name}' are not those of the training: expected ${list(wanted)}${
        missing.length > 0 ? `; ${list(missing)} missing` : ''
      }${others.length > 0 ? `; ${list(others)} not among them` : ''}${
        missing.length + others.length === 0 ? '; a name occurs twice' : ''
      }. Select these columns, in any order.`, { array: name, expected: wanted.slice(0, 100),
      actual: columns.slice(0, 100) })
  }
  return { ...array, columns: wanted, values: takeColumns(values, wanted.map(column => columns.indexOf(column))) }
}

/** The inputs with the names of the columns that the data have and they have not. */
export function withColumnNames(inputs: readonly GraphInput[],
  matched: ReadonlyMap<string, Pick<InputArray, 'columns'>>): readonly GraphInput[] {
  return inputs.map(input => {
    const columns = matched.get(input.name)?.columns
    return input.columns !== undefined || columns === undefined || new Set(columns).size < columns.length
      ? input
      : { ...input, columns }
  })
}
