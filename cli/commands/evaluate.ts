/** @file `polylaplace evaluate`: network, temperature scaling and posterior side by side on held-out data. */
import { MODEL_OPTIONS } from '../arguments/network-options.js'
import { ANSWERED_DATA_OPTIONS, DATA_FORMATS, readAnswered, readOutliers } from '../data/data-options.js'
import { NETWORK_OPTION, readPosteriorFile } from '../files/posterior-file.js'
import { comparisonTable, outlierTable } from '../output/comparison.js'
import { toJson } from '../output/json.js'
import { progressLine } from '../output/terminal.js'
import type { Command } from './command.js'

/** The command `evaluate`. */
export const evaluate: Command = {
  name: 'evaluate',
  summary: 'network, temperature scaling and posterior side by side on held-out data',
  positionals: ['POSTERIOR'],
  options: {
    data: { type: 'string', value: 'FILE', required: true, help: `held-out data: ${DATA_FORMATS}` },
    ...ANSWERED_DATA_OPTIONS,
    outliers: { type: 'string', value: 'FILE', help: 'rows that are no data, without answers: are they told?' },
    ...NETWORK_OPTION,
    ...MODEL_OPTIONS,
    json: { type: 'boolean', help: 'print JSON' },
  },
  run: async (args, terminal) => {
    const data = args.required('data')
    const { posterior, labels } = await readPosteriorFile(args.positionals[0], args)
    const { likelihood } = posterior
    const progress = progressLine(terminal)
    const work = { onProgress: progress.onProgress }
    try {
      const { x, y } = await readAnswered(data, args, posterior, labels ?? 'none')
      const outliers = await readOutliers(args, posterior)
      const comparison = await posterior.compare(x, y, { outliers }, work)
      progress.clear()
      if (args.flag('json')) return terminal.write(toJson({ likelihood, ...comparison }))
      terminal.write(comparisonTable(comparison))
      if (comparison.outliers !== undefined) terminal.write(outlierTable(comparison.outliers))
    } finally {
      progress.clear()
    }
  },
}
