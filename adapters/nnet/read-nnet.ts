/**
 * @file Networks of R's nnet package from the fields of a fit.
 *
 * Units are numbered: 0 the bias, then inputs, hidden units, outputs. `conn` lists for each unit the units that feed
 * it, `nconn` where each unit's list begins, `wts` the weights in the same order: for every hidden unit, then every
 * output, the bias first.
 */
import { DataError } from '../../core/errors/errors.js'
import { GraphBuilder } from '../../core/graph/builder.js'
import { BATCH, type Graph } from '../../core/graph/graph.js'
import { float64, type Tensor } from '../../core/tensor/tensor.js'
import { conflict, count, counts, flag, number, numbers, type Structure } from '../fitted-objects/fields.js'

/** The fields of an `nnet` object, as R has them. */
export interface NnetFields {
  /** Numbers of inputs, hidden units and outputs. */
  readonly n: readonly number[]
  readonly wts: ArrayLike<number> | Tensor
  readonly conn?: readonly number[] | Tensor | undefined
  readonly nconn?: readonly number[] | Tensor | undefined
  /** Units from this number on are linear. */
  readonly nsunits?: number | undefined
  readonly linout?: boolean | undefined
  readonly softmax?: boolean | undefined
  readonly entropy?: boolean | undefined
  readonly censored?: boolean | undefined
  /** Whether inputs also feed the outputs. */
  readonly skip?: boolean | undefined
  readonly decay?: number | undefined
}

/** Where a weight matrix and a bias vector come from: for each destination unit, the positions in `wts`. */
interface Wiring {
  readonly weight: readonly (readonly number[])[]
  readonly bias: readonly number[]
}

/** Beyond this R's logistic is exactly 0 or 1. */
const CLIP = 15

/**
 * The network of an nnet fit. Parameters are `hidden.weight` (out x in), `hidden.bias`, `output.weight`, `output.bias`;
 * with skip-layer connections the outputs' weights are those of the hidden units, then those of the inputs. The output
 * is what R's `predict(type = "raw")` gives: logits before softmax and logistic are found when a likelihood is chosen.
 * @param fields checked here: they come from another process
 * @throws DataError BAD_ARRAY, NOT_FINITE; OptionError BAD_COMBINATION when the fields contradict each other
 * @example
 * readNnet({ n: [4, 3, 1], wts: fit.wts, linout: true })
 */
export function readNnet(fields: NnetFields | Readonly<Record<string, unknown>>): Graph {
  const structure: Structure = { what: 'the nnet object', fields: { ...fields } }
  const [inputs, hidden, outputs] = unitCounts(structure)
  const wts = numbers(structure, 'wts')
  const { conn, nconn } = connections(structure, inputs, hidden, outputs, wts.length)
  const linear = isLinear(structure, inputs, hidden, outputs)
  const builder = new GraphBuilder('float64')
  const x = builder.input('x', [BATCH, inputs])
  const sources = Array.from({ length: inputs }, (_, i) => i + 1)
  const hiddenUnits = Array.from({ length: hidden }, (_, i) => 1 + inputs + i)
  const features: string[] = []
  if (hidden > 0) {
    const wiring = wire(hiddenUnits, sources, conn, nconn)
    features.push(clippedLogistic(builder, dense(builder, x, 'hidden', wts, wiring)))
  }
  const outputUnits = Array.from({ length: outputs }, (_, i) => 1 + inputs + hidden + i)
  const skips = nconn[outputUnits[0] + 1] - nconn[outputUnits[0]] === 1 + hidden + inputs && inputs > 0
  if (skips) features.push(x)
  const from = [...hiddenUnits, ...(skips ? sources : [])]
  const joined = features.length === 1 ? features[0] : builder.node('Concat', features, { axis: 1 })
  const z = dense(builder, joined, 'output', wts, wire(outputUnits, from, conn, nconn))
  const softmax = flag(structure, 'softmax')
  builder.notes.push(...notesOf(structure, linear, outputs))
  if (softmax) return builder.build([builder.node('Softmax', [z], { axis: -1 })])
  return builder.build([linear ? z : builder.node('Sigmoid', [z])])
}

function unitCounts(structure: Structure): [number, number, number] {
  const n = counts(structure, 'n')
  if (n?.length !== 3 || n[0] < 1 || n[2] < 1 || n.some(each => each > 1_000_000)) {
    throw new DataError('BAD_ARRAY',
      'The field n of the nnet object must be three numbers: inputs, hidden units, outputs.', { field: 'n' })
  }
  return [n[0], n[1], n[2]]
}

/** Outputs are linear with `linout` and under softmax; an R object says it by `nsunits`. */
function isLinear(structure: Structure, inputs: number, hidden: number, outputs: number): boolean {
  const nsunits = count(structure, 'nsunits')
  const units = 1 + inputs + hidden
  const stated = flag(structure, 'linout') || flag(structure, 'softmax')
  if (nsunits === undefined) return stated
  if (nsunits !== units && nsunits !== units + outputs) {
    throw conflict(structure,
      `nsunits is ${nsunits}; it must be ${units} (linear outputs) or ${units + outputs} (logistic outputs)`)
  }
  const linear = nsunits === units
  if (linear !== stated) {
    throw conflict(structure,
      `nsunits is ${nsunits}, which means ${
        linear ? 'linear' : 'logistic'
      } outputs, and linout or softmax say otherwise`)
  }
  return linear
}

