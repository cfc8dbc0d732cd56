/**
 * @file Rewards learnt from pairs, one of which was preferred: the network with two copies of its nodes and one set of
 * weights gives the difference of two rewards, the logit of the second being preferred. Its curvature is that of the
 * weights, and predictions are of single rows.
 */
import type { PosteriorState } from '../answer/posterior-state.js'
import { InternalError, ShapeError } from '../errors/errors.js'
import { GraphBuilder } from '../graph/builder.js'
import type { Graph, Node } from '../graph/graph.js'
import type { LaplaceOptions } from '../options/laplace-options.js'
import { type ResolvedOptions, resolveOptions } from '../options/resolved-options.js'
import type { Runtime } from '../parallel/runtime.js'
import type { Evaluator } from '../programs/evaluator.js'
import { arraysOf, type Examples } from '../tensor/examples.js'
import { takeRows } from '../tensor/rows.js'
import { allocate, formatShape, type Tensor } from '../tensor/tensor.js'
import { type FitTask, taskFor } from './fit-task.js'

/** A fit to pairs, and the way back to single rows. */
export interface RewardTask {
  readonly task: FitTask
  /** N x 2 x ... as two inputs. @throws ShapeError */
  pairs(x: Examples): Examples
  /** The posterior of the same weights, of the network for single rows. */
  single(state: PosteriorState): PosteriorState
}

/** @throws OptionError BAD_COMBINATION, GraphError, ResourceError */
export function rewardTask(graph: Graph, given: LaplaceOptions, resolved: ResolvedOptions,
  runtime: Runtime): RewardTask {
  const own = taskFor(graph, { ...resolved, validation: undefined }, runtime)
  const { evaluator } = own
  const pair = pairGraph(evaluator)
  const options = pairOptions(given, resolved, evaluator)
  const task = taskFor(pair, options, runtime)
  const names = (one: Evaluator): string => one.slots.map(({ name, size }) => `${name} ${size}`).join()
  if (names(task.evaluator) !== names(evaluator)) {
    throw new InternalError('The weights of a network for pairs are not those of the network.')
  }
  return {
    task,
    pairs: x => asPairs(x, evaluator),
    single: state => ({ ...state, graph: own.graph, evaluator, pool: own.pool, options: own.options,
      notes: [...new Set([...own.network.notes, ...state.notes])] }),
  }
}

/** What the options of the fit say of the network does not hold for the graph of pairs, which has no other weights. */
const OF_PAIR_GRAPH = { likelihood: 'binary', subset: 'all', subnetwork: undefined, lastLayerName: undefined,
  input: undefined, output: undefined, parameters: undefined, freeze: undefined, positions: undefined,
  classAxis: undefined } as const

/** The options of the fit to pairs. */
function pairOptions(given: LaplaceOptions, resolved: ResolvedOptions, evaluator: Evaluator): ResolvedOptions {
  const open = given.tune === undefined && given.priorPrecision === undefined
  const tune = given.validation === undefined ? 'marglik' as const : 'grid' as const
  const options = resolveOptions({ ...given, ...OF_PAIR_GRAPH, structure: given.structure ?? resolved.structure,
    ...(open ? { tune } : {}) })
  const { validation } = options
  return { ...options, ofPairs: true, validation: validation === undefined || typeof validation === 'number'
    ? validation
    : { ...validation, x: asPairs(validation.x, evaluator) } }
}

/**
 * The posterior as one of choices between two rows, which held-out pairs score, and the way back.
 * @param state of rewards, for single rows
 */
export function choicesOf(state: PosteriorState): Pick<RewardTask, 'pairs' | 'single'> & {
  readonly choices: PosteriorState
} {
  const { evaluator, runtime, options, graph, pool } = state
  const task = taskFor(pairGraph(evaluator), { ...options, ...OF_PAIR_GRAPH, subsetName: 'all', ofPairs: true,
    validation: undefined }, runtime)
  return {
    choices: { ...state, graph: task.graph, evaluator: task.evaluator, pool: task.pool, options: task.options },
    pairs: x => asPairs(x, evaluator),
    single: changed => ({ ...changed, graph, evaluator, pool, options }),
  }
}

/** Two copies of the nodes over the same initialisers, and the second output less the first. */
function pairGraph({ network: { graph, output }, slots, precision }: Evaluator): Graph {
  const there = new Set(slots.map(({ name }) => name))
  const builder = GraphBuilder.from({ ...graph, outputs: [output],
    parameters: graph.parameters.filter(({ name }) => there.has(name)) }, precision)
  const renamed = new Map<string, string>()
  for (const input of graph.inputs) {
    const name = builder.fresh(`${input.name}:second`)
    renamed.set(input.name, name)
    builder.inputs.push({ ...input, name })
  }
  const other = (name: string): string => renamed.get(name) ?? name
  const copies = graph.nodes.map((node): Node => {
    const inputs = node.inputs.map(other)
    for (const name of node.outputs) if (name !== '') renamed.set(name, builder.fresh(`${name}:second`))
    return { ...node, inputs, outputs: node.outputs.map(other) }
  })
  builder.nodes.push(...copies)
  return { ...builder.build([builder.node('Sub', [other(output), output])]), notes: [] }
}

function asPairs(x: Examples, { network }: Evaluator): Examples {
  const arrays = arraysOf(x)
  const part = (values: Tensor, place: number): Tensor => {
    const [n = 0, two, ...shape] = values.shape
    if (two !== 2) {
      throw new ShapeError("Rows of likelihood 'reward_modeling' are pairs, N x 2 x ...; x is "
        + `${formatShape(values.shape)}.`, { actual: values.shape })
    }
    const width = shape.reduce((size, extent) => size * extent, 1)
    const rows = Int32Array.from({ length: n }, (_, row) => 2 * row + place)
    const data = allocate(values.dtype, n * width)
    data.set(takeRows(values.data, rows, width))
    return { dtype: values.dtype, shape: [n, ...shape], data }
  }
  return [0, 1].flatMap(place =>
    arrays.map(({ name, values }, i) => {
      const input = name ?? network.inputs[i]?.name
      return { name: place === 0 ? input : `${input}:second`, values: part(values, place) }
    })
  )
}
