/**
 * @file Subnetworks: some of the parameters, by flat index, by the names of tensors and modules, or by a score
 * (Daxberger et al. 2021, "Bayesian deep learning via subnetwork inference"). The others keep their values.
 */
import { OptionError } from '../errors/errors.js'
import type { Graph, Parameter } from '../graph/graph.js'
import type { SubnetworkChoice } from '../options/parameter-choice.js'
import { sampledRows } from '../tensor/rows.js'
import { sizeOf } from '../tensor/tensor.js'
import { parameterSlots, parameterVector } from './parameters.js'
import { parameterNames } from './select-parameters.js'

/**
 * The graph whose parameters take part with the chosen elements alone.
 * @throws OptionError BAD_OPTION for indices beyond the parameters, names of no tensor, and where nothing is chosen
 */
export function withSubnetwork(graph: Graph, choice: SubnetworkChoice): Graph {
  const whole = graph.parameters.map(({ name, shape, transposed }): Parameter => ({ name, shape, transposed }))
  const chosen = chosenElements({ ...graph, parameters: whole }, choice)
  let from = 0
  return { ...graph, parameters: whole.map(parameter => {
    const size = sizeOf(parameter.shape)
    const own = chosen.filter(index => index >= from && index < from + size).map(index => index - from)
    from += size
    return own.length === size ? parameter : { ...parameter, elements: own }
  }) }
}

/** The flat indices of the elements that take part, ascending. */
export function chosenIndices({ parameters }: Graph): Int32Array {
  let from = 0
  return Int32Array.from(parameters.flatMap(({ shape, elements }) => {
    const offset = from
    from += sizeOf(shape)
    return Array.from(elements ?? Array(sizeOf(shape)).keys(), index => offset + index)
  }))
}

function chosenElements(graph: Graph, choice: SubnetworkChoice): Int32Array {
  const total = graph.parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0)
  const indices = 'count' in choice
    ? byScore(graph, choice, total)
    : isNames(choice)
    ? byName(graph, choice)
    : checked(choice, total)
  if (indices.length > 0) return indices
  throw new OptionError('BAD_OPTION', 'The subnetwork has no parameters: name some (option subnetwork).', {
    option: 'subnetwork',
  })
}

function isNames(choice: readonly string[] | ArrayLike<number>): choice is readonly string[] {
  return choice.length > 0 && typeof choice[0] === 'string'
}

/** Every element of the tensors, or of the modules, of these names. */
function byName({ parameters }: Graph, names: readonly string[]): Int32Array {
  const listed = parameters.map(({ name }) => name)
  const found = new Set(parameterNames('subnetwork', names.map(name => asGlob(name, listed)), listed, listed))
  let from = 0
  return Int32Array.from(parameters.flatMap(({ name, shape }) => {
    const offset = from
    from += sizeOf(shape)
    return found.has(name) ? Array.from(Array(sizeOf(shape)).keys(), index => offset + index) : []
  }))
}

/** A module's name means all tensors below it. */
function asGlob(name: string, listed: readonly string[]): string {
  return !listed.includes(name) && listed.some(other => other.startsWith(`${name}.`)) ? `${name}.*` : name
}

function checked(indices: ArrayLike<number>, total: number): Int32Array {
  const given = Array.from(indices)
  const wrong = given.find(index => !Number.isInteger(index) || index < 0 || index >= total)
  if (wrong !== undefined) {
    throw new OptionError('BAD_OPTION',
      `The parameters of a subnetwork are numbered from 0 to ${
        total - 1
      } in the order of the tensors; ${wrong} is none `
        + 'of them (option subnetwork).', { option: 'subnetwork', value: wrong })
  }
  const sorted = Int32Array.from(given).sort()
  const twice = sorted.find((index, i) => i > 0 && index === sorted[i - 1])
  if (twice === undefined) return sorted
  throw new OptionError('BAD_OPTION',
    `Parameter ${twice} of the subnetwork is named twice; give each index once (option subnetwork).`, {
    option: 'subnetwork',
    value: twice,
  })
}

/** The elements of the highest scores, the first of equal ones; or a seeded sample. */
function byScore(graph: Graph, { count, by, seed = 0 }: Extract<SubnetworkChoice, { readonly count: number }>,
  total: number): Int32Array {
  if (!Number.isInteger(count) || count < 1 || count > total) {
    throw new OptionError('BAD_OPTION',
      `A subnetwork takes 1 to ${total} of the network's parameters; got ${count} (option subnetwork).`, {
      option: 'subnetwork',
      value: count,
    })
  }
  if (by === 'random') return sampledRows(total, count, seed)
  const scores = by === 'magnitude' ? magnitudes(graph) : by
  if (typeof scores === 'string' || scores.length !== total) {
    throw new OptionError('BAD_OPTION',
      `A subnetwork is chosen by 'magnitude', by 'random', or by a score for each of the ${total} parameters, such as `
        + 'the variances of a diagonal posterior (option subnetwork).', { option: 'subnetwork' })
  }
  const order = Int32Array.from({ length: total }, (_, i) => i).sort((a, b) => scores[b] - scores[a] || a - b)
  return order.slice(0, count).sort()
}

function magnitudes(graph: Graph): Float64Array {
  return parameterVector(graph, parameterSlots(graph, graph.parameters.map(({ name }) => name))).map(Math.abs)
}
