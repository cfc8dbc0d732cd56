import t from 'tap'
import { sigmoid } from '../../../core/likelihood/sigmoid.js'
import { softmax } from '../../../core/likelihood/softmax.js'
import { metrics, type ScoredPrediction } from '../../../core/metrics/index.js'
import type { Likelihood } from '../../../core/options/words.js'
import { float64, type Tensor } from '../../../core/tensor/tensor.js'
import { caseNames, type ReferenceArray, referenceCase } from '../../support/reference-case.js'

const NAMES: Record<string, string> = { nll: 'nll', ece: 'ece', brier: 'brier', accuracy: 'accuracy', rmse: 'rmse',
  crps: 'crps', nll_joint_outputs: 'nllJointOutputs' }

/** The largest difference of the metrics named in a reference block, relative to values above 1. */
function difference(actual: Readonly<Record<string, number>>, expected: Record<string, number>): number {
  const keys = Object.keys(expected).filter(key =>
    key in NAMES && (key !== 'nll_joint_outputs' || 'nllJointOutputs' in actual)
  )
  return Math.max(...keys.map(key => {
    const d = Math.abs(actual[NAMES[key]] - expected[key]) / Math.max(1, Math.abs(expected[key]))
    return Number.isNaN(d) ? Infinity : d
  }))
}

function asTensor({ shape, data }: ReferenceArray): Tensor {
  return float64(shape, data)
}

/** The network's own answer: its probabilities, or its means with no variance. */
function plainPrediction(likelihood: Likelihood, f: Tensor): ScoredPrediction {
  const [n, c] = f.shape
  if (likelihood === 'regression') return { mean: f, covariance: float64([n, c, c], new Float64Array(n * c * c)) }
  const logits = Float64Array.from(f.data)
  return {
    probabilities: float64([n, c], likelihood === 'classification' ? softmax(logits, n, c) : logits.map(sigmoid)),
  }
}

t.test('every metrics block of the reference', async t => {
  let blocks = 0
  for (const name of caseNames()) {
    const { expected, yTest } = referenceCase(name)
    const likelihood = expected.likelihood as Likelihood
    const f = asTensor(expected.f.x_test)
    const score = (label: string, prediction: ScoredPrediction, sigma: number, block: Record<string, number>): void => {
      blocks++
      const d = difference(metrics(likelihood, yTest, prediction, sigma), block)
      if (!(d <= 1e-9)) t.fail(`${name} ${label}: differs by ${d}`)
    }
    score('network', plainPrediction(likelihood, f), 1, expected.metrics_map)
    for (const run of expected.runs) {
      for (const { label, metrics: block, predictive, sigma_noise: sigma } of run.settings ?? []) {
        if (block === undefined) continue
        const at = `${run.subset} ${run.structure} ${run.curvature} ${label}`
        if (likelihood !== 'regression') score(at, { probabilities: asTensor(predictive.probit) }, 1, block.probit)
        else {score(at, predictive.f_var === undefined
            ? { mean: f, variance: asTensor(predictive.f_var_diag) }
            : { mean: f, covariance: asTensor(predictive.f_var) }, sigma, block)}
      }
    }
  }
  t.ok(blocks > 500, `${blocks} blocks compared`)
})
