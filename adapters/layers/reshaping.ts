/**
 * @file Layers that move, merge or reduce axes: torch's Flatten and Unflatten, and small ones that only architectures
 * have.
 */
import { formatShape, sizeOf } from '../../core/tensor/tensor.js'
import type { LayerWriter } from './activations.js'
import { exampleAxis, flag, integer, integers } from './arguments.js'
import { emit, inputMisfit, type LayerContext, misfit, type Value } from './emission.js'
import { badArchitecture, describeLayer } from './layer-spec.js'

function flatten(context: LayerContext, x: Value): Value {
  const first = exampleAxis(context, 'start_dim', Math.max(x.shape.length, 1), 1)
  const last = exampleAxis(context, 'end_dim', Math.max(x.shape.length, 1), -1)
  if (last < first) {
    throw badArchitecture(`The ${describeLayer(context.spec, context.path)} ends at an axis before its first.`,
      context.path)
  }
  if (last === first) return x
  const { emission } = context
  const shape = [...x.shape.slice(0, first), sizeOf(x.shape.slice(first, last + 1)), ...x.shape.slice(last + 1)]
  if (first === 0 && last === x.shape.length - 1) return emit(emission, 'Flatten', [x.name], shape, { axis: 1 })
  // 0 keeps an axis; only axes behind the flattened ones need their sizes.
  if (last < x.shape.length - 1) emission.sizeDependent = true
  return emit(emission, 'Reshape', [x.name,
    emission.builder.integers([...Array<number>(first + 1).fill(0), -1, ...x.shape.slice(last + 1)])], shape)
}

function unflatten(context: LayerContext, x: Value): Value {
  const axis = exampleAxis(context, 'dim', x.shape.length)
  const parts = integers(context, 'unflattened_size', -1)
  if (parts === undefined) {
    throw badArchitecture(`The ${describeLayer(context.spec, context.path)} needs the argument unflattened_size.`,
      context.path)
  }
  const split = complete(context, parts, x.shape[axis])
  return reshape(context, x, [...x.shape.slice(0, axis), ...split, ...x.shape.slice(axis + 1)])
}

/** Sizes with one -1 filled in. */
function complete(context: LayerContext, parts: readonly number[], total: number): number[] {
  const known = sizeOf(parts.filter(part => part !== -1))
  const open = parts.filter(part => part === -1).length
  if (open > 1 || parts.includes(0) || (open === 0 ? known !== total : total % known !== 0)) {
    throw misfit(context, `cannot give ${total} elements the shape ${formatShape(parts)}`)
  }
  return parts.map(part => (part === -1 ? total / known : part))
}

/** torch's Reshape has the batch first; here `shape` is one example's. */
function reshapeLayer(context: LayerContext, x: Value): Value {
  const shape = integers(context, 'shape', -1)
  if (shape === undefined) {
    throw badArchitecture(
      `The ${describeLayer(context.spec, context.path)} needs the argument shape: that of one example.`,
      context.path,
    )
  }
  return reshape(context, x, complete(context, shape, sizeOf(x.shape)))
}

function reshape({ emission }: LayerContext, x: Value, shape: readonly number[]): Value {
  emission.sizeDependent = true
  return emit(emission, 'Reshape', [x.name, emission.builder.integers([-1, ...shape])], shape)
}

function reduction(op: string): LayerWriter {
  return {
    arguments: ['dim', 'keepdim'],
    write(context, x) {
      const { spec } = context
      const dims: unknown = spec['dim']
      const axes = (Array.isArray(dims) ? dims : [dims]).map((dim: unknown) =>
        exampleAxis({ ...context, spec: { ...spec, dim } }, 'dim', x.shape.length)
      )
      const keep = flag(context, 'keepdim', false)
      const shape = keep
        ? x.shape.map((extent, i) => (axes.includes(i) ? 1 : extent))
        : x.shape.filter((_, i) => !axes.includes(i))
      if (shape.length === 0) throw inputMisfit(context, 'more axes than it reduces', x)
      return emit(context.emission, op, [x.name, context.emission.builder.integers(axes.map(axis => axis + 1))], shape,
        { keepdims: keep ? 1 : 0 })
    },
  }
}

function transpose(context: LayerContext, x: Value): Value {
  const [a, b] = [exampleAxis(context, 'dim0', x.shape.length), exampleAxis(context, 'dim1', x.shape.length)]
  return permute(context, x, x.shape.map((_, i) => (i === a ? b : i === b ? a : i)))
}

function permuteLayer(context: LayerContext, x: Value): Value {
  const dims = integers(context, 'dims', 0)
  if (dims === undefined || dims[0] !== 0 ||
    [...dims].sort((a, b) => a - b).join() !== [0, ...x.shape.map((_, i) => i + 1)].join()) {
    throw misfit(context, `needs as dims a permutation of 0 to ${x.shape.length} that starts with 0, the examples`)
  }
  return permute(context, x, dims.slice(1).map(dim => dim - 1))
}

function permute({ emission }: LayerContext, x: Value, order: readonly number[]): Value {
  return emit(emission, 'Transpose', [x.name], order.map(axis => x.shape[axis]), {
    perm: [0, ...order.map(axis => axis + 1)],
  })
}

/** One index of an axis, such as the last time of a sequence (-1). */
function select(context: LayerContext, x: Value): Value {
  const axis = exampleAxis(context, 'dim', x.shape.length)
  const index = integer(context, 'index')
  if (index === undefined || index >= x.shape[axis] || index < -x.shape[axis] || x.shape.length < 2) {
    throw inputMisfit(context, `an index of axis ${axis + 1}`, x)
  }
  const { emission } = context
  const position = emission.builder.constant({ dtype: 'int64', shape: [], data: Float64Array.of(index) })
  return emit(emission, 'Gather', [x.name, position], x.shape.filter((_, i) => i !== axis), { axis: axis + 1 })
}

function squeeze(context: LayerContext, x: Value): Value {
  const axis = exampleAxis(context, 'dim', x.shape.length)
  if (x.shape[axis] !== 1 || x.shape.length < 2) throw inputMisfit(context, `one element on axis ${axis + 1}`, x)
  return emit(context.emission, 'Squeeze', [x.name, context.emission.builder.integers([axis + 1])],
    x.shape.filter((_, i) => i !== axis))
}

function unsqueeze(context: LayerContext, x: Value): Value {
  const axis = exampleAxis(context, 'dim', x.shape.length + 1)
  return emit(context.emission, 'Unsqueeze', [x.name, context.emission.builder.integers([axis + 1])], [
    ...x.shape.slice(0, axis),
    1,
    ...x.shape.slice(axis),
  ])
}

/** The layers that give an example another shape, by torch's names. */
export const RESHAPING: Readonly<Record<string, LayerWriter>> = {
  Flatten: { arguments: ['start_dim', 'end_dim'], write: flatten },
  Unflatten: { arguments: ['dim', 'unflattened_size'], write: unflatten },
  Reshape: { arguments: ['shape'], write: reshapeLayer },
  Mean: reduction('ReduceMean'),
  Sum: reduction('ReduceSum'),
  Max: reduction('ReduceMax'),
  Transpose: { arguments: ['dim0', 'dim1'], write: transpose },
  Permute: { arguments: ['dims'], write: permuteLayer },
  Select: { arguments: ['dim', 'index'], write: select },
  Squeeze: { arguments: ['dim'], write: squeeze },
  Unsqueeze: { arguments: ['dim'], write: unsqueeze },
}
