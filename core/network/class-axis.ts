/**
 * @file Which axis of a network's output holds the classes (or the outputs of a regression), and which ones its
 * positions: tokens, pixels, times. The labels say it where they fit one axis only, else the head of the network, else
 * the option classAxis.
 */
import { demand } from '../errors/demand.js'
import { GraphError, OptionError } from '../errors/errors.js'
import { shown } from '../errors/shown.js'
import type { OutputLayout } from '../likelihood/output-layout.js'
import { plainLayout } from '../likelihood/output-layout.js'
import type { Likelihood, Positions } from '../options/words.js'
import { formatShape, sizeOf } from '../tensor/tensor.js'

/** What may be chosen of a network whose outputs have several axes. */
export interface PositionsChoice {
  /** The axis of the outputs, counted with the examples as axis 0; from the end where it is negative. */
  readonly classAxis?: number | undefined
  /** Which position answers: each (the default), the first, the last, or the mean of all. */
  readonly positions?: Positions | undefined
}

/** The outputs of one example as the network has them. */
export interface OutputAxes {
  readonly shape: readonly number[]
  /** The axis along which the features of the network's head lie, counted from 1, where it is known. */
  readonly head: number | undefined
}

/**
 * The layout of a network's outputs. Axes of one element hold nothing, so that outputs along one axis alone are one
 * term; but a head whose single output stands on such an axis has positions along the other.
 * @throws OptionError BAD_OPTION for an axis that is not there
 */
export function layoutOf(axes: OutputAxes, likelihood: Likelihood | undefined, choice: PositionsChoice): OutputLayout {
  const { shape, head } = axes
  const size = sizeOf(shape)
  const given = choice.classAxis === undefined ? undefined : checkedAxis(choice.classAxis, shape)
  const long = shape.filter(extent => extent !== 1).length
  if (long >= 2 || choice.positions === 'each') {
    const axis = given ?? (likelihood === 'binary' ? singleAxis(axes) : head ?? usualAxis(shape))
    return withAxis(shape, axis)
  }
  const axis = given ?? (likelihood === 'binary' ? singleAxis(axes) : head)
  const single = shape.length > 1 && size > 1 && axis !== undefined && shape[axis - 1] === 1
  return single ? withAxis(shape, axis) : plainLayout(size)
}

/** Sequences have their outputs last, images first; a vector, asked for each of its positions, has one at each. */
function usualAxis(shape: readonly number[]): number | undefined {
  if (shape.length < 2) return undefined
  const [usual, other] = shape.length === 2 ? [2, 1] : [1, shape.length]
  return shape[usual - 1] === 1 ? other : usual
}

/** An axis of one element: that of the head, else the first. */
function singleAxis({ shape, head }: OutputAxes): number | undefined {
  if (head !== undefined && shape[head - 1] === 1 && shape.length > 1) return head
  const axis = shape.length > 1 ? shape.indexOf(1) : -1
  return axis < 0 ? undefined : axis + 1
}

function withAxis(shape: readonly number[], axis: number | undefined): OutputLayout {
  return axis === undefined
    ? { outputs: 1, positions: shape, classAxis: undefined }
    : { outputs: shape[axis - 1], positions: shape.filter((_, i) => i !== axis - 1), classAxis: axis }
}

function checkedAxis(classAxis: number, shape: readonly number[]): number {
  const rank = shape.length + 1
  demand(Number.isInteger(classAxis), 'Option classAxis', 'the number of an axis', classAxis)
  const axis = classAxis < 0 ? classAxis + rank : classAxis
  if (Number.isInteger(axis) && axis >= 1 && axis < rank) return axis
  throw new OptionError('BAD_OPTION',
    `Option classAxis is the axis of the network's output that holds its classes or outputs, 1 to ${rank - 1} ` +
      `(axis 0 holds the examples); the output is ${described(shape)}; got ${shown(classAxis)}.`, { option: 'classAxis',
    value: classAxis, allowed: Array.from({ length: rank - 1 }, (_, i) => i + 1) })
}

/**
 * The class axis that labels of a shape fit; the given one where they say nothing.
 * @param labels the shape of one row's labels
 * @throws GraphError AMBIGUOUS_NETWORK where they fit several axes, and the head is none of them
 */
export function axisByLabels({ shape, head }: OutputAxes, likelihood: Likelihood, labels: readonly number[],
  classAxis: number | undefined): number | undefined {
  if (likelihood !== 'classification') return classAxis
  const wanted = withoutOnes(labels)
  const fits = shape.flatMap((extent, i) =>
    extent > 1 && withoutOnes(shape.filter((_, axis) => axis !== i)) === wanted ? [i + 1] : []
  )
  if (fits.length === 0) return classAxis
  if (fits.length === 1) return fits[0]
  if (head !== undefined && fits.includes(head)) return head
  throw new GraphError('AMBIGUOUS_NETWORK',
    `The network's output is ${described(shape)}, and labels of ${formatShape(['N', ...labels])} fit classes on ` +
      `axis ${fits.join(' or ')}: say which it is (option classAxis; torch has images and signals on axis 1, and ` +
      'sequences on the last).', { option: 'classAxis', allowed: fits })
}

function withoutOnes(shape: readonly number[]): string {
  return shape.filter(extent => extent !== 1).join()
}

/** Says what is taken for positions and what for classes. */
export function positionsNote({ outputs, positions, classAxis }: OutputLayout, shape: readonly number[],
  likelihood: Likelihood): string {
  const what = likelihood === 'classification' ? 'classes' : outputs === 1 ? 'output' : 'outputs'
  const axis = classAxis === undefined ? '' : ` on axis ${classAxis}`
  return `The network answers at ${formatShape(positions)} positions of every example with ${outputs} ${what}${axis} ` +
    `(its output is ${described(shape)}): every position is a term of the likelihood.`
}

function described(shape: readonly number[]): string {
  return formatShape(['N', ...shape])
}
