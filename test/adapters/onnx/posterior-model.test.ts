/** @file Exported posteriors, run by ONNX Runtime with none of our code, against the posteriors' own predictions. */
import * as ort from 'onnxruntime-node'
import t from 'tap'
import { type OnnxExportOptions, posteriorModel, writeOnnx } from '../../../adapters/onnx/index.js'
import { convertPrecision } from '../../../core/engine/precision.js'
import { GraphBuilder } from '../../../core/graph/builder.js'
import { BATCH, type Graph } from '../../../core/graph/graph.js'
import { laplace } from '../../../core/laplace/laplace.js'
import type { LaplaceOptions } from '../../../core/options/laplace-options.js'
import { LINKS } from '../../../core/options/words.js'
import { float64, sizeOf, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { uniform } from '../../core/ops/check-derivative.js'
import { drawer, perceptron } from '../../support/random-network.js'
import { referenceCase } from '../../support/reference-case.js'
import { exportedOutputs, farthest, sameAsPrediction } from './posterior-outputs.js'

const EVERY_CLASSES = ['mean', 'variance', 'covariance', 'probabilities', 'aleatoric', 'epistemic']
const EVERY_MEAN = ['mean', 'variance', 'covariance', 'predictive_variance', 'aleatoric', 'epistemic', 'lower', 'upper']

/** The first rows. */
function few({ dtype, shape, data }: Tensor, rows = 12): Tensor {
  return tensor(dtype, [rows, ...shape.slice(1)], data.slice(0, rows * data.length / shape[0]))
}

const STRUCTURES: readonly Partial<LaplaceOptions>[] = [
  ...(['kron', 'diag', 'full'] as const).flatMap(structure =>
    (['last_layer', 'all'] as const).map(subset => ({ subset, structure, priorPrecision: 2 }))
  ),
  { subset: 'all', structure: 'lowrank' },
  {},
]

t.test('every structure, of one layer and of all, gives what predict gives', async t => {
  for (const [name, likelihood] of [['classification-4', 'classification'], ['binary', 'binary'], ['multilabel',
    'multilabel'], ['regression-1d', 'regression'], ['regression-multi', 'regression']] as const) {
    const { graph, x, y, xTest } = referenceCase(name)
    for (const options of STRUCTURES) {
      const posterior = await laplace(graph, { likelihood, ...options, precision: 'float64' }).fit(x, y)
      await sameAsPrediction(t, posterior, few(xTest), {
        outputs: likelihood === 'regression' ? EVERY_MEAN : EVERY_CLASSES,
      }, 1e-9, `${name} ${JSON.stringify(options)}`)
    }
  }
})

t.test('every link', async t => {
  const { graph, x, y, xTest } = referenceCase('classification-4')
  for (const options of [{ subset: 'last_layer', structure: 'kron' }, { subset: 'all',
    structure: 'lowrank' }] as const) {
    const posterior = await laplace(graph, { likelihood: 'classification', ...options }).fit(x, y)
    for (const link of LINKS) {
      await sameAsPrediction(t, posterior, few(xTest), { outputs: ['probabilities'], link, samples: 200, seed: 5,
        dtype: 'float64' }, 1e-6, link)
    }
  }
})

t.test('other networks: convolutions, residual, deep, sequences; calibrated; float32', async t => {
  for (const [name, likelihood] of [['cnn', 'classification'], ['residual', 'classification'], ['deep',
    'classification'], ['sequence', 'classification']] as const) {
    const { graph, x, y, xTest } = referenceCase(name)
    for (const options of [{ subset: 'last_layer', structure: 'full', priorPrecision: 1 }, { subset: 'all',
      structure: 'kron', priorPrecision: 1 },
      ...(name === 'cnn' ? [] : [{ subset: 'all', structure: 'lowrank' } as const])] as const) {
      const posterior = await laplace(graph, { likelihood, ...options, precision: 'float64' }).fit(x, y)
      for (const precision of ['float64', 'float32'] as const) {
        await sameAsPrediction(t, posterior, few(xTest), { precision }, precision === 'float64' ? 1e-9 : 1e-4,
          `${name} ${JSON.stringify(options)} ${precision}`)
      }
    }
  }
})

t.test('calibrated: intervals and sets at a level; novelty; a tuned mixture', async t => {
  const regression = referenceCase('regression-1d')
  const means = await laplace(regression.graph, { likelihood: 'regression' }).fit(regression.x, regression.y)
  for (const calibrated of [await means.conformalize(), await means.conformalize(regression.xTest, regression.yTest)]) {
    await sameAsPrediction(t, calibrated, regression.xTest, { level: 0.8,
      outputs: ['lower', 'upper', 'novelty', 'novelty_score'], precision: 'float64' }, 1e-6, 'regression')
  }
  const classes = referenceCase('classification-4')
  for (const subset of ['auto', 'last_layer'] as const) {
    const posterior = await laplace(classes.graph, { likelihood: 'classification', subset }).fit(classes.x, classes.y)
    for (const score of ['aps', 'lac'] as const) {
      const calibrated = await posterior.conformalize(classes.xTest, classes.yTest, { score })
      await sameAsPrediction(t, calibrated, classes.xTest, { level: 0.7, precision: 'float64',
        outputs: ['sets', 'probabilities', 'epistemic'] }, 1e-6, `${subset} ${score}`)
    }
  }
  const one = referenceCase('binary')
  const binary = await (await laplace(one.graph, { likelihood: 'binary' }).fit(one.x, one.y)).conformalize()
  await sameAsPrediction(t, binary, one.xTest, { outputs: ['sets'], precision: 'float64' }, 0, 'binary')
})

const random = uniform(3)
const draw = (...shape: number[]): Tensor =>
  float64(shape, Array.from({ length: sizeOf(shape) }, () => 2 * random() - 1))

/** N x 4 x 2 to N x 4 x 3, or to N x 3 x 4: an answer at every position. */
function sequence(classesFirst: boolean): Graph {
  const b = new GraphBuilder('float64')
  const dense = (a: string, name: string, out: number, inputs: number): string =>
    b.node('Add', [b.node('MatMul', [a, b.node('Transpose', [b.parameter(name, draw(out, inputs))])]),
      b.parameter(`${name}Bias`, draw(out))])
  const z = dense(b.node('Tanh', [dense(b.input('x', [BATCH, 4, 2]), 'hidden', 5, 2)]), 'head', 3, 5)
  return b.build([classesFirst ? b.node('Transpose', [z], { perm: [0, 2, 1] }) : z])
}

t.test('an answer at every position, in the layout of the network', async t => {
  for (const classesFirst of [false, true]) {
    const graph = sequence(classesFirst)
    const [x, y] = [draw(9, 4, 2), tensor('int64', [9, 4], Array.from({ length: 36 }, () => Math.floor(3 * random())))]
    for (const options of STRUCTURES.slice(0, 7)) {
      const posterior = await laplace(graph, { likelihood: 'classification', ...options }).fit(x, y)
      await sameAsPrediction(t, posterior, x, { outputs: EVERY_CLASSES }, 1e-9, JSON.stringify(options))
    }
    const labels = tensor('float64', classesFirst ? [9, 3, 4] : [9, 4, 3], Array.from({ length: 108 }, random))
    const regression = await laplace(graph, { likelihood: 'regression', subset: 'last_layer' }).fit(x, labels)
    await sameAsPrediction(t, regression, x, { outputs: EVERY_MEAN }, 1e-9, 'regression')
  }
})

const small = drawer(7)

t.test('new observations of counts, and of numbers whose noise the network says itself', async t => {
  const everything = ['mean', 'variance', 'covariance', 'predictive_mean', 'predictive_variance', 'aleatoric',
    'epistemic']
  const [graph, x] = [perceptron(small, 3, 5, 2, 'Tanh'), small(40, 3)]
  for (const [likelihood, y] of [['poisson',
    tensor('float64', [40, 2], Array.from({ length: 80 }, () => Math.floor(4 * random())))], ['heteroscedastic',
    draw(40, 1)]] as const) {
    for (const options of STRUCTURES.filter(({ structure }) => structure !== 'lowrank')) {
      const posterior = await laplace(graph, { likelihood, ...options, precision: 'float64' }).fit(x, y)
      const what = `${likelihood} ${JSON.stringify(options)}`
      await sameAsPrediction(t, posterior, few(x), { outputs: everything }, 1e-9, what)
      await sameAsPrediction(t, posterior, few(x), {}, 1e-9, what)
      const calibrated = await posterior.conformalize(x, y)
      await sameAsPrediction(t, calibrated, few(x), { outputs: ['lower', 'upper'], level: 0.8 }, 1e-9, what)
      if (likelihood === 'poisson') {
        t.throws(() => posteriorModel(posterior, { outputs: 'lower' }), { message: /conformalize/ })
      } else await sameAsPrediction(t, posterior, few(x), { outputs: ['lower', 'upper'] }, 1e-9, what)
    }
  }
})

t.test('a subnetwork, of every structure that has one', async t => {
  const [graph, x] = [perceptron(small, 3, 5, 3, 'Tanh'), small(40, 3)]
  const y = tensor('int64', [40], Array.from({ length: 40 }, () => Math.floor(3 * random())))
  for (const structure of ['full', 'diag', 'blockdiag', 'functional'] as const) {
    const posterior = await laplace(graph, { likelihood: 'classification', subset: 'subnetwork', structure,
      subnetwork: [0, 3, 4, 16, 17, 20, 25, 33, 36], priorPrecision: 1 }).fit(x, y)
    await sameAsPrediction(t, posterior, few(x), { outputs: EVERY_CLASSES, seed: 1 }, 1e-6, structure)
  }
})

t.test('a precision for each tensor, of every structure that has them', async t => {
  const [graph, x] = [perceptron(small, 3, 5, 2, 'Tanh'), small(40, 3)]
  for (const structure of ['kron', 'ekfac', 'full', 'diag', 'functional'] as const) {
    const posterior = await laplace(graph, { likelihood: 'regression', subset: 'all', structure,
      priorPrecision: [0.5, 1, 2, 4] }).fit(x, small(40, 2))
    await sameAsPrediction(t, posterior, few(x), { outputs: EVERY_MEAN }, 1e-6, structure)
  }
})

t.test('noises that depend on each other', async t => {
  const [graph, x] = [perceptron(small, 3, 5, 2, 'Tanh'), small(40, 3)]
  const posterior = await laplace(graph, { likelihood: 'regression', subset: 'last_layer', structure: 'full',
    priorPrecision: 1, sigmaNoise: [[1, 0.5], [0.5, 2]] }).fit(x, small(40, 2))
  await sameAsPrediction(t, posterior, few(x), {
    outputs: ['covariance', 'predictive_covariance', 'predictive_variance'],
  }, 1e-9)
})

t.test('the network in the file computes what the network alone does, to the bit', async t => {
  for (const name of ['cnn', 'deep', 'residual'] as const) {
    const { graph, x, y, xTest } = referenceCase(name)
    const single = convertPrecision(graph, 'float32')
    const posterior = await laplace(single, { likelihood: 'classification', subset: 'last_layer' }).fit(x, y)
    const [input] = single.inputs
    const run = async (bytes: Uint8Array): Promise<ort.InferenceSession.ReturnType> => {
      const session = await ort.InferenceSession.create(bytes, { graphOptimizationLevel: 'disabled',
        logSeverityLevel: 4 })
      return session.run({ [input.name]: new ort.Tensor('float32', Float32Array.from(xTest.data), [...xTest.shape]) })
    }
    const [plain, exported] = [await run(writeOnnx(single)), await run(posteriorModel(posterior))]
    t.same(exported['mean'].data, plain[single.outputs[0]].data, name)
  }
})

t.test('a full last layer in float32, under priors that say nothing and that say all', async t => {
  const { graph, x, y, xTest } = referenceCase('classification-4')
  for (const priorPrecision of [1e-6, 1, 1e4]) {
    const posterior = await laplace(graph, { likelihood: 'classification', subset: 'last_layer', structure: 'full',
      priorPrecision, precision: 'float64' }).fit(x, y)
    for (const link of ['probit', 'zero_sum'] as const) {
      await sameAsPrediction(t, posterior, few(xTest), { dtype: 'float32', link,
        outputs: ['mean', 'variance', 'probabilities'] }, 2e-6, `${priorPrecision} ${link}`)
    }
  }
})

t.test('variances and the probabilities of zero_sum of a full last layer are made of one product', async t => {
  const { graph, x, y } = referenceCase('classification-4')
  const posterior = await laplace(graph, { likelihood: 'classification', subset: 'last_layer', structure: 'full',
    priorPrecision: 2 }).fit(x, y)
  const numbersIn = (options: OnnxExportOptions): number => {
    const { initializers } = posterior.exportGraph(options).graph
    return [...initializers.values()].reduce((sum, { data }) => sum + data.length, 0)
  }
  const network = numbersIn({ outputs: ['mean'] })
  const variances = numbersIn({ outputs: ['mean', 'variance'] }) - network
  const both = numbersIn({ outputs: ['mean', 'variance', 'probabilities'], link: 'zero_sum' }) - network
  t.ok(both < 1.3 * variances, `${both} numbers, ${variances} of them for the variances`)
})

t.test('operator sets from 13 on, and what an older one cannot hold', async t => {
  const { graph, x, y, xTest } = referenceCase('cnn')
  const posterior = await laplace(graph, { likelihood: 'classification', subset: 'last_layer', priorPrecision: 1 })
    .fit(x, y)
  const newest = await exportedOutputs(posterior, few(xTest), { opset: 24 })
  for (const opset of [13, 14, 15, 16, 17, 18, 20, 21, 23]) {
    const older = await exportedOutputs(posterior, few(xTest), { opset })
    t.ok(farthest(older.get('probabilities')!.data, newest.get('probabilities')!.data) < 1e-6, `opset ${opset}`)
  }
  for (const opset of [12, 25, 17.5]) {
    t.throws(() => posteriorModel(posterior, { opset }), { code: 'BAD_OPTION', message: /13 to 24/ })
  }
  const b = new GraphBuilder('float32')
  const normal = b.node('LayerNormalization', [b.input('x', [BATCH, 3]),
    b.parameter('scale', tensor('float32', [3], [1, 1, 1]))])
  const normalised = b.build([
    b.node('MatMul', [normal, b.parameter('w', tensor('float32', [3, 2], [1, 0, 0, 1, 1, 1]))]),
  ])
  t.throws(() => writeOnnx(normalised, { opset: 16 }), { code: 'UNSUPPORTED_OPERATOR', message: /opset 17 or newer/ })
})

t.test('what a posterior does not have, and what no graph computes, is refused with a way out', async t => {
  const { graph, x, y } = referenceCase('classification-4')
  const posterior = await laplace(graph, { likelihood: 'classification', subset: 'last_layer', priorPrecision: 1 })
    .fit(x, y)
  const refusals: [OnnxExportOptions, RegExp][] = [
    [{ outputs: ['lower'] }, /likelihood is classification/],
    [{ outputs: ['sets'] }, /conformalize/],
    [{ outputs: ['novelty'] }, /tune 'auto'/],
    [{ outputs: ['varience'] }, /Did you mean 'variance'/],
    [{ outputs: [] }, /at least one/],
    [{ dtype: 'float16' as never }, /float32, float64/],
    [{ dtype: 'float32', precision: 'float64' }, /mean the same/],
    [{ level: 1 }, /between 0 and 1/],
    [{ link: 'bride' as never }, /bridge/],
    [{ colour: 'red' } as never, /colour/],
  ]
  for (const [options, message] of refusals) t.throws(() => posteriorModel(posterior, options), { message })
  const randomised = await (await laplace(graph, { likelihood: 'classification' }).fit(x, y))
    .conformalize(x, y, { randomised: true })
  t.throws(() => posteriorModel(randomised, { outputs: 'sets' }), { message: /without randomised/ })
  t.ok(posteriorModel(randomised).length > 0, 'sets are left out where nobody asks for them')
  const bernoulli = referenceCase('binary')
  const binary = await laplace(bernoulli.graph, { likelihood: 'binary' }).fit(bernoulli.x, bernoulli.y)
  t.throws(() => posteriorModel(binary, { link: 'bridge' }), { code: 'BAD_COMBINATION' })
})
