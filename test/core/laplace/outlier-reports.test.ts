/** @file Rows that are no data: each doubt and its two scores written out from predictions, for every likelihood. */
import t from 'tap'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { laplace } from '../../../core/index.js'
import type { Likelihood } from '../../../core/options/words.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { float64, type Tensor, tensor } from '../../../core/tensor/tensor.js'

const random = randomGenerator(3)
const numbers = (count: number, scale = 1): Float64Array =>
  Float64Array.from({ length: count }, () => scale * random.normal())

/** Two inputs, three tanh units, and some outputs. */
function network(outputs: number): Graph {
  const b = new GraphBuilder('float64')
  const layer = (input: string, rows: number, columns: number, name: string): string =>
    b.node('Gemm', [input, b.parameter(`${name}.w`, tensor('float64', [rows, columns], numbers(rows * columns, 1.5))),
      b.parameter(`${name}.b`, tensor('float64', [columns], numbers(columns)))])
  return b.build([layer(b.node('Tanh', [layer(b.input('x', [BATCH, 2]), 2, 3, 'hidden')]), 3, outputs, 'out')])
}

const [x, held, others] = [[40, 1], [30, 1], [25, 3]].map(([rows, scale]) =>
  float64([rows!, 2], numbers(2 * rows!, scale))
)
const labels = (likelihood: Likelihood, rows: number, outputs: number): Tensor =>
  likelihood === 'classification'
    ? float64([rows], Float64Array.from({ length: rows }, () => Math.floor(3 * random.uniform())))
    : float64([rows, outputs], numbers(rows * outputs).map(v => (likelihood === 'regression' ? v : Number(v > 0))))

/** The two scores by their definitions: over all pairs, and over all thresholds. */
function told(data: number[], outliers: number[]): { auroc: number, fprAt95Tpr: number } {
  let pairs = 0
  for (const a of data) for (const b of outliers) pairs += b > a ? 1 : b === a ? 0.5 : 0
  const passed = (values: number[], at: number): number => values.filter(v => v <= at).length / values.length
  const threshold = Math.min(...data.filter(at => passed(data, at) >= 0.95 - 1e-12))
  return { auroc: pairs / data.length / outliers.length, fprAt95Tpr: passed(outliers, threshold) }
}

const mean = (values: number[]): number => values.reduce((a, b) => a + b) / values.length
const rowsOf = ({ shape, data }: Tensor): number[][] =>
  Array.from({ length: shape[0]! }, (_, n) => {
    const width = data.length / shape[0]!
    return Array.from(data.subarray(n * width, (n + 1) * width))
  })
const doubt = (likelihood: Likelihood) => (p: number[]): number =>
  likelihood === 'classification' ? 1 - Math.max(...p) : mean(p.map(value => Math.min(value, 1 - value)))
const linked = (likelihood: Likelihood, scale: number) => (f: number[]): number[] => {
  if (likelihood !== 'classification') return f.map(v => 1 / (1 + Math.exp(-v / scale)))
  const weights = f.map(v => Math.exp(v / scale))
  return weights.map(w => w / weights.reduce((a, b) => a + b))
}

for (const [likelihood, outputs] of [['classification', 3], ['binary', 1], ['multilabel', 2], ['regression',
  2]] as const) {
  t.test(`outliers of ${likelihood}, against the definitions`, async t => {
    const posterior = await laplace(network(outputs), { likelihood }).fit(x!, labels(likelihood, 40, outputs))
    const y = labels(likelihood, 30, outputs)
    const { outliers, ...compared } = await posterior.compare(held!, y, { outliers: others! })
    t.same(await posterior.compare(held!, y), compared, 'nothing else changes')
    const predictions = [await posterior.predict(held!), await posterior.predict(others!)]
    const f = [await posterior.forward(held!), await posterior.forward(others!)]
    const expected: Record<string, number[][]> = likelihood === 'regression'
      ? { posterior: predictions.map(({ predictiveVariance }) => rowsOf(predictiveVariance!).map(mean)) }
      : {
        network: f.map(values => rowsOf(values).map(linked(likelihood, 1)).map(doubt(likelihood))),
        temperature: f.map(values =>
          rowsOf(values).map(linked(likelihood, compared.temperatureValue!)).map(doubt(likelihood))
        ),
        posterior: predictions.map(({ probabilities }) => rowsOf(probabilities!).map(doubt(likelihood))),
      }
    expected['novelty'] = predictions.map(({ noveltyScore }) => Array.from(noveltyScore!.data))
    t.same(outliers?.map(({ of }) => of), Object.keys(expected))
    for (const { of, auroc, fprAt95Tpr } of outliers!) {
      const own = told(expected[of]![0]!, expected[of]![1]!)
      t.ok(Math.abs(auroc - own.auroc) < 1e-9, `${of}: ${auroc}, ${own.auroc}`)
      t.ok(Math.abs(fprAt95Tpr - own.fprAt95Tpr) < 1e-9, `${of}: ${fprAt95Tpr}, ${own.fprAt95Tpr}`)
    }
  })
}

t.test('refusals: no outlier, other columns, an option that there is not', async t => {
  const posterior = await laplace(network(1), { likelihood: 'binary' }).fit(x!, labels('binary', 40, 1))
  const y = labels('binary', 30, 1)
  await t.rejects(posterior.compare(held!, y, { outliers: float64([0, 2], []) }), { name: 'DataError' })
  await t.rejects(posterior.compare(float64([0, 2], []), float64([0], [])), { code: 'EMPTY_DATA' })
  await t.rejects(posterior.compare(held!, y, { outliers: float64([4, 3], numbers(12)) }), { name: 'ShapeError' })
  await t.rejects(posterior.compare(held!, y, { outlier: others! } as object), { code: 'UNKNOWN_OPTION' })
})
