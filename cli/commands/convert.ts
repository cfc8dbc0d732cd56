/** @file `polylaplace convert`: a posterior's file as this version writes it, with or without its network. */
import { formatBytes } from '../../core/budget/memory.js'
import { inLanguage } from '../../core/errors/option-names.js'
import { withLabels } from '../../core/storage/posterior-labels.js'
import { UsageError } from '../arguments/arguments.js'
import { MODEL_OPTIONS } from '../arguments/network-options.js'
import { checkClasses, CLASSES_OPTION, classNames } from '../data/classes.js'
import { writeBytes } from '../files/files.js'
import { NETWORK_OPTION, readPosteriorFile } from '../files/posterior-file.js'
import { toJson } from '../output/json.js'
import { pairs } from '../output/table.js'
import { noteRemark } from '../output/terminal.js'
import type { Command } from './command.js'

/** The command `convert`. */
export const convert: Command = {
  name: 'convert',
  summary: "a posterior's file as this version writes it, with or without its network",
  positionals: ['POSTERIOR'],
  options: {
    out: { type: 'string', value: 'FILE', required: true, help: 'where the posterior goes' },
    'without-network': { type: 'boolean', help: 'leaves the network out: it is then given with --network again' },
    ...CLASSES_OPTION,
    ...NETWORK_OPTION,
    ...MODEL_OPTIONS,
    json: { type: 'boolean', help: 'print JSON' },
  },
  run: async (args, terminal) => {
    const [out, without] = [args.required('out'), args.flag('without-network')]
    const { posterior, labels } = await readPosteriorFile(args.positionals[0], args)
    const classes = await classNames(args, posterior.likelihood, labels)
    if (classes !== undefined) checkClasses(classes, posterior.likelihood, posterior.outputs, false)
    if (labels !== undefined && classes !== undefined && labels.join('\n') !== classes.join('\n')) {
      throw new UsageError(`convert: the posterior has the classes ${labels.join(', ')} already.`)
    }
    const saved = posterior.save({ network: !without })
    const bytes = classes === undefined ? saved : withLabels(saved, classes)
    await writeBytes(out, bytes)
    const { digest, likelihood, subset, structure, notes } = posterior.summary()
    if (args.flag('json')) return terminal.write(toJson({ file: out, bytes: bytes.length, network: !without, digest }))
    terminal.write(pairs([
      ['Posterior', `${likelihood}, ${subset}, ${structure}`],
      ['Network', `${without ? 'left out' : 'in the file'} (${digest.slice(0, 16)})`],
      ...(classes === undefined ? [] : [['Classes', classes.join(', ')] as const]),
      ['Written to', `${out} (${formatBytes(bytes.length)})`],
    ], terminal.columns))
    for (const note of notes) noteRemark(terminal, inLanguage(note, 'cli'))
  },
}
