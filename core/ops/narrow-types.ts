/**
 * @file Element types of ONNX that hold fewer numbers than the dtypes here: what values become that are stored in them.
 *
 * https://onnx.ai/onnx/operators/onnx__Cast.html, https://onnx.ai/onnx/technical/float8.html
 */

/** Real numbers of so many significant bits; below 2^least they are multiples of one unit. */
interface RealFormat {
  readonly bits: number
  readonly least: number
  readonly largest: number
  /** What becomes of numbers above the largest one: always, or where they are not to saturate. */
  readonly above: 'infinity' | 'nan' | 'largest'
  /** Whether numbers above the largest one become that, unless told otherwise. */
  readonly saturates: boolean
}

const real = (bits: number, least: number, largest: number, above: RealFormat['above'],
  saturates: boolean): RealFormat => ({ bits, least, largest, above, saturates })

/** TensorProto.DataType: FLOAT16, BFLOAT16, four of 8 bits, one of 4. */
const REAL: ReadonlyMap<number, RealFormat> = new Map([
  [10, real(11, -14, 65504, 'infinity', false)],
  [16, real(8, -126, 3.3895313892515355e38, 'infinity', false)],
  [17, real(4, -6, 448, 'nan', true)],
  [18, real(4, -7, 240, 'nan', true)],
  [19, real(3, -14, 57344, 'infinity', true)],
  [20, real(3, -15, 57344, 'nan', true)],
  [23, real(2, 0, 6, 'largest', true)],
])

/** FLOAT8E8M0: powers of two. */
const POWERS = 24

/** Integers: their bits, and whether they are signed. */
const INTEGER: ReadonlyMap<number, readonly [bits: number, signed: boolean]> = new Map([[2, [8, false]], [3, [8, true]],
  [4, [16, false]], [5, [16, true]], [21, [4, false]], [22, [4, true]], [25, [2, false]], [26, [2, true]]])

/** How numbers that do not fit are converted. */
export interface ConversionOptions {
  readonly saturate?: boolean
  /** For powers of two. */
  readonly roundMode?: string
}

/** Whether an element type holds real numbers of 16 bits or fewer. */
export function isNarrowReal(elementType: number): boolean {
  return REAL.has(elementType) || elementType === POWERS
}

/** Whether an element type holds integers of 16 bits or fewer. */
export function isNarrowInteger(elementType: number): boolean {
  return INTEGER.has(elementType)
}

/**
 * What becomes of numbers that are stored as an element type: real ones are rounded to the nearest (ties to even),
 * integers wrap around. Undefined for types that are not narrow.
 */
export function narrowing(elementType: number, { saturate = true, roundMode = 'up' }: ConversionOptions = {}):
  | ((value: number) => number)
  | undefined {
  const format = REAL.get(elementType)
  if (format !== undefined) return value => nearest(value, format, saturate && format.saturates)
  if (elementType === POWERS) return value => powerOfTwo(value, saturate, roundMode)
  const integer = INTEGER.get(elementType)
  return integer === undefined ? undefined : value => wrapped(value, ...integer)
}

function nearest(value: number, { bits, least, largest, above }: RealFormat, saturate: boolean): number {
  // The type of 4 bits has no NaN.
  if (Number.isNaN(value)) return above === 'largest' ? 0 : value
  if (value === 0) return value
  const exponent = Math.max(least, Math.floor(Math.log2(Math.abs(value))))
  const unit = 2 ** (exponent - bits + 1)
  const rounded = Number.isFinite(value) ? roundToEven(value / unit) * unit : value
  if (Math.abs(rounded) <= largest) return rounded
  if (saturate || above === 'largest') return Math.sign(value) * largest
  return above === 'infinity' ? Math.sign(value) * Infinity : NaN
}

/** The number, or its neighbour among the integers; halves go to the even one. */
export function roundToEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1
}

const LEAST_POWER = -127, LARGEST_POWER = 127

function powerOfTwo(value: number, saturate: boolean, mode: string): number {
  if (Number.isNaN(value)) return NaN
  const log = Math.log2(Math.abs(value))
  const [below, above] = [Math.floor(log), Math.ceil(log)]
  const exponent = mode === 'up' ? above : mode === 'down' || Math.abs(value) < 1.5 * 2 ** below ? below : above
  if (exponent >= LEAST_POWER && exponent <= LARGEST_POWER) return 2 ** exponent
  return saturate ? 2 ** (exponent > 0 ? LARGEST_POWER : LEAST_POWER) : NaN
}

/** The least and the largest integer of a type of 16 bits or fewer. */
export function integerRange(elementType: number): readonly [least: number, largest: number] {
  const [bits, signed] = INTEGER.get(elementType) ?? [16, true]
  return signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1]
}

function wrapped(value: number, bits: number, signed: boolean): number {
  const [size, low] = [2 ** bits, signed ? -(2 ** (bits - 1)) : 0]
  const whole = Math.trunc(value)
  return Number.isFinite(whole) ? whole - Math.floor((whole - low) / size) * size : 0
}
