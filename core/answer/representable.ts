/** @file Refuses results that double precision cannot hold: NaN and infinity never leave as if they were answers. */
import type { PosteriorCurvature } from '../curvature/curvature.js'
import { blockArrays } from '../curvature/kron-blocks.js'
import { chosenEngine } from '../engine/chosen-engine.js'
import { NumericalError } from '../errors/errors.js'
import { termsOf } from '../likelihood/output-layout.js'
import { sliceExamples } from '../network/batches.js'
import type { Inputs } from '../network/input-rows.js'
import type { ParameterSlot } from '../network/parameter-slot.js'
import type { Evaluator } from '../programs/evaluator.js'
import { allFinite } from '../tensor/finite.js'
import type { PosteriorState } from './posterior-state.js'

/** What helps where numbers are too large or too small, whatever they are. */
const ADVICE = 'Scale the data (standardise columns and targets), or choose a prior precision, noise and temperature ' +
  'nearer to 1.'

const LOSS = 'The loss of the network on the rows of the fit'

/** The value. @throws NumericalError OVERFLOW when it is no finite number */
export function representable(value: number, what: string): number {
  if (Number.isFinite(value)) return value
  throw overflow(`${what} is ${value}: numbers on the way to it are too large or too small. ${ADVICE}`, { what })
}

function overflow(message: string, data: Readonly<Record<string, unknown>>): NumericalError {
  return new NumericalError('OVERFLOW', message, data)
}

const sound = new WeakSet<PosteriorCurvature>()

/** Refuses a fit whose loss or curvature is no number. @throws NumericalError OVERFLOW naming the layer */
export function checkRepresentable({ structured: { curvature, slots }, loss }: PosteriorState): void {
  if (sound.has(curvature)) return
  if (Number.isNaN(loss)) {
    throw overflow(`${LOSS} is NaN: the network gives NaN for some row (0 / 0; attention whose keys are all masked), ` +
      `or numbers on the way to it are too large or too small. ${ADVICE}`, { what: LOSS })
  }
  checkCurvature(curvature, slots)
  representable(loss, LOSS)
  sound.add(curvature)
}

function checkCurvature(curvature: PosteriorCurvature, slots: readonly ParameterSlot[]): void {
  const refuse = (layer: string): NumericalError =>
    overflow(`The curvature of '${layer.slice(0, 200)}' is not finite: its numbers are too large for double ` +
      `precision. ${ADVICE}`, { layer })
  const layerAt = (index: number): string =>
    slots.find(({ offset, size }) => index < offset + size)?.name ?? 'the parameters'
  const firstBad = (values: Float64Array | Float32Array): number => values.findIndex(value => !Number.isFinite(value))
  switch (curvature.structure) {
    case 'full':
      if (!allFinite(curvature.matrix)) throw refuse(layerAt(Math.floor(firstBad(curvature.matrix) / curvature.size)))
      break
    case 'diag':
      if (!allFinite(curvature.diagonal)) throw refuse(layerAt(firstBad(curvature.diagonal)))
      break
    case 'blockdiag':
      for (const { slots: own, matrix } of curvature.blocks) {
        if (!allFinite(matrix)) throw refuse(slots[own[0]].name)
      }
      break
    case 'kron':
      for (const block of curvature.blocks) {
        if (!blockArrays(block).every(allFinite)) throw refuse(block.name)
      }
      break
    case 'ekfac':
      if (!allFinite(curvature.values)) throw refuse(layerAt(firstBad(curvature.values)))
      break
    case 'factored':
      if (!allFinite(curvature.rows)) throw refuse(layerAt(firstBad(curvature.rows) % Math.max(1, curvature.size)))
      break
    case 'process':
      for (const { rows } of curvature.parts) {
        if (!allFinite(rows)) throw refuse(layerAt(firstBad(rows) % Math.max(1, curvature.size)))
      }
      break
    case 'samples':
      if (!allFinite(curvature.rows)) throw refuse(layerAt(firstBad(curvature.rows) % Math.max(1, curvature.size)))
      break
    case 'lowrank':
      for (const { rows, weights, evidence, logDetRatio } of curvature.models) {
        for (const values of [rows, weights]) {
          if (!allFinite(values)) throw refuse(layerAt(firstBad(values) % Math.max(1, curvature.size)))
        }
        representable(evidence, 'The log evidence of the linear model')
        representable(logDetRatio, 'The log determinant of the linear model')
      }
  }
}

/** Outputs, their variances, and those of the linear model. */
interface Gaussian {
  readonly f: Float64Array
  readonly variance: Float64Array
  readonly linear?: Float64Array
}

/**
 * Refuses outputs of a network, or variances of them, that are no numbers.
 * @throws NumericalError OVERFLOW naming the first layer whose result is none
 */
export async function checkGaussian(evaluator: Evaluator, x: Inputs, { f, variance, linear }: Gaussian): Promise<void> {
  if (!allFinite(f)) throw await networkOverflow(evaluator, x, f.findIndex(value => !Number.isFinite(value)))
  if (allFinite(variance) && (linear === undefined || allFinite(linear))) return
  throw overflow(`The variance of the outputs is not finite: numbers on the way to it are too large. ${ADVICE}`, {})
}

/** `at` is the place of an output that is no number. */
async function networkOverflow({ network, precision }: Evaluator, x: Inputs, at: number): Promise<NumericalError> {
  const { graph } = network
  const row = Math.floor(at / (termsOf(network) * network.outputs))
  const program = await chosenEngine({ name: 'typescript', threads: undefined }, precision, {})
    .compile({ ...graph, outputs: graph.nodes.flatMap(node => node.outputs.filter(name => name !== '')) }, precision)
  const results = await program.run(sliceExamples(x, network.inputs, row, row + 1))
  program.dispose()
  const node = graph.nodes.find(({ outputs }) =>
    outputs.some(name => {
      const value = results.get(name)
      return value !== undefined && !allFinite(value.data)
    })
  )
  const layer = node === undefined ? network.output : node.name ?? node.outputs[0]
  const single = precision === 'float32' ? ', or set precision to float64' : ''
  return overflow(
    `The network's outputs for row ${row} are not finite: the first layer whose result is not is '${
      layer.slice(0, 200)
    }'` +
      `${node === undefined ? '' : ` (${node.op})`}. Scale the data as in training${single}.`,
    { layer, op: node?.op, row },
  )
}
