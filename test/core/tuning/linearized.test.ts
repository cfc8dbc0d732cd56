/** @file Tuning by the linear model at its own mode, against the reference values. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { laplace } from '../../../core/index.js'
import { relativeDifference } from '../../support/compare.js'
import { type ReferenceArray, referenceCase } from '../../support/reference-case.js'

interface Expected {
  prior_precision: number
  effective_parameters: number
  log_evidence_at_mode: number
  f_var_diag: ReferenceArray
  probit: ReferenceArray
}

const { values } = JSON.parse(readFileSync(new URL('../../fixtures/linearized.json', import.meta.url), 'utf8')) as {
  values: Record<string, Record<string, Expected>>
}

for (const [name, structures] of Object.entries(values)) {
  const { graph, x, y, xTest, expected } = referenceCase(name)
  for (const structure of ['full', 'kron', 'diag'] as const) {
    t.test(`${name}: ${structure}`, async t => {
      const wanted = structures[structure]
      const posterior = await laplace(graph, { likelihood: expected.likelihood, subset: 'last_layer', structure,
        tune: 'linearized' }).fit(x, y)
      const { variance, probabilities } = await posterior.predict(xTest)
      const check = (what: string, actual: ArrayLike<number>, want: ArrayLike<number>, tolerance: number): void => {
        const difference = relativeDifference(actual, want)
        t.ok(difference <= tolerance, `${what} (${difference.toExponential(1)})`)
      }
      check('prior precision', [posterior.priorPrecision as number], [wanted.prior_precision], 1e-8)
      check('effective parameters', [posterior.effectiveParameters!], [wanted.effective_parameters], 1e-7)
      check('evidence', [posterior.logEvidenceAtMode!], [wanted.log_evidence_at_mode], 1e-7)
      check('f_var', variance.data, wanted.f_var_diag.data, 1e-7)
      check('probit', probabilities!.data, wanted.probit.data, 1e-7)
    })
  }
}
