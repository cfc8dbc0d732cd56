/**
 * @file The file of a posterior: curvature, hyper-parameters and, unless told otherwise, the network, so that it
 * predicts alone.
 */
import type { Calibration, LeftOutScores } from '../conformal/calibration.js'
import type { PosteriorCurvature } from '../curvature/curvature.js'
import { UntrustedInputError } from '../errors/errors.js'
import type { Graph } from '../graph/graph.js'
import type { PosteriorSettings } from '../options/hyperparameters.js'
import type { LaplaceOptions } from '../options/laplace-options.js'
import { type BlockChoice, BLOCKS, CURVATURES, KFAC_APPROXIMATIONS, LIKELIHOODS, POSITIONS, type Positions, PRECISIONS,
  STRUCTURES, SUBSETS, TUNE_METHODS, type TuneMethod } from '../options/words.js'
import type { EvidenceMode } from '../posterior/evidence.js'
import type { Weighted } from '../tensor/sample-weights.js'
import type { Choice } from '../tuning/choice.js'
import type { TrainingRecord } from '../tuning/training-scores.js'
import { trainingFromTree, trainingToTree } from './agreement-tree.js'
import { calibrationFromTree, calibrationToTree, leftOutFromTree, leftOutToTree } from './calibration-tree.js'
import { choiceFromTree, choiceToTree } from './choice-tree.js'
import { type Tree, writeContainer } from './container.js'
import { curvatureFromTree, curvatureToTree } from './curvature-tree.js'
import { arrayField, countField, exact, type Fields, fieldsOf, listField, numberField, positiveField, textField,
  textsField, wordField } from './fields.js'
import { graphFromTree, graphToTree } from './graph-tree.js'
import { NO_DIGEST_NOTE, readContainer } from './read-container.js'
import { weightedFrom, weightedToTree } from './weighted-tree.js'

const KIND = 'posterior'

/** The options that a posterior was fitted with, all of them said. */
export type SavedOptions = {
  readonly [
    K in 'likelihood' | 'subset' | 'structure' | 'curvature' | 'kfacApprox' | 'seed' | 'precision' | 'output'
  ]-?: NonNullable<LaplaceOptions[K]>
} & {
  /** Of structure `blockdiag`. */
  readonly blocks?: BlockChoice
  /** Noises of the outputs: one an output, or the rows of their covariance. */
  readonly sigmaNoise?: Float64Array | readonly Float64Array[]
  readonly roots?: number
  readonly labelSmoothing?: number
  readonly classWeight?: Float64Array
  /** Of structure `lowrank` at the network's weights. */
  readonly rank?: number
  /** Flat indices of the parameters of subset `subnetwork`. */
  readonly subnetwork?: Float64Array
  /** The input that was named, where one was. */
  readonly input?: string | undefined
  /** Of networks whose outputs have several positions. */
  readonly positions?: Positions
  readonly classAxis?: number
}

/** What a fit found, beside the curvature: a posterior has it in memory and in its file. */
export interface FitRecord extends Weighted {
  readonly examples: number
  /** Loss at the network's weights. */
  readonly loss: number
  readonly mode: EvidenceMode | undefined
  readonly tuned: TuneMethod
  readonly effectiveParameters: number | undefined
  /** How network and linear model make the answer together, and why; undefined: the network's mean alone. */
  readonly choice: Choice | undefined
  /** The training rows' leave-one-out variances, ascending: what new rows' variances are compared with. */
  readonly trainingVariances: Float64Array | undefined
  /** Scores of training rows that were predicted without themselves, for a calibration without held-out rows. */
  readonly leftOut: LeftOutScores | undefined
  /** What intervals and sets of classes are made from. */
  readonly conformal: Calibration | undefined
  /** How network and posterior agree with the rows of the fit; undefined for files of version 0.1.0. */
  readonly training: TrainingRecord | undefined
  readonly notes: readonly string[]
}

