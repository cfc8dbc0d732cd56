/**
 * @file Posteriors of processes over the outputs: of independent outputs one an output, and with Nystroem in the span
 * of some Jacobians (span.ts).
 */
import type { ProcessCurvature } from '../curvature/curvature.js'
import { lastLayerJacobian } from '../curvature/last-layer.js'
import { OptionError } from '../errors/errors.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import { joined } from '../tensor/joined.js'
import { factoredPosterior } from './factored.js'
import { outputMoments } from './posterior-parts.js'
import { aroundMean, once, priorLogDet, type ProcessPosterior, type StructuredPosterior } from './posterior.js'
import { spanPosterior } from './span.js'

/** The posterior around `mean`. @throws OptionError BAD_OPTION */
export function processPosterior(curvature: ProcessCurvature, slots: readonly ParameterSlot[], mean: Float64Array,
  settings: PosteriorSettings): StructuredPosterior {
  const { size, parts } = curvature
  const own = parts.map(({ rank, rows, values }) =>
    values === undefined
      ? factoredPosterior({ structure: 'factored', of: 'functional', size, rank, rows }, slots, mean, settings)
      : spanPosterior({ rank, rows, values }, slots, mean, settings)
  )
  return own.length === 1 ? own[0] : independentOutputs(curvature, own)
}

/** The posteriors of all outputs together. */
function independentOutputs(curvature: ProcessCurvature, own: readonly ProcessPosterior[]): StructuredPosterior {
  const [{ slots, mean, settings }] = own
  const refuse = (): never => {
    throw new OptionError('BAD_COMBINATION',
      `Each of the ${own.length} outputs has a posterior over the weights of its own (independentOutputs), so that `
        + 'there is no joint one over them. Ask for functional samples or marginals, or fit without '
        + 'independentOutputs.', { option: 'independentOutputs' })
  }
  const sum = (of: (posterior: StructuredPosterior) => number): () => number =>
    once(() => own.reduce((total, posterior) => total + of(posterior), 0))
  return {
    structure: 'functional',
    curvature,
    ...aroundMean(mean, slots, settings),
    byOutput: own,
    withSettings: changes => processPosterior(curvature, slots, mean, { ...settings, ...changes }),
    logDetPrecision: sum(posterior => posterior.logDetPrecision()),
    logDetPrior: () => own.length * priorLogDet(settings, slots),
    // The outputs share the network's weights, which are far from the prior's mean once.
    posteriorVariance: refuse,
    marginals: () => ({ means: joined(own.map(() => mean)),
      variances: joined(own.map(each => each.posteriorVariance())) }),
    precisionMatrix: refuse,
    covarianceTimes: refuse,
    whiten: refuse,
    sample: refuse,
    logProb: refuse,
    parts: once(() => ({ kind: 'outputs', parts: own.map(each => each.parts()) })),
    lastLayerVariance: (features, examples, kind) =>
      outputMoments({ kind: 'outputs', parts: own.map(each => each.parts()) }, slots,
        lastLayerJacobian(slots, features, examples), kind).variance,
    spectrum: () => ({ values: [joined(own.flatMap(each => each.spectrum().values))], byTensor: false }),
  }
}
