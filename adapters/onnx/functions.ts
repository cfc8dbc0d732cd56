/**
 * @file Functions that a file defines (`ModelProto.functions`): calls of them are replaced by what they consist of.
 *
 * https://github.com/onnx/onnx/blob/main/docs/IR.md#functions: a function's nodes see its inputs and attributes alone;
 * an attribute of a node may refer to one of the call's (`ref_attr_name`).
 */
import { UntrustedInputError } from '../../core/errors/errors.js'
import { DEEPEST_CALLS, MOST_INLINED } from './limits.js'
import { type AttributeMessage, type FunctionMessage, type GraphMessage, type ModelMessage, type NodeMessage,
  toNumber } from './messages.js'

/** A node, and the operator set of the function that it comes from. */
export interface PlacedNode extends NodeMessage {
  readonly opset?: number
}

/** Replaces the calls among nodes, also inside of the functions that they call. */
export type ExpandCalls = (nodes: readonly NodeMessage[]) => readonly PlacedNode[]

/** Whether a domain is that of ONNX' own operators. */
function isStandard(domain: string | undefined): boolean {
  return domain === undefined || domain === '' || domain === 'ai.onnx'
}

/** How operators are called: those of ONNX by their name, others with their domain before it. */
export function operatorName(op: string, domain: string | undefined): string {
  return isStandard(domain) ? op : `${String(domain)}::${op}`
}

/** The version of ONNX' own operators in a list of operator sets; the highest where there are several. */
export function standardOpset(sets: FunctionMessage['opset_import'] = []): number | undefined {
  const versions = sets.filter(({ domain }) => isStandard(domain)).map(({ version }) => toNumber(version))
  return versions.length === 0 ? undefined : Math.max(1, ...versions)
}

const keyOf = (name: string, domain: string | undefined, overload = ''): string =>
  `${operatorName(name, domain)}:${overload}`

/**
 * What replaces calls of a model's functions. Functions that call themselves, and those that take the name of an
 * operator of ONNX, are marked in the operator's name and stay.
 */
export function callExpander({ functions = [] }: ModelMessage): ExpandCalls {
  const known = new Map(functions.map(each => [keyOf(each.name, each.domain, each.overload), each] as const))
  const calledBy = (node: PlacedNode): FunctionMessage | undefined =>
    known.get(keyOf(node.op_type ?? '', node.domain, node.overload))
  const stays = (called: FunctionMessage, open: readonly FunctionMessage[]): boolean =>
    open.includes(called) || isStandard(called.domain)
  let [calls, inlined] = [0, 0]
  // Functions that call each other twice double at each level: what they come to is counted before it is made.
  const count = (nodes: readonly PlacedNode[], open: readonly FunctionMessage[]): void => {
    for (const node of nodes) {
      const called = calledBy(node)
      if (called === undefined || stays(called, open)) continue
      inlined += called.node?.length ?? 0
      if (inlined > MOST_INLINED) throw tooMany(`make up more than ${MOST_INLINED} nodes`, MOST_INLINED)
      if (open.length >= DEEPEST_CALLS) throw tooMany(`call each other ${DEEPEST_CALLS} deep`, DEEPEST_CALLS)
      count(called.node ?? [], [...open, called])
    }
  }
  const expand = (nodes: readonly PlacedNode[], open: readonly FunctionMessage[]): PlacedNode[] =>
    nodes.flatMap(node => {
      const called = calledBy(node)
      if (called === undefined) return [node]
      if (stays(called, open)) return [{ ...node, op_type: `${node.op_type ?? ''} (a function of the file)` }]
      return expand(bodyOf(node, called, `${called.name}:${calls++}:`), [...open, called])
    })
  return nodes => {
    count(nodes, [])
    return expand(nodes, [])
  }
}

const tooMany = (what: string, limit: number): UntrustedInputError =>
  new UntrustedInputError(`The functions of the ONNX file ${what} where they are called.`, { format: 'ONNX',
    path: 'functions', limit })

/** The nodes of a function, under names of their own, with the values and attributes of a call. */
function bodyOf(call: PlacedNode, called: FunctionMessage, prefix: string): PlacedNode[] {
  const names = new Map<string, string>()
  const copies: PlacedNode[] = []
  called.input?.forEach((name, i) => names.set(name, call.input?.[i] ?? ''))
  called.output?.forEach((name, i) => {
    const target = call.output?.[i] ?? ''
    if (target === '') return
    const given = names.get(name)
    // A result that is an input, or is given twice, has a name already.
    if (given !== undefined) copies.push({ op_type: 'Identity', input: [given], output: [target] })
    else names.set(name, target)
  })
  const rename = (name: string): string => (name === '' ? '' : names.get(name) ?? prefix + name)
  const values = new Map((called.attribute_proto ?? []).map(each => [each.name, each] as const))
  for (const each of call.attribute ?? []) values.set(each.name, each)
  const opset = standardOpset(called.opset_import)
  return [
    ...(called.node ?? []).map(node => ({ ...renamed(node, rename, values),
      ...(opset === undefined ? {} : { opset }) })
    ),
    ...copies,
  ]
}

function renamed(node: NodeMessage, rename: (name: string) => string,
  values: ReadonlyMap<string, AttributeMessage>): NodeMessage {
  return { ...node, input: (node.input ?? []).map(rename), output: (node.output ?? []).map(rename),
    attribute: (node.attribute ?? []).flatMap(attribute => {
      const { ref_attr_name: reference = '', name, g } = attribute
      if (reference !== '') {
        const value = values.get(reference)
        return value === undefined ? [] : [{ ...value, name }]
      }
      return [g == null ? attribute : { ...attribute, g: renamedGraph(g, rename, values) }]
    }) }
}

/** A subgraph: its own values keep their names, those of the function around it are renamed. */
function renamedGraph(graph: GraphMessage, outer: (name: string) => string,
  values: ReadonlyMap<string, AttributeMessage>): GraphMessage {
  const own = new Set([...(graph.input ?? []), ...(graph.initializer ?? [])].map(({ name }) => name ?? ''))
  for (const node of graph.node ?? []) for (const name of node.output ?? []) own.add(name)
  const rename = (name: string): string => (own.has(name) ? name : outer(name))
  return { ...graph, node: (graph.node ?? []).map(node => renamed(node, rename, values)),
    output: (graph.output ?? []).map(output => ({ ...output, name: rename(output.name) })) }
}
