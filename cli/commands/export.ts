/** @file `polylaplace export`: a posterior as a plain ONNX model; a model card and a folder for MLflow on request. */
import type { OnnxExportOptions } from '../../adapters/onnx/index.js'
import { oneOf } from '../../core/errors/suggest.js'
import { LINKS, PRECISIONS } from '../../core/options/words.js'
import { GRAPH_OUTPUTS } from '../../core/prediction-graph/prediction-graph.js'
import { writeModel } from '../../node/files/write-model.js'
import { type Arguments, UsageError } from '../arguments/arguments.js'
import { MODEL_OPTIONS } from '../arguments/network-options.js'
import { ANSWERED_DATA_OPTIONS, readAnswered } from '../data/data-options.js'
import { NETWORK_OPTION, readPosteriorFile } from '../files/posterior-file.js'
import { toJson } from '../output/json.js'
import { pairs } from '../output/table.js'
import { progressLine } from '../output/terminal.js'
import type { Command } from './command.js'

/** The command `export`. */
export const exportCommand: Command = {
  name: 'export',
  summary: 'a plain ONNX model: what predict says, in any ONNX runtime, without this program',
  positionals: ['POSTERIOR'],
  options: {
    out: { type: 'string', value: 'FILE', required: true, help: 'where the model goes, such as model.onnx' },
    outputs: { type: 'string', value: 'NAMES',
      help: `what the posterior has without draws; or some of ${GRAPH_OUTPUTS.join(', ')}` },
    opset: { type: 'string', value: 'NUMBER', help: 'operator set, 13 to 24; the oldest from 17 on that will do' },
    dtype: { type: 'string', value: 'NAME', help: `the fit's own; ${PRECISIONS.join(' | ')}` },
    link: { type: 'string', value: 'NAME', help: `the posterior's own; ${LINKS.join(' | ')}` },
    level: { type: 'string', value: 'SHARE', help: 'of intervals and sets; 0.9' },
    samples: { type: 'string', value: 'NUMBER', help: 'draws of link mc, kept in the file; 1000' },
    seed: { type: 'string', value: 'NUMBER', help: 'of the draws' },
    card: { type: 'boolean', help: 'writes a model card beside it, in Markdown' },
    mlflow: { type: 'boolean', help: 'writes a folder for MLflow beside it' },
    data: { type: 'string', value: 'FILE', help: 'rows that nothing has seen: the card says how good the model is' },
    ...ANSWERED_DATA_OPTIONS,
    ...NETWORK_OPTION,
    ...MODEL_OPTIONS,
    json: { type: 'boolean', help: 'print JSON' },
  },
  run: async (args, terminal) => {
    const [out, data] = [args.required('out'), args.text('data')]
    const [card, mlflow] = [args.flag('card'), args.flag('mlflow')]
    if (data !== undefined && !card && !mlflow) {
      throw new UsageError('export: --data is for the model card; add --card or --mlflow, or leave it out.')
    }
    if (data === undefined) args.refuse(ANSWERED_DATA_OPTIONS, 'says how the rows (--data) are to be read')
    const { posterior, labels } = await readPosteriorFile(args.positionals[0], args)
    const progress = progressLine(terminal)
    try {
      const rows = data === undefined ? undefined : await readAnswered(data, args, posterior, labels ?? 'none')
      const comparison = rows && await posterior.compare(rows.x, rows.y, {}, { onProgress: progress.onProgress })
      const options = exportOptions(args)
      const written = await writeModel(posterior, out, { ...options, ...(labels === undefined ? {} : { labels }) }, {
        card,
        mlflow,
        comparison,
      })
      progress.clear()
      const { outputs } = posterior.exportGraph(withoutOpset(options))
      if (args.flag('json')) return terminal.write(toJson({ files: written, outputs }))
      terminal.write(pairs([['Outputs', outputs.join(', ')], ['Written to', written.join('\n')]], terminal.columns))
    } finally {
      progress.clear()
    }
  },
}

function withoutOpset(
  { opset: _, labels: __, ...rest }: OnnxExportOptions,
): Omit<OnnxExportOptions, 'opset' | 'labels'> {
  return rest
}

function exportOptions(args: Arguments): OnnxExportOptions {
  const [link, dtype] = [args.text('link'), args.text('dtype')]
  return {
    outputs: args.text('outputs'),
    opset: args.number('opset'),
    level: args.number('level'),
    samples: args.number('samples'),
    seed: args.number('seed'),
    dtype: dtype === undefined ? undefined : oneOf('dtype', dtype, PRECISIONS),
    link: link === undefined ? undefined : oneOf('link', link, LINKS),
  }
}
