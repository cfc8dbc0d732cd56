/** @file Normalisations and pools that are arithmetic over sums. */
import { badNode, integersAttribute, numberAttribute } from '../../../core/ops/node-attributes.js'
import type { UpgradeContext } from '../upgrade-context.js'
import { type Composition, type Compositions, upTo } from './composition.js'

/** x / (bias + alpha mean of x^2 over neighbouring channels)^beta. */
const localResponse: Composition = (node, context) => {
  const [x] = node.inputs
  const size = numberAttribute(node, 'size')
  const channels = context.length(x, 1, 'channels')
  // Channels as an axis of space, over which an average runs; padding counts, as zeros.
  const rows = context.reshape(context.mul(x, x), [0, 1, channels, -1])
  const mean = context.node('AveragePool', [rows], { kernel_shape: [size, 1], count_include_pad: 1,
    pads: [Math.floor((size - 1) / 2), 0, Math.ceil((size - 1) / 2), 0] })
  const rest = context.shape(x).slice(2).map((_, i) => context.length(x, i + 2, 'image'))
  const scaled = context.add(
    context.mul(context.reshape(mean, [0, channels, ...rest]), numberAttribute(node, 'alpha', 1e-4)),
    numberAttribute(node, 'bias', 1),
  )
  return [context.div(x, context.binary('Pow', scaled, numberAttribute(node, 'beta', 0.75)))]
}

const meanVariance: Composition = (node, context) => {
  const [x] = node.inputs
  const axes = context.integers(integersAttribute(node, 'axes', [0, 2, 3]))
  const mean = (value: string): string => context.node('ReduceMean', [value, axes], { keepdims: 1 })
  // Twice: the rounding of the first mean, over a deviation of nothing, would be a number that counts.
  const about = context.sub(x, mean(x))
  const centred = context.sub(about, mean(about))
  const deviation = context.node('Sqrt', [mean(context.mul(centred, centred))])
  return [context.div(centred, context.add(deviation, 1e-9))]
}

/** (sum |x|^p)^(1/p) over all positions of a channel. */
const globalPower: Composition = (node, context) => {
  const [x] = node.inputs
  const p = numberAttribute(node, 'p', 2)
  const axes = context.integers(upTo(context.shape(x).length).slice(2))
  if (p === 1 || p === 2) return [context.node(`ReduceL${p}`, [x, axes], { keepdims: 1 })]
  const powers = context.binary('Pow', context.node('Abs', [x]), p)
  return [context.binary('Pow', context.node('ReduceSum', [powers, axes], { keepdims: 1 }), 1 / p)]
}

/** y_i = x_0 ... x_i, one product after the other: its derivative holds at zeros too. */
const cumulativeProduct: Composition = (node, context) => {
  const [x, axisInput] = node.inputs
  const rank = context.shape(x).length
  const axis = (context.known(axisInput, 'axis').data[0] + rank) % rank
  const extent = context.length(x, axis, 'axis')
  if (extent > 1000) throw badNode(node, `products of ${extent} factors are not supported; 1000 are the most.`)
  const reversed = numberAttribute(node, 'reverse', 0) !== 0
  const order = (values: readonly string[]): string[] => (reversed ? [...values].reverse() : [...values])
  const parts = order(split(x, axis, extent, context))
  const products = [parts[0]]
  for (const part of parts.slice(1)) products.push(context.mul(products[products.length - 1], part))
  if (numberAttribute(node, 'exclusive', 0) !== 0) {
    products.pop()
    products.unshift(context.add(context.mul(parts[0], 0), 1))
  }
  return [context.concat(order(products), axis)]
}

function split(x: string, axis: number, extent: number, context: UpgradeContext): string[] {
  return extent === 1
    ? [x]
    : context.nodeOutputs('Split', [x, context.integers(new Array<number>(extent).fill(1))], extent, { axis })
}

/** Arithmetic over sums and products. */
export const statisticsCompositions: Compositions = [
  ['LRN', localResponse],
  ['MeanVarianceNormalization', meanVariance],
  ['GlobalLpPool', globalPower],
  ['CumProd', cumulativeProduct],
]
