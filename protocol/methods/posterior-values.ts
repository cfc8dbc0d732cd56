/** @file The method `get`: the numbers that a posterior is made of. */
import { oneOf } from '../../core/errors/suggest.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import type { CurvatureMatrix } from '../../core/posterior/curvature-matrix.js'
import type { Marginals } from '../../core/posterior/posterior.js'
import { doublesToWire, tensorToWire } from '../frames/arrays.js'
import type { DecodedMap } from '../frames/decoded-map.js'
import type { WireMap, WireValue } from '../frames/encode.js'
import { textsParameter } from '../messages/parameters.js'
import type { Method } from './method.js'
import { choiceToWire, conformalToWire, noiseToWire, parametersToWire, priorToWire,
  summaryToWire } from './posterior-summary.js'

const vector = (values: Float64Array): WireMap => doublesToWire([values.length], values)

/** Means and variances, a row a posterior. */
function marginalsToWire({ means, variances }: Marginals, size: number): WireMap {
  const rows = (values: Float64Array): WireMap => doublesToWire([values.length / size, size], values)
  return { means: rows(means), variances: rows(variances) }
}

/** Every value by its name. */
const VALUES = {
  H: posterior => matrixToWire(posterior.H),
  mean: posterior => vector(posterior.mean),
  marginals: posterior => marginalsToWire(posterior.marginals(), posterior.parameterCount),
  posteriorVariance: posterior => vector(posterior.posteriorVariance()),
  posteriorPrecision: posterior => matrixToWire(posterior.posteriorPrecision),
  posteriorCovariance: posterior => tensorToWire(posterior.posteriorCovariance()),
  scatter: posterior => posterior.scatter,
  loss: posterior => posterior.loss,
  logLikelihood: posterior => posterior.logLikelihood,
  logMarginalLikelihood: posterior => posterior.logMarginalLikelihood(),
  logDetPosteriorPrecision: posterior => posterior.logDetPosteriorPrecision,
  logDetPriorPrecision: posterior => posterior.logDetPriorPrecision,
  logDetRatio: posterior => posterior.logDetRatio,
  priorPrecision: posterior => priorToWire(posterior.priorPrecision),
  priorPrecisionDiag: posterior => vector(posterior.priorPrecisionDiag),
  sigmaNoise: posterior => noiseToWire(posterior.sigmaNoise, posterior.noiseCovariance),
  choice: posterior => choiceToWire(posterior.choice),
  conformal: posterior => conformalToWire(posterior.conformal),
  logEvidenceAtMode: posterior => posterior.logEvidenceAtMode ?? null,
  temperature: posterior => posterior.temperature,
  parameters: posterior => parametersToWire(posterior.parameters),
  summary: posterior => summaryToWire(posterior.summary()),
} as const satisfies Readonly<Record<string, (posterior: LaplacePosterior) => WireValue>>

const NAMES = Object.keys(VALUES) as (keyof typeof VALUES)[]

/** Values of a posterior by their names. */
export const get: Method = (params, _context, state) =>
  valuesOf(state.objects.get('posterior', params), params, 'names')

/** Values of a posterior by the names in a parameter. */
export function valuesOf(posterior: LaplacePosterior, params: DecodedMap, parameter: string): WireMap {
  return Object.fromEntries(textsParameter(params, parameter).map(text => {
    const name = oneOf(parameter, text, NAMES)
    return [name, VALUES[name](posterior)]
  }))
}

function matrixToWire(matrix: CurvatureMatrix): WireMap {
  switch (matrix.structure) {
    case 'full':
      return { structure: 'full', matrix: doublesToWire([matrix.size, matrix.size], matrix.matrix) }
    case 'diag':
      return { structure: 'diag', diagonal: vector(matrix.diagonal) }
    case 'blockdiag':
      return { structure: 'blockdiag', size: matrix.size,
        blocks: matrix.blocks.map(({ names, parameters, matrix: own }) => ({ names, matrix: tensorToWire(own),
          parameters: vector(Float64Array.from(parameters)) })
        ) }
    case 'kron':
      return {
        structure: 'kron',
        blocks: matrix.blocks.map(({ name, kind, B, A, diagonal }) => ({ name, kind, B: B && tensorToWire(B),
          A: A && tensorToWire(A), diagonal: diagonal && vector(diagonal) })
        ),
        delta: matrix.delta && vector(matrix.delta),
      }
    case 'lowrank':
      return { structure: 'lowrank', rows: doublesToWire([matrix.rank, matrix.size], matrix.rows),
        delta: typeof matrix.delta === 'number' ? matrix.delta : vector(matrix.delta) }
  }
}
