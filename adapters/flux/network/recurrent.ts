/**
 * @file Recurrent layers, unrolled over time with the equations of Flux.
 *
 * Flux 0.15 and newer take features x time x batch at once, which is N x T x F here. Older layers keep a state between
 * calls: they are read as one step from their initial state (N x F), or as a sequence when the input has a time axis.
 * The initial state is kept fixed.
 */
import { GraphError } from '../../../core/errors/errors.js'
import { sizeOf, tensor } from '../../../core/tensor/tensor.js'
import { activate } from '../code/translate.js'
import { type Emission, emit, misfit, parameter, type Value, vectorForm } from '../graph/emission.js'
import type { JuliaArray } from '../julia/arrays.js'
import type { RecurrentLayer } from '../layers/flux-layer.js'

/** The longest sequence that is unrolled. */
const LONGEST = 1000

interface Cell {
  readonly inputWeight: string
  readonly hiddenWeight: string
  readonly candidateWeight: string | undefined
  readonly bias: string | undefined
  readonly width: number
}

/** Appends the nodes of a recurrent layer. */
export function applyRecurrent(emission: Emission, layer: RecurrentLayer, x: Value, path: string): Value {
  if (!cellFits(layer)) {
    throw new GraphError('BAD_GRAPH', `The weights of the ${layer.cell} layer '${path}' do not fit each other.`, {
      path,
    })
  }
  const features = layer.inputWeight.size[1]
  const width = layer.hiddenWeight.size[1]
  const time = x.shape.length === 2 ? x.shape[0] : 1
  if (x.shape.length > 2 || x.shape[x.shape.length - 1] !== features) {
    throw misfit(path, `The ${layer.cell} layer`, `${features} features at each time`, x)
  }
  if (time > LONGEST) {
    throw new GraphError('UNSUPPORTED_OPERATOR',
      `The ${layer.cell} layer '${path}' is unrolled for at most ${LONGEST} times; the input has ${time}.`, { path })
  }
  const { builder } = emission
  if (x.shape.length === 1) {
    builder.notes.push(
      `The ${layer.cell} layer '${path}' makes one step from its initial state; ` +
        `give inputSize [times, ${features}] for sequences.`,
    )
  }
  const matrix = (array: JuliaArray, field: string): string =>
    parameter(emission, array, `${path}.${field}`, { key: 'in x out', shape: [array.size[1], array.size[0]],
      transposed: true })
  const cell: Cell = {
    inputWeight: matrix(layer.inputWeight, 'Wi'),
    hiddenWeight: matrix(layer.hiddenWeight, 'Wh'),
    candidateWeight: layer.candidateWeight === undefined ? undefined : matrix(layer.candidateWeight, 'Wh_h̃'),
    bias: layer.bias === undefined ? undefined : parameter(emission, layer.bias, `${path}.b`, vectorForm(layer.bias)),
    width,
  }
  // The input's share of all gates and times in one product.
  const gates = layer.inputWeight.size[0]
  const projected = emit(emission, 'MatMul', [x.name, cell.inputWeight], [...x.shape.slice(0, -1), gates])
  let states: readonly (Value | undefined)[] = initialStates(emission, layer, projected, width)
  const outputs: string[] = []
  for (let t = 0; t < time; t++) {
    const now = x.shape.length === 1
      ? projected
      : emit(emission, 'Gather', [projected.name,
        builder.constant({ dtype: 'int64', shape: [], data: Float64Array.of(t) })], [gates], { axis: 1 })
    const next = step(emission, layer, cell, now, states, path)
    if (x.shape.length === 1) return next[0]
    outputs.push(next[0].name)
    states = next
  }
  const layersOverTime = outputs.map(name => builder.node('Reshape', [name, builder.integers([-1, 1, width])]))
  return emit(emission, 'Concat', layersOverTime, [time, width], { axis: 1 })
}

