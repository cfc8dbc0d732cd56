/** @file What a batch adds to the sums of a fit: its loss, its agreement, its curvature. */
import { leaveBehind } from '../budget/garbage.js'
import { accumulateCurvature, zeroCurvature } from '../curvature/accumulate.js'
import { rowAdder } from '../curvature/blocks.js'
import type { Curvature } from '../curvature/curvature.js'
import { completed, countRows, gramsSuffice, operatorSums } from '../curvature/kron-sums.js'
import { addReachedInputs, type ReachedRows, reachedRows } from '../curvature/kron.js'
import { accumulateLastLayer } from '../curvature/last-layer.js'
import { asFloat64 } from '../curvature/real.js'
import { InternalError } from '../errors/errors.js'
import { type RealArray, zerosLike } from '../kernels/linear-algebra.js'
import { addAgreement, type Agreement, noAgreement } from '../likelihood/agreement.js'
import { empiricalFisher, sampledFisher } from '../likelihood/fisher.js'
import type { LikelihoodModel } from '../likelihood/likelihood.js'
import { termsOf } from '../likelihood/output-layout.js'
import { labelledTerms } from '../likelihood/position-labels.js'
import { positionSeeds } from '../likelihood/position-seeds.js'
import { type LikelihoodForm, likelihoodModel } from '../likelihood/registry.js'
import { weighted, weightedSeeds } from '../likelihood/weighted.js'
import type { Inputs } from '../network/input-rows.js'
import type { CurvatureKind, KfacApproximation, Likelihood, SumShape } from '../options/words.js'
import { positionsAtOnce } from '../programs/batch-size.js'
import type { Evaluator, Seeds } from '../programs/evaluator.js'
import { takeRows } from '../tensor/rows.js'

/** The sums of a fit. */
export interface FitSums {
  readonly examples: number
  readonly loss: number
  readonly curvature: Curvature
  /** How the network agrees with the rows; undefined for partial fits of version 0.1.0. */
  readonly agreement: Agreement | undefined
}

/** What a fit sums up. */
export interface FitKind extends SumShape {
  readonly curvature: CurvatureKind
  /** Of curvature mc_fisher: labels drawn for each row, and what they are drawn by. */
  readonly draws: number
  readonly seed: number
  readonly kfacApprox: KfacApproximation
  readonly keepFeatures: boolean
  /** Seeds of a row that travel back at once, where its outputs have no positions. */
  readonly seedsAtOnce: number
}

/** A labelled batch: inputs of the network's shape, labels as the likelihood takes them. */
export interface LabelledBatch {
  readonly x: Inputs
  readonly labels: Float64Array
  readonly examples: number
  /** How often each row counts, N; once where there are none. */
  readonly weights?: Float64Array | undefined
  /** The place of the first row among those of the fit. */
  readonly first?: number
}

/** What is there after a batch. */
export interface AddedBatch {
  readonly sums: FitSums
  /** Features of the batch's rows, when they are kept. */
  readonly features?: RealArray | undefined
  /** Whether Kronecker factors are sums of lower triangles, which have to be completed. */
  readonly lowerTriangles: boolean
}

/** Adds batches to sums. */
export interface BatchSums {
  /** @param sums those of the batches before; undefined for the first one */
  add(kind: FitKind, sums: FitSums | undefined, batch: LabelledBatch): Promise<AddedBatch>
  /** The sums with both triangles of their factors. */
  completed(sums: FitSums): FitSums
}

/** A curvature with a batch in it, and the batch's outputs f. */
interface Added {
  readonly f: RealArray
  readonly curvature: Curvature
  readonly features?: RealArray
}

/** Adds batches to the sums of a network and a likelihood. */
export function createBatchSums(evaluator: Evaluator, name: Likelihood, form: LikelihoodForm): BatchSums {
  const { slots, linears, layers, subset, network: { outputs } } = evaluator
  const likelihood = likelihoodModel(name, form)
  return {
    async add(kind, before, batch) {
      const sums = before ??
        { examples: 0, loss: 0, curvature: zeroCurvature(kind, slots, layers), agreement: noAgreement(name, outputs) }
      const prepared = prepareBatch(evaluator, likelihood, kind, batch)
      const lowerTriangles = gramsAreAll(prepared, sums.curvature)
      const { f, curvature, features } = lowerTriangles
        ? await addGrams(prepared, sums.curvature)
        : subset === 'all'
        ? await addJacobians(prepared, sums.curvature)
        : await addLastLayer(prepared, sums.curvature)
      return { sums: scored(sums, prepared, f, curvature), lowerTriangles,
        features: kind.keepFeatures ? features : undefined }
    },
    completed: sums => (sums.curvature.structure === 'kron'
      ? { ...sums, curvature: { ...sums.curvature, blocks: completed(sums.curvature.blocks, linears) } }
      : sums),
  }
}

