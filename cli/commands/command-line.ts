/** @file The command line: which command is meant, what help says, how errors are shown, which exit code they give. */
import { LaplaceError, OptionError } from '../../core/errors/errors.js'
import { inLanguage } from '../../core/errors/option-names.js'
import { nearestWord } from '../../core/errors/suggest.js'
import { readArguments, UsageError } from '../arguments/arguments.js'
import { optionHelp } from '../arguments/option-table.js'
import { FileError } from '../files/files.js'
import { packageVersion } from '../files/package-files.js'
import { wrap } from '../output/table.js'
import type { Terminal } from '../output/terminal.js'
import type { Command } from './command.js'

/** Commands are loaded when they are called: `--version` need not wait for the kernels. */
const COMMANDS: Readonly<
  Record<string, { readonly usage: string, readonly summary: string, readonly load: () => Promise<Command> }>
> = {
  demo: { usage: 'demo', summary: 'a trained network made Bayesian, on bundled data',
    load: async () => (await import('./demo.js')).demo },
  inspect: { usage: 'inspect MODEL', summary: 'layers, tensors, and what each posterior would cost in memory',
    load: async () => (await import('./inspect.js')).inspect },
  fit: { usage: 'fit MODEL', summary: 'a posterior, from a trained network and its training data',
    load: async () => (await import('./fit.js')).fit },
  predict: { usage: 'predict POSTERIOR', summary: 'means, standard deviations, probabilities for new data',
    load: async () => (await import('./predict.js')).predict },
  evaluate: { usage: 'evaluate POSTERIOR', summary: 'network, temperature scaling and posterior side by side',
    load: async () => (await import('./evaluate.js')).evaluate },
  report: { usage: 'report POSTERIOR', summary: 'one HTML page with pictures, from held-out data',
    load: async () => (await import('./report.js')).report },
  conformalize: { usage: 'conformalize POSTERIOR', summary: 'intervals and sets of classes with a guarantee',
    load: async () => (await import('./conformalize.js')).conformalize },
  update: { usage: 'update POSTERIOR', summary: 'the posterior of more rows, or without some of them',
    load: async () => (await import('./update.js')).update },
  influence: { usage: 'influence POSTERIOR', summary: 'each training row predicted without itself',
    load: async () => (await import('./influence.js')).influence },
  export: { usage: 'export POSTERIOR', summary: 'a plain ONNX model with means, variances, probabilities, intervals',
    load: async () => (await import('./export.js')).exportCommand },
  convert: { usage: 'convert POSTERIOR', summary: "a posterior's file as this version writes it",
    load: async () => (await import('./convert.js')).convert },
  completion: { usage: 'completion SHELL', summary: 'completion in bash, zsh or fish',
    load: async () => (await import('./completion.js')).completion(allCommands) },
  selftest: { usage: 'selftest', summary: 'whether this installation works',
    load: async () => (await import('./selftest.js')).selftest },
}

/** A line to start from, by command. */
const EXAMPLES: Readonly<Record<string, string>> = {
  demo: 'demo --json',
  inspect: 'inspect model.onnx',
  fit: 'fit model.onnx --data train.csv --target label --likelihood classification --out model.posterior',
  predict: 'predict model.posterior --data new.csv --level 0.9 --out predictions.csv',
  evaluate: 'evaluate model.posterior --data test.csv --target label',
  report: 'report model.posterior --data test.csv --target label --out report.html',
  conformalize: 'conformalize model.posterior --data held-out.csv --target label --out calibrated.posterior',
  update: 'update model.posterior --data new.csv --target label --out updated.posterior',
  influence: 'influence model.posterior --data train.csv --target label --at new.csv',
  export: 'export model.posterior --out bayesian.onnx --outputs probabilities,epistemic',
  convert: 'convert old.posterior --out model.posterior',
  completion: 'completion bash > ~/.local/share/bash-completion/completions/polylaplace',
  selftest: 'selftest',
}

const SERVE = { usage: 'serve', summary: 'the protocol on stdin and stdout, for clients' }

/** What the process ends with: 0 done, 1 the work failed, 2 wrong use. */
export type ExitCode = 0 | 1 | 2

/**
 * Runs a command line.
 * @param argv what follows the program's name
 */
export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    await dispatch(argv, terminal)
    return 0
  } catch (error) {
    terminal.remark(errorText(error, terminal.columns))
    return error instanceof UsageError || error instanceof OptionError ? 2 : 1
  }
}