/** The state before the first step, or undefined where it is zero (as it is unless it was trained). */
function initialStates(emission: Emission, layer: RecurrentLayer, projected: Value,
  width: number): (Value | undefined)[] {
  const { builder } = emission
  const count = layer.cell === 'LSTM' ? 2 : 1
  return Array.from({ length: count }, (_, i) => {
    const stored = layer.state[i]
    if (stored === undefined || stored.data.every(value => value === 0)) return undefined
    if (stored.data.length !== width) {
      throw new GraphError('BAD_GRAPH',
        `The initial state of a recurrent layer has ${stored.data.length} elements for ${width} units.`)
    }
    // Made from the input so that it has the batch axis.
    const rows = projected.shape.length === 1
      ? projected.name
      : builder.node('Gather', [projected.name,
        builder.constant({ dtype: 'int64', shape: [], data: Float64Array.of(0) })], { axis: 1 })
    const first = builder.node('Slice', [rows, builder.integers([0]), builder.integers([width]), builder.integers([1])])
    const zero = builder.node('Mul', [first, builder.scalar(0)])
    return emit(emission, 'Add', [zero, builder.constant(tensor(builder.precision, [width], stored.data))], [width])
  })
}

/** One step; the first of the new states is the output. */
function step(emission: Emission, layer: RecurrentLayer, cell: Cell, input: Value,
  states: readonly (Value | undefined)[], path: string): [Value, ...Value[]] {
  const { builder } = emission
  const [h, c] = states
  const { width } = cell
  const op = (name: string, ...inputs: (Value | string)[]): Value =>
    emit(emission, name, inputs.map(value => (typeof value === 'string' ? value : value.name)), [width])
  const wide = (name: string, a: Value | string, b: string): string =>
    builder.node(name, [typeof a === 'string' ? a : a.name, b])
  const gate = (value: string, index: number): Value =>
    op('Slice', value, builder.integers([index * width]), builder.integers([(index + 1) * width]),
      builder.integers([1]))
  const withBias = cell.bias === undefined ? input.name : wide('Add', input, cell.bias)
  const hidden = h === undefined ? undefined : builder.node('MatMul', [h.name, cell.hiddenWeight])
  const sum = (a: Value | string,
    b: Value | string
      | undefined): string => (b === undefined ? (typeof a === 'string' ? a : a.name) : op('Add', a, b).name)
  if (layer.cell === 'RNN') {
    return [activate(emission, layer.activation, { name: sum(withBias, hidden), shape: [width] }, path)]
  }
  if (layer.cell === 'LSTM') {
    const all = sum(withBias, hidden)
    const [enter, forget, candidate, output] = [0, 1, 2, 3].map(index => gate(all, index))
    const entering = op('Mul', op('Sigmoid', enter), op('Tanh', candidate))
    const memory = c === undefined ? entering : op('Add', op('Mul', op('Sigmoid', forget), c), entering)
    return [op('Mul', op('Sigmoid', output), op('Tanh', memory)), memory]
  }
  const both = (index: number): string =>
    sum(gate(withBias, index), hidden === undefined ? undefined : gate(hidden, index))
  const reset = op('Sigmoid', both(0))
  const update = op('Sigmoid', both(1))
  const candidate = op('Tanh', sum(gate(withBias, 2), recurrentPart(h, hidden)))
  const fresh = op('Mul', op('Sub', builder.scalar(1), update), candidate)
  return [h === undefined ? fresh : op('Add', fresh, op('Mul', update, h))]

  /** What the state adds to the candidate: r . (Wh h), or Wh~ (r . h) in the third version of the GRU. */
  function recurrentPart(state: Value | undefined, product: string | undefined): Value | undefined {
    if (state === undefined || product === undefined) return undefined
    return cell.candidateWeight === undefined
      ? op('Mul', reset, gate(product, 2))
      : op('MatMul', op('Mul', reset, state), cell.candidateWeight)
  }
}

/** Whether the sizes of a cell's weights agree. */
function cellFits(layer: RecurrentLayer): boolean {
  const gates = { RNN: 1, LSTM: 4, GRU: 3, GRUv3: 3 }[layer.cell]
  const width = layer.hiddenWeight.size[1]
  return layer.inputWeight.size.length === 2 && layer.inputWeight.size[0] === gates * width &&
    sizeOf(layer.bias?.size ?? [gates * width]) === gates * width
}
