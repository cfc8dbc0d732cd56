/** @file Network and posterior on the rows of a fit, and warnings where they contradict each other. */
import t from 'tap'
import type { Graph } from '../../../core/graph/graph.js'
import type { LaplacePosterior } from '../../../core/laplace/laplace-posterior.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { loadPosterior } from '../../../core/laplace/load-posterior.js'
import { likelihoodModel } from '../../../core/likelihood/registry.js'
import type { LaplaceOptions } from '../../../core/options/laplace-options.js'
import type { Likelihood } from '../../../core/options/words.js'
import { writeContainer } from '../../../core/storage/container.js'
import { readPartialFit, writePartialFit } from '../../../core/storage/partial-fit-file.js'
import { readContainer } from '../../../core/storage/read-container.js'
import { mergePartialFits } from '../../../core/sums/partial-fit.js'
import { randomGenerator } from '../../../core/tensor/random.js'
import { float64 } from '../../../core/tensor/tensor.js'
import { noteText, wrapText } from '../../../node/describe.js'
import { normalInputs, type Rows, trainedNetwork } from '../../support/trained-network.js'

const N = 150
const x = normalInputs(N, 2, 1)
const random = randomGenerator(2)
const noise = Float64Array.from({ length: 4 * N }, () => 0.3 * random.normal())

/** N x C values of a function of the inputs and the noise. */
function targets(outputs: number, value: (a: number, b: number, c: number) => number): Float64Array {
  return Float64Array.from({ length: N * outputs }, (_, i) => {
    const n = Math.floor(i / outputs)
    return value(x[2 * n], x[2 * n + 1], i % outputs) + noise[i]
  })
}

const waves = (a: number, b: number, c: number): number => [Math.sin(a) + b, a - Math.cos(b), 1 - a * b][c]
const classes = Float64Array.from({ length: N }, (_, n) => {
  const angle = Math.atan2(x[2 * n + 1] + noise[n], x[2 * n] + noise[N + n]) + Math.PI
  return Math.min(2, Math.floor(angle / (2 * Math.PI) * 3))
})
const LABELS: Readonly<Record<string, readonly [Likelihood, number, Float64Array]>> = {
  'three classes': ['classification', 3, classes],
  'two classes': ['classification', 2, classes.map(value => Math.min(1, value))],
  'binary': ['binary', 1, classes.map(value => Math.min(1, value))],
  'multilabel': ['multilabel', 2,
    Float64Array.from({ length: 2 * N }, (_, i) => (classes[Math.floor(i / 2)] === i % 2 ? 1 : 0))],
  'regression': ['regression', 1, targets(1, waves)],
  'regression of three': ['regression', 3, targets(3, (a, b, c) => 10 ** c * waves(a, b, c))],
}

const networks = new Map<string, Graph>()

function network(name: string, steps = 600): Graph {
  const [likelihood, outputs, y] = LABELS[name]
  const key = `${name} ${steps}`
  // Outputs on scales of their own are learnt on a common one.
  const graph = networks.get(key) ?? trainedNetwork(likelihoodModel(likelihood), { x, y, examples: N }, outputs, steps)
  networks.set(key, graph)
  return graph
}

const rowsOf = (likelihood: Likelihood, { y, examples, x: inputs }: Rows) => ({
  x: float64([examples, 2], inputs),
  y: float64(likelihood === 'classification' ? [examples] : [examples, y.length / examples], y),
})

function fit(name: string, y = LABELS[name][2], options: Partial<LaplaceOptions> = {}, graph = network(name),
  inputs = x): Promise<LaplacePosterior> {
  const [likelihood] = LABELS[name]
  const rows = rowsOf(likelihood, { x: inputs, y, examples: inputs.length / 2 })
  return laplace(graph, { likelihood, ...options }).fit(rows.x, rows.y)
}

const warnings = ({ notes }: LaplacePosterior): readonly string[] => notes.filter(note => note.startsWith('Warning: '))
const LAST: Partial<LaplaceOptions> = { subset: 'last_layer', structure: 'diag', priorPrecision: 1 }
const column = (y: Float64Array, outputs: number, map: (value: number, c: number) => number): Float64Array =>
  y.map((value, i) => map(value, i % outputs))

