/** @file What a fit chose and why, in words and numbers. */
import type { Choice, HeldOutScores } from '../../core/tuning/choice.js'
import { formatNumber } from '../../report/numbers.js'
import { pairs, wrap } from './table.js'

const percent = (share: number): string => `${formatNumber(100 * share, 3)} %`

/** Reason and explanation, wrapped to a terminal's width, and the numbers behind them. */
export function choiceText(choice: Choice, columns: number): string {
  const prose = (text: string): string =>
    `${wrap(text, Math.max(40, columns - 2)).map(line => `  ${line}`).join('\n')}\n`
  return `\nWhat was chosen, and why\n\n${prose(choice.reason)}${prose(choice.explanation)}\n${
    pairs(choiceNumbers(choice), columns, '  ')
  }`
}

function choiceNumbers(
  { r, s, delta, sigmaNoise, networkWeight, linearWeight, halfwayWeight = 0, networkNll, leaveOneOutNll, link, heldOut,
    networkTemperature }: Choice,
): (readonly [string, string])[] {
  const list = (values: readonly number[]): string => values.map(value => formatNumber(value)).join(', ')
  return [
    ['Answer',
      `${percent(networkWeight)} network${
        networkTemperature === undefined ? '' : `, its logits divided by ${formatNumber(networkTemperature)}`
      }${halfwayWeight === 0 ? '' : `, ${percent(halfwayWeight)} halfway`}, ${percent(linearWeight)} linear model`],
    ...(r === undefined
      ? []
      : [
        ['r',
          `${formatNumber(r)}: ${
            sigmaNoise === undefined ? 'NLL' : 'error (RMSE)'
          } of the network on its rows over leave-one-out ${sigmaNoise === undefined ? 'NLL' : 'error'}`] as const,
      ]),
    ...(sigmaNoise === undefined
      ? [['s', `${formatNumber(s)}: the factor of the variance in the link ${link}`] as const]
      : [['Noise', `standard deviation ${list(sigmaNoise)}`] as const]),
    ['Prior precision', list(delta)],
    ['Leave-one-out NLL',
      `${formatNumber(leaveOneOutNll)} (the network on rows it has seen: ${formatNumber(networkNll)})`],
    ...(heldOut === undefined ? [] : [['Held-out NLL', heldOutText(heldOut)] as const]),
  ]
}

/** The answer's score beside those of the training rows' answer, the network and the baseline. */
function heldOutText({ rows, nll, networkNll, trainingNll, temperatureNll, noiseNll }: HeldOutScores): string {
  const others = [['training rows alone', trainingNll], ['network', networkNll], ['temperature scaling',
    temperatureNll], ['network with the noise that fits best', noiseNll]] as const
  const list = others.flatMap(([name, score]) => (score === undefined ? [] : [`${name} ${formatNumber(score)}`]))
  return `${formatNumber(nll)} on ${rows} rows (${list.join(', ')})`
}
