/**
 * @file Operators of ONNX' classical models (ai.onnx.ml) that scikit-learn's exporter puts before a network: columns
 * joined, scaled, imputed and coded, written with ONNX' own.
 * https://github.com/onnx/onnx/blob/main/docs/Operators-ml.md
 */
import type { Node } from '../../../core/graph/graph.js'
import { badNode, numberAttribute, stringAttribute } from '../../../core/ops/node-attributes.js'
import { type Precision, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import type { Composition, Compositions } from '../composed/composition.js'
import { NotExpressible, type UpgradeContext } from '../upgrade-context.js'

/** A value as real numbers: integers and booleans become float32. */
function real(name: string, context: UpgradeContext): string {
  const { dtype } = context.type(name)
  return dtype === 'int64' || dtype === 'bool' ? context.cast(name, 'float32') : name
}

/** A list of numbers; undefined for one that is absent. */
function list(node: Node, key: string): readonly number[] | undefined {
  const values = node.attributes[key]
  if (values === undefined) return undefined
  if (!Array.isArray(values) || !values.every(value => typeof value === 'number')) {
    throw badNode(node, `attribute '${key}' must be a list of numbers.`)
  }
  return values as number[]
}

/** A row of the dtype of a value. */
function row(like: string, values: readonly number[], context: UpgradeContext, stem = 'row'): string {
  const precision: Precision = context.type(like).dtype === 'float64' ? 'float64' : 'float32'
  return context.constant(tensor(precision, [values.length], values), stem)
}

/** (x - offset) scale, feature by feature: scikit-learn's scalers before a network. */
const scaler: Composition = (node, context) => {
  const x = real(node.inputs[0], context)
  const centred = context.sub(x, row(x, list(node, 'offset') ?? [0], context, 'offset'))
  return [context.mul(centred, row(x, list(node, 'scale') ?? [1], context, 'scale'))]
}

/** Columns of several values beside each other. */
const featureVectorizer: Composition = ({ inputs }, context) => [
  context.concat(inputs.map(name => real(name, context)), 1),
]

/** Missing numbers in place of which others are put; NaN among the data is refused before. */
const imputer: Composition = (node, context) => {
  const x = real(node.inputs[0], context)
  const imputed = list(node, 'imputed_value_floats') ?? list(node, 'imputed_value_int64s') ?? [0]
  const missing = node.attributes['replaced_value_int64'] === undefined
    ? numberAttribute(node, 'replaced_value_float', 0)
    : numberAttribute(node, 'replaced_value_int64')
  const absent = Number.isNaN(missing)
    ? context.node('IsNaN', [x])
    : context.node('Equal', [x, row(x, [missing], context)])
  return [context.node('Where', [absent, row(x, imputed, context), x])]
}

/** 1 where a number is above the threshold. */
const binarizer: Composition = (node, context) => {
  const x = real(node.inputs[0], context)
  const above = context.node('Greater', [x, row(x, [numberAttribute(node, 'threshold', 0)], context)])
  return [context.cast(above, context.type(x).dtype)]
}

/** Rows over their largest number, their sum or their length; rows of zeros stay. */
const normalizer: Composition = (node, context) => {
  const x = real(node.inputs[0], context)
  const reduction = { MAX: 'ReduceMax', L1: 'ReduceL1', L2: 'ReduceL2' }[stringAttribute(node, 'norm', 'MAX')]
  if (reduction === undefined) throw badNode(node, "attribute 'norm' must be MAX, L1 or L2.")
  const norm = context.node(reduction, [x, context.integers([-1])], { keepdims: 1 })
  const zero = context.node('Equal', [norm, row(x, [0], context)])
  return [context.div(x, context.node('Where', [zero, row(x, [1], context), norm]))]
}

/**
 * One column a category, 1 for that of the number. Where others are an error (zeros = 0), rows of the identity are
 * picked, which checks the numbers: one that is no category has the place behind the last.
 */
const oneHotEncoder: Composition = (node, context) => {
  const categories = list(node, 'cats_int64s')
  if (categories === undefined) throw new NotExpressible('of text')
  const [x] = node.inputs
  const count = categories.length
  const codes = context.cast(x, 'int64')
  const picked = (places: string): string[] => [
    context.cast(context.node('Gather', [context.constant(identity(count), 'identity'), places], { axis: 0 }),
      'float32'),
  ]
  const checked = numberAttribute(node, 'zeros', 1) === 0
  if (checked && categories.every((each, i) => each === categories[0] + i)) {
    return picked(categories[0] === 0 ? codes : context.sub(codes, categories[0]))
  }
  const known = context.constant(tensor('int64', [count], categories), 'categories')
  const is = context.node('Equal', [context.unsqueeze(codes, -1), known])
  if (!checked) return [context.cast(is, 'float32')]
  const fromEnd = context.constant(tensor('int64', [count], categories.map((_, i) => i - count)), 'places')
  const before = context.node('ReduceSum', [context.mul(context.cast(is, 'int64'), fromEnd), context.integers([-1])], {
    keepdims: 0,
  })
  return picked(context.add(before, context.integers([count])))
}

/** Of integers, which are no weights. */
function identity(size: number): Tensor {
  return tensor('int64', [size, size], Array.from({ length: size * size }, (_, i) => Number(i % (size + 1) === 0)))
}

/** Elements of the last axis. */
const arrayFeatureExtractor: Composition = ({ inputs: [x, places] }, context) => [
  context.node('Gather', [x, context.reshape(places, [-1])], { axis: -1 }),
]

/** By operator. */
export const classicalCompositions: Compositions = [['ArrayFeatureExtractor', arrayFeatureExtractor], ['Binarizer',
  binarizer], ['FeatureVectorizer', featureVectorizer], ['Imputer', imputer], ['Normalizer', normalizer], [
  'OneHotEncoder',
  oneHotEncoder,
], ['Scaler', scaler]]