/** The connections as given, or those that nnet makes: bias, then the layer below, then with `skip` the inputs. */
function connections(structure: Structure, inputs: number, hidden: number, outputs: number,
  weights: number): { conn: readonly number[], nconn: readonly number[] } {
  const [conn, nconn] = [counts(structure, 'conn'), counts(structure, 'nconn')]
  const units = 1 + inputs + hidden + outputs
  if (conn !== undefined && nconn !== undefined) {
    const ordered = nconn.every((start, i) => i === 0 || start >= nconn[i - 1])
    if (nconn.length !== units + 1 || nconn[0] !== 0 || !ordered || nconn[units] !== weights ||
      conn.length !== weights) {
      throw new DataError('BAD_ARRAY',
        `The nnet object has ${units} units and ${weights} weights; its fields conn (${conn.length} elements) ` +
          `and nconn (${nconn.length}, ending with ${nconn[nconn.length - 1]}) do not fit.`, { field: 'nconn' })
    }
    return { conn, nconn }
  }
  const skip = flag(structure, 'skip') || hidden === 0
  const perOutput = 1 + hidden + (skip ? inputs : 0)
  const needed = hidden * (1 + inputs) + outputs * perOutput
  if (weights !== needed) {
    throw new DataError('BAD_ARRAY',
      `A network of ${inputs}-${hidden}-${outputs} units${
        skip ? ' with skip-layer connections' : ''
      } has ${needed} weights; wts has ${weights}.`, { field: 'wts', expected: needed, actual: weights })
  }
  const below = Array.from({ length: 1 + inputs }, (_, i) => i)
  const above = [0, ...Array.from({ length: hidden }, (_, i) => 1 + inputs + i), ...(skip ? below.slice(1) : [])]
  const starts = Array.from({ length: units + 1 }, (_, unit) => {
    const hiddenBefore = Math.min(Math.max(unit - 1 - inputs, 0), hidden)
    return hiddenBefore * (1 + inputs) + Math.max(unit - 1 - inputs - hidden, 0) * perOutput
  })
  return { nconn: starts,
    conn: [...Array.from({ length: hidden }, () => below).flat(),
      ...Array.from({ length: outputs }, () => above).flat()] }
}

/**
 * Finds for every destination unit the weights of its bias and of all sources.
 * @throws DataError BAD_ARRAY when one is missing or there are others
 */
function wire(units: readonly number[], sources: readonly number[], conn: readonly number[],
  nconn: readonly number[]): Wiring {
  const rows = units.map(unit => {
    const places = new Map<number, number>()
    for (let i = nconn[unit]; i < nconn[unit + 1]; i++) places.set(conn[i], i)
    const found = [0, ...sources].map(source => places.get(source))
    if (found.includes(undefined) || places.size !== sources.length + 1 ||
      nconn[unit + 1] - nconn[unit] !== places.size) {
      throw new DataError('BAD_ARRAY',
        `Unit ${unit} of the nnet object is not fed by the bias and all units below, each once; ` +
          'only fully connected networks are supported.', { field: 'conn', unit })
    }
    return found.filter(place => place !== undefined)
  })
  return { bias: rows.map(row => row[0]), weight: rows.map(row => row.slice(1)) }
}

function dense(builder: GraphBuilder, x: string, name: string, wts: Float64Array, { weight, bias }: Wiring): string {
  const matrix = float64([weight.length, weight[0].length], weight.flat().map(place => wts[place]))
  const w = builder.parameter(`${name}.weight`, matrix)
  return builder.node('Gemm', [x, w,
    builder.parameter(`${name}.bias`, float64([bias.length], bias.map(place => wts[place])))], { transB: 1 })
}

/** 1 / (1 + exp(-z)), exactly 0 below -15 and exactly 1 above 15, as R's nnet computes its hidden units. */
function clippedLogistic(builder: GraphBuilder, z: string): string {
  const plain = builder.node('Sigmoid', [z])
  const floored = builder.node('Where', [builder.node('Less', [z, builder.scalar(-CLIP)]), builder.scalar(0), plain])
  return builder.node('Where', [builder.node('Greater', [z, builder.scalar(CLIP)]), builder.scalar(1), floored])
}

/** What the fit says about the likelihood and the prior. */
function notesOf(structure: Structure, linear: boolean, outputs: number): string[] {
  const [softmax, entropy, censored] = [flag(structure, 'softmax'), flag(structure, 'entropy'),
    flag(structure, 'censored')]
  if (softmax && entropy) throw conflict(structure, 'softmax and entropy cannot both be set')
  if (entropy && linear) throw conflict(structure, 'entropy needs logistic outputs, and they are linear')
  const decay = number(structure, 'decay')
  const likelihood = softmax ? 'classification' : entropy ? (outputs === 1 ? 'binary' : 'multilabel') : 'regression'
  const notes = [
    `The nnet object was fitted with ${
      softmax ? 'softmax' : entropy ? 'entropy' : 'least squares'
    }, which is the likelihood ${likelihood}.`,
  ]
  if (censored) {
    notes.push(
      'It was fitted with censored classes, where a row may allow several; ' +
        'the likelihood classification takes one class a row.',
    )
  }
  if (!softmax && !entropy && !linear) {
    notes.push(
      'Its outputs are logistic although it was fitted by least squares: ' +
        'it was probably meant to be fitted with linout = TRUE.',
    )
  }
  // nnet minimises E + decay sum(w^2), a prior has delta / 2 sum(w^2); E is the cross-entropy, or the whole sum of
  // squares, of which the Gaussian likelihood has half.
  if (decay !== undefined && decay > 0) {
    notes.push(
      `Its weight decay of ${decay} corresponds to the prior precision ${softmax || entropy ? 2 * decay : decay}${
        softmax || entropy ? '' : ' (with sigmaNoise 1)'
      }.`,
    )
  }
  return notes
}