for (const name of Object.keys(LABELS)) {
  t.test(`${name}: the scores are those of the network's and the posterior's own predictions`, async t => {
    const [likelihood, outputs, y] = LABELS[name]
    for (const options of [{}, { subset: 'last_layer' }] as const) {
      const posterior = await fit(name, y, options)
      const { training } = posterior
      const f = (await posterior.forward(float64([N, 2], x))).data
      const p = await posterior.predict(float64([N, 2], x))
      if (training?.posterior === undefined) throw new Error('no scores')
      const answers: [typeof training.network, Float64Array][] = [[training.network,
        likelihoodModel(likelihood).inverseLink(f as Float64Array, N, outputs)], [training.posterior,
        (p.probabilities ?? p.mean).data as Float64Array]]
      for (const [scores, values] of answers) {
        if ('rmse' in scores) {
          const squares = y.reduce((sum, value, i) => sum + (value - values[i]) ** 2, 0) / y.length
          t.ok(Math.abs(scores.rmse - Math.sqrt(squares)) < 1e-7 * scores.rmse, 'RMSE')
          const variance = scores === training.network
            ? values.map((_, i) => sigma(posterior, i % outputs) ** 2)
            : p.predictiveVariance!.data
          const nll = y.reduce((sum, value, i) =>
            sum + 0.5 * (Math.log(2 * Math.PI * variance[i]) + (value - values[i]) ** 2 / variance[i]), 0) / y.length
          t.ok(Math.abs(scores.nll - nll) < 1e-4 * (1 + Math.abs(nll)), `NLL ${scores.nll} ${nll}`)
        } else {
          const chances = Array.from(y, (value, i) => (likelihood === 'classification'
            ? values[i * outputs + value]
            : value === 1
            ? values[i]
            : 1 - values[i]))
          t.ok(Math.abs(scores.nll + chances.reduce((sum, value) => sum + Math.log(value), 0) / y.length) < 1e-6, 'NLL')
          const right = Array.from(y, (value, i) => (likelihood === 'classification'
            ? chances[i] === Math.max(...values.subarray(i * outputs, (i + 1) * outputs))
            : (values[i] > 0.5) === (value === 1)))
          t.equal(scores.accuracy, right.filter(Boolean).length / y.length, 'accuracy')
        }
      }
      t.equal(training.leaveOneOutNll, posterior.choice?.leaveOneOutNll)
      t.match(posterior.summary(), { training })
      t.same(loadPosterior(posterior.save()).training, training, 'saved')
      t.ok(Math.abs(posterior.logLikelihood / -y.length - training.network.nll) < 1e-9, 'the log likelihood')
      t.same(warnings(posterior), [], 'a trained network raises none')
      const change = (): LaplacePosterior => posterior.withPrior({ priorPrecision: 7 })
      // The linear model of each output has a precision of its own.
      if (name === 'regression of three' && options.subset === undefined) t.throws(change, { code: 'BAD_COMBINATION' })
      else t.equal(change().training?.posterior, undefined, 'scores of another prior are not kept')
    }
  })
}

function sigma({ sigmaNoise }: LaplacePosterior, c: number): number {
  return typeof sigmaNoise === 'number' ? sigmaNoise : sigmaNoise[c]
}

t.test('networks that underfit but are useful raise no warning of their data', async t => {
  for (const name of Object.keys(LABELS)) {
    for (const steps of [60, 200]) t.same(warnings(await fit(name, LABELS[name][2], LAST, network(name, steps))), [])
  }
})

const refused = (name: string, y: Float64Array, expected: RegExp, options = LAST): Promise<void> =>
  t.test(`${name}: ${expected.source}`, async t => {
    const found = warnings(await fit(name, y, options))
    t.equal(found.length, 1, found.join('\n'))
    t.match(found[0], expected)
    t.notMatch(found[0], /NaN|Infinity|undefined/)
  }) as unknown as Promise<void>

