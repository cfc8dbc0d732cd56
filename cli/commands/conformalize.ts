/**
 * @file `polylaplace conformalize`: intervals and sets of classes of a posterior get a guarantee from held-out rows.
 */
import type { ConformalOptions } from '../../core/answer/posterior-options.js'
import { SET_SCORES } from '../../core/conformal/calibration.js'
import { oneOf } from '../../core/errors/suggest.js'
import { withLabels } from '../../core/storage/posterior-labels.js'
import { type Arguments, UsageError } from '../arguments/arguments.js'
import { MODEL_OPTIONS } from '../arguments/network-options.js'
import { ANSWERED_DATA_OPTIONS, readAnswered } from '../data/data-options.js'
import { writeBytes } from '../files/files.js'
import { NETWORK_OPTION, readPosteriorFile } from '../files/posterior-file.js'
import { toJson } from '../output/json.js'
import { pairs } from '../output/table.js'
import { progressLine } from '../output/terminal.js'
import type { Command } from './command.js'

/** The command `conformalize`. */
export const conformalize: Command = {
  name: 'conformalize',
  summary: 'intervals or sets of classes with a guarantee, from rows that nothing has seen',
  positionals: ['POSTERIOR'],
  options: {
    data: { type: 'string', value: 'FILE',
      help: 'held-out data; without it the training rows, each predicted without itself (approximate)' },
    ...ANSWERED_DATA_OPTIONS,
    out: { type: 'string', value: 'FILE', required: true, help: 'where the calibrated posterior goes' },
    score: { type: 'string', value: 'NAME', help: `${SET_SCORES.join(' (adaptive sets) | ')} (smallest sets)` },
    randomised: { type: 'boolean', help: 'aps: smaller sets by a seeded draw' },
    seed: { type: 'string', value: 'NUMBER', help: 'of that draw' },
    ...NETWORK_OPTION,
    ...MODEL_OPTIONS,
    json: { type: 'boolean', help: 'print JSON' },
  },
  run: async (args, terminal) => {
    const [data, out] = [args.text('data'), args.required('out')]
    if (data === undefined && args.text('target') !== undefined) {
      throw new UsageError('conformalize: --target names the answers of --data, which is missing.')
    }
    const { posterior, labels } = await readPosteriorFile(args.positionals[0], args)
    const { x, y } = data === undefined
      ? { x: undefined, y: undefined }
      : await readAnswered(data, args, posterior, labels ?? 'none')
    const progress = progressLine(terminal)
    const calibrated = await posterior.conformalize(x, y, scoring(args), { onProgress: progress.onProgress }).finally(
      progress.clear,
    )
    await writeBytes(out, labels === undefined ? calibrated.save() : withLabels(calibrated.save(), labels))
    const { conformal } = calibrated
    if (args.flag('json')) return terminal.write(toJson({ file: out, conformal }))
    const held = conformal?.kind === 'split'
    terminal.write(pairs([
      ['Calibrated by',
        `${conformal?.rows ?? 0} ${
          held ? 'held-out rows' : 'training rows, each predicted without itself (approximate)'
        }`],
      ['Score', conformal?.score ?? ''],
      ['Written to', out],
    ], terminal.columns))
    terminal.remark(`Next: polylaplace predict ${out} --data NEW --level 0.9\n`)
  },
}

function scoring(args: Arguments): ConformalOptions {
  const [score, seed] = [args.text('score'), args.number('seed')]
  return { ...(score === undefined ? {} : { score: oneOf('score', score, SET_SCORES) }),
    ...(args.flag('randomised') ? { randomised: true } : {}), ...(seed === undefined ? {} : { seed }) }
}
