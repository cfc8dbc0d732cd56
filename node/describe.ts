/** @file What is printed of a posterior, in lines no wider than a terminal. */
import type { ParameterSummary } from '../core/answer/posterior-summary.js'
import type { LaplacePosterior } from '../core/laplace/laplace-posterior.js'
import { WARNING } from '../core/tuning/contradictions.js'
import type { TrainingScores, TrainingSummary } from '../core/tuning/training-scores.js'

/** Characters in a line where the terminal does not say; wider ones are hard to read. */
const DEFAULT_COLUMNS = 80
const MOST_COLUMNS = 120

/** Text broken at spaces into lines of at most `width` characters, those after the first indented. */
export function wrapText(text: string, width: number, indent = ''): string {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = indent + word
    } else line = line === '' ? word : `${line} ${word}`
  }
  return [...lines, line].join('\n')
}

/** Scores of network and posterior on the rows of the fit as names and what they stand for. */
export function trainingText({ network, posterior, leaveOneOutNll }: TrainingSummary): [name: string, text: string][] {
  return [
    ['Network on these rows', scoresText(network)],
    ...(posterior === undefined ? [] : [['Posterior on these rows', scoresText(posterior)] as [string, string]]),
    ...(leaveOneOutNll === undefined
      ? []
      : [['Leave-one-out NLL', leaveOneOutNll.toPrecision(3)] as [string, string]]),
  ]
}

function scoresText(scores: TrainingScores): string {
  const nll = `NLL ${scores.nll.toPrecision(3)}`
  if ('accuracy' in scores) return `${(100 * scores.accuracy).toFixed(1)} % right, ${nll}`
  const { rmse, rmseByOutput: own = [] } = scores
  const few = own.slice(0, MOST_OUTPUTS).map(value => value.toPrecision(3)).join(', ')
  const each = own.length === 0 ? '' : ` (of each output ${few}${own.length > MOST_OUTPUTS ? ', ...' : ''})`
  return `error (RMSE) ${rmse.toPrecision(3)}${each}, ${nll}`
}

/** Outputs whose errors are printed. */
const MOST_OUTPUTS = 10

/** A note as it is printed: warnings say themselves what they are. */
export function noteText(note: string): string {
  return note.startsWith(WARNING) ? note : `Note: ${note}`
}

/** Tensors that are named before the rest is counted. */
const NAMED = 8

/** The tensors that a posterior is over, with their shapes. */
export function parametersText(parameters: readonly ParameterSummary[]): string {
  const named = parameters.slice(0, NAMED).map(({ name, shape }) =>
    `${name} (${shape.length === 0 ? 'a number' : shape.join(' x ')})`
  ).join(', ')
  return parameters.length > NAMED ? `${named} and ${parameters.length - NAMED} more` : named
}

/** A posterior in some lines. */
export function describePosterior(posterior: LaplacePosterior, columns = terminalColumns()): string {
  const { likelihood, subset, structure, parameterCount, examples, priorPrecision, sigmaNoise, tuned } = posterior
  const { notes, choice, training } = posterior
  const entries = [
    `parameters: ${parametersText(posterior.parameters)}`,
    `prior precision ${precisionText(priorPrecision)}${tuned === 'none' ? '' : `, tuned by ${tuned}`}${
      likelihood === 'regression' ? `; noise ${noiseText(sigmaNoise)}` : ''
    }`,
    `log marginal likelihood ${posterior.logMarginalLikelihood().toPrecision(6)}`,
    ...(training === undefined ? [] : trainingText(training).map(([name, text]) => `${name}: ${text}`)),
    ...(choice === undefined ? [] : [choice.explanation]),
    ...notes.map(noteText),
  ]
  const head = `Laplace posterior (${likelihood}, ${subset}, ${structure}) over ${parameterCount} parameters, ` +
    `fitted to ${examples} examples`
  return [wrapText(head, columns, '  '), ...entries.map(entry => `  ${wrapText(entry, columns - 2, '    ')}`)].join(
    '\n',
  )
}

function terminalColumns(): number {
  // Undefined where the output is no terminal, whatever the types say.
  const { columns = DEFAULT_COLUMNS } = process.stdout as { readonly columns?: number }
  return Math.min(columns, MOST_COLUMNS)
}

function precisionText(priorPrecision: number | Float64Array): string {
  return typeof priorPrecision === 'number'
    ? priorPrecision.toPrecision(4)
    : `${priorPrecision.length} values from ${Math.min(...priorPrecision).toPrecision(3)} to ${
      Math.max(...priorPrecision).toPrecision(3)
    }`
}

function noiseText(sigma: number | Float64Array): string {
  return typeof sigma === 'number' ? sigma.toPrecision(4) : Array.from(sigma, value => value.toPrecision(4)).join(', ')
}