async function dispatch([name, ...rest]: readonly string[], terminal: Terminal): Promise<void> {
  if (name === '--version' || name === '-v') return terminal.write(`${await packageVersion()}\n`)
  if (name === '--help' || name === '-h' || name === 'help') {
    return terminal.write(rest.length === 0 ? helpText(terminal.columns) : await commandHelp(rest[0], terminal.columns))
  }
  if (name === undefined) throw new UsageError(`polylaplace needs a command.\n\n${helpText(terminal.columns)}`)
  if (name === 'serve') return (await import('./serve.js')).serve(rest)
  const command = await findCommand(name)
  if (rest.includes('--help') || rest.includes('-h')) return terminal.write(await commandHelp(name, terminal.columns))
  return command.run(readArguments(name, rest, command.options, command.positionals), terminal)
}

function allCommands(): Promise<Command[]> {
  return Promise.all(Object.values(COMMANDS).map(({ load }) => load()))
}

async function findCommand(name: string): Promise<Command> {
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (entry !== undefined) return entry.load()
  const names = [...Object.keys(COMMANDS), 'serve']
  const suggestion = nearestWord(name, names)
  throw new UsageError(
    `There is no command '${name}'.${
      suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`
    } The commands are ${names.join(', ')}.`,
  )
}

function helpText(columns: number): string {
  const entries = [...Object.values(COMMANDS), SERVE, { usage: 'COMMAND --help', summary: 'the options of a command' },
    {
      usage: '--version',
      summary: 'the version',
    }]
  const width = Math.max(...entries.map(({ usage }) => usage.length))
  const line = ({ usage, summary }: { readonly usage: string, readonly summary: string }): string =>
    wrap(summary, Math.max(20, columns - width - 16)).map((part, i) =>
      `  ${(i === 0 ? `polylaplace ${usage}` : '').padEnd(width + 12)}  ${part}\n`
    ).join('')
  const examples = ['fit MODEL --data TRAIN --likelihood classification --out FILE.posterior',
    'predict FILE.posterior --data NEW', 'evaluate FILE.posterior --data TEST']
  return indented(
    'polylaplace makes a trained neural network Bayesian: calibrated uncertainty by Laplace approximation.',
    columns,
    '',
    '',
  ) + `\n${entries.map(line).join('')}\n` +
    examples.map(example => exampleLines(`polylaplace ${example}`, columns)).join('') +
    '\nNetworks: ONNX, PyTorch state dicts, safetensors, Keras, Flux.\n' +
    indented('Data: CSV, Parquet, Arrow (the answers in --target NAME), .npy, .npz, safetensors, folders of images.',
      columns, '', '  ') +
    'Exit codes: 0 done, 1 the work failed, 2 wrong use.\n'
}

async function commandHelp(name: string, columns: number): Promise<string> {
  const command = await findCommand(name)
  const example = Object.hasOwn(EXAMPLES, name) ? EXAMPLES[name] : undefined
  const options = Object.keys(command.options).length === 0
    ? ''
    : `\nOptions (where words are listed, the first is the default)\n${optionHelp(command.options, columns)}\n`
  const required = Object.entries(command.options).flatMap((
    [option, spec],
  ) => (spec.required === true ? [`--${option} ${spec.value ?? ''}`] : []))
  const usage = `Usage: polylaplace ${[name, ...command.positionals, ...required].join(' ')}${
    options === '' ? '' : ' [options]'
  }`
  return `${indented(usage, columns, '', '    ')}${indented(command.summary, columns, '  ', '  ')}${options}${
    example === undefined ? '' : `\nExample\n${exampleLines(`polylaplace ${example}`, columns)}`
  }`
}

/** A command that can be pasted, broken by the shell's own mark. */
function exampleLines(command: string, columns: number): string {
  return `${wrap(command, columns - 8).map((line, i) => `${i === 0 ? '    ' : '      '}${line}`).join(' \\\n')}\n`
}

/** Text broken at a terminal's width. */
function indented(text: string, columns: number, first: string, later: string): string {
  return `${wrap(text, columns - later.length).map((line, i) => (i === 0 ? first : later) + line).join('\n')}\n`
}

/** One readable message, without a stack for errors that the user can do something about. */
function errorText(error: unknown, columns: number): string {
  if (error instanceof LaplaceError && error.code !== 'INTERNAL') {
    return paragraph(`${error.name}: ${inLanguage(error.message, 'cli')}`, columns)
  }
  if (error instanceof UsageError || error instanceof FileError) return paragraph(error.message, columns)
  return `This is a fault of polylaplace; please report it with what follows.\n${
    error instanceof Error ? error.stack ?? error.message : String(error)
  }\n`
}

function paragraph(text: string, columns: number): string {
  return text.split('\n').flatMap(line => wrap(line, Math.max(40, columns))).join('\n') + '\n'
}
