/**
 * @file Indices that count the examples: 0, 1, ... N - 1, as exporters write x[arange(N), index], among them the last
 * token of GPT and the masks of Hugging Face. Every example picks from itself there, so that its number is written as
 * 0 and what is picked from as N parts, one an example. Numbers of examples that reach anything else are refused.
 */
import { type Dim, isBatch, type Node } from '../../../core/graph/graph.js'
import { numberAttribute } from '../../../core/ops/node-attributes.js'
import { knownDims } from '../../../core/ops/shape-rules.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { type Expressed, NotExpressible, type UpgradeContext } from '../upgrade-context.js'
import { pickedParts } from './indexing.js'

/** Operators after which an element still belongs to the example that it belonged to before. */
const KEEPING = new Set(['Identity', 'Cast', 'Unsqueeze', 'Squeeze', 'Reshape', 'Expand', 'Transpose'])
/** Operators that ask for the shape alone. */
const SHAPES = new Set(['Shape', 'Size'])

/**
 * What becomes of a node that makes numbers of examples, or has them among its inputs. `context.exampleNumbers` holds
 * by how much the elements of a value grow from example to example, beside what is written.
 * @returns undefined for a node that stays as it is
 * @throws NotExpressible where the numbers are used for anything but picking from the own example
 */
export function withoutExampleNumbers(node: Node, context: UpgradeContext): readonly Expressed[] | undefined {
  const { exampleNumbers, exampleIndices } = context
  const [out] = node.outputs
  if (node.op === 'GatherND' && exampleIndices.has(node.inputs[1]) && numberAttribute(node, 'batch_dims', 0) === 0) {
    const [data, indices] = node.inputs
    return [pickedParts(data, context.slice(indices, -1, 1, context.length(indices, -1, 'index')), 1, context)]
  }
  if (node.inputs.some(name => exampleIndices.has(name)) && !SHAPES.has(node.op)) throw refusal()
  if (countsExamples(node, context)) {
    if (context.outputs.has(out)) throw refusal()
    exampleNumbers.set(out, 1)
    return [zeros(node.inputs[1], context)]
  }
  const factors = node.inputs.map(name => exampleNumbers.get(name) ?? 0)
  if (factors.every(factor => factor === 0) || SHAPES.has(node.op)) return undefined
  if (node.outputs.some(name => context.outputs.has(name)) && node.op !== 'Gather') throw refusal()
  if (KEEPING.has(node.op) && factors.indexOf(0) !== 0) exampleNumbers.set(out, factors[0])
  else if (node.op === 'Add') exampleNumbers.set(out, factors[0] + factors[1])
  else if (node.op === 'Mul' && factors.includes(0)) exampleNumbers.set(out, multiple(node, factors, context))
  // Of the larger of two, as exporters write a broadcast, the shape alone is known.
  else if (node.op === 'Max') exampleNumbers.set(out, NaN)
  else if (isIndexVector(node, factors)) exampleIndices.add(out)
  else if (node.op === 'Gather' && factors[0] === 0 && numberAttribute(node, 'axis', 0) === 0) {
    return [pickedRows(node.inputs[0], node.inputs[1], factors[1], context)]
  } else throw refusal()
  return undefined
}

const refusal = (): NotExpressible => new NotExpressible('that reckons with the numbers of the examples')

/** 0, 1, ... N - 1 for N examples. */
function countsExamples({ op, inputs }: Node, { types }: UpgradeContext): boolean {
  if (op !== 'Range') return false
  const limit = knownDims(types.get(inputs[1]))?.[0]
  return limit !== undefined && isPlain(limit) && types.get(inputs[0])?.constant?.data[0] === 0 &&
    types.get(inputs[2])?.constant?.data[0] === 1
}

const isPlain = (dim: Dim): boolean => isBatch(dim) && dim.outer === 1 && dim.inner === 1

/** As many zeros as examples. */
function zeros(count: string, context: UpgradeContext): string {
  const target = context.node('Reshape', [context.cast(count, 'int64'), context.integers([1])])
  return context.node('ConstantOfShape', [target], { value: tensor('int64', [1], [0]) })
}

function multiple({ inputs }: Node, factors: readonly number[], context: UpgradeContext): number {
  const [own] = factors.filter(factor => factor !== 0)
  const by = context.known(inputs[factors.indexOf(0)], 'factor of the numbers of the examples').data
  if (by.some(each => each !== by[0])) throw refusal()
  return own * by[0]
}

/** Whether vectors of indices are made whose first element, and none other, is the number of the example. */
const isIndexVector = ({ op }: Node, factors: readonly number[]): boolean =>
  op === 'Concat' && factors[0] === 1 && factors.slice(1).every(factor => factor === 0)

/** Rows of N examples' parts of as many rows each, by indices that count on by as many from example to example. */
function pickedRows(data: string, indices: string, factor: number, context: UpgradeContext): string {
  const [first, ...rest] = context.shape(data)
  if (!isBatch(first) || first.outer !== 1 || first.inner !== factor || rest.some(isBatch)) {
    throw new NotExpressible('that picks along the examples')
  }
  const parts = context.reshape(data, [-1, factor, ...rest as readonly number[]])
  return pickedParts(parts, context.unsqueeze(indices, -1), 1, context)
}
