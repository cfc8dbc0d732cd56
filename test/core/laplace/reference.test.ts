/** @file Every number of the reference cases, through the public functions of the core, in float64. */
import t, { type Test } from 'tap'
import { laplace, type LaplacePosterior } from '../../../core/index.js'
import { float64 } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'
import { caseNames, type ReferenceArray, referenceCase } from '../../support/reference-case.js'

const TOLERANCE = 1e-8

/* eslint-disable @typescript-eslint/no-explicit-any */
const near = (t: Test, actual: ArrayLike<number> | number, expected: ReferenceArray | number, message: string,
  tolerance = TOLERANCE): void => {
  const [a, b] = [typeof actual === 'number' ? [actual] : actual,
    typeof expected === 'number' ? [expected] : expected.data]
  const difference = relativeDifference(a, b)
  t.ok(difference <= tolerance, `${message} (${difference.toExponential(1)})`)
}

const plain = (value: any): any => (typeof value === 'number' ? value : value.data)

for (const name of caseNames()) {
  const { graph, x, y, xTest, expected } = referenceCase(name)
  for (const run of expected.runs as any[]) {
    const { subset, structure, curvature } = run
    const subnetwork = subset === 'subnetwork' ? plain(run.indices) as number[] : undefined
    t.test(`${name}: ${subset} ${structure} ${curvature} ${run.kfac_approx ?? ''}`, async t => {
      const posterior = await laplace(graph, { likelihood: expected.likelihood, subset, subnetwork, structure,
        curvature, kfacApprox: run.kfac_approx ?? 'expand', priorPrecision: 1 }).fit(x, y)
      t.equal(posterior.parameterCount, run.n_params)
      near(t, posterior.loss, expected.loss.value, 'loss')
      compareCurvature(t, posterior, run)
      for (const setting of run.settings) await compareSetting(t, posterior, setting)
      await compareTuned(t, posterior, run)
      for (const key of ['grid', 'grid_sigma_0.3']) {
        if (run[key] === undefined) continue
        const start = run[key].sigma_noise === undefined
          ? posterior
          : posterior.withPrior({ sigmaNoise: run[key].sigma_noise })
        const tuned = await start.tune({ tune: 'grid' }, { validation: { x: xTest, y: referenceCase(name).yTest } })
        near(t, tuned.priorPrecision as number, run[key].delta, `${key}: prior precision`)
      }
    })
  }

  function compareCurvature(t: Test, posterior: LaplacePosterior, run: any): void {
    const { H } = posterior
    if (H.structure === 'diag') near(t, H.diagonal, run.H.diag ?? run.H.diagonal, 'H')
    else if (H.structure === 'full') {
      if (run.H.full === null) {
        near(t, H.matrix.filter((_, i) => i % (H.size + 1) === 0), run.H.diagonal, 'diagonal of H')
      } else near(t, H.matrix, run.H.full, 'H')
    } else if (H.structure === 'kron') {
      run.H.kron.forEach((block: any, i: number) => {
        const own = H.blocks[i]
        t.equal(own.name, block.parameter)
        if (block.diagonal !== undefined) near(t, own.diagonal!, block.diagonal, `diagonal of ${own.name}`)
        if (block.B !== undefined) near(t, own.B!.data, block.B, `B of ${own.name}`)
        if (block.A !== undefined) near(t, own.A!.data, block.A, `A of ${own.name}`)
      })
    }
  }

  async function compareSetting(t: Test, fitted: LaplacePosterior, setting: any): Promise<void> {
    const { label } = setting
    const posterior = fitted.withPrior({ priorPrecision: plain(setting.prior_precision),
      priorMean: plain(setting.prior_mean), temperature: setting.temperature,
      ...(expected.likelihood === 'regression' ? { sigmaNoise: setting.sigma_noise } : {}) })
    const { marglik, predictive, variance } = setting
    near(t, posterior.logMarginalLikelihood(), marglik.log_marginal_likelihood, `${label}: log marginal likelihood`)
    near(t, posterior.logLikelihood, marglik.log_likelihood, `${label}: log likelihood`)
    near(t, posterior.logDetPosteriorPrecision, marglik.log_det_posterior_precision, `${label}: log|P|`)
    near(t, posterior.logDetRatio, marglik.log_det_ratio, `${label}: log|P| - log|P0|`)
    near(t, posterior.scatter, marglik.scatter, `${label}: scatter`)
    if (variance !== undefined) {
      near(t, posterior.posteriorVariance(), variance.posterior_variance, `${label}: posterior variance`)
    }
    if (setting.log_prob !== undefined) {
      const theta = posterior.mean.map((value, i) => value + 0.1 * Math.cos(i))
      near(t, posterior.logProb(float64([theta.length], theta)).data,
        setting.log_prob['log_prob_at_mean_plus_0.1cos(i)'], `${label}: log density`)
    }
    if (predictive === undefined) return
    if (predictive.f_var !== undefined) {
      near(t, (await posterior.functionalVariance(xTest)).covariance.data, predictive.f_var, `${label}: f_var`)
    }
    if (predictive.f_var_diag !== undefined) {
      near(t, (await posterior.predict(xTest)).variance.data, predictive.f_var_diag, `${label}: diagonal of f_var`)
    }
    for (const link of ['probit', 'bridge', 'bridge_norm'] as const) {
      if (predictive[link] !== undefined) {
        near(t, (await posterior.predict(xTest, { link })).probabilities!.data, predictive[link], `${label}: ${link}`)
      }
    }
    for (const link of ['mean_field_1', 'mean_field_2'] as const) {
      if (setting.mean_field?.[link] !== undefined) {
        near(t, (await posterior.predict(xTest, { link })).probabilities!.data, setting.mean_field[link],
          `${label}: ${link}`)
      }
    }
    if (predictive.joint_covariance_first_points !== undefined) {
      const rows = Math.min(6, xTest.shape[0])
      const width = xTest.data.length / xTest.shape[0]
      const first = { ...xTest, shape: [rows, ...xTest.shape.slice(1)], data: xTest.data.slice(0, rows * width) }
      near(t, (await posterior.functionalVariance(first, { joint: true })).covariance.data,
        predictive.joint_covariance_first_points, `${label}: joint covariance`)
    }
  }
}

