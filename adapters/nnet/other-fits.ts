/** @file Networks of the R packages neuralnet and brulee from the fields of a fit. */
import { DataError } from '../../core/errors/errors.js'
import type { Graph } from '../../core/graph/graph.js'
import type { Tensor } from '../../core/tensor/tensor.js'
import { checkChain, transposed } from '../fitted-objects/dense-chain.js'
import { arrays, flag, number, type Structure, word } from '../fitted-objects/fields.js'
import { activationType, type LayerSpec, networkFromLayers } from '../layers/index.js'
import { fromTensor } from '../tensors/convert.js'
import type { FileTensor } from '../tensors/file-tensor.js'

/** The fields of a `neuralnet` object: `weights[[rep]]`, `act.fct`, `linear.output`, `err.fct`. */
export interface NeuralnetFields {
  /** One matrix a layer, (1 + in) x out: the first row is the bias. */
  readonly weights: readonly Tensor[]
  readonly activation: 'logistic' | 'tanh' | 'relu'
  readonly linearOutput: boolean
}

/**
 * The network of a neuralnet fit. Parameters are `0.weight` (out x in), `0.bias`, `1.weight` and so on; the output is
 * what R's `compute` gives.
 * @throws DataError BAD_ARRAY, NOT_FINITE; OptionError BAD_OPTION
 * @example
 * readNeuralnet({ weights: [w0, w1], activation: 'logistic', linearOutput: true })
 */
export function readNeuralnet(fields: NeuralnetFields | Readonly<Record<string, unknown>>): Graph {
  const structure: Structure = { what: 'the neuralnet object', fields: { ...fields } }
  const weights = arrays(structure, 'weights')
  const activation = activationType(word(structure, 'activation', ['logistic', 'tanh', 'relu']))
  for (const { shape } of weights) {
    if (shape.length !== 2 || shape[0] < 2) {
      throw new DataError('BAD_ARRAY',
        'The matrices of a neuralnet object have the biases as their first row, so at least two rows.', {
        actual: shape,
      })
    }
  }
  const last: LayerSpec[] = flag(structure, 'linearOutput') ? [] : [{ type: activation }]
  return denseNetwork(structure, weights.map(matrix => belowFirstRow(matrix)), weights.map(firstRow),
    weights.slice(1).map(() => activation), last)
}

function firstRow({ dtype, shape: [, columns], data }: Tensor): Tensor {
  return { dtype, shape: [columns], data: data.slice(0, columns) }
}

function belowFirstRow({ dtype, shape: [rows, columns], data }: Tensor): Tensor {
  return { dtype, shape: [rows - 1, columns], data: data.slice(columns) }
}

/** The fields of a `brulee_mlp` object: `estimates[[best_epoch]]`, the activations, `y_stats`. */
export interface BruleeFields {
  /** Weight matrices (out x in, as torch has them) of the layers in order. */
  readonly weights: readonly Tensor[]
  readonly biases: readonly Tensor[]
  /** One for every hidden layer, or one for all. */
  readonly activation: string | readonly string[]
  /** Mean and standard deviation by which the outcome was standardised; absent for classes. */
  readonly yMean?: number | undefined
  readonly ySd?: number | undefined
  /** Whether the network ends in softmax (classes). */
  readonly softmax?: boolean | undefined
}

/**
 * The network of a brulee fit. The outcome's standardisation is folded into the last layer, so that the output is on
 * the scale of the data. Parameters are `0.weight` (out x in), `0.bias`, `1.weight` and so on.
 * @throws DataError BAD_ARRAY, NOT_FINITE; OptionError BAD_OPTION for an activation that is not known
 * @example
 * readBrulee({ weights: [w0, w1], biases: [b0, b1], activation: 'relu', yMean: 12.5, ySd: 3 })
 */
export function readBrulee(fields: BruleeFields | Readonly<Record<string, unknown>>): Graph {
  const structure: Structure = { what: 'the brulee object', fields: { ...fields } }
  const [weights, biases] = [arrays(structure, 'weights'), arrays(structure, 'biases')]
  const given: unknown = structure.fields['activation']
  const words: unknown[] = Array.isArray(given) ? given : weights.slice(1).map(() => given)
  if (words.length !== weights.length - 1) {
    throw new DataError('BAD_ARRAY',
      `The brulee object has ${weights.length - 1} hidden layers and ${words.length} activations.`, {
      field: 'activation',
    })
  }
  const [mean, scale] = [number(structure, 'yMean') ?? 0, number(structure, 'ySd') ?? 1]
  const last = weights.length - 1
  const scaled = (tensor: Tensor, shift: number): Tensor => ({ ...tensor,
    data: tensor.data.map((each: number) => each * scale + shift) })
  const graph = denseNetwork(structure,
    weights.map((w, i) => (w.shape.length === 2 ? transposed(i === last ? scaled(w, 0) : w) : w)),
    biases.map((b, i) => (i === last ? scaled(b, mean) : b)), words.map(activationType),
    flag(structure, 'softmax') ? [{ type: 'Softmax', dim: -1 }] : [])
  if (mean === 0 && scale === 1) return graph
  return { ...graph,
    notes: [...graph.notes, `The outcome was standardised (mean ${mean}, standard deviation ${scale}); ` +
      'this is folded into the last layer, so predictions are on the scale of the data.'] }
}

/** Layers of x W + b with an activation between them; matrices are in x out. */
function denseNetwork(structure: Structure, matrices: readonly Tensor[], vectors: readonly Tensor[],
  between: readonly string[], end: readonly LayerSpec[]): Graph {
  checkChain(structure, matrices, vectors)
  const tensors = new Map<string, FileTensor>(
    matrices.flatMap((matrix, i) =>
      [[`${i}.weight`, fromTensor(transposed(matrix))], [`${i}.bias`, fromTensor(vectors[i])]] as const
    ),
  )
  const layers = matrices.flatMap((_, i): LayerSpec[] => (i === 0
    ? [{ type: 'Linear', name: '0' }]
    : [{ type: between[i - 1] }, { type: 'Linear', name: String(i) }])
  )
  return networkFromLayers([...layers, ...end], tensors)
}
