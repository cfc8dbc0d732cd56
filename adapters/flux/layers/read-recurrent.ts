/** @file Reads the recurrent cells of Flux. */
import type { JuliaStruct } from '../julia/julia-types.js'
import { itemsOf } from '../julia/julia-values.js'
import { activationOf, type FluxReader, optionalArray, requiredArray } from './field-values.js'
import type { FluxLayer, RecurrentLayer } from './flux-layer.js'
import { layerName, namedFields } from './struct-fields.js'

const CELLS: Readonly<Record<string, RecurrentLayer['cell']>> = { RNNCell: 'RNN', LSTMCell: 'LSTM', GRUCell: 'GRU',
  GRUv3Cell: 'GRUv3' }

/** Reads a recurrent cell; a struct that is none of those known gives an `Unsupported` layer. */
export function readRecurrent(reader: FluxReader, struct: JuliaStruct | undefined, sequence: boolean,
  path: string): FluxLayer {
  const name = struct === undefined ? undefined : layerName(struct)
  const cell = name === undefined || !Object.hasOwn(CELLS, name) ? undefined : CELLS[name]
  if (struct === undefined || name === undefined || cell === undefined) {
    return { type: 'Unsupported', of: `a recurrent layer of ${struct?.type.path ?? 'unknown cells'}` }
  }
  const fields = namedFields(struct, name, path)
  const states = fields['h'] === undefined
    ? (itemsOf(reader.file, fields['state0']) ?? (fields['state0'] === undefined ? [] : [fields['state0']]))
    : [fields['h'], fields['c']]
  const candidate = fields['Wh_h̃']
  return {
    type: 'Recurrent',
    cell,
    sequence,
    activation: activationOf(reader, fields['σ'], `${path}.σ`),
    inputWeight: requiredArray(reader, fields['Wi'], `${path}.Wi`),
    hiddenWeight: requiredArray(reader, fields['Wh'], `${path}.Wh`),
    candidateWeight: candidate === undefined ? undefined : requiredArray(reader, candidate, `${path}.Wh_h̃`),
    bias: optionalArray(reader, fields['b'], `${path}.b`),
    state: states.map((state, i) => requiredArray(reader, state, `${path}.state0.${i + 1}`)),
  }
}
