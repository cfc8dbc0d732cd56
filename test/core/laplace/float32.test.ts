/**
 * @file Networks of float32, read from ONNX and computed in float32 with float64 sums, against the float64 reference to
 * 1e-4.
 */
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { readOnnx } from '../../../adapters/onnx/index.js'
import { laplace } from '../../../core/index.js'
import { relativeDifference } from '../../support/compare.js'
import { caseNames, referenceCase } from '../../support/reference-case.js'

const file = (name: string): URL => new URL(`../../fixtures/cases/${name}/model32.onnx`, import.meta.url)
const names = caseNames().filter(name => existsSync(file(name)))
t.ok(names.length >= 3, `${names.length} cases have a float32 model`)

for (const name of names) {
  const { graph, x, y, xTest, expected } = referenceCase(name)
  const single = readOnnx(readFileSync(file(name)))
  for (const subset of ['last_layer', 'all'] as const) {
    for (const structure of ['kron', 'diag'] as const) {
      t.test(`${name}: ${subset}, ${structure}`, async t => {
        const options = { likelihood: expected.likelihood, subset, structure, priorPrecision: 1 } as const
        const [wanted, own] = [await laplace(graph, options).fit(x, y), await laplace(single, options).fit(x, y)]
        t.equal(own.summary().precision, 'float32')
        const difference = relativeDifference((await own.predict(xTest)).variance.data,
          (await wanted.predict(xTest)).variance.data)
        t.ok(difference < 1e-4, `f_var ${difference.toExponential(1)}`)
        t.ok(Math.abs(own.logMarginalLikelihood() / wanted.logMarginalLikelihood() - 1) < 1e-4, 'evidence')
      })
    }
  }
}