/** A batch with what its sums are made by. */
interface PreparedBatch {
  readonly evaluator: Evaluator
  readonly kind: FitKind
  readonly batch: LabelledBatch
  readonly labelled: LabelledTerms
  /** Of the rows, with the curvature that is asked for; of networks with positions that of any term. */
  readonly ofRows: LikelihoodModel
  /** Of the labelled terms, with their weights. */
  readonly ofTerms: LikelihoodModel
  /** Some seeds at once, or those of some positions, from each of `starts` on. */
  seeds(from: number): Seeds
  readonly starts: readonly number[]
}

function prepareBatch(evaluator: Evaluator, likelihood: LikelihoodModel, kind: FitKind,
  batch: LabelledBatch): PreparedBatch {
  const { network } = evaluator
  const { outputs } = network
  const { labels, weights } = batch
  const terms = termsOf(network)
  const labelled = labelledIn(batch, terms, likelihood.targetWidth(outputs))
  const ofTerms = labelled.weights === undefined ? likelihood : weighted(likelihood, labelled.weights)
  const seedsOfTerm = likelihood.seedCount(outputs)
  if (terms === 1) {
    const ofRows = likelihoodOfRows(likelihood, kind, batch)
    const all = ofRows.seedCount(outputs)
    const count = Math.min(all, kind.seedsAtOnce)
    const seeds = (from: number): Seeds => ({ count, from: (f, examples) =>
      seedRows(ofRows.hessianSeeds(f, examples, outputs), from, count, examples * outputs) })
    return { evaluator, kind, batch, labelled, ofRows, ofTerms, seeds, starts: startsOf(all, count) }
  }
  const count = positionsAtOnce(evaluator, seedsOfTerm)
  const seeds = (from: number): Seeds => ({ count: count * seedsOfTerm, from: (f, examples) => {
    const own = positionSeeds(likelihood, f, labels, examples, outputs, { terms, from, count })
    return weights === undefined ? own : weightedSeeds(own, weights, terms * outputs)
  } })
  return { evaluator, kind, batch, labelled, ofRows: likelihood, ofTerms, seeds, starts: startsOf(terms, count) }
}

/** Where each turn starts that takes `count` of `all`. */
function startsOf(all: number, count: number): number[] {
  return Array.from({ length: Math.ceil(all / count) }, (_, i) => i * count)
}

/** Rows `from` to `from + count` of a matrix, zero where it has no more. */
function seedRows(all: RealArray, from: number, count: number, width: number): RealArray {
  if (count * width === all.length) return all
  const rows = zerosLike(all, count * width)
  rows.set(all.subarray(from * width, (from + count) * width))
  return rows
}

/** The terms of a batch that have a label: its rows, or of networks with positions each position of each row. */
interface LabelledTerms {
  readonly count: number
  readonly labels: Float64Array
  /** How often each counts; once where there are none. */
  readonly weights: Float64Array | undefined
  /** Whether others have no label. */
  readonly incomplete: boolean
  /** Their rows of a matrix with one row for every term. */
  rowsOf<A extends RealArray>(values: A, columns: number): A | Float64Array
}

function labelledIn({ labels, examples, weights }: LabelledBatch, terms: number, width: number): LabelledTerms {
  const kept = terms === 1 ? undefined : labelledTerms(labels, width)
  const count = kept?.length ?? examples * terms
  const rowsOf = <A extends RealArray>(values: A, columns: number): A | Float64Array =>
    kept === undefined ? values : takeRows(values, kept, columns)
  return { count, incomplete: kept !== undefined, rowsOf, labels: Float64Array.from(rowsOf(labels, width)),
    weights: weights && Float64Array.from({ length: count }, (_, i) => weights[Math.floor((kept?.[i] ?? i) / terms)]) }
}

/** The sums with the loss and the agreement of a batch's outputs, N x T x C. */
function scored({ examples, loss, agreement }: FitSums, { evaluator, batch, labelled, ofTerms }: PreparedBatch,
  f: RealArray, curvature: Curvature): FitSums {
  const { outputs } = evaluator.network
  const { count, labels, weights } = labelled
  const own = labelled.rowsOf(f, outputs)
  return {
    curvature,
    examples: examples + (batch.weights?.reduce((sum, weight) => sum + weight, 0) ?? batch.examples),
    loss: loss + ofTerms.loss(own, labels, count, outputs),
    agreement: agreement &&
      addAgreement(agreement, ofTerms.observation?.means(own, count, outputs) ?? own, labels, count, weights),
  }
}

