// Type-checked under strict options: results are those of their functions, wrong options do not compile.
import { readFile } from 'node:fs/promises'
import { laplace, loadPosterior, readNetwork } from 'polylaplace'

const { x, y } = JSON.parse(await readFile('data.json', 'utf8')) as { x: number[][], y: number[] }
const network = await readNetwork('model.onnx')
const posterior = await laplace(network, { likelihood: 'classification', subset: 'last_layer' }).fit(x, y, {
  signal: AbortSignal.timeout(60_000),
})
const { probabilities, mean } = await posterior.predict(x, { link: 'probit' })
const first: number = probabilities.get(0, 0)
const again = await loadPosterior(posterior.save()).predict(x)
const shape: readonly number[] = again.mean.shape
console.log(first, mean.get(0, 0), shape)
// @ts-expect-error classification has no noise
laplace(network, { likelihood: 'classification', sigmaNoise: 1 })
// @ts-expect-error a structure that does not exist
laplace(network, { likelihood: 'regression', structure: 'kronecker' })
// @ts-expect-error predictions of classes have no predictive variance
console.log((await posterior.predict(x)).predictiveVariance)