/** What a file holds. */
export interface SavedPosterior extends FitRecord {
  readonly options: SavedOptions
  readonly graph: Graph | undefined
  readonly digest: string
  readonly curvature: PosteriorCurvature
  readonly settings: PosteriorSettings
}

/** The bytes of a posterior, with its network where there is one in `graph`. */
export function writePosterior({ options, graph, curvature, settings, mode, ...saved }: SavedPosterior): Uint8Array {
  const { likelihood, subset, structure, kfacApprox, seed, precision, input, output } = options
  const { priorPrecision, priorMean, sigmaNoise, temperature } = settings
  return writeContainer(KIND, {
    options: { likelihood, subset, structure, curvature: options.curvature, kfacApprox, seed, precision,
      input: input ?? '', output, sigmaNoise: options.sigmaNoise ?? null, positions: options.positions ?? null,
      classAxis: options.classAxis ?? null, subnetwork: options.subnetwork ?? null, rank: options.rank ?? null,
      blocks: options.blocks ?? null, ...(options.roots === undefined ? {} : { roots: options.roots }),
      ...(options.labelSmoothing === undefined ? {} : { labelSmoothing: options.labelSmoothing }),
      ...(options.classWeight === undefined ? {} : { classWeight: options.classWeight }) },
    network: graph === undefined ? null : graphToTree(graph),
    digest: saved.digest,
    curvature: curvatureToTree(curvature),
    settings: { priorPrecision: asArray(priorPrecision), priorMean: asArray(priorMean), sigmaNoise, temperature },
    examples: saved.examples,
    ...weightedToTree(saved.weighted),
    loss: saved.loss,
    mode: mode === undefined ? null : { weights: mode.weights, loss: mode.loss },
    tuned: saved.tuned,
    effectiveParameters: saved.effectiveParameters ?? null,
    choice: saved.choice === undefined ? null : choiceToTree(saved.choice),
    trainingVariances: saved.trainingVariances ?? null,
    leftOut: saved.leftOut === undefined ? null : leftOutToTree(saved.leftOut),
    conformal: saved.conformal === undefined ? null : calibrationToTree(saved.conformal),
    training: saved.training === undefined ? null : trainingToTree(saved.training),
    notes: saved.notes,
  })
}

/**
 * Reads a file.
 * @throws UntrustedInputError when the bytes are not a posterior
 */
export function readPosterior(bytes: Uint8Array): SavedPosterior {
  const { tree, hasDigest } = readContainer(KIND, bytes)
  const fields = fieldsOf(tree, KIND)
  const notes = textsField(fields, 'notes')
  const saved = {
    options: optionsFrom(fieldsOf(fields['options'], 'options')),
    network: absent(fields['network']) ? undefined : graphFromTree(fields['network']),
    digest: textField(fields, 'digest'),
    curvature: curvatureFromTree(fields['curvature']),
    settings: settingsFrom(fieldsOf(fields['settings'], 'settings')),
    examples: positiveField(fields, 'examples'),
    ...weightedFrom(fields),
    loss: numberField(fields, 'loss'),
    mode: absent(fields['mode']) ? undefined : modeFrom(fieldsOf(fields['mode'], 'mode')),
    tuned: wordField(fields, 'tuned', TUNE_METHODS),
    effectiveParameters: absent(fields['effectiveParameters']) ? undefined : numberField(fields, 'effectiveParameters'),
    choice: absent(fields['choice']) ? undefined : choiceFromTree(fields['choice']),
    trainingVariances: absent(fields['trainingVariances']) ? undefined : arrayField(fields, 'trainingVariances'),
    leftOut: absent(fields['leftOut']) ? undefined : leftOutFromTree(fields['leftOut']),
    conformal: absent(fields['conformal']) ? undefined : calibrationFromTree(fields['conformal']),
    training: trainingFromTree(fields['training']),
    notes: hasDigest || notes.includes(NO_DIGEST_NOTE) ? notes : [...notes, NO_DIGEST_NOTE],
  }
  const { network: graph, ...rest } = exact(fields, KIND, saved, ['labels', 'training', 'weighted'])
  return { ...rest, graph }
}

