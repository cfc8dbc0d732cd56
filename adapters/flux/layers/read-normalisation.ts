/** @file Reads the normalisation layers of Flux. */
import type { JuliaArray } from '../julia/arrays.js'
import { malformed, resolve } from '../julia/julia-file.js'
import { structOf } from '../julia/julia-types.js'
import { numberOf } from '../julia/julia-values.js'
import { activationOf, epsilonOf, type FluxReader, integer, integerTuple, optionalArray } from './field-values.js'
import type { FluxLayer, NormLayer } from './flux-layer.js'
import type { LayerFields } from './layer-fields.js'

/**
 * Reads batch, instance and group normalisation.
 * @throws UntrustedInputError when the arrays do not have one element for each channel (or group)
 */
export function readNorm({ reader, fields, path }: LayerFields, variant: NormLayer['variant']): NormLayer {
  const array = (field: string): JuliaArray | undefined => optionalArray(reader, fields[field], `${path}.${field}`)
  const shift = array('β')
  const scale = array('γ')
  const mean = array('μ')
  const { variance, epsilon } = spread(reader, fields, array('σ²'), path)
  const channels = fields['chs'] === undefined ? shift?.data.length : numberOf(reader.file, fields['chs'])
  if (channels === undefined) throw malformed(`'${path}' does not say how many channels it has.`, path)
  const trackStats = fields['track_stats'] === undefined ? mean !== undefined : fields['track_stats'] === true
  for (const [field, values] of [['β', shift], ['γ', scale]] as const) {
    if (values !== undefined && values.data.length !== channels) {
      throw malformed(`'${path}.${field}' must have ${channels} elements; got ${values.data.length}.`, path)
    }
  }
  const statistics = variant === 'GroupNorm' ? numberOf(reader.file, fields['G']) : channels
  for (const [field, values] of [['μ', mean], ['σ²', variance]] as const) {
    if (trackStats && values?.data.length !== statistics) {
      throw malformed(
        `'${path}.${field}' must have ${String(statistics)} elements; got ${String(values?.data.length)}.`,
        path,
      )
    }
  }
  return {
    type: 'Norm',
    variant,
    activation: activationOf(reader, fields['λ'], `${path}.λ`),
    shift,
    scale,
    mean,
    variance,
    trackStats,
    channels,
    epsilon,
    groups: fields['G'] === undefined ? 1 : Math.max(1, integer(reader, fields['G'], `${path}.G`)),
  }
}

/**
 * The variance of a normalisation. Flux 0.6 and older kept the standard deviation instead and added no epsilon; those
 * versions are known by their epsilon, a double of 1e-8, later ones have the Float32 1e-5.
 */
function spread(reader: FluxReader, fields: LayerFields['fields'], values: JuliaArray | undefined,
  path: string): { variance: JuliaArray | undefined, epsilon: number } {
  const epsilon = epsilonOf(reader, fields['ϵ'], path)
  const deviations = fields['chs'] === undefined && epsilon === 1e-8 &&
    typeof resolve(reader.file, fields['ϵ']) === 'number'
  if (!deviations || values === undefined) return { variance: values, epsilon }
  return { variance: { ...values, data: values.data.map(deviation => deviation * deviation) }, epsilon: 0 }
}

/** Reads layer normalisation; `affine` is its scale and shift, a layer of its own. */
export function readLayerNorm({ reader, fields, path }: LayerFields, affine: FluxLayer | undefined): FluxLayer {
  if (fields['size'] === undefined) {
    // Flux 0.11 adds 1e-5 to the standard deviation, the older ones with tracked parameters nothing.
    const tracked =
      structOf(reader.file, structOf(reader.file, fields['diag'])?.fields[0])?.type.path.endsWith('TrackedArray') ===
        true
    return { type: 'LayerNorm', affine, axes: 1, epsilon: tracked ? 0 : 1e-5 }
  }
  return { type: 'LayerNorm', affine, axes: integerTuple(reader, fields['size'], `${path}.size`).length,
    epsilon: epsilonOf(reader, fields['ϵ'], path) }
}
