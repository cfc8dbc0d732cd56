/** @file What a fit chose, as a tree of the container, and back. */
import { LINKS, STRUCTURES, SUBSETS } from '../options/words.js'
import { type Choice, type HeldOutScores, type LeaveOneOutScore, plainScores } from '../tuning/choice.js'
import type { Tree } from './container.js'
import { countField, exact, type Fields, fieldsOf, listField, numberField, textField, wordField } from './fields.js'

/** The tree of a choice. */
export function choiceToTree(
  { r, sigmaNoise, leaveOneOut, delta, networkTemperature, halfwayWeight, halfwayScale, heldOut, ...choice }: Choice,
): Tree {
  return { ...choice, delta: Float64Array.from(delta), r: r ?? null,
    sigmaNoise: sigmaNoise === undefined ? null : Float64Array.from(sigmaNoise),
    leaveOneOut: leaveOneOut.map(({ scale, nll }) => ({ scale, nll })), networkTemperature: networkTemperature ?? null,
    halfwayWeight: halfwayWeight ?? null, halfwayScale: halfwayScale ?? null, heldOut: heldOut === undefined
      ? null
      : plainScores(heldOut) }
}

/** The choice of a tree. @throws UntrustedInputError when it is not one */
export function choiceFromTree(tree: Tree | undefined): Choice {
  const fields = fieldsOf(tree, 'choice')
  return exact(fields, 'choice', {
    subset: wordField(fields, 'subset', SUBSETS),
    structure: wordField(fields, 'structure', STRUCTURES),
    link: wordField(fields, 'link', LINKS),
    varianceScale: numberField(fields, 'varianceScale'),
    networkWeight: numberField(fields, 'networkWeight'),
    linearWeight: numberField(fields, 'linearWeight'),
    reason: textField(fields, 'reason'),
    explanation: textField(fields, 'explanation'),
    delta: numbersOf(fields, 'delta') ?? [],
    sigmaNoise: numbersOf(fields, 'sigmaNoise'),
    r: fields['r'] === null ? undefined : numberField(fields, 'r'),
    s: numberField(fields, 's'),
    networkNll: numberField(fields, 'networkNll'),
    leaveOneOutNll: numberField(fields, 'leaveOneOutNll'),
    leaveOneOut: listField(fields, 'leaveOneOut').map(item => scoreFrom(fieldsOf(item, 'leaveOneOut'))),
    rows: countField(fields, 'rows'),
    networkTemperature: optionalNumber(fields, 'networkTemperature'),
    halfwayWeight: optionalNumber(fields, 'halfwayWeight'),
    halfwayScale: optionalNumber(fields, 'halfwayScale'),
    heldOut: absent(fields['heldOut']) ? undefined : heldOutFrom(fieldsOf(fields['heldOut'], 'heldOut')),
  })
}

function heldOutFrom(fields: Fields): HeldOutScores {
  return exact(fields, 'heldOut', { rows: countField(fields, 'rows'), nll: numberField(fields, 'nll'),
    networkNll: numberField(fields, 'networkNll'), trainingNll: optionalNumber(fields, 'trainingNll'),
    gain: optionalNumber(fields, 'gain'), gainError: optionalNumber(fields, 'gainError'),
    temperature: optionalNumber(fields, 'temperature'), temperatureNll: optionalNumber(fields, 'temperatureNll'),
    noiseNll: optionalNumber(fields, 'noiseNll') })
}

/** Files of older versions lack fields that newer ones have. */
function absent(value: Tree | undefined): boolean {
  return value === null || value === undefined
}

function optionalNumber(fields: Fields, key: string): number | undefined {
  return absent(fields[key]) ? undefined : numberField(fields, key)
}

function scoreFrom(fields: Fields): LeaveOneOutScore {
  return exact(fields, 'leaveOneOut', { scale: numberField(fields, 'scale'), nll: numberField(fields, 'nll') })
}

function numbersOf(fields: Fields, key: string): number[] | undefined {
  const value = fields[key]
  return value instanceof Float64Array ? Array.from(value) : undefined
}
