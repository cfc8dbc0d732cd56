/** @file A recurrent cell unrolled over the steps of a sequence, with Keras' meaning of masks. */
import { GraphError } from '../../core/errors/errors.js'
import { type Emission, emit, type Mask, misfit, type Value } from './emission.js'
import type { LayerContext } from './layer-context.js'

/** What a recurrent layer does at every step. States that are not given are zeros. */
export interface Cell {
  /** Shapes of the states of one example. */
  readonly states: readonly (readonly number[])[]
  /** What of a step depends on its input alone; whole sequences at once where `sequences` is true. */
  project(x: Value): Value
  readonly sequences: boolean
  step(projected: Value, states: readonly (Value | undefined)[]): { output: Value, states: readonly Value[] }
}

/** How a sequence is walked through. */
export interface Walk {
  readonly backwards: boolean
  readonly initial: readonly (Value | undefined)[]
  readonly mask: Mask | undefined
  /** Whether steps that are padding give zeros, and not the output before them. */
  readonly zeroOutput: boolean
}

/** The outputs in the order of the walk, and the states at its end. */
export interface Walked {
  readonly outputs: readonly Value[]
  readonly states: readonly Value[]
}

/** The longest sequence that is unrolled. */
const LONGEST = 1000

/** Appends the nodes of all steps. @throws GraphError UNSUPPORTED_OPERATOR for sequences longer than 1000 */
export function unroll(context: LayerContext, cell: Cell, x: Value, walk: Walk): Walked {
  const [times] = x.shape
  if (times > LONGEST) {
    throw new GraphError('UNSUPPORTED_OPERATOR',
      `The layer '${context.layer.path}' is unrolled for at most ${LONGEST} times; the input has ${times}.`, {
      layer: context.layer.path,
    })
  }
  if (times < 1) throw misfit(context.layer, 'gets an empty sequence')
  const projected = cell.sequences ? cell.project(x) : x
  const order = Array.from({ length: times }, (_, t) => (walk.backwards ? times - 1 - t : t))
  const outputs: Value[] = []
  let states: readonly (Value | undefined)[] = walk.initial
  for (const t of order) {
    const now = stepOf(context, projected, t)
    const next = cell.step(cell.sequences ? now : cell.project(now), states)
    if (walk.mask === undefined) {
      outputs.push(next.output)
      states = next.states
      continue
    }
    const counts = maskAt(context, walk.mask, t)
    const before = walk.zeroOutput ? undefined : outputs[outputs.length - 1]
    states = next.states.map((state, i) => select(context, counts, state, states[i]))
    outputs.push(select(context, counts, next.output, before))
  }
  return { outputs, states: states as readonly Value[] }
}

/** One step of a sequence. */
export function stepOf(emission: Emission, sequence: Value, t: number): Value {
  const index = emission.builder.constant({ dtype: 'int64', shape: [], data: Float64Array.of(t) })
  return emit(emission, 'Gather', [sequence.name, index], sequence.shape.slice(1), false, { axis: 1 })
}

/** Steps one behind the other along a new first axis of each example. */
export function stack(emission: Emission, steps: readonly Value[]): Value {
  const { builder } = emission
  const rows = steps.map(({ name }) => builder.node('Unsqueeze', [name, builder.integers([1])]))
  return emit(emission, 'Concat', rows, [steps.length, ...steps[0].shape], false, { axis: 1 })
}

/** The steps of a sequence in the opposite order. */
export function reversed(emission: Emission, x: Value): Value {
  const order = Array.from({ length: x.shape[0] }, (_, t) => x.shape[0] - 1 - t)
  return emit(emission, 'Gather', [x.name, emission.builder.integers(order)], x.shape, false, { axis: 1 })
}

function maskAt({ builder }: Emission, mask: Mask, t: number): string {
  const index = builder.constant({ dtype: 'int64', shape: [], data: Float64Array.of(t) })
  return builder.node('Gather', [mask.name, index], { axis: 1 })
}

/** `value` for the examples whose step counts, what was before for the others (zeros at the beginning). */
function select(emission: Emission, counts: string, value: Value, before: Value | undefined): Value {
  const { builder } = emission
  const wide = builder.node('Unsqueeze', [counts, builder.integers(value.shape.map((_, i) => i + 1))])
  return emit(emission, 'Where', [wide, value.name, before?.name ?? builder.scalar(0)], value.shape, false)
}
