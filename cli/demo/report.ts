/** @file What the demo prints. */
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { rows, type Tensor } from '../../core/tensor/tensor.js'
import { bestClass } from '../../node/prediction-columns.js'
import { formatCount, formatNumber } from '../../report/numbers.js'
import { packageVersion } from '../files/package-files.js'
import { beside, picture } from '../output/picture.js'
import { formatSeconds, pairs, table, wrap } from '../output/table.js'
import type { Terminal } from '../output/terminal.js'
import { type Digits, noise, rotated, SIDE } from './digits.js'
import { confidences, FLAGGED, type NoveltyScores, type Predictor, SEED } from './predictors.js'

/** Characters in a line. */
const WIDTH = 80

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

/** What was fitted, and how long that took. */
export async function heading(posterior: LaplacePosterior, seconds: number): Promise<string> {
  const { subset, structure, parameterCount, examples, priorPrecision, effectiveParameters, choice } = posterior
    .summary()
  return `\npolylaplace ${await packageVersion()}: a trained network made Bayesian\n\n` + pairs([
    ['Network', 'demo/digits.onnx, 64-16-10 with tanh, trained by PyTorch (demo/train.py)'],
    ['Posterior',
      `${subset}, ${structure}: ${formatCount(parameterCount)} weights, no option set; fitted to its ${
        formatCount(examples)
      } training digits`],
    ['Prior precision', `${formatNumber(priorPrecision[0])}` +
      (effectiveParameters === undefined ? '' : `; ${formatNumber(effectiveParameters, 3)} effective parameters`)],
    ['Time', `${formatSeconds(seconds)} to fit and tune, on one thread, without native code`],
  ], WIDTH, '  ') + (choice === undefined ? '' : paragraph(choice.explanation))
}

/** How well each predicts digits that the network has not seen. */
export function scoreTable(predictors: readonly Predictor[], count: number): string {
  return `\n${formatCount(count)} digits that the network has not seen (NLL, ECE: smaller is better)\n\n` + table([
    ['', 'accuracy', 'NLL', 'ECE', 'mean confidence'],
    ...predictors.map((
      { name, scores, confidence },
    ) => [name, percent(scores['accuracy']), scores['nll'].toFixed(3), scores['ece'].toFixed(3), percent(confidence)]),
  ]) + '\n' +
    paragraph(
      'All weights is what a fit without any option gives: the linear model of the network in all its weights, and ' +
        'the network, each with the share that its training rows earn it. The last layer is taken where that would ' +
        "be too large. marglik tunes at the network's own weights, as laplace-torch does: a network that was " +
        'trained until it fitted every row is not at a mode of its own posterior, and marglik doubts too much.',
    )
}

/** How sure each is of pictures that are no digits. */
export function outOfDistributionTable(predictors: readonly Predictor[]): string {
  const names = predictors[0].outOfDistribution.map(({ name }) => name)
  const [, turned] = predictors[0].outOfDistribution
  return '\nPictures that are no digits: confidence in them, and how well confidence tells\n' +
    'digits from them (AUROC: 1 always, 0.5 by chance)\n\n' +
    table([
      ['', ...names.flatMap(name => [name, 'AUROC'])],
      ...predictors.map((
        { name, outOfDistribution },
      ) => [name, ...outOfDistribution.flatMap(other => [percent(other.confidence), other.auroc.toFixed(3)])]),
    ]) + '\n' +
    paragraph(
      `The network takes ${
        formatCount(turned.favoured)
      } of the turned digits for a ${turned.favourite}. Confidence is about the ` +
        'answer; whether a picture is one to answer at all is for its novelty to say:',
    )
}

/** How well the novelty tells pictures that are no digits. */
export function noveltyTable(novelty: readonly NoveltyScores[]): string {
  return "\nNovelty: the p-value of a row's variance among the training rows', each left\n" +
    `out (flagged: up to ${FLAGGED})\n\n` +
    table([['', 'flagged', 'AUROC'],
      ...novelty.map(({ name, flagged, auroc }) => [name, percent(flagged), auroc?.toFixed(3) ?? ''])]) +
    '\n'
}

/** Four pictures with the answers of the network and of the posterior. */
export async function singleAnswers(predictors: readonly Predictor[], unseen: Digits): Promise<string> {
  const [network, posterior] = predictors
  const sure = confidences(network.probabilities)
  const wrong = sure.map((confidence,
    row) => (bestClass(network.probabilities, row) === unseen.y.data[row] ? 0 : confidence)
  )
  const worst = wrong.indexOf(Math.max(...wrong))
  const blocks = [
    await block('The first unseen digit', rows(unseen.x, 0, 1), `It is a ${unseen.y.data[0]}.`, network, posterior),
    await block("The network's worst mistake", rows(unseen.x, worst, worst + 1), `It is a ${unseen.y.data[worst]}.`,
      network, posterior),
    await block('The first, turned', rotated(rows(unseen.x, 0, 1)), 'It is no digit.', network, posterior),
    await block('Noise', noise(1, SEED), 'It is no digit.', network, posterior),
  ]
  const lines = [...beside(blocks.slice(0, 2), 4), '', ...beside(blocks.slice(2), 4)]
  return `\nFour inputs, and how sure each is of its answer\n\n${lines.map(line => `  ${line}`.trimEnd()).join('\n')}\n`
}

const BLOCK_WIDTH = 21

async function block(title: string, x: Tensor, truth: string, network: Predictor,
  posterior: Predictor): Promise<string[]> {
  const answer = async (name: string, { predict }: Predictor): Promise<string> => {
    const { probabilities } = await predict(x)
    return `${name.padEnd(10)}${bestClass(probabilities, 0)}  ${percent(confidences(probabilities)[0]).padStart(7)}`
  }
  const { novelty } = await posterior.predict(x)
  return [title.padEnd(BLOCK_WIDTH), '', ...picture(x.data, SIDE, SIDE), '', await answer('network', network),
    await answer('posterior', posterior), `novelty    p = ${formatNumber(novelty?.data[0] ?? NaN, 2)}`, truth]
}

/** How to do the same with a network of one's own. */
export function nextSteps(terminal: Terminal): string {
  return `\n${
    wrap(
      'The same with your own network: polylaplace fit MODEL --data TRAIN --likelihood classification --out FILE, ' +
        'then polylaplace predict FILE --data NEW. See polylaplace --help, and README.md for Node, Python and R.',
      Math.min(WIDTH, terminal.columns),
    ).join('\n')
  }\n`
}

function paragraph(text: string): string {
  return `\n${wrap(text, WIDTH - 2).map(line => `  ${line}`).join('\n')}\n`
}
