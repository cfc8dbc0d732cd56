/** @file `polylaplace influence`: each training row predicted without itself, and what it does to other rows. */
import type { Influence } from '../../core/laplace/influence.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { formatCount, formatNumber } from '../../report/numbers.js'
import { MODEL_OPTIONS } from '../arguments/network-options.js'
import { readExamples } from '../data/data-file.js'
import { ANSWERED_DATA_OPTIONS, DATA_FORMATS, readAnswered, readingOptions } from '../data/data-options.js'
import { NETWORK_OPTION, readPosteriorFile } from '../files/posterior-file.js'
import { toJson } from '../output/json.js'
import { table } from '../output/table.js'
import { progressLine } from '../output/terminal.js'
import type { Command } from './command.js'

/** Rows that are shown, those of the largest left-out loss. */
const ROWS_SHOWN = 20

/** The command `influence`. */
export const influence: Command = {
  name: 'influence',
  summary: 'each training row predicted without itself, and what it does to other rows',
  positionals: ['POSTERIOR'],
  options: {
    data: { type: 'string', value: 'FILE', required: true, help: `the training data: ${DATA_FORMATS}` },
    ...ANSWERED_DATA_OPTIONS,
    at: { type: 'string', value: 'FILE', help: 'rows without answers: by how much each would change without each row' },
    weights: { type: 'string', value: 'NAME', help: 'column (or array) of how often each row counted in the fit' },
    ...NETWORK_OPTION,
    ...MODEL_OPTIONS,
    json: { type: 'boolean', help: 'print JSON, with every number' },
  },
  run: async (args, terminal) => {
    const data = args.required('data')
    const { posterior, labels } = await readPosteriorFile(args.positionals[0], args)
    const { likelihood, inputs } = posterior
    const { x, y, weights } = await readAnswered(data, args, posterior, labels ?? 'none', args.text('weights'))
    const file = args.text('at')
    const at = file === undefined
      ? undefined
      : (await readExamples(file, { likelihood, inputs, target: args.text('target'), arrays: args.text('inputs'),
        answered: false, ...readingOptions(args) })).x
    const progress = progressLine(terminal)
    const found = await posterior.influence(x, y, { at, sampleWeight: weights?.data }, {
      onProgress: progress.onProgress,
    }).finally(progress.clear)
    if (args.flag('json')) {
      const { mean, variance, loss, change } = found
      return terminal.write(toJson({ likelihood, mean, variance, loss, ...(change === undefined ? {} : { change }) }))
    }
    terminal.write(influenceTable(found))
  },
}

/** The rows that the others predict worst, the worst first. */
function influenceTable({ mean, variance, loss, change }: Influence): string {
  const [rows, outputs] = mean.shape
  const order = Array.from({ length: rows }, (_, n) => n).sort((a, b) => Number(loss.data[b]) - Number(loss.data[a]))
  const cells = (of: Tensor, n: number): string =>
    Array.from({ length: outputs }, (_, c) => formatNumber(Number(of.data[n * outputs + c]))).join(' ')
  const largest = (n: number): string => {
    if (change === undefined) return ''
    let most = 0
    for (let i = n; i < change.data.length; i += rows) most = Math.max(most, Math.abs(Number(change.data[i])))
    return formatNumber(most)
  }
  const shown = order.slice(0, ROWS_SHOWN).map(
    n => [String(n + 1), formatNumber(Number(loss.data[n])), cells(mean, n), cells(variance, n),
      ...(change === undefined ? [] : [largest(n)])],
  )
  const heads = ['row', 'left-out loss', 'outputs without it', 'variances',
    ...(change === undefined ? [] : ['largest change'])]
  return `${table([heads, ...shown])}\n${
    rows > ROWS_SHOWN ? `  ... ${formatCount(rows - ROWS_SHOWN)} more rows; --json has all of them\n` : ''
  }`
}
