/** @file Operators that are known and not supported: what to do instead. */

const QUANTISED = new Set(['QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear', 'QLinearConv',
  'QLinearMatMul', 'ConvInteger', 'MatMulInteger', 'MatMulNBits', 'DynamicQuantizeMatMul', 'MatMulIntegerToFloat',
  'DynamicQuantizeLSTM', 'QAttention', 'QEmbedLayerNormalization', 'QOrderedMatMul'])
const RANDOM = new Set(['Bernoulli', 'Multinomial', 'RandomNormal', 'RandomNormalLike', 'RandomUniform',
  'RandomUniformLike'])
const TEXT = new Set(['RegexFullMatch', 'StringConcat', 'StringNormalizer', 'StringSplit', 'TfIdfVectorizer',
  'ImageDecoder', 'LabelEncoder', 'CategoryMapper'])
const TREES = new Set(['TreeEnsemble', 'TreeEnsembleClassifier', 'TreeEnsembleRegressor', 'SVMClassifier',
  'SVMRegressor', 'LinearClassifier', 'LinearRegressor'])
const SELECTING = new Set(['NonMaxSuppression', 'RoiAlign', 'MaxRoiPool', 'NonZero', 'Unique', 'Compress'])

/** Layouts that ONNX Runtime gives to a network for one machine. */
const MACHINE = /^com\.(microsoft\.(nchwc|nhwc)|ms\.internal)/

/** What to do about an operator that is not supported, as a sentence; undefined for those that nothing is known of. */
export function adviceAbout(op: string): string | undefined {
  const name = op.replace(/^.*::/, '').split(' ')[0]
  if (MACHINE.test(op)) {
    return 'The file was written by an optimiser for one machine; use the network it was made from.'
  }
  if (QUANTISED.has(name) || /^QLinear/.test(name)) {
    return 'A quantised network has no derivatives: use the float model it was made from.'
  }
  if (RANDOM.has(name)) return 'Its result is random; export the network for inference (model.eval() in torch).'
  if (TEXT.has(name)) return 'Do this step before the network, and choose an output and an input behind it.'
  if (TREES.has(name)) return 'It is no neural network, and has no posterior of this kind.'
  if (SELECTING.has(name)) {
    return 'How many results it has depends on the data; choose an output before it (option output).'
  }
  if (op.startsWith('com.microsoft::')) {
    return "It is one of ONNX Runtime's own: use the network that its optimiser was given."
  }
  if (/depends on the (data|number of examples)/.test(op)) {
    return 'Export the network with fixed sizes, or by torch.onnx.export(..., dynamo=True), which settles such choices.'
  }
  if (op.includes('numbers of the examples')) {
    return 'What an example gets would hang on its place among the others: export the network for one example.'
  }
  if (op.includes('no operator of ONNX')) return "Export the network with ONNX' own operators."
  return undefined
}
