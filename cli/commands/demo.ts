/** @file `polylaplace demo`: a trained network made Bayesian, on bundled data, without any option. */
import { readOnnx } from '../../adapters/onnx/index.js'
import type { Graph } from '../../core/graph/graph.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { laplace } from '../../core/laplace/laplace.js'
import { auroc, type Metrics, metrics } from '../../core/metrics/index.js'
import { rows, type Tensor } from '../../core/tensor/tensor.js'
import { type Digits, noise, readDigits, rotated, SIDE } from '../demo/digits.js'
import { packageFile, packageVersion } from '../files/package-files.js'
import { toJson } from '../output/json.js'
import { beside, picture } from '../output/picture.js'
import { bestClass } from '../output/predictions.js'
import { formatCount, formatNumber, formatSeconds, pairs, table, wrap } from '../output/table.js'
import type { Terminal } from '../output/terminal.js'
import type { Command } from './command.js'

const SEED = 1
const WIDTH = 92

export const demo: Command = {
  name: 'demo',
  summary: 'a trained network made Bayesian, on bundled data',
  positionals: [],
  options: { json: { type: 'boolean', help: 'print JSON' } },
  run: async (args, terminal) => {
    const network = readOnnx(await packageFile('demo/digits.onnx'))
    const { training, unseen } = await readDigits()
    const started = performance.now()
    const posterior = await laplace(network, { likelihood: 'classification' }).fit(training.x, training.y)
    const seconds = (performance.now() - started) / 1000
    const contenders = await compete(network, posterior, training, unseen)
    if (args.flag('json')) {
      return terminal.write(
        toJson({ seconds, summary: posterior.summary(),
          contenders: contenders.map(({ name, scores, confidence, strangers }) => ({ name, scores, confidence,
            strangers })
          ) }),
      )
    }
    terminal.write(await heading(posterior, seconds))
    terminal.write(scoreTable(contenders, unseen.x.shape[0]))
    terminal.write(strangerTable(contenders))
    terminal.write(await singleAnswers(contenders, unseen))
    terminal.write(farewell(terminal))
  },
}

/** Pictures that the network was not made for. */
interface Stranger {
  readonly name: string
  readonly confidence: number
  readonly auroc: number
  /** The answer given most often, and how often. */
  readonly favourite: number
  readonly favoured: number
}

/** One way to answer, and how well it does. */
interface Contender {
  readonly name: string
  readonly predict: (x: Tensor) => Promise<Tensor>
  readonly probabilities: Tensor
  readonly scores: Metrics
  /** Mean confidence in answers about the unseen digits. */
  readonly confidence: number
  readonly strangers: readonly Stranger[]
}

/** The network alone, our default, and laplace-torch's way of tuning, all on the same pictures. */
async function compete(network: Graph, posterior: LaplacePosterior, training: Digits,
  unseen: Digits): Promise<Contender[]> {
  const marglik = await laplace(network, { likelihood: 'classification', tune: 'marglik' }).fit(training.x, training.y)
  const probabilitiesOf = (source: LaplacePosterior, link: 'probit' | 'map') => async (x: Tensor): Promise<Tensor> => {
    const { probabilities } = await source.predict(x, { link, uncertainty: false })
    return probabilities ?? x
  }
  const strangers = { 'noise': noise(unseen.x.shape[0], SEED), 'digits turned by 90°': rotated(unseen.x) }
  return Promise.all([
    contender('the network alone', probabilitiesOf(posterior, 'map'), unseen, strangers),
    contender('posterior, tuned by linearized', probabilitiesOf(posterior, 'probit'), unseen, strangers),
    contender('posterior, tuned by marglik', probabilitiesOf(marglik, 'probit'), unseen, strangers),
  ])
}

async function contender(name: string, predict: Contender['predict'], unseen: Digits,
  strangers: Readonly<Record<string, Tensor>>): Promise<Contender> {
  const probabilities = await predict(unseen.x)
  const sure = confidences(probabilities)
  const judged = Object.entries(strangers).map(async ([stranger, x]) => {
    const answers = await predict(x)
    const other = confidences(answers)
    return { name: stranger, confidence: mean(other),
      auroc: auroc([...sure, ...other], [...sure.map(() => 1), ...other.map(() => 0)]), ...favouriteOf(answers) }
  })
  return { name, predict, probabilities, scores: metrics('classification', unseen.y, { probabilities }),
    confidence: mean(sure), strangers: await Promise.all(judged) }
}

function favouriteOf(probabilities: Tensor): Pick<Stranger, 'favourite' | 'favoured'> {
  const counts = new Float64Array(probabilities.shape[1])
  for (let row = 0; row < probabilities.shape[0]; row++) counts[bestClass(probabilities, row)]++
  const favoured = Math.max(...counts)
  return { favourite: counts.indexOf(favoured), favoured }
}

