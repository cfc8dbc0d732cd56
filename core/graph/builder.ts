/** @file Builds graphs by appending nodes; used by the readers and by the differentiator. */
import { GraphError } from '../errors/errors.js'
import { type Precision, type Tensor, tensor } from '../tensor/tensor.js'
import { type Attribute, BATCH, type Dim, type Graph, type GraphInput, type Node, type Parameter } from './graph.js'

/**
 * Accumulates the parts of a graph. Values are named by strings; names that are not given are made up.
 * @example
 * const b = new GraphBuilder('float64')
 * const x = b.input('x', [BATCH, 2])
 * const w = b.parameter('weight', { dtype: 'float64', shape: [3, 2], data: Float64Array.of(1, 0, 0, 1, 1, 1) })
 * const graph = b.build([b.node('Gemm', [x, w], { transB: 1 })])
 */
export class GraphBuilder {
  readonly precision: Precision
  readonly inputs: GraphInput[] = []
  readonly nodes: Node[] = []
  readonly initializers: Map<string, Tensor> = new Map()
  readonly parameters: Parameter[] = []
  readonly notes: string[] = []
  private origin: Pick<Graph, 'together' | 'inseparable' | 'choices'> = {}
  private readonly names = new Set<string>()
  private counter = 0

  constructor(precision: Precision) {
    this.precision = precision
  }

  /** Starts from the parts of an existing graph (nodes are shared, lists are copied). */
  static from(graph: Graph, precision: Precision): GraphBuilder {
    const builder = new GraphBuilder(precision)
    builder.inputs.push(...graph.inputs)
    builder.nodes.push(...graph.nodes)
    for (const [name, value] of graph.initializers) builder.initializers.set(name, value)
    builder.parameters.push(...graph.parameters)
    builder.notes.push(...graph.notes)
    const { together, inseparable, choices } = graph
    builder.origin = { ...(together && { together }), ...(inseparable === undefined ? {} : { inseparable }),
      ...(choices && { choices }) }
    for (const input of graph.inputs) builder.names.add(input.name)
    for (const name of graph.initializers.keys()) builder.names.add(name)
    for (const node of graph.nodes) for (const output of node.outputs) builder.names.add(output)
    return builder
  }

  /** A value name that is not taken yet, made from `stem`. */
  fresh(stem: string): string {
    let name = stem
    while (name === '' || this.names.has(name)) name = `${stem}:${this.counter++}`
    this.names.add(name)
    return name
  }

  private claim(name: string): string {
    if (this.names.has(name)) {
      throw new GraphError('BAD_GRAPH', `Two values of the network are named '${name}'.`, { name })
    }
    this.names.add(name)
    return name
  }

  /** Declares an input, by default a batch of rows of the builder's precision. */
  input(name: string, shape: readonly Dim[] = [BATCH], dtype: GraphInput['dtype'] = this.precision): string {
    this.inputs.push({ name: this.claim(name), shape, dtype })
    return name
  }

  /** Declares an input under a name made from `stem` that is not taken yet. */
  freshInput(stem: string, shape: readonly Dim[], dtype: GraphInput['dtype'] = this.precision): string {
    const name = this.fresh(stem)
    this.inputs.push({ name, shape, dtype })
    return name
  }

  /** A constant tensor under a name of its own. */
  constant(value: Tensor, stem = 'constant'): string {
    const name = this.fresh(stem)
    this.initializers.set(name, value)
    return name
  }

  /** A constant scalar, by default of the builder's precision. */
  scalar(value: number, precision: Precision = this.precision): string {
    return this.constant(tensor(precision, [], [value]), 'scalar')
  }

  /** A constant vector of integers: axes, a target shape. */
  integers(values: readonly number[]): string {
    return this.constant(tensor('int64', [values.length], values), 'integers')
  }

  /** A trainable tensor, under exactly this name; parameters keep the order in which they are added. */
  parameter(name: string, value: Tensor, transposed = false): string {
    this.initializers.set(this.claim(name), value)
    const { shape } = value
    const stored = transposed ? [...shape.slice(0, -2), shape[shape.length - 1], shape[shape.length - 2]] : shape
    this.parameters.push({ name, shape: stored, transposed })
    return name
  }

  /** Appends a node with one output and returns the output's name. */
  node(op: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {},
    name?: string): string {
    const output = this.fresh(name ?? op.toLowerCase())
    this.nodes.push({ op, inputs, outputs: [output], attributes, ...(name === undefined ? {} : { name }) })
    return output
  }

  /** Appends a node with several outputs. */
  nodeOutputs(op: string, inputs: readonly string[], count: number,
    attributes: Readonly<Record<string, Attribute>> = {}): string[] {
    const outputs = Array.from({ length: count }, () => this.fresh(op.toLowerCase()))
    this.nodes.push({ op, inputs, outputs, attributes })
    return outputs
  }

  /** The finished graph. */
  build(outputs: readonly string[]): Graph {
    return {
      inputs: [...this.inputs],
      outputs: [...outputs],
      nodes: [...this.nodes],
      initializers: new Map(this.initializers),
      parameters: [...this.parameters],
      notes: [...this.notes],
      ...this.origin,
    }
  }
}
