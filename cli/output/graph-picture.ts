/**
 * @file A network as a picture of characters: a line a node, beside it the values that later nodes still need, as lanes
 * that run down, part and join.
 */
import type { Graph, Node } from '../../core/graph/graph.js'
import { formatShape } from '../../core/tensor/tensor.js'

/** What is written beside a value: its shape, empty where it is not known. */
export type ShapeText = (value: string) => string

/** Nodes whose picture is whole unless all are asked for; of more, the first and the last ones are shown. */
const MOST_NODES = 60
const FIRST = 40
const LAST = 10

/** Characters by where their lines lead: up 1, down 2, left 4, right 8. */
const LINES = ' │││─╯╮┤─╰╭├─┴┬┼'

/**
 * Lines of the picture of a graph in topological order.
 * @param columns the width of a line; longer ones are cut
 * @param whole whether all nodes are shown, however many there are
 */
export function graphPicture(graph: Graph, shapeOf: ShapeText, columns: number, whole: boolean): string[] {
  const lanes = new Lanes(graph)
  const inputs = graph.inputs.flatMap((
    { name },
  ) => [...lanes.join([], name), lanes.beside(`${name}  ${shapeOf(name)}`)])
  const nodes = graph.nodes.map(node => [
    ...lanes.join(node.inputs, node.outputs[0]),
    lanes.beside(nodeText(node, graph, shapeOf)),
  ])
  const cut = !whole && nodes.length > MOST_NODES
  const shown = cut
    ? [...nodes.slice(0, FIRST), [`... ${nodes.length - FIRST - LAST} more nodes; --graph shows all`],
      ...nodes.slice(-LAST)]
    : nodes
  return [...inputs, ...shown.flat()].map(line =>
    (line.length <= columns ? line : `${line.slice(0, columns - 1)}…`)
      .trimEnd()
  )
}

function nodeText({ op, inputs, outputs }: Node, { parameters, outputs: results }: Graph, shapeOf: ShapeText): string {
  const own = parameters.filter(({ name }) => inputs.includes(name)).map(({ name, shape }) =>
    `${name} ${formatShape(shape)}`
  )
  const result = results.includes(outputs[0]) ? `  = ${outputs[0]}` : ''
  return [`${op.replace(/^ai\.onnx\.ml::/, '')}${own.length === 0 ? '' : ` (${own.join(', ')})`}`, shapeOf(outputs[0])]
    .filter(part => part !== '').join('  ') + result
}

/** The values that are still needed, each in a lane of its own. */
class Lanes {
  /** Empty places have no value. */
  private readonly values: (string | undefined)[] = []
  private readonly uses = new Map<string, number>()
  private latest = 0

  constructor({ nodes }: Graph) {
    for (const name of nodes.flatMap(({ inputs }) => [...new Set(inputs)])) {
      this.uses.set(name, (this.uses.get(name) ?? 0) + 1)
    }
  }

  /** Takes the inputs of a node and gives its output a lane; the line that joins them, where there is more than one. */
  join(inputs: readonly string[], output: string): string[] {
    const from = [...new Set(inputs)].map(name => this.values.indexOf(name)).filter(lane => lane >= 0)
    const before = this.values.map(value => value !== undefined)
    const ending = from.filter(lane => this.used(lane))
    for (const lane of ending) this.values[lane] = undefined
    const free = this.values.indexOf(undefined)
    const to = ending.length > 0 ? Math.min(...ending) : free < 0 ? this.values.length : free
    this.values[to] = output
    this.latest = to
    const joined = [...from, to]
    const line = joined.every(lane => lane === to) ? [] : [this.line(before, joined)]
    while (this.values.length > 0 && this.values.at(-1) === undefined) this.values.pop()
    return line
  }

  /** A line with a text beside the lanes, of which the latest one is marked. */
  beside(text: string): string {
    const marks = this.values.map((value, lane) => (lane === this.latest ? '●' : value === undefined ? ' ' : '│'))
    const line = `${marks.join(' ')}  ${text}`
    // What nobody needs, as a result, ends here.
    if ((this.uses.get(this.values[this.latest] ?? '') ?? 0) === 0) this.values[this.latest] = undefined
    return line
  }

  /** Whether a lane's value was used for the last time. */
  private used(lane: number): boolean {
    const name = this.values[lane] ?? ''
    const left = (this.uses.get(name) ?? 0) - 1
    this.uses.set(name, left)
    return left <= 0
  }

  private line(before: readonly boolean[], joined: readonly number[]): string {
    const [first, last] = [Math.min(...joined), Math.max(...joined)]
    return Array.from({ length: Math.max(before.length, this.values.length) }, (_, lane) => {
      const [up, down] = [before[lane] ? 1 : 0, this.values[lane] === undefined ? 0 : 2]
      const right = lane >= first && lane < last ? 8 : 0
      // A lane that has no part in it is passed over.
      const own = joined.includes(lane)
        ? LINES[up + down + right + (lane > first ? 4 : 0)]
        : up + down > 0
        ? '│'
        : LINES[right]
      return own + (right > 0 ? '─' : ' ')
    }).join('')
  }
}