/** Probability of the answer given, for every row. */
function confidences(probabilities: Tensor): number[] {
  return Array.from({ length: probabilities.shape[0] },
    (_, row) => probabilities.data[row * probabilities.shape[1] + bestClass(probabilities, row)])
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

async function heading(posterior: LaplacePosterior, seconds: number): Promise<string> {
  const { subset, structure, parameterCount, examples, tuned, priorPrecision, effectiveParameters } = posterior
    .summary()
  return `\npolylaplace ${await packageVersion()}: a trained network made Bayesian\n\n` + pairs([
    ['Network', 'demo/digits.onnx, 64-32-32-10 with tanh, trained by PyTorch (demo/train.py)'],
    ['Posterior',
      `${subset}, ${structure}: ${formatCount(parameterCount)} weights; fitted to the ${
        formatCount(examples)
      } digits it was trained on`],
    ['Prior precision', `${formatNumber(priorPrecision[0])}, found by ${tuned}` +
      (effectiveParameters === undefined ? '' : `; ${formatNumber(effectiveParameters, 3)} effective parameters`)],
    ['Time', `${formatSeconds(seconds)} to fit and tune, on one thread, without native code`],
  ], '  ')
}

function scoreTable(contenders: readonly Contender[], count: number): string {
  return `\n${count} digits that the network has not seen (NLL, ECE: smaller is better)\n\n` + table([
    ['', 'accuracy', 'NLL', 'ECE', 'mean confidence'],
    ...contenders.map((
      { name, scores, confidence },
    ) => [name, percent(scores['accuracy']), scores['nll'].toFixed(3), scores['ece'].toFixed(3), percent(confidence)]),
  ]) + '\n' +
    paragraph(
      "marglik tunes at the network's own weights, as laplace-torch does. A network that was trained until it fitted every row is not at a mode of its own " +
        'posterior: marglik then doubts too much. linearized, the default here, takes the evidence of the linearised model at its own mode.',
    )
}

function strangerTable(contenders: readonly Contender[]): string {
  const names = contenders[0].strangers.map(({ name }) => name)
  const [, turned] = contenders[0].strangers
  return '\nPictures that are no digits: confidence in them, and how well confidence tells digits from them\n(AUROC: 1 always, 0.5 by chance)\n\n' +
    table([
      ['', ...names.flatMap(name => [name, 'AUROC'])],
      ...contenders.map((
        { name, strangers },
      ) => [name, ...strangers.flatMap(stranger => [percent(stranger.confidence), stranger.auroc.toFixed(3)])]),
    ]) + '\n' +
    paragraph(
      `The network takes ${turned.favoured} of the turned digits for a ${turned.favourite}. A posterior over the last layer sees no more than the features that it is given: where those of ` +
        'strangers look like those of digits, it cannot mend that.',
    )
}

async function singleAnswers(contenders: readonly Contender[], unseen: Digits): Promise<string> {
  const [network, posterior] = contenders
  const sure = confidences(network.probabilities)
  const wrong = sure.map((confidence,
    row) => (bestClass(network.probabilities, row) === unseen.y.data[row] ? 0 : confidence)
  )
  const worst = wrong.indexOf(Math.max(...wrong))
  const blocks = [
    await block('The first unseen digit', rows(unseen.x, 0, 1), `It is a ${unseen.y.data[0]}.`, network, posterior),
    await block("The network's worst mistake", rows(unseen.x, worst, worst + 1), `It is a ${unseen.y.data[worst]}.`,
      network, posterior),
    await block('Noise', noise(1, SEED), 'It is no digit.', network, posterior),
  ]
  return `\nThree inputs, and how sure each is of its answer\n\n${
    beside(blocks, 4).map(line => `  ${line}`.trimEnd()).join('\n')
  }\n`
}

const BLOCK_WIDTH = 27

async function block(title: string, x: Tensor, truth: string, network: Contender,
  posterior: Contender): Promise<string[]> {
  const answer = async (name: string, { predict }: Contender): Promise<string> => {
    const probabilities = await predict(x)
    return `${name.padEnd(11)}${bestClass(probabilities, 0)}  ${percent(confidences(probabilities)[0]).padStart(7)}`
  }
  return [title.padEnd(BLOCK_WIDTH), '', ...picture(x.data, SIDE, SIDE), '', await answer('network', network),
    await answer('posterior', posterior), truth]
}

function farewell(terminal: Terminal): string {
  return `\n${
    wrap(
      'The same with your own network: polylaplace fit MODEL --data TRAIN --likelihood classification --out FILE, then polylaplace predict FILE --data NEW. See polylaplace --help, and README.md for Node, Python and R.',
      Math.min(WIDTH, terminal.columns),
    ).join('\n')
  }\n`
}

function paragraph(text: string): string {
  return `\n${wrap(text, WIDTH - 2).map(line => `  ${line}`).join('\n')}\n`
}
