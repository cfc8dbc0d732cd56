/**
 * @file The floating-point operations that the mathematics of a cell needs, and the least time that they take.
 *
 * For layers of I inputs and O outputs, C network outputs, P parameters of the subset, D features of the last layer; a
 * product of m x k by k x n is 2 m k n, a symmetric one (A'A) half of that. Element-wise work (activations, softmax) is
 * not counted, nor is reading data.
 */

/**
 * Operations of a symmetric eigen-decomposition of order n with vectors, of a Cholesky factor, of an inverse from it.
 */
const eigen = n => 9 * n ** 3
const cholesky = n => n ** 3 / 3
const inverse = n => 2 * n ** 3 / 3

/** Last-layer features with the constant one, D + 1, have (D + 1)(D + 2) / 2 distinct products. */
const distinct = n => n * (n + 1) / 2

const sum = (list, of) => list.reduce((total, each) => total + of(each), 0)

/**
 * Flops of fit and predict: of each example, and once.
 * @param sizes widths of the network, inputs first
 * @returns { fit: { example, once }, predict: { example, once } }
 */
export function flops(sizes, subset, structure) {
  const layers = sizes.slice(1).map((out, i) => ({ in: sizes[i], out }))
  const outputs = sizes[sizes.length - 1]
  const forward = sum(layers, layer => 2 * layer.in * layer.out)
  if (subset === 'last_layer') return lastLayer(forward, sizes[sizes.length - 2], outputs, structure)
  // One backward pass for each output; the first layer's inputs need no gradient.
  const linearise = forward + outputs * sum(layers.slice(1), layer => 2 * layer.in * layer.out)
  const parameters = sum(layers, layer => (layer.in + 1) * layer.out)
  switch (structure) {
    case 'kron':
      return {
        fit: { example: linearise + sum(layers, layer => layer.in ** 2 + outputs * layer.out ** 2),
          once: sum(layers, layer => eigen(layer.in) + eigen(layer.out)) },
        // Rotate a, rotate g of every output, one product with the posterior variances, and the weighted squares of g.
        predict: {
          example: linearise +
            sum(layers,
              layer =>
                2 * layer.in ** 2 + 2 * outputs * layer.out ** 2 + 2 * layer.in * layer.out + 3 * outputs * layer.out),
          once: 0,
        },
      }
    case 'diag':
      return {
        fit: { example: linearise + sum(layers, layer => 2 * outputs * layer.out + 2 * layer.in * layer.out), once: 0 },
        predict: { example: linearise + sum(layers, layer => 2 * layer.in * layer.out + 3 * outputs * layer.out),
          once: 0 },
      }
    case 'full':
      return {
        fit: { example: linearise + outputs * parameters ** 2, once: cholesky(parameters) },
        predict: { example: linearise + outputs * parameters ** 2, once: cholesky(parameters) + inverse(parameters) },
      }
    default:
      throw new Error(`No count for structure ${structure}.`)
  }
}

/** No Jacobian is needed: the features and the outputs determine everything. */
function lastLayer(forward, features, outputs, structure) {
  const parameters = (features + 1) * outputs
  switch (structure) {
    case 'kron':
      return {
        fit: { example: forward + features ** 2 + 2 * outputs ** 2, once: eigen(features) + eigen(outputs) },
        predict: { example: forward + 2 * features ** 2 + 2 * features * outputs + 2 * outputs ** 2, once: 0 },
      }
    case 'diag':
      return { fit: { example: forward + 2 * features * outputs, once: 0 },
        predict: { example: forward + 2 * features * outputs, once: 0 } }
    case 'full':
      return {
        fit: { example: forward + 2 * distinct(outputs) * distinct(features + 1), once: cholesky(parameters) },
        predict: { example: forward + 2 * outputs * distinct(features + 1),
          once: cholesky(parameters) + inverse(parameters) },
      }
    default:
      throw new Error(`No count for structure ${structure}.`)
  }
}

/**
 * The least seconds of fit and predict.
 * @param rates flop/s: { float32, float64 }. The network and the sums over examples run in float32, decompositions in
 * float64
 */
export function limits({ sizes }, cell, { n, test }, rates) {
  const [subset, structure] = cell.split('/')
  const { fit, predict } = flops(sizes, subset, structure)
  const seconds = (count, examples) => count.example * examples / rates.float32 + count.once / rates.float64
  return { fit: seconds(fit, n), predict: seconds(predict, test) }
}
