/** @file `polylaplace update`: a posterior of more rows, or without some of them, under the same prior. */
import { inLanguage } from '../../core/errors/option-names.js'
import type { LaplacePosterior } from '../../core/laplace/laplace-posterior.js'
import { withLabels } from '../../core/storage/posterior-labels.js'
import { formatCount, formatNumber } from '../../report/numbers.js'
import { UsageError } from '../arguments/arguments.js'
import { MODEL_OPTIONS } from '../arguments/network-options.js'
import { ANSWERED_DATA_OPTIONS, DATA_FORMATS, readAnswered } from '../data/data-options.js'
import { writeBytes } from '../files/files.js'
import { NETWORK_OPTION, readPosteriorFile } from '../files/posterior-file.js'
import { toJson } from '../output/json.js'
import { pairs } from '../output/table.js'
import { noteRemark, progressLine } from '../output/terminal.js'
import type { Command } from './command.js'

/** The command `update`. */
export const update: Command = {
  name: 'update',
  summary: 'a posterior of more rows, or without some of them, under the same prior',
  positionals: ['POSTERIOR'],
  options: {
    data: { type: 'string', value: 'FILE', help: `rows to add: ${DATA_FORMATS}` },
    forget: { type: 'string', value: 'FILE', help: 'rows of the fit to take away again, with their answers' },
    ...ANSWERED_DATA_OPTIONS,
    weights: { type: 'string', value: 'NAME', help: 'column (or array) of how often each row counts' },
    out: { type: 'string', value: 'FILE', required: true, help: 'where the new posterior goes' },
    ...NETWORK_OPTION,
    ...MODEL_OPTIONS,
    json: { type: 'boolean', help: 'print JSON' },
  },
  run: async (args, terminal) => {
    const [data, forgotten, out] = [args.text('data'), args.text('forget'), args.required('out')]
    if (data === undefined && forgotten === undefined) {
      throw new UsageError('update needs rows: --data FILE to add them, --forget FILE to take them away.')
    }
    const { posterior, labels } = await readPosteriorFile(args.positionals[0], args)
    const progress = progressLine(terminal)
    const changed = async (old: LaplacePosterior, file: string | undefined,
      change: 'addRows' | 'forget'): Promise<LaplacePosterior> => {
      if (file === undefined) return old
      const { x, y, weights } = await readAnswered(file, args, old, labels ?? 'none', args.text('weights'))
      return old[change](x, y, { onProgress: progress.onProgress, sampleWeight: weights?.data })
    }
    const updated = await changed(posterior, data, 'addRows').then(more => changed(more, forgotten, 'forget')).finally(
      progress.clear,
    )
    await writeBytes(out, labels === undefined ? updated.save() : withLabels(updated.save(), labels))
    const summary = updated.summary()
    if (args.flag('json')) return terminal.write(toJson({ file: out, ...summary }))
    terminal.write(pairs([
      ['Rows', `${formatCount(posterior.examples)} before, ${formatCount(updated.examples)} now`],
      ['Log marginal likelihood', formatNumber(summary.logMarginalLikelihood, 6)],
      ['Written to', out],
    ], terminal.columns))
    for (const note of summary.notes) noteRemark(terminal, inLanguage(note, 'cli'))
  },
}
