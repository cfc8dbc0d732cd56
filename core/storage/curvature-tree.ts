/** @file A curvature as a tree of the container, and back. */
import { type Curvature, type DenseBlock, isSum, type KronBlock, type LowRankModel, type PosteriorCurvature,
  type ProcessPart, type SampledCurvature } from '../curvature/curvature.js'
import type { WeightPrior } from '../curvature/scaled-jacobian.js'
import { UntrustedInputError } from '../errors/errors.js'
import { SUM_STRUCTURES } from '../options/words.js'
import { joined } from '../tensor/joined.js'
import type { Tree } from './container.js'
import { amountField, arrayField, countField, countsField, exact, type Fields, fieldsOf, listField, numberField,
  positiveField, realsField, textField, wordField } from './fields.js'
import { outerProductsField, squaresField, symmetricField } from './sum-fields.js'

const KINDS = [...SUM_STRUCTURES, 'ekfac', 'lowrank', 'factored', 'process', 'samples'] as const

/** The tree of a curvature. */
export function curvatureToTree(curvature: PosteriorCurvature): Tree {
  switch (curvature.structure) {
    case 'full':
      return { structure: 'full', size: curvature.size, matrix: curvature.matrix }
    case 'diag':
      return { structure: 'diag', size: curvature.size, diagonal: curvature.diagonal }
    case 'kron':
      return { structure: 'kron', size: curvature.size, blocks: curvature.blocks.map(blockToTree) }
    case 'blockdiag':
      return { structure: 'blockdiag', size: curvature.size, blocks: curvature.blocks.map(block => ({ ...block })) }
    case 'ekfac':
      return { structure: 'ekfac', size: curvature.size, blocks: curvature.blocks.map(blockToTree),
        values: curvature.values }
    case 'factored':
      return { structure: 'factored', of: curvature.of, size: curvature.size, rank: curvature.rank,
        rows: curvature.rows }
    case 'process':
      return { structure: 'process', size: curvature.size,
        parts: curvature.parts.map(({ rank, rows, values }) => ({ rank, rows, values: values ?? null })) }
    case 'samples': {
      const { precision } = curvature
      return { ...curvature, precision: typeof precision === 'number' ? Float64Array.of(precision) : precision,
        density: { ...curvature.density } }
    }
    case 'lowrank':
      return { structure: 'lowrank', size: curvature.size, models: curvature.models.map(model => ({ ...model })),
        ...(curvature.prior === undefined ? {} : { prior: { ...curvature.prior } }) }
  }
}

/**
 * The curvature of a tree.
 * @param empty whether it may be a sum over no rows
 * @throws UntrustedInputError when it is not one, or sizes disagree
 */
export function curvatureFromTree(tree: Tree | undefined, empty = false): PosteriorCurvature {
  const fields = fieldsOf(tree, 'curvature')
  const structure = wordField(fields, 'structure', KINDS)
  const size = countField(fields, 'size')
  switch (structure) {
    case 'full':
      return exact(fields, 'curvature', { structure, size, matrix: symmetricField(fields, 'matrix', size) })
    case 'diag':
      return exact(fields, 'curvature', { structure, size, diagonal: squaresField(fields, 'diagonal', size) })
    case 'kron':
      return exact(fields, 'curvature', { structure, size,
        blocks: listField(fields, 'blocks').map(block => blockFrom(fieldsOf(block, 'blocks'), empty)) })
    case 'blockdiag':
      return exact(fields, 'curvature', { structure, size,
        blocks: listField(fields, 'blocks').map(block => denseBlockFrom(fieldsOf(block, 'blocks'))) })
    case 'ekfac':
      return exact(fields, 'curvature', { structure, size, values: squaresField(fields, 'values', size),
        blocks: listField(fields, 'blocks').map(block => blockFrom(fieldsOf(block, 'blocks'), false)) })
    case 'factored': {
      const rank = countField(fields, 'rank')
      return exact(fields, 'curvature', { structure, of: wordField(fields, 'of', ['functional', 'lowrank'] as const),
        size, rank, rows: arrayField(fields, 'rows', rank * size) })
    }
    case 'process': {
      const parts = listField(fields, 'parts').map(part => partFrom(fieldsOf(part, 'parts'), size))
      if (parts.length > 0) return exact(fields, 'curvature', { structure, size, parts })
      throw new UntrustedInputError("The file is damaged: 'parts' is empty.", { format: 'container', path: 'parts' })
    }
    case 'samples':
      return sampledFrom(fields, size)
    case 'lowrank':
      return exact(fields, 'curvature', { structure, size,
        models: listField(fields, 'models').map(model => modelFrom(fieldsOf(model, 'models'), size)),
        ...(fields['prior'] === undefined ? {} : { prior: priorFrom(fieldsOf(fields['prior'], 'prior'), size) }) })
  }
}

function sampledFrom(fields: Fields, size: number): SampledCurvature {
  const count = countField(fields, 'count')
  const precision = arrayField(fields, 'precision')
  const own = fieldsOf(fields['density'], 'density')
  const values = arrayField(own, 'values')
  const density = exact(own, 'density', { values, multiplicities: arrayField(own, 'multiplicities', values.length) })
  const bad = [...precision, count].some(value => !(value > 0))
    || [density.values, density.multiplicities].some(each => each.some(value => value < 0))
  if (bad) throw damaged('samples', 'has a number that is negative, or 0')
  return exact(fields, 'curvature', { structure: 'samples', size, count, rows: realsField(fields, 'rows', count * size),
    precision: precision.length === 1 ? precision[0] : precision, factor: positiveField(fields, 'factor'), density })
}