const [three, two, binary, multilabel, regression, several] = Object.values(LABELS).map(([, , y]) => y)
for (const options of [LAST, {}]) {
  void refused('three classes', three.map(value => (value + 1) % 3),
    /another order.*with label 0 as 2, 1 as 0 and 2 as 1/, options)
  void refused('two classes', two.map(value => 1 - value), /another order.*with label 0 as 1 and 1 as 0/, options)
  void refused('binary', binary.map(value => 1 - value), /inverted.*give 1 - y/, options)
  void refused('regression', regression.map(value => -value), /negated: y is about -(0\.9|1)/, options)
  void refused('regression', regression.map(value => 20 * value + 500),
    /another scale.*y is about (19|20|21)[\d.]* f \+ (49|50)/, options)
}
void refused('three classes', three.map(value => (value === 0 ? 0 : 3 - value)), /with label 1 as 2 and 2 as 1 \(/)
void refused('multilabel', column(multilabel, 2, (value, c) => (c === 1 ? 1 - value : value)), /labels of output 1 \(/)
void refused('regression of three', column(several, 3, (value, c) => (c === 2 ? value / 50 : value)),
  /another scale.*\(output 2\)/)
void refused('regression of three', several.map((_, i) => several[i % 3 === 0 ? i + 1 : i % 3 === 1 ? i - 1 : i]),
  /columns of the targets.*column 1 to output 0 and column 0 to output 1 \(/)
const shuffled = (y: Float64Array, width: number): Float64Array => {
  const draw = randomGenerator(9)
  const order = Array.from({ length: N }, (_, n) => [draw.uniform(), n] as const).sort((a, b) => a[0] - b[0])
  return y.map((_, i) => y[order[Math.floor(i / width)][1] * width + i % width])
}
void refused('regression', shuffled(regression, 1).map(value => 0.2 * value), /no better than their mean/)

t.test('an untrained network', async t => {
  for (const name of ['three classes', 'binary', 'multilabel']) {
    const y = LABELS[name][2]
    const posterior = await fit(name, shuffled(y, y.length / N), LAST)
    t.match(warnings(posterior), [/knows no more of these rows than a guess/], name)
  }
})

t.test('the linear model contradicts a network that is hardly trained', async t => {
  const posterior = await fit('three classes', three, {}, network('three classes', 3))
  t.ok((posterior.choice?.r ?? 0) > 1.5)
  t.equal(warnings(posterior).length, 1)
})

t.test('few rows, one row and constant targets are no ground for a warning', async t => {
  t.same(warnings(await fit('three classes', Float64Array.of(2, 1, 0), LAST, undefined, x.subarray(0, 6))), [])
  t.same(warnings(await fit('regression', Float64Array.of(1e3), LAST, undefined, x.subarray(0, 2))), [])
  t.same(warnings(await fit('regression', new Float64Array(N).fill(3), LAST)), [])
})

t.test('every kind of fit compares network and rows alike', async t => {
  for (const name of ['three classes', 'multilabel', 'regression of three']) {
    const [likelihood, outputs, right] = LABELS[name]
    const y = likelihood === 'regression' ? right.map(value => -value) : right.map(value => (value + 1) % outputs)
    const expected = await fit(name, y, LAST)
    for (const options of [{}, { structure: 'kron' }, { structure: 'full', batchSize: 7 }, { structure: 'diag',
      subset: 'all' }, { structure: 'kron', subset: 'all', batchSize: 9 }] as const) {
      const posterior = await fit(name, y, { tune: 'none', priorPrecision: 1, ...options })
      t.same(warnings(posterior).map(rounded), warnings(expected).map(rounded), JSON.stringify(options))
    }
    const width = y.length / N
    const part = (from: number, to: number) =>
      rowsOf(likelihood, { x: x.subarray(2 * from, 2 * to), y: y.subarray(width * from, width * to),
        examples: to - from })
    const prepared = laplace(network(name), { likelihood, ...LAST })
    const stream = prepared.stream()
    for (const [from, to] of [[0, 40], [40, 41], [41, N]]) await stream.add(part(from, to).x, part(from, to).y)
    t.same(warnings(await stream.finish()).map(rounded), warnings(expected).map(rounded), 'stream')
    const partials = await Promise.all(
      [[0, 40], [40, N]].map(([from, to]) => prepared.fitPartial(part(from, to).x, part(from, to).y)),
    )
    const merged = partials.map(partial => readPartialFit(writePartialFit(partial))).reduce(mergePartialFits)
    const posterior = await prepared.fitMerged(merged)
    t.same(warnings(posterior).map(rounded), warnings(expected).map(rounded), 'partial fits')
    t.match(posterior.training?.rows, N)
  }
})

/** Last digits depend on the order of additions. */
const rounded = (sentence: string): string => sentence.replace(/\d+\.\d+/g, number => Number(number).toPrecision(2))

t.test('partial fits and posteriors of version 0.1.0 know nothing of it', async t => {
  const rows = rowsOf('classification', { x, y: three, examples: N })
  const prepared = laplace(network('three classes'), { likelihood: 'classification', ...LAST })
  const partial = await prepared.fitPartial(rows.x, rows.y)
  const old = readPartialFit(without(writePartialFit(partial), 'partial', 'agreement'))
  t.equal(old.agreement, undefined)
  const other = await prepared.fitPartial(rows.x, rows.y, { chunk: 'other rows' })
  for (const sum of [mergePartialFits(old, other), mergePartialFits(other, old)]) {
    const posterior = await prepared.fitMerged(sum)
    t.same([posterior.training, warnings(posterior)], [undefined, []], 'no scores of a part only')
  }
  const saved = (await prepared.fit(rows.x, rows.y)).save()
  t.equal(loadPosterior(without(saved, 'posterior', 'training')).training, undefined)
})

/** The file without a field. */
function without(bytes: Uint8Array, kind: string, key: string): Uint8Array {
  const { [key]: _, ...tree } = readContainer(kind, bytes).tree as Record<string, never>
  return writeContainer(kind, tree)
}

t.test('the likelihood and the evidence at the weights tell the right labels from permuted ones', async t => {
  for (const options of [LAST, {}, { subset: 'last_layer' }] as const) {
    const [right, wrong] = [await fit('three classes', three, options), await fit('three classes', three.map(value =>
      (value + 1) % 3
    ), options)]
    t.ok(right.logLikelihood > wrong.logLikelihood + 50)
    t.ok(right.logMarginalLikelihood() > wrong.logMarginalLikelihood() + 50)
  }
})

t.test('what is printed keeps to the width', async t => {
  t.same(wrapText('one two three four', 9, '  '), 'one two\n  three\n  four')
  t.equal(noteText('Warning: x'), 'Warning: x')
  t.equal(noteText('x'), 'Note: x')
})
