/** @file `polylaplace report`: one HTML page about a posterior on held-out data. */
import { report as reportPage } from '../../report/report.js'
import { MODEL_OPTIONS } from '../arguments/network-options.js'
import { ANSWERED_DATA_OPTIONS, DATA_FORMATS, readAnswered, readOutliers } from '../data/data-options.js'
import { writeBytes } from '../files/files.js'
import { NETWORK_OPTION, readPosteriorFile } from '../files/posterior-file.js'
import { progressLine } from '../output/terminal.js'
import type { Command } from './command.js'

/** The command `report`. */
export const report: Command = {
  name: 'report',
  summary: 'one HTML page with pictures: how sure the network is of held-out data, and how rightly',
  positionals: ['POSTERIOR'],
  options: {
    data: { type: 'string', value: 'FILE', required: true, help: `held-out data: ${DATA_FORMATS}` },
    ...ANSWERED_DATA_OPTIONS,
    outliers: { type: 'string', value: 'FILE', help: 'rows that are no data, without answers; else the columns of the '
      + 'data are shuffled' },
    out: { type: 'string', value: 'FILE', required: true, help: 'where the page goes' },
    title: { type: 'string', value: 'TEXT', help: 'heading of the page' },
    ...NETWORK_OPTION,
    ...MODEL_OPTIONS,
  },
  run: async (args, terminal) => {
    const [data, out] = [args.required('data'), args.required('out')]
    const { posterior, labels } = await readPosteriorFile(args.positionals[0], args)
    const progress = progressLine(terminal)
    try {
      const { x, y } = await readAnswered(data, args, posterior, labels ?? 'none')
      const outliers = await readOutliers(args, posterior)
      const page = await reportPage(posterior, x, y, { outliers, classes: labels, title: args.text('title') }, {
        onProgress: progress.onProgress,
      })
      progress.clear()
      await writeBytes(out, page)
      terminal.write(`Wrote ${out}: open it in a browser.\n`)
    } finally {
      progress.clear()
    }
  },
}
