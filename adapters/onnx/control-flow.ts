/**
 * @file If, Loop and Scan written out: the branch that is taken, the body once for each iteration. What decides must
 * not depend on the data.
 */
import { integersAttribute, numberAttribute } from '../../core/ops/node-attributes.js'
import { MOST_ITERATIONS, MOST_UNROLLED } from './limits.js'
import type { Body, SourceNode } from './nodes.js'
import { type Expressed, NotExpressible, type UpgradeContext } from './upgrade-context.js'

/** Upgrades one node of a body. */
export type Upgrade = (node: SourceNode) => void

/** Writes a node out; the result are the values of its outputs. */
type WriteOut = (node: SourceNode, context: UpgradeContext, upgrade: Upgrade) => readonly Expressed[]

function bodyOf({ bodies }: SourceNode, key: string): Body {
  const body = bodies?.[key]
  if (body === undefined) throw new NotExpressible(`without its subgraph '${key}'`)
  return body
}

/** The first names of a node, without those that its bodies capture. */
function givenInputs({ inputs, given }: SourceNode): readonly string[] {
  return inputs.slice(0, given)
}

/** Appends a body's nodes under new names; `values` are those of its inputs. */
function inline(body: Body, values: readonly Expressed[], context: UpgradeContext, upgrade: Upgrade): string[] {
  if (context.builder.nodes.length + body.nodes.length > MOST_UNROLLED) {
    throw new NotExpressible(`that makes more than ${MOST_UNROLLED} nodes when it is written out`)
  }
  const names = new Map<string, string>()
  body.inputs.forEach((name, i) => {
    const value = values[i]
    if (typeof value === 'string') names.set(name, value)
    else if (value !== undefined) {
      const sequence = context.builder.fresh(name)
      context.sequences.set(sequence, value)
      names.set(name, sequence)
    }
  })
  for (const [name, value] of body.constants) names.set(name, context.shared(value, name))
  const rename = (name: string): string => names.get(name) ?? name
  for (const node of body.nodes) {
    for (const name of node.outputs) if (name !== '') names.set(name, context.builder.fresh(name))
  }
  for (const node of body.nodes) {
    upgrade({ ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename),
      ...(node.bodies === undefined ? {} : { bodies: renamedBodies(node.bodies, rename) }) })
  }
  return body.outputs.map(rename)
}

/** Bodies inside of a body, with the names of what they read from around them. */
function renamedBodies(bodies: Readonly<Record<string, Body>>,
  outer: (name: string) => string): Readonly<Record<string, Body>> {
  return Object.fromEntries(Object.entries(bodies).map(([key, body]) => {
    const own = new Set([...body.inputs, ...body.constants.keys(), ...body.nodes.flatMap(node => node.outputs)])
    const rename = (name: string): string => (own.has(name) ? name : outer(name))
    return [key, { ...body, outputs: body.outputs.map(rename),
      nodes: body.nodes.map(node => ({ ...node, inputs: node.inputs.map(rename),
        ...(node.bodies === undefined ? {} : { bodies: renamedBodies(node.bodies, rename) }) })
      ) }]
  }))
}

const choose: WriteOut = (node, context, upgrade) => {
  const [condition] = node.inputs
  const branch = (truth: number): Body => bodyOf(node, truth !== 0 ? 'then_branch' : 'else_branch')
  const truths = context.type(condition).constant === undefined ? truthsBySize(condition, context) : undefined
  if (truths === undefined) return inline(branch(context.known(condition, 'condition').data[0]), [], context, upgrade)
  const [single, several] = truths.map(branch)
  // As torch writes `squeeze` of an axis of any length: for one example alone the axis is left out.
  if (single !== several && !(rearranged(single) !== undefined && rearranged(single) === rearranged(several))) {
    throw new NotExpressible('whose condition depends on the number of examples')
  }
  return inline(several, [], context, upgrade)
}

/** Operators that leave all elements in their order. */
const IN_ORDER = new Set(['Identity', 'Squeeze', 'Unsqueeze', 'Reshape', 'Flatten'])

/** The value whose elements a body gives in another shape, and nothing else; undefined for other bodies. */
function rearranged({ nodes, outputs }: Body): string | undefined {
  if (outputs.length !== 1) return undefined
  let [value] = outputs
  for (const node of nodes.toReversed()) {
    if (node.outputs[0] !== value) continue
    if (!IN_ORDER.has(node.op)) return undefined
    value = node.inputs[0]
  }
  return value
}

/** Numbers of examples for which conditions are tried. */
const SIZES = [1, 2, 3, 5]

