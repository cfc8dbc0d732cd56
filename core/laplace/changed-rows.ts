/**
 * @file A posterior whose data have changed: sums over more rows are added (streaming), those of rows that are taken
 * back are subtracted (unlearning; Guo, Goldstein, Hannun and van der Maaten 2020, for the curvature of the rows that
 * stay). The network's weights, and with them the mean, stay as they are.
 */
import { type PosteriorState, withoutScores } from '../answer/posterior-state.js'
import { curvatureArrays, mergeCurvature, withoutCurvature } from '../curvature/accumulate.js'
import { type Curvature, isSum } from '../curvature/curvature.js'
import { DataError, OptionError } from '../errors/errors.js'
import { accumulationFor } from '../fit/accumulation-for.js'
import type { FitWork } from '../fit/fit-work.js'
import { mergeAgreements } from '../likelihood/agreement.js'
import type { CurvatureKind } from '../options/words.js'
import { structuredPosterior } from '../posterior/structured.js'
import { exampleCount, type Examples } from '../tensor/examples.js'
import { checkWeights, countWeighted, withWeighted } from '../tensor/sample-weights.js'
import type { Tensor } from '../tensor/tensor.js'

/** Whether rows come to the data of a posterior, or are taken away from them. */
export type RowChange = 'add' | 'remove'

/** Subtracted sums below 0 by less than this share of the largest are rounding. */
const ROUNDING = 1e-9

/**
 * The state of the data with these rows, or without them, under the same prior.
 * @throws OptionError BAD_COMBINATION for posteriors that are no sums, or whose prior and answer come from their rows;
 * DataError BAD_ARRAY where rows that are taken away were not among the data, EMPTY_DATA where none are left
 */
export async function withChangedRows(given: PosteriorState, change: RowChange, x: Examples, y: Tensor,
  { sampleWeight, ...work }: FitWork): Promise<PosteriorState> {
  const fitted = summedCurvature(given, change)
  const { evaluator, pool, options, structured: { slots, mean, settings } } = given
  const notes: string[] = []
  const accumulation = accumulationFor({ evaluator, pool, options: { ...options, structure: fitted.structure } }, false,
    notes)
  const weights = checkWeights(sampleWeight, exampleCount(x))
  await accumulation.add(x, y, work, weights)
  const own = await accumulation.sums()
  const sign = change === 'add' ? 1 as const : -1
  const examples = given.examples + sign * own.examples
  const curvature = change === 'add'
    ? mergeCurvature(fitted, own.curvature)
    : without(fitted, own.curvature, examples, options.curvature)
  const state = withoutScores(given)
  const agreement = change === 'add' ? mergeAgreements(given.training?.agreement, own.agreement) : undefined
  return { ...state, examples, weighted: withWeighted(given.weighted, countWeighted(weights), sign).weighted,
    loss: given.loss + sign * own.loss, fitted: curvature,
    structured: structuredPosterior(curvature, slots, mean, settings), effectiveParameters: undefined,
    training: agreement === undefined ? undefined : { agreement, posterior: undefined },
    notes: [...state.notes, ...notes.filter(note => !state.notes.includes(note))] }
}

/** @throws OptionError BAD_COMBINATION */
function summedCurvature({ fitted, mode, choice, options, evaluator }: PosteriorState, change: RowChange): Curvature {
  const refuse = (message: string): OptionError =>
    new OptionError('BAD_COMBINATION', message, { structure: options.factored?.of ?? options.structure })
  if (options.likelihood === 'reward_modeling') {
    throw refuse('Pairs are not added to rewards, or taken away from them: fit all pairs, or add up partial fits.')
  }
  if (choice !== undefined || mode !== undefined) {
    throw refuse(
      'Prior and answer of this posterior come from its rows by their linear model, and would not be those of '
        + "other rows. Fit with a structure ('kron', 'full' or 'diag') and give the prior precision, or tune it by "
        + "'marglik' or 'grid'.",
    )
  }
  if (fitted === undefined || !isSum(fitted)) {
    throw refuse(
      "Rows are added to, and taken away from, posteriors whose curvature is a sum over them: structure 'kron', "
        + "'full', 'diag' or 'blockdiag'.",
    )
  }
  if (change === 'remove' && (options.curvature === 'mc_fisher' || evaluator.network.positions.length > 0)) {
    throw refuse(options.curvature === 'mc_fisher'
      ? "Curvature 'mc_fisher' drew labels for these rows that are not known any more, so that their part cannot be "
        + "taken away; use curvature 'ggn'."
      : 'Of a network that answers at several positions rows are not taken away: how many had a label is not kept. Fit '
        + 'the rows that stay, or add up partial fits.')
  }
  return fitted
}

/** @throws DataError where the rows were not among those that were summed */
function without(whole: Curvature, part: Curvature, examples: number, kind: CurvatureKind): Curvature {
  if (examples <= 0) {
    throw examples === 0
      ? new DataError('EMPTY_DATA', 'These are all rows of the fit: nothing is left to have a posterior of.')
      : notAmongThem()
  }
  const rest = withoutCurvature(whole, part)
  // The Hessian itself is no sum of squares.
  if (kind !== 'hessian') checkDiagonals(rest)
  return rest
}

/** Sums of squares are not negative. @throws DataError BAD_ARRAY */
function checkDiagonals(curvature: Curvature): void {
  for (const values of curvatureArrays(curvature)) {
    const size = curvature.structure === 'diag' ? 0 : Math.round(Math.sqrt(values.length))
    const square = size > 0 && size * size === values.length
    const step = square ? size + 1 : 1
    let [least, largest] = [0, 0]
    for (let i = 0; i < values.length; i += step) {
      least = Math.min(least, values[i])
      largest = Math.max(largest, values[i])
    }
    if (least < -ROUNDING * largest) throw notAmongThem()
  }
}

function notAmongThem(): DataError {
  return new DataError('BAD_ARRAY',
    'These rows were not among those of the fit: without them its sums would be negative. Take away rows and labels as '
      + 'they were given to it.', { array: 'x' })
}
