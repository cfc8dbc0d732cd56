/** @file Tuning by the linear model at its own mode, against the reference values. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { BATCH, GraphBuilder, laplace, tensor } from '../../../core/index.js'
import { randomGenerator } from '../../../core/tensor/random.js'
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

t.test('labels that the features do not tell: a fixed point that plain steps approach by a hundredth each', async t => {
  const [width, classes, rows] = [256, 125, 600]
  const random = randomGenerator(5)
  const normals = (count: number, scale: number): Float32Array =>
    Float32Array.from(random.fillNormal(new Float64Array(count)), value => value * scale)
  const b = new GraphBuilder('float32')
  const weight = b.parameter('w', tensor('float32', [classes, width], normals(classes * width, Math.sqrt(2 / width))))
  const bias = b.parameter('b', tensor('float32', [classes], new Float32Array(classes)))
  const graph = b.build([b.node('Gemm', [b.input('x', [BATCH, width]), weight, bias], { transB: 1 })])
  const x = tensor('float32', [rows, width], normals(rows * width, 1))
  const y = tensor('int64', [rows], Float64Array.from({ length: rows }, () => Math.floor(classes * random.uniform())))
  let reports = 0
  const posterior = await laplace(graph, { likelihood: 'classification', subset: 'last_layer', tune: 'linearized' })
    .fit(x, y, { onProgress: ({ stage }) => {
      if (stage === 'tune') reports++
    } })
  t.ok(reports < 20, `${reports} reports`)
  t.notOk(posterior.summary().notes.some(note => note.includes('stopped')))
  // The fixed point itself: 300 plain steps end two hundredths below it.
  t.ok(Math.abs(Math.log(posterior.priorPrecision as number) - 6.9789) < 2e-3, String(posterior.priorPrecision))
})
