/**
 * @file Warnings of a regression: columns in another order, outputs negated, targets on another scale, and a network
 * that does not know the rows.
 */
import { assignment, movedCycles } from '../kernels/assignment.js'
import type { TargetAgreement } from '../likelihood/agreement.js'
import { digits, listed, percent } from './contradiction-words.js'

/** One output f and its targets y, with the affine map y = slope f + intercept of least squares. */
interface OutputFit {
  readonly output: number
  readonly examples: number
  /** Sum of (y - mean)^2. */
  readonly spread: number
  /** Sum of (y - f)^2. */
  readonly residual: number
  readonly slope: number
  readonly intercept: number
  /** Squared correlation of y and f: the share of the spread that the affine map explains. */
  readonly explained: number
}

/** What can be wrong with one output, in the order in which it is looked for. */
type Contradiction = 'negated' | 'scaled' | 'foreign'

/** The contradictions of a regression, without their first word. */
export function targetContradictions(agreement: TargetAgreement): string[] {
  const permuted = permutationOf(agreement)
  const others = outputFits(agreement).filter(({ output }) => !permuted.has(output))
  const kinds = others.map(fit => [contradictionOf(fit), fit] as const)
  const of = (wanted: Contradiction): OutputFit[] => kinds.filter(([kind]) => kind === wanted).map(([, fit]) => fit)
  const single = agreement.outputs === 1
  return [
    ...(permuted.size === 0 ? [] : [permutedColumns(permuted)]),
    ...sentence(of('negated'), fits => negated(fits, single)),
    ...sentence(of('scaled'), fits => scaled(fits, single)),
    ...sentence(of('foreign'), fits => foreign(fits, single)),
  ]
}

/** Whether the network leaves more than half of the spread of an output unexplained. */
export function explainsLittle(agreement: TargetAgreement): boolean {
  return outputFits(agreement).some(({ residual, spread }) => residual > spread / 2)
}

function sentence(fits: readonly OutputFit[], say: (fits: readonly OutputFit[]) => string): string[] {
  return fits.length === 0 ? [] : [say(fits)]
}

function outputFits(agreement: TargetAgreement): OutputFit[] {
  const { outputs, examples, meanY, meanF, squaresY, squaresF, products, residuals } = agreement
  const step = products.length > outputs ? outputs + 1 : 1
  return Array.from({ length: outputs }, (_, output) => {
    const product = products[output * step]
    // What rounding leaves of targets that are all the same is no spread.
    const spread = squaresY[output] > ROUNDED_SPREAD * examples * meanY[output] ** 2 ? squaresY[output] : 0
    const slope = squaresF[output] > 0 ? product / squaresF[output] : 0
    const scale = squaresY[output] * squaresF[output]
    return { output, examples, spread, residual: residuals[output], slope,
      intercept: meanY[output] - slope * meanF[output], explained: scale > 0 ? product * product / scale : 0 }
  })
}

/** Sums of squares about the mean below this share of those about zero are rounding. */
const ROUNDED_SPREAD = 1e-24
/** The affine map must explain this share of the spread before it is called a scale. */
const EXPLAINED_SCALE = 0.1
/** A negative slope other than -1 needs more: a network that knows nothing has one as often as a positive one. */
const EXPLAINED_NEGATIVE = 0.3
/** Below this an untrained network is possible. */
const EXPLAINED_SURELY = 0.6
/** Residuals so many times those of the affine map, and this share of the spread, are far worse than the map's. */
const FAR_WORSE = 4
const WORTH_SAYING = 0.1
/** Slopes outside of this factor are another scale where the outputs explain next to nothing themselves. */
const OTHER_SLOPE = 3
/** Residuals above the spread by no more than this are rounding, or a network that answers the mean. */
const ROUNDING = 1.01

function contradictionOf({ examples, spread, residual, slope, explained }: OutputFit): Contradiction | undefined {
  if (!(spread > 0)) return undefined
  const unexplained = (1 - explained) * spread
  // t > 4 of the slope: correlations of few rows are chance.
  const certain = explained * (examples - 2) > 16 * (1 - explained)
  if (certain && slope < 0) {
    const opposite = slope > -2 && slope < -0.5
    if (explained >= (opposite ? EXPLAINED_SCALE : EXPLAINED_NEGATIVE)) return 'negated'
  }
  if (certain && slope > 0 && explained >= EXPLAINED_SCALE) {
    const farWorse = residual > FAR_WORSE * unexplained && residual > WORTH_SAYING * spread
    const next = 1 - residual / spread < explained / 4 && (slope > OTHER_SLOPE || slope < 1 / OTHER_SLOPE)
    if (farWorse || next) return 'scaled'
  }
  return residual > ROUNDING * spread ? 'foreign' : undefined
}

function outputsText(fits: readonly OutputFit[], single: boolean): string {
  return single ? '' : ` of output ${listed(fits.map(({ output }) => String(output)))} (counted from 0)`
}

