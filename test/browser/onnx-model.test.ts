/** @file An exported posterior in Chromium, run by onnxruntime-web with none of our code. */
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { posteriorModel } from '../../adapters/onnx/index.js'
import { laplace } from '../../core/laplace/laplace.js'
import { farthest } from '../adapters/onnx/posterior-outputs.js'
import { servedPage } from '../support/chromium.js'
import { referenceCase } from '../support/reference-case.js'

const runtime = fileURLToPath(new URL('../../node_modules/onnxruntime-web/dist/', import.meta.url))

/** The part of onnxruntime-web that the page uses. */
interface WebRuntime {
  readonly env: { readonly wasm: { numThreads: number } }
  readonly Tensor: new(type: string, data: Float32Array | Float64Array, shape: readonly number[]) => object
  readonly InferenceSession: { create(model: Uint8Array): Promise<{
    run(feeds: Record<string, object>): Promise<Record<string, { readonly data: ArrayLike<number> }>>
  }> }
}

t.test('means, variances, probabilities, draws, intervals and sets are those of predict', async t => {
  const { page, errors } = await servedPage(t, url => {
    const file = `${runtime}${url.slice(1)}`
    if (url === '/') return { type: 'text/html', body: '<!doctype html><link rel="icon" href="data:,">' }
    if (!existsSync(file)) return { type: 'text/html', body: '', status: 404 }
    return { type: url.endsWith('.wasm') ? 'application/wasm' : 'text/javascript', body: readFileSync(file) }
  })
  const cases = [
    ['classification-4', 'classification', 'float64', ['mean', 'variance', 'probabilities', 'epistemic', 'sets']],
    ['cnn', 'classification', 'float32', ['mean', 'variance', 'probabilities']],
    ['regression-1d', 'regression', 'float64', ['mean', 'covariance', 'lower', 'upper']],
  ] as const
  for (const [name, likelihood, precision, outputs] of cases) {
    const { graph, x, y, xTest, yTest } = referenceCase(name)
    const subset = name === 'cnn' ? 'last_layer' : 'auto'
    const fitted = await laplace(graph, { likelihood, subset }).fit(x, y)
    const posterior = name === 'cnn' ? fitted : await fitted.conformalize(xTest, yTest)
    const theirs = await page.evaluate(
      async (model: number[], input: string, type: string, values: number[], shape: readonly number[]) => {
        const url = '/ort.wasm.min.mjs'
        const ort = await import(url) as WebRuntime
        ort.env.wasm.numThreads = 1
        const session = await ort.InferenceSession.create(Uint8Array.from(model))
        const data = type === 'float64' ? Float64Array.from(values) : Float32Array.from(values)
        const results = await session.run({ [input]: new ort.Tensor(type, data, shape) })
        return Object.fromEntries(Object.entries(results).map(([name, { data }]) => [name, Array.from(data, Number)]))
      },
      Array.from(posteriorModel(posterior, { outputs, precision })),
      graph.inputs[0].name,
      precision,
      Array.from(xTest.data),
      [...xTest.shape],
    )
    const ours = await posterior.predict(xTest, { covariance: true, level: name === 'cnn' ? undefined : 0.9 })
    t.same(Object.keys(theirs), outputs, name)
    for (const output of outputs) {
      const distance = farthest(theirs[output], ours[output]!.data)
      t.ok(distance < (precision === 'float64' ? 1e-6 : 1e-4), `${name} ${output}: ${distance}`)
    }
  }
  t.same(errors, [])
})