/** Whether the Gram matrices that the engine sums are all of a batch's curvature. */
function gramsAreAll({ evaluator, kind, batch, labelled }: PreparedBatch, { structure }: Curvature): boolean {
  return structure === 'kron' && evaluator.kroneckerSums !== undefined && !labelled.incomplete
    && batch.weights === undefined && gramsSuffice(kind.kfacApprox, evaluator.linears)
}

async function addGrams({ evaluator, batch, seeds, starts }: PreparedBatch, curvature: Curvature): Promise<Added> {
  const { linears, kroneckerSums } = evaluator
  if (curvature.structure !== 'kron' || kroneckerSums === undefined) {
    throw new InternalError('Gram matrices are the sums of structure kron.')
  }
  const sums = operatorSums(curvature.blocks, linears)
  let f: RealArray = new Float64Array(0)
  for (const from of starts) f = await kroneckerSums(batch.x, seeds(from), sums, from === 0)
  return { f, curvature: { ...curvature, blocks: countRows(curvature.blocks, linears, batch.examples) } }
}

async function addJacobians({ evaluator, kind, batch, labelled, ofRows, seeds, starts }: PreparedBatch,
  before: Curvature): Promise<Added> {
  const { slots, network: { outputs } } = evaluator
  const { x, labels, examples, weights } = batch
  // Where positions are left out, only what some label reaches is data: known when all seeds have been seen.
  const partial = labelled.incomplete && before.structure === 'kron' && kind.kfacApprox === 'expand'
  let f: RealArray = new Float64Array(0)
  let curvature = before
  let reached: ReachedRows = []
  for (const from of starts) {
    const linearisation = await (curvature.structure === 'kron'
      ? evaluator.seededByGroup(x, seeds(from))
      : evaluator.seeded(x, seeds(from)))
    const jacobian = { ...linearisation.jacobian, weights }
    f = linearisation.f
    const addRow = kind.curvature === 'hessian' && from === 0 ? rowAdder(curvature, slots) : undefined
    if (addRow !== undefined) {
      // Of a last layer nothing is missing: its outputs are linear in its weights.
      await evaluator.secondDerivatives().eachRow(ofRows.residual(f, labels, examples, outputs), x, addRow)
    }
    curvature = accumulateCurvature(curvature, slots, jacobian, kind.kfacApprox, from === 0 && !partial)
    if (!partial) continue
    reached = reachedRows(jacobian, reached)
    if (from === starts.at(-1) && curvature.structure === 'kron') {
      curvature = { ...curvature, blocks: addReachedInputs(curvature.blocks, jacobian, reached) }
    }
  }
  return { f, curvature }
}

/** Of each number of a last layer's outputs and inputs what is made for its sums: doubles, their exponentials. */
const LEFT_BYTES = 32

async function addLastLayer({ evaluator, kind, batch, labelled, ofRows, ofTerms }: PreparedBatch,
  curvature: Curvature): Promise<Added> {
  const { slots, network } = evaluator
  const { f, features } = await evaluator.features(batch.x)
  const terms = termsOf(network)
  const { count, weights } = labelled
  const phi = labelled.rowsOf(features, features.length / (batch.examples * terms))
  const own = terms === 1 ? ofRows : ofTerms
  leaveBehind(LEFT_BYTES * (f.length + features.length))
  // Where features are kept, the answer's curvature is made of them at the linear model's mode, not of these sums.
  const inputs = kind.keepFeatures ? phi : asFloat64(phi)
  return { f, features: phi,
    curvature: accumulateLastLayer(curvature, slots, inputs, labelled.rowsOf(f, network.outputs), count, own, weights) }
}

/** The likelihood of a batch's rows, with the curvature that is asked for and the rows' weights. */
function likelihoodOfRows(likelihood: LikelihoodModel, { curvature, draws, seed }: FitKind,
  { labels, weights, first = 0 }: LabelledBatch): LikelihoodModel {
  const own = curvature === 'empirical_fisher'
    ? empiricalFisher(likelihood, labels)
    : curvature === 'mc_fisher'
    ? sampledFisher(likelihood, draws, seed, first)
    : likelihood.ofLabels?.(labels) ?? likelihood
  return weights === undefined ? own : weighted(own, weights)
}