async function compareTuned(t: Test, posterior: LaplacePosterior, run: any): Promise<void> {
  const schedule = { steps: 100, learningRate: 0.1, initialPriorPrecision: 1 }
  for (const priorStructure of ['scalar', 'layerwise', 'diagonal'] as const) {
    const wanted = run.tuned?.[priorStructure]
    if (wanted?.optimum !== undefined) {
      const tuned = await posterior.tune({ tune: 'marglik', priorStructure })
      near(t, tuned.priorPrecision, wanted.optimum.delta, `${priorStructure} optimum`, 1e-6)
      near(t, tuned.logMarginalLikelihood(), wanted.optimum.log_marginal_likelihood,
        `${priorStructure} optimum: evidence`)
    }
    if (wanted?.adam100 !== undefined) {
      const tuned = await posterior.tune({ tune: 'marglik', priorStructure, schedule })
      near(t, tuned.priorPrecision, wanted.adam100.delta, `${priorStructure} by Adam`, 1e-6)
    }
  }
  const noisy = run.tuned?.['scalar_sigma_0.3']?.optimum
  if (noisy !== undefined) {
    near(t, (await posterior.withPrior({ sigmaNoise: 0.3 }).tune({ tune: 'marglik' })).priorPrecision, noisy.delta,
      'scalar optimum at sigma 0.3', 1e-6)
  }
  const both = run.tuned?.delta_and_sigma?.optimum
  if (both !== undefined) {
    const tuned = await posterior.tune({ tune: 'marglik', sigmaNoise: true })
    near(t, tuned.priorPrecision, both.delta, 'joint optimum: prior precision', 1e-6)
    near(t, tuned.sigmaNoise, both.sigma_noise, 'joint optimum: noise', 1e-6)
  }
}