function mapsText(fits: readonly OutputFit[], single: boolean): string {
  return listed(fits.map(({ output, slope, intercept }) => {
    const sign = intercept < 0 ? '-' : '+'
    return `y is about ${digits(slope)} f ${sign} ${digits(Math.abs(intercept))}${single ? '' : ` (output ${output})`}`
  }))
}

const rmse = (sum: number, examples: number): string => digits(Math.sqrt(sum / examples))

function errorsText(fits: readonly OutputFit[]): string {
  const [{ examples, explained, spread, residual }] = fits
  return `${fits.length === 1 ? '' : 'for the first of them '}that leaves an error of `
    + `${rmse((1 - explained) * spread, examples)} (RMSE), and the outputs as they are ${rmse(residual, examples)}`
}

/** A map that explains little is as well that of a network that knows nothing. */
function doubtText(fits: readonly OutputFit[]): string {
  const explained = Math.min(...fits.map(fit => fit.explained))
  return explained < EXPLAINED_SURELY
    ? ` As that explains no more than ${percent(explained)} of the variance, the network may also be untrained.`
    : ''
}

function negated(fits: readonly OutputFit[], single: boolean): string {
  const [where, maps, errors] = [outputsText(fits, single), mapsText(fits, single), errorsText(fits)]
  return `the outputs f${where} seem to be negated: ${maps}; ${errors}.${
    doubtText(fits)
  } Fit again with a network that `
    + 'gives the targets themselves, or with targets of the sign that it was trained with.'
}

function scaled(fits: readonly OutputFit[], single: boolean): string {
  const [{ slope, intercept }] = fits
  const [where, maps, errors] = [outputsText(fits, single), mapsText(fits, single), errorsText(fits)]
  const shift = `${intercept < 0 ? '+' : '-'} ${digits(Math.abs(intercept))}`
  const inverse = single ? ` (here (y ${shift}) / ${digits(slope)})` : ''
  return `the targets y${where} seem to be on another scale than the network's outputs f, as when one of the two is `
    + `standardised: ${maps}; ${errors}.${doubtText(fits)} Fit again with the targets on the scale of the network's `
    + `training${inverse}, and turn predictions back afterwards.`
}

function foreign(fits: readonly OutputFit[], single: boolean): string {
  const errors = fits.map(({ output, spread, residual, examples }) =>
    `${rmse(residual, examples)} against ${rmse(spread, examples)}${
      single ? '' : ` (output ${output}, counted from 0)`
    }`
  )
  return 'the network knows these rows no better than their mean does: its error (RMSE) is larger than the standard '
    + `deviation of the targets, ${
      listed(errors)
    }. These are not the data of its training, or their inputs are prepared otherwise, or `
    + 'the network is untrained. Check that first; the answer is not to be trusted.'
}

/** Relative errors beyond this count as this, so that one output on another scale does not decide the order of all. */
const LARGEST_ERROR = 4

/** Output -> column of y where another order of the columns explains the targets far better. */
function permutationOf({ outputs, examples, meanY, meanF, squaresY, squaresF, products }: TargetAgreement): Map<
  number,
  { readonly column: number, readonly own: number, readonly other: number }
> {
  if (outputs === 1 || products.length === outputs || !squaresY.every(square => square > 0)) return new Map()
  const error = products.map((product, i) => {
    const [c, d] = [Math.floor(i / outputs), i % outputs]
    const sum = squaresY[d] + squaresF[c] - 2 * product + examples * (meanF[c] - meanY[d]) ** 2
    return Math.min(LARGEST_ERROR, Math.max(0, sum) / squaresY[d])
  })
  const order = assignment(error.map((value, i) => value - (i % (outputs + 1) === 0 ? 1e-9 : 0)), outputs)
  const cycles = movedCycles(order).filter(cycle => {
    const own = mean(cycle.map(c => error[c * outputs + c]))
    const other = mean(cycle.map(c => error[c * outputs + order[c]]))
    return own > 0.5 && other < own / 2 && other < 0.9
  })
  return new Map(
    cycles.flat().sort((a, b) => a - b).map(
      c => [c, { column: order[c], own: error[c * outputs + c], other: error[c * outputs + order[c]] }],
    ),
  )
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function permutedColumns(permuted: ReturnType<typeof permutationOf>): string {
  const pairs = Array.from(permuted, ([output, { column }]) => `column ${column} to output ${output}`)
  const errors = [...permuted.values()]
  const [own, other] = [mean(errors.map(error => error.own)), mean(errors.map(error => error.other))]
  return "the columns of the targets seem to be in another order than the network's outputs: as they are the outputs "
    + `leave ${percent(own)} of the variance of the targets (or more), and with ${listed(pairs)} (counted from 0) `
    + `${percent(other)}. Put the columns of y in the order of the outputs and fit again.`
}
