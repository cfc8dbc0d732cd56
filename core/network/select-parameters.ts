/** @file Which tensors of a network are its parameters, where the user says it: by names, globs and indices. */
import { OptionError } from '../errors/errors.js'
import { nearestWord } from '../errors/suggest.js'
import type { Graph, Parameter } from '../graph/graph.js'
import { describeOpenChoice } from '../graph/open-choice.js'
import { isFloat } from '../ops/element-types.js'
import type { ParameterChoice, TensorChoice } from '../options/parameter-choice.js'
import { orientWeights } from '../passes/orient-weights.js'

/**
 * The graph whose parameters are the chosen ones; the others are constants of it.
 * @throws OptionError BAD_OPTION for names that no tensor has, and where nothing is left
 */
export function selectParameters(graph: Graph, { parameters, freeze }: ParameterChoice): Graph {
  if (parameters === undefined && freeze === undefined) return graph
  const chosen = parameters === undefined ? graph : withParametersNamed(withoutChoices(graph), parameters)
  if (freeze === undefined) return chosen
  const names = chosen.parameters.map(({ name }) => name)
  const frozen = new Set(parameterNames('freeze', freeze, names, names))
  const kept = chosen.parameters.filter(({ name }) => !frozen.has(name))
  if (kept.length === 0) {
    throw new OptionError('BAD_OPTION',
      `Option freeze leaves no parameter: all ${names.length} are frozen. Leave some out of freeze.`, {
      option: 'freeze',
    })
  }
  return withoutChoices({ ...chosen, parameters: kept }, frozen)
}

/** The graph without the notes of choices that the user has made: all, or those of names that are settled. */
function withoutChoices(graph: Graph, settled?: ReadonlySet<string>): Graph {
  if (graph.choices === undefined) return graph
  const open = new Map(graph.choices.map(choice => {
    const isOpen = (name: string): boolean => settled !== undefined && !(choice.counted && settled.has(name))
    return [describeOpenChoice(choice), { ...choice, names: choice.names.filter(isOpen) }] as const
  }))
  const left = [...open.values()].filter(({ names }) => names.length > 0)
  const notes = graph.notes.flatMap(note => {
    const choice = open.get(note)
    return choice === undefined ? [note] : left.includes(choice) ? [describeOpenChoice(choice)] : []
  })
  return { ...graph, choices: left, notes }
}

function withParametersNamed(graph: Graph, choice: TensorChoice): Graph {
  const known = new Map(graph.parameters.map(parameter => [parameter.name, parameter] as const))
  const real = [...graph.initializers].filter(([, value]) => isFloat(value.dtype)).map(([name]) => name)
  const names = parameterNames('parameters', choice, [...known.keys()], real)
  if (names.length === 0) {
    throw new OptionError('BAD_OPTION', 'Option parameters names no tensor: leave it out for those of the network.', {
      option: 'parameters',
    })
  }
  const constant = (name: string): Parameter => ({ name, shape: graph.initializers.get(name)?.shape ?? [],
    transposed: false })
  const chosen = { ...graph, parameters: names.map(name => known.get(name) ?? constant(name)) }
  return names.every(name => known.has(name)) ? chosen : orientWeights(chosen)
}

/**
 * The names that a choice means: globs and indices among `listed`, whole names among `all`.
 * @throws OptionError BAD_OPTION for what none has, with the nearest
 */
export function parameterNames(option: string, choice: TensorChoice, listed: readonly string[],
  all: readonly string[]): string[] {
  const entries = typeof choice === 'object' ? choice : [choice]
  const refuse = (entry: string | number, why: string): OptionError =>
    new OptionError('BAD_OPTION', `Option ${option} names ${typeof entry === 'string' ? `'${entry}'` : entry}, ${why}`,
      { option, value: entry })
  const found = entries.flatMap(entry => {
    if (typeof entry === 'number') {
      if (listed[entry] !== undefined) return [listed[entry]]
      throw refuse(entry, `and the network's parameters are numbered from 0 to ${listed.length - 1}.`)
    }
    if (typeof entry !== 'string') throw refuse(String(entry), 'which is neither a name nor an index.')
    if (all.includes(entry)) return [entry]
    const matching = /[*?]/.test(entry) ? listed.filter(name => globMatches(entry, name)) : []
    if (matching.length > 0) return matching
    const suggestion = nearestWord(entry, all)
    throw refuse(entry.slice(0, 200),
      `which is no ${option === 'freeze' ? 'parameter' : 'real tensor'} of the network.${
        suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`
      } It has ${listed.slice(0, 20).map(name => `'${name}'`).join(', ')}${listed.length > 20 ? ' and more' : ''}.`)
  })
  return [...new Set(found)]
}

/** Whether a glob means a name. Two places are remembered and no more, so that no pattern takes long. */
function globMatches(glob: string, name: string): boolean {
  let [g, n, star, from] = [0, 0, -1, 0]
  while (n < name.length) {
    if (glob[g] === '*') [star, from] = [g++, n]
    else if (g < glob.length && (glob[g] === '?' || glob[g] === name[n])) [g, n] = [g + 1, n + 1]
    else if (star >= 0) [g, n] = [star + 1, ++from]
    else return false
  }
  return [...glob.slice(g)].every(letter => letter === '*')
}