function optionsFrom(fields: Fields): SavedOptions {
  return exact(fields, 'options', {
    likelihood: wordField(fields, 'likelihood', LIKELIHOODS),
    subset: wordField(fields, 'subset', SUBSETS),
    structure: wordField(fields, 'structure', STRUCTURES),
    curvature: wordField(fields, 'curvature', CURVATURES),
    kfacApprox: wordField(fields, 'kfacApprox', KFAC_APPROXIMATIONS),
    seed: countField(fields, 'seed'),
    precision: wordField(fields, 'precision', PRECISIONS),
    input: textField(fields, 'input') || undefined,
    output: textField(fields, 'output'),
    ...noisesFrom(fields),
    ...(absent(fields['roots']) ? {} : { roots: countField(fields, 'roots') }),
    ...(absent(fields['labelSmoothing']) ? {} : { labelSmoothing: positiveField(fields, 'labelSmoothing') }),
    ...(absent(fields['classWeight']) ? {} : { classWeight: arrayField(fields, 'classWeight') }),
    ...(absent(fields['rank']) ? {} : { rank: positiveField(fields, 'rank') }),
    ...(absent(fields['blocks']) ? {} : { blocks: wordField(fields, 'blocks', BLOCKS) }),
    ...(absent(fields['subnetwork']) ? {} : { subnetwork: arrayField(fields, 'subnetwork') }),
    ...(absent(fields['positions']) ? {} : { positions: wordField(fields, 'positions', POSITIONS) }),
    ...(absent(fields['classAxis']) ? {} : { classAxis: countField(fields, 'classAxis') }),
  }, ['sigmaNoise', 'positions', 'classAxis', 'subnetwork', 'rank', 'blocks', 'roots', 'labelSmoothing', 'classWeight'])
}

function settingsFrom(fields: Fields): PosteriorSettings {
  return exact(fields, 'settings', { priorPrecision: numberOrArray(fields, 'priorPrecision'),
    priorMean: numberOrArray(fields, 'priorMean'), sigmaNoise: positiveField(fields, 'sigmaNoise'),
    temperature: positiveField(fields, 'temperature') })
}

/** @throws UntrustedInputError when they are no noises of a regression */
function noisesFrom(options: Fields): Pick<SavedOptions, 'sigmaNoise'> {
  if (absent(options['sigmaNoise'])) return {}
  if (Array.isArray(options['sigmaNoise']) && options['likelihood'] === 'regression') {
    return { sigmaNoise: listField(options, 'sigmaNoise').map(row => arrayField({ row }, 'row')) }
  }
  const sigmaNoise = arrayField(options, 'sigmaNoise')
  const fits = sigmaNoise.length > 1 && sigmaNoise.every(value => value > 0 && value < Infinity)
  if (fits && options['likelihood'] === 'regression') return { sigmaNoise }
  throw new UntrustedInputError("The file is damaged: 'sigmaNoise' should be positive numbers of a regression.", {
    format: 'container',
    path: 'sigmaNoise',
  })
}

function modeFrom(fields: Fields): EvidenceMode {
  return exact(fields, 'mode', { weights: arrayField(fields, 'weights'), loss: numberField(fields, 'loss') })
}

function asArray(value: number | Float64Array): Tree {
  return typeof value === 'number' ? Float64Array.of(value) : value
}

function numberOrArray(fields: Fields, key: string): number | Float64Array {
  const values = arrayField(fields, key)
  return values.length === 1 ? values[0] : values
}

/** Files of older versions lack fields that newer ones have. */
function absent(tree: Tree | undefined): boolean {
  return tree === null || tree === undefined
}
