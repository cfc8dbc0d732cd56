/**
 * @file The outputs of classifiers as scikit-learn's exporter writes them: class labels beside probabilities,
 * probabilities in a sequence of maps (ZipMap) or a column an output, both columns of a two-class problem. What a
 * posterior needs is the probabilities or the scores below.
 */
import type { Graph, Node } from '../../core/graph/graph.js'
import { removeDead } from '../../core/passes/fold.js'
import { type Producers, producersOf } from '../../core/passes/producers.js'

const CLASSIFIERS = new Set(['ai.onnx.ml::LinearClassifier', 'ai.onnx.ml::TreeEnsembleClassifier',
  'ai.onnx.ml::SVMClassifier'])
const LABELS = new Set(['ArgMax', 'ai.onnx.ml::Binarizer', 'ai.onnx.ml::LabelEncoder',
  'ai.onnx.ml::ArrayFeatureExtractor', 'ai.onnx.ml::ArrayFeatureExtractor of text'])
const PASSING = new Set(['Identity', 'Cast', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'])

/** The graph without outputs that only name classes, and without the nodes that no other output needs. */
export function chooseOutputs(graph: Graph): Graph {
  const producers = producersOf(graph)
  const notes = [...graph.notes]
  const numbers = graph.outputs.map(name => unzipped(name, producers, notes))
  const scores = numbers.filter(name => !isLabel(name, producers))
  if (scores.length > 0 && scores.length < numbers.length) {
    notes.push(
      `The output ${quoted(numbers.filter(name => !scores.includes(name)))} only names classes; ${
        quoted(scores)
      } is used.`,
    )
  }
  const kept = scores.length > 0 ? together(scores, producers, graph, notes) : numbers
  const outputs = kept.length === 1 ? [oneColumn(kept[0], producers, graph, notes)] : kept
  return removeDead({ ...graph, outputs, notes })
}

/** The array whose columns, all that were cut off one by one and in order, are outputs of their own. */
function together(names: readonly string[], producers: Producers, graph: Graph, notes: string[]): readonly string[] {
  if (names.length < 2) return names
  const cuts = names.map(name => cutOf(name, producers))
  const source = cuts[0]?.inputs[0]
  const inOrder = cuts.every((cut, i) => {
    const [starts, ends, axes] = (cut?.inputs ?? []).slice(1).map(name => graph.initializers.get(name)?.data)
    return cut?.inputs[0] === source && cut?.inputs.length === 4 && starts?.[0] === i && ends?.[0] === i + 1 &&
      axes?.[0] === 1
  })
  if (source === undefined || !inOrder) return names
  notes.push(`The outputs ${quoted(names)} are the columns of '${source}', which is used.`)
  return [source]
}

/** The Slice that a value is the result of, in another layout perhaps. */
function cutOf(name: string, producers: Producers): Node | undefined {
  const node = producers.get(name)
  if (node?.op === 'Slice') return node
  return node !== undefined && PASSING.has(node.op) ? cutOf(node.inputs[0], producers) : undefined
}

function quoted(names: readonly string[]): string {
  return names.map(name => `'${name}'`).join(', ')
}

/** The array below a ZipMap. */
function unzipped(name: string, producers: Producers, notes: string[]): string {
  const node = producers.get(name)
  if (node?.op !== 'ai.onnx.ml::ZipMap') return name
  notes.push(
    `The output '${name}' holds a map from class to probability for each example; the array '${
      node.inputs[0]
    }' that it is made of is used.`,
  )
  return node.inputs[0]
}

/** Whether a value is a class label, converted or renamed perhaps. */
function isLabel(name: string, producers: Producers): boolean {
  const seen = new Set<string>()
  for (let current = name; !seen.has(current);) {
    seen.add(current)
    const node = producers.get(current)
    if (node === undefined) return false
    if (LABELS.has(node.op)) return true
    if (CLASSIFIERS.has(node.op)) return node.outputs[0] === current
    if (!PASSING.has(node.op)) return false
    current = node.inputs[0]
  }
  return false
}

/** The probability p below the two columns 1 - p and p. */
function oneColumn(name: string, producers: Producers, graph: Graph, notes: string[]): string {
  const node = producers.get(name)
  if (node?.op !== 'Concat' || node.inputs.length !== 2) return name
  const [first, second] = node.inputs
  const difference = producers.get(first)
  const one = graph.initializers.get(difference?.inputs[0] ?? '')
  if (difference?.op !== 'Sub' || difference.inputs[1] !== second || one === undefined ||
    one.data.some(value => value !== 1)) return name
  notes.push(
    `The output '${name}' has the two columns 1 - p and p; p ('${second}') alone is used: the likelihood is 'binary'.`,
  )
  return second
}
