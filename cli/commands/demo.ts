/** @file `polylaplace demo`: a trained network made Bayesian, on bundled data, without any option. */
import { readOnnx } from '../../adapters/onnx/index.js'
import { laplace } from '../../core/laplace/laplace.js'
import { certaintyPicture } from '../../report/picture.js'
import { noise, readDigits } from '../demo/digits.js'
import { comparePredictors, SEED } from '../demo/predictors.js'
import { heading, nextSteps, noveltyTable, outOfDistributionTable, scoreTable, singleAnswers } from '../demo/report.js'
import { writeBytes } from '../files/files.js'
import { packageFile } from '../files/package-files.js'
import { toJson } from '../output/json.js'
import type { Command } from './command.js'

/** The command `demo`. */
export const demo: Command = {
  name: 'demo',
  summary: 'a trained network made Bayesian, on bundled data',
  positionals: [],
  options: { json: { type: 'boolean', help: 'print JSON' },
    picture: { type: 'string', value: 'FILE', help: 'writes a picture (SVG): certainty of digits and of noise' } },
  run: async (args, terminal) => {
    const network = readOnnx(await packageFile('demo/digits.onnx'))
    const { training, unseen } = await readDigits()
    const started = performance.now()
    const posterior = await laplace(network, { likelihood: 'classification' }).fit(training.x, training.y)
    const seconds = (performance.now() - started) / 1000
    const picture = args.text('picture')
    if (picture !== undefined) {
      const figures = await posterior.figures(unseen.x, unseen.y, { outliers: noise(unseen.x.shape[0], SEED) })
      await writeBytes(picture, await certaintyPicture(figures, { data: 'unseen digits', others: 'noise' }))
    }
    const { predictors, novelty } = await comparePredictors(network, posterior, training, unseen)
    if (args.flag('json')) {
      return terminal.write(
        toJson({ seconds, summary: posterior.summary(),
          contenders: predictors.map(({ name, scores, confidence, outOfDistribution }) => ({ name, scores, confidence,
            strangers: outOfDistribution })
          ), novelty }),
      )
    }
    terminal.write(await heading(posterior, seconds))
    terminal.write(scoreTable(predictors, unseen.x.shape[0]))
    terminal.write(outOfDistributionTable(predictors))
    terminal.write(noveltyTable(novelty))
    terminal.write(await singleAnswers(predictors, unseen))
    terminal.write(nextSteps(terminal))
  },
}