function denseBlockFrom(fields: Fields): DenseBlock {
  const matrix = arrayField(fields, 'matrix')
  const size = Math.round(Math.sqrt(matrix.length))
  return exact(fields, 'blocks', { slots: countsField(fields, 'slots'),
    matrix: symmetricField(fields, 'matrix', size) })
}

/** Groups are written as one block, whose arrays are theirs one after another. */
function blockToTree(block: KronBlock): Record<string, Tree> {
  if (block.kind !== 'grouped') return { ...block }
  const { kind, name, parts } = block
  const weights = parts.flatMap(part => (part.kind === 'weight' ? [part] : []))
  const dense = parts.flatMap(part => (part.kind === 'diagonal' || part.kind === 'grouped' ? [] : [part]))
  const [{ out }] = dense
  const own = { kind, name, groups: parts.length, out, B: joined(dense.map(({ B }) => B)) }
  if (weights.length === 0) return { ...own, of: 'dense' }
  return { ...own, of: 'weight', in: weights[0].in, A: joined(weights.map(({ A }) => A)),
    rows: Float64Array.from(weights, ({ rows }) => rows) }
}

function blockFrom(fields: Fields, empty: boolean): KronBlock {
  const kind = wordField(fields, 'kind', ['weight', 'dense', 'diagonal', 'grouped'] as const)
  const name = textField(fields, 'name')
  if (kind === 'diagonal') return exact(fields, name, { kind, name, diagonal: squaresField(fields, 'diagonal') })
  const out = countField(fields, 'out')
  if (kind === 'grouped') return groupedFrom(fields, name, out, empty)
  const B = outerProductsField(fields, 'B', out)
  if (kind === 'dense') return exact(fields, name, { kind, name, out, B })
  const inputs = countField(fields, 'in')
  return exact(fields, name, { kind, name, out, in: inputs, B, A: outerProductsField(fields, 'A', inputs),
    rows: empty ? amountField(fields, 'rows') : positiveField(fields, 'rows') })
}

function groupedFrom(fields: Fields, name: string, out: number, empty: boolean): KronBlock {
  const kind = 'grouped'
  const of = wordField(fields, 'of', ['weight', 'dense'] as const)
  const groups = countField(fields, 'groups')
  const B = outerProductsField(fields, 'B', out, groups)
  if (B.length === 0) throw damaged(name, 'has no groups')
  const part = (values: Float64Array, group: number): Float64Array =>
    values.slice(group * values.length / groups, (group + 1) * values.length / groups)
  const indices = Array.from({ length: groups }, (_, group) => group)
  if (of === 'dense') {
    exact(fields, name, { kind, name, of, groups, out, B })
    return { kind, name, parts: indices.map(group => ({ kind: of, name, out, B: part(B, group) })) }
  }
  const inputs = countField(fields, 'in')
  const A = outerProductsField(fields, 'A', inputs, groups)
  const rows = arrayField(fields, 'rows', groups)
  if (rows.some(count => count < 0 || (count === 0 && !empty))) throw damaged(name, 'counts no rows')
  exact(fields, name, { kind, name, of, groups, out, in: inputs, B, A, rows })
  return { kind, name,
    parts: indices.map(group => ({ kind: of, name, out, in: inputs, B: part(B, group), A: part(A, group),
      rows: rows[group] })
    ) }
}

function damaged(name: string, fault: string): UntrustedInputError {
  return new UntrustedInputError(`The file is damaged: the curvature of '${name.slice(0, 200)}' ${fault}.`, {
    format: 'container',
    path: 'blocks',
  })
}

function partFrom(fields: Fields, size: number): ProcessPart {
  const rank = countField(fields, 'rank')
  return exact(fields, 'parts', { rank, rows: arrayField(fields, 'rows', rank * size),
    ...(fields['values'] === null ? {} : { values: arrayField(fields, 'values', rank) }) }, ['values'])
}

function priorFrom(fields: Fields, size: number): WeightPrior {
  const scale = arrayField(fields, 'scale', size)
  if (scale.every(value => value > 0)) return exact(fields, 'prior', { mean: arrayField(fields, 'mean', size), scale })
  throw new UntrustedInputError("The file is damaged: 'prior.scale' has a number that is not positive.", {
    format: 'container',
    path: 'prior.scale',
  })
}

function modelFrom(fields: Fields, size: number): LowRankModel {
  const rank = countField(fields, 'rank')
  return exact(fields, 'models', {
    outputs: countsField(fields, 'outputs'),
    delta: positiveField(fields, 'delta'),
    sigma: positiveField(fields, 'sigma'),
    weights: arrayField(fields, 'weights', size),
    rank,
    rows: arrayField(fields, 'rows', rank * size),
    logDetRatio: numberField(fields, 'logDetRatio'),
    effectiveParameters: numberField(fields, 'effectiveParameters'),
    evidence: numberField(fields, 'evidence'),
  })
}

/** The curvature of a tree that is a sum over data. @throws UntrustedInputError also for that of a linear model */
export function sumFromTree(tree: Tree | undefined, empty = false): Curvature {
  const curvature = curvatureFromTree(tree, empty)
  if (isSum(curvature)) return curvature
  throw new UntrustedInputError('The file is damaged: a low-rank posterior is no sum over data.', { format: 'container',
    path: 'curvature' })
}