/** A condition for one example and for several, where it follows from how many there are; undefined for others. */
function truthsBySize(condition: string, context: UpgradeContext): readonly number[] | undefined {
  const truths = SIZES.map(size => context.valueFor(condition, size)?.data[0])
  const [single, ...several] = truths
  if (single === undefined || several.some(truth => truth !== several[0])) return undefined
  return [single, several[0] ?? single]
}

/** Values of every iteration as one, along a new axis. */
function stacked(values: readonly string[], axis: number, context: UpgradeContext): string {
  if (values.length === 0) throw new NotExpressible('that runs zero times')
  const resolved = axis < 0 ? axis + context.shape(values[0]).length + 1 : axis
  return context.concat(values.map(value => context.unsqueeze(value, resolved)), resolved)
}

/** Runs until the number of iterations, or until a condition that does not depend on the data is false. */
const loop: WriteOut = (node, context, upgrade) => {
  const [most = '', first = '', ...initial] = givenInputs(node)
  const body = bodyOf(node, 'body')
  const limit = most === '' ? Infinity : context.known(most, 'number of iterations').data[0]
  const states = initial.length
  const scanned: string[][] = Array.from({ length: Math.max(0, body.outputs.length - 1 - states) }, () => [])
  let state: readonly string[] = initial
  let condition = first
  const goesOn = (): boolean => condition === '' || context.known(condition, 'condition').data[0] !== 0
  let i = 0
  for (; i < limit && goesOn(); i++) {
    if (i >= MOST_ITERATIONS) throw new NotExpressible(`of more than ${MOST_ITERATIONS} iterations`)
    const outputs = inline(body, [context.integer(i), condition === '' ? truth(context) : condition, ...state], context,
      upgrade)
    condition = outputs[0]
    state = outputs.slice(1, 1 + states)
    outputs.slice(1 + states).forEach((value, k) => scanned[k].push(value))
  }
  return [...state,
    ...scanned.map((values, k) => ((node.outputs[states + k] ?? '') === '' ? undefined : stacked(values, 0, context)))]
}

function truth(context: UpgradeContext): string {
  return context.constant({ dtype: 'bool', shape: [], data: Uint8Array.of(1) }, 'true')
}

/** The body for every element along an axis of the scanned inputs. */
const scan: WriteOut = (node, context, upgrade) => {
  const body = bodyOf(node, 'body')
  const inputs = givenInputs(node)
  const count = numberAttribute(node, 'num_scan_inputs')
  const states = inputs.length - count
  const zeros = (length: number): number[] => new Array<number>(Math.max(0, length)).fill(0)
  const results = body.outputs.length - states
  const list = (key: string, length: number): readonly number[] => integersAttribute(node, key, zeros(length))
  const [axes, directions] = [list('scan_input_axes', count), list('scan_input_directions', count)]
  const [outputAxes, outputDirections] = [list('scan_output_axes', results), list('scan_output_directions', results)]
  const parts = inputs.slice(states).map((name, k) => elements(name, axes[k], directions[k] === 1, context))
  const length = parts[0]?.length ?? 0
  let state = inputs.slice(0, states)
  const scanned: string[][] = zeros(results).map(() => [])
  for (let i = 0; i < length; i++) {
    const outputs = inline(body, [...state, ...parts.map(part => part[i])], context, upgrade)
    state = outputs.slice(0, states)
    outputs.slice(states).forEach((value, k) => scanned[k].push(value))
  }
  return [...state, ...scanned.map((values, k) => {
    if ((node.outputs[states + k] ?? '') === '') return undefined
    return stacked(outputDirections[k] === 1 ? values.reverse() : values, outputAxes[k], context)
  })]
}

/** The elements along an axis, one value each. */
function elements(name: string, axis: number, backwards: boolean, context: UpgradeContext): string[] {
  const length = context.length(name, axis, 'scanned axis')
  if (length > MOST_ITERATIONS) throw new NotExpressible(`of more than ${MOST_ITERATIONS} iterations`)
  const sizes = context.integers(new Array<number>(length).fill(1))
  const parts = length === 1 ? [name] : context.nodeOutputs('Split', [name, sizes], length, { axis })
  const squeezed = parts.map(part => context.node('Squeeze', [part, context.integers([axis])]))
  return backwards ? squeezed.reverse() : squeezed
}

/** By operator. */
export const CONTROL_FLOW: ReadonlyMap<string, WriteOut> = new Map([['If', choose], ['Loop', loop], ['Scan', scan]])
