/**
 * @file Finds the state dict in what a file holds: a checkpoint has it under some key, beside the optimiser's and the
 * trainer's state.
 */
import { GraphError, OptionError } from '../../core/errors/errors.js'
import { nearestWord } from '../../core/errors/suggest.js'
import { PickleDict, PickleRecord, type PickleValue } from '../pickle/index.js'
import { SAVE_A_STATE_DICT, unsupportedTorch } from './refusal.js'
import { type Child, childrenOf, collectTensors, isModule, type NamedTorchTensors,
  TensorFinder } from './tensor-tree.js'
import { tensorOf } from './tensors.js'

/** Keys under which training programs save their network, the likeliest first. */
const USUAL_KEYS: readonly string[] = ['state_dict', 'model_state_dict', 'model_state', 'model_dict', 'net_state_dict',
  'network_state_dict', 'model_weights', 'model', 'net', 'network', 'module', 'weights', 'params', 'parameters']

/** Those that no layer has as its name. */
const SURE_KEY = /_(dict|state|weights)$/

/**
 * What lies beside a network in a checkpoint: the state of optimisers holds tensors of the same shapes as the weights.
 */
const TRAINING_STATE: readonly RegExp[] = [
  /optim|sched|scaler|(^|_)rng(_|$)/i,
  /^(hyper_parameters|hparams|config|args|loops|callbacks|history|metrics?|loss(es)?)$/i,
]

/** The tensors that were chosen, and what to tell of the choice. */
export interface StateDict {
  readonly tensors: NamedTorchTensors
  readonly notes: readonly string[]
}

/**
 * Finds the tensors of the network.
 * @param model the path to it, where the caller knows better
 * @throws GraphError AMBIGUOUS_NETWORK when several parts could be meant; UntrustedInputError UNSUPPORTED_FORMAT when
 * there are no tensors
 * @throws OptionError BAD_OPTION when there is nothing at `model`
 */
export function findStateDict(root: PickleValue, model?: string): StateDict {
  const notes: string[] = []
  const finder = new TensorFinder()
  const chosen = choose(model === undefined ? root : partAt(root, model), finder, notes)
  const alone = tensorOf(chosen)
  if (alone !== undefined) {
    return { tensors: new Map([['tensor', alone]]),
      notes: [...notes, "The file holds one tensor without a name; it is called 'tensor' here."] }
  }
  const tensors = collectTensors(chosen, child => !isNetwork(chosen) && isTrainingState(child))
  if (tensors.size === 0) nothingFound(root)
  if (chosen instanceof PickleRecord && isModule(chosen)) {
    notes.push(
      `The weights come from a pickled module of the class ${chosen.path}; its Python code is not in the file.`,
    )
  }
  return { tensors: withoutPrefix(tensors, notes), notes }
}

/** Modules, and the objects that stand for them in TorchScript. */
function isNetwork(value: PickleValue): boolean {
  return isModule(value) || (value instanceof PickleRecord && value.path.startsWith('__torch__.'))
}

function isTrainingState([name, value]: Child): boolean {
  return tensorOf(value) === undefined && TRAINING_STATE.some(pattern => pattern.test(name))
}

/** The part of a value that is the network, found by stepping into checkpoints. */
function choose(value: PickleValue, finder: TensorFinder, notes: string[]): PickleValue {
  for (let current = value;;) {
    if (tensorOf(current) !== undefined || isNetwork(current)) return current
    const children = [...childrenOf(current)].filter(child => !isTrainingState(child) && finder.holdsTensors(child[1]))
    const next = step(current, children, finder)
    if (next === undefined) return current
    const others = children.filter(child => child !== next && tensorOf(child[1]) === undefined).map(([name]) =>
      `'${name.slice(0, 50)}'`
    )
    notes.push(
      `The network was taken from '${next[0].slice(0, 100)}'${
        others.length === 0 ? '' : `; there are tensors in ${others.slice(0, 5).join(', ')} too (option model)`
      }.`,
    )
    current = next[1]
  }
}

/** The child to step into, or undefined when the value itself is the state dict. */
function step(value: PickleValue, children: readonly Child[], finder: TensorFinder): Child | undefined {
  const containers = children.filter(([, child]) => tensorOf(child) === undefined)
  const usual = USUAL_KEYS.map(key => containers.find(([name]) => name === key)).find(found => found !== undefined)
  if (usual !== undefined && (SURE_KEY.test(usual[0]) || !finder.isLayer(usual[1]))) return usual
  if (containers.length === 0 || containers.length < children.length ||
    (value instanceof PickleDict && containers.every(([, child]) => finder.isLayer(child)))) return undefined
  if (containers.length === 1) return containers[0]
  const names = containers.map(([name]) => name.slice(0, 100))
  throw new GraphError('AMBIGUOUS_NETWORK',
    `The file holds tensors in ${names.length} parts: ${
      names.slice(0, 20).map(name => `'${name}'`).join(', ')
    }. Name the network's with the option model, for example '${names[0]}'.`, { networks: names.slice(0, 100) })
}

/** The part of a value at a path of names joined by dots (which names may contain themselves). */
function partAt(root: PickleValue, model: string): PickleValue {
  let places: [PickleValue, string][] = [[root, model]]
  while (places.length > 0) {
    const next: [PickleValue, string][] = []
    for (const [value, rest] of places) {
      for (const [name, child] of childrenOf(value)) {
        if (name === rest) return child
        if (rest.startsWith(`${name}.`) && next.length < 100) next.push([child, rest.slice(name.length + 1)])
      }
    }
    places = next
  }
  const finder = new TensorFinder()
  const names = [...childrenOf(root)].filter(([, child]) => finder.holdsTensors(child)).map(([name]) =>
    name.slice(0, 100)
  )
  const suggestion = nearestWord(model, names)
  throw new OptionError('BAD_OPTION',
    `The file has nothing at '${model.slice(0, 100)}' (option model). There are tensors in ${
      names.slice(0, 20).map(name => `'${name}'`).join(', ') || 'no part of it'
    }.${suggestion === undefined ? '' : ` Did you mean '${suggestion}'?`}`, { option: 'model',
    value: model.slice(0, 100), allowed: names.slice(0, 100), ...(suggestion === undefined ? {} : { suggestion }) })
}

/** Prefixes that wrappers put before every name. */
const WRAPPERS: Readonly<Record<string, string>> = { 'module.': 'DataParallel', '_orig_mod.': 'torch.compile' }

function withoutPrefix(tensors: NamedTorchTensors, notes: string[]): NamedTorchTensors {
  for (const [prefix, wrapper] of Object.entries(WRAPPERS)) {
    const names = [...tensors.keys()]
    if (!names.every(name => name.startsWith(prefix) && name.length > prefix.length)) continue
    notes.push(`The prefix '${prefix}' of every name, which ${wrapper} adds, was taken away.`)
    return withoutPrefix(new Map([...tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor])), notes)
  }
  return tensors
}

function nothingFound(root: PickleValue): never {
  const classes = new Set<string>()
  for (const value of [root, ...[...childrenOf(root)].slice(0, 100).map(([, child]) => child)]) {
    if (value instanceof PickleRecord) classes.add(value.path)
  }
  const what = classes.size === 0 ? '' : ` (it holds objects of ${[...classes].slice(0, 5).join(', ')})`
  return unsupportedTorch(
    `The file holds no tensors that can be read without running Python code${what}: ` +
      `load it in Python and ${SAVE_A_STATE_DICT}`,
  )
}
