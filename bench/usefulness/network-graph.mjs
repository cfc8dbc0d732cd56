/** @file A network of bench/usefulness/networks.py as a graph, batch norm's scale and shift among its parameters. */
import { GraphBuilder } from '../../dist/core/graph/builder.js'
import { BATCH } from '../../dist/core/graph/graph.js'
import { float64 } from '../../dist/core/tensor/tensor.js'

export function networkGraph({ activation, layers }) {
  const builder = new GraphBuilder('float64')
  const vector = values => float64([values.length], Float64Array.from(values))
  let x = builder.input('x', [BATCH, layers[0].weight[0].length])
  layers.forEach(({ weight, bias, norm }, i) => {
    const w = float64([weight.length, weight[0].length], Float64Array.from(weight.flat()))
    x = builder.node('Gemm', [x, builder.parameter(`${i}.weight`, w), builder.parameter(`${i}.bias`, vector(bias))], {
      transB: 1,
    })
    if (i === layers.length - 1) return
    if (norm !== undefined) {
      const [scale, shift, mean, variance] = norm.map(vector)
      x = builder.node('BatchNormalization', [x, builder.parameter(`${i}.scale`, scale),
        builder.parameter(`${i}.shift`, shift), builder.constant(mean), builder.constant(variance)], { epsilon: 1e-5 })
    }
    x = builder.node(activation === 'relu' ? 'Relu' : 'Tanh', [x])
  })
  return builder.build([x])
}
