/** @file Networks of scikit-learn's MLPClassifier and MLPRegressor from their fitted attributes. */
import type { Graph } from '../../core/graph/graph.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { checkChain, transposed } from '../fitted-objects/dense-chain.js'
import { arrays, type Structure, word } from '../fitted-objects/fields.js'
import { type LayerSpec, networkFromLayers } from '../layers/index.js'
import { fromTensor } from '../tensors/convert.js'
import type { FileTensor } from '../tensors/file-tensor.js'

/** `coefs_`, `intercepts_`, `activation`, `out_activation_`. */
export interface SklearnFields {
  /** One matrix a layer, in x out. */
  readonly coefs: readonly Tensor[]
  /** One vector a layer. */
  readonly intercepts: readonly Tensor[]
  readonly activation: 'relu' | 'tanh' | 'logistic' | 'identity'
  readonly outActivation: 'identity' | 'logistic' | 'softmax' | 'exp'
}

const HIDDEN: Readonly<Record<SklearnFields['activation'], string>> = { relu: 'ReLU', tanh: 'Tanh', logistic: 'Sigmoid',
  identity: 'Identity' }
const OUTPUT: Readonly<Record<SklearnFields['outActivation'], readonly LayerSpec[]>> = { identity: [],
  logistic: [{ type: 'Sigmoid' }], softmax: [{ type: 'Softmax', dim: -1 }], exp: [{ type: 'Exp' }] }

/**
 * The network of a fitted MLP. Parameters are `0.weight` (out x in), `0.bias`, `1.weight` and so on; the output is what
 * `predict_proba` or `predict` gives.
 * @param fields checked here: they come from another process
 * @throws DataError BAD_ARRAY, NOT_FINITE; OptionError BAD_OPTION for an activation that is not scikit-learn's
 * @example
 * readSklearn({ coefs: [w0, w1], intercepts: [b0, b1], activation: 'relu', outActivation: 'softmax' })
 */
export function readSklearn(fields: SklearnFields | Readonly<Record<string, unknown>>): Graph {
  const structure: Structure = { what: 'the scikit-learn network', fields: { ...fields } }
  const [coefs, intercepts] = [arrays(structure, 'coefs'), arrays(structure, 'intercepts')]
  checkChain(structure, coefs, intercepts)
  const activation = word(structure, 'activation', ['relu', 'tanh', 'logistic', 'identity'])
  const out = word(structure, 'outActivation', ['identity', 'logistic', 'softmax', 'exp'])
  const tensors = new Map<string, FileTensor>(
    coefs.flatMap((matrix, i) =>
      [[`${i}.weight`, fromTensor(transposed(matrix))], [`${i}.bias`, fromTensor(intercepts[i])]] as const
    ),
  )
  const layers = coefs.flatMap((_, i): LayerSpec[] => (i === 0
    ? [{ type: 'Linear', name: '0' }]
    : [{ type: HIDDEN[activation] }, { type: 'Linear', name: String(i) }])
  )
  return networkFromLayers([...layers, ...OUTPUT[out]], tensors)
}
