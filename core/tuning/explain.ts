/** @file What the training rows say of a network, in sentences for someone who meets the library for the first time. */
import type { Answer } from '../prediction/answer.js'
import type { Choice, HeldOutScores } from './choice.js'
import { isGain } from './gain.js'
import type { Gate } from './gate.js'

/** A weight: to one decimal, so that two of them make 100 %. */
const percent = (share: number): string => `${Number((100 * share).toFixed(1))} %`
const nats = (nll: number): string => nll.toPrecision(3)

/** Below this ratio a network is far surer on rows it has seen than it should be. */
export const FAR_SURER = 0.5
/** What has more than this share is doubted by nothing. */
const NEARLY_ALL = 0.99

/** The sentences of a gate; `rows` is how many rows it comes from. */
export function explainGate(gate: Gate, rows: number): string {
  const { doubt } = gate
  const wrong = doubt === undefined
    ? ''
    : ` In rows left out ${percent(doubt)} of the probability goes to wrong classes.`
  return `${measured(gate, rows)}.${wrong} ${verdictOf(gate)}`
}

/** The sentences of a last layer's gate, whose error rate is that of the network with shuffled weights. */
export function explainLastLayerGate(gate: Gate, rows: number): string {
  const { errorRate } = gate
  const wrong = errorRate === undefined
    ? ''
    : ` The same network with shuffled weights, whose features have learnt none of them by heart, names ${
      percent(errorRate)
    } of the rows left out wrongly.`
  return `${measured(gate, rows)}.${wrong} ${verdictOfLastLayer(gate)}`
}

function measured({ networkNll, leftOutNll }: Gate, rows: number): string {
  return `On the ${rows} training rows the network scores ${nats(networkNll)} nats a label; its linear model, `
    + `which predicts each of these rows without having seen it, ${nats(leftOutNll)} (less is better)`
}

/** What an answer consists of. @param scaled what is said of the network's logits */
function partsOf({ networkWeight, linearWeight, halfwayWeight = 0 }: Omit<Answer, 'link' | 'varianceScale'>,
  scaled = ''): string {
  const halfway = halfwayWeight === 0 ? '' : `, ${percent(halfwayWeight)} halfway between both`
  return `${percent(networkWeight)} the network${scaled}${halfway} and ${percent(linearWeight)} the linear model`
}

function verdictOf(gate: Gate): string {
  const { ratio, doubt, networkWeight, linearWeight } = gate
  const answer = `The answer is ${partsOf(gate)}.`
  if (linearWeight === 1) {
    return 'The network fits rows that it has seen worse than the linear model predicts rows that it has not: it is '
      + 'not trained to the end, or the labels are coded otherwise than in its training. The linear model answers.'
  }
  if (doubt !== undefined && networkWeight > NEARLY_ALL) {
    return `That is so little that nothing speaks against a network that is as sure as this one. ${answer}`
  }
  return ratio < FAR_SURER
    ? 'On rows that it has seen the network is far surer than it should be of rows that it has not: it has learnt much '
      + `of them by heart. ${answer}`
    : `The network is about as sure as it should be: it has not learnt its rows by heart. ${answer}`
}

/** Features that have seen the rows do not tell how much of them was learnt by heart, so that r is not interpreted. */
function verdictOfLastLayer(gate: Gate): string {
  if (gate.errorRate === undefined || gate.linearWeight === 1) return verdictOf(gate)
  const reason = gate.errorRate === 0
    ? 'Nothing speaks against a network that is as sure as this one.'
    : 'Its own features have seen the rows and do not tell how much of them it has learnt by heart, so that it is '
      + 'doubted by how often those are wrong.'
  return `${reason} The answer is ${partsOf(gate)}.`
}

/** What a regression's rows say of noise and mean. */
export interface RegressionFindings {
  /** One an output. */
  readonly sigma: readonly number[]
  /** Whether the noise was given, and only the prior found. */
  readonly given: boolean
  /** How many times larger than by the evidence the standard deviations are, one an output; 1 where noise is given. */
  readonly errorScale: readonly number[]
  /** r: root mean squares of the network's errors on its rows over the linear model's left-out ones. */
  readonly ratio: number
  readonly networkWeight: number
  readonly linearWeight: number
}

/** The sentences of a regression. */
export function explainRegression(
  { sigma, given, errorScale, ratio, networkWeight, linearWeight }: RegressionFindings,
  rows: number,
): string {
  const mean = meanOf(ratio, networkWeight, linearWeight)
  if (given) return `${givenNoise(sigma)} ${mean}`
  const noise = sigma.map(value => value.toPrecision(3)).join(', ')
  const scale = errorScale.map(value => value.toPrecision(3)).join(', ')
  const size = errorScale.every(value => value === 1)
    ? ''
    : ` All standard deviations are ${scale} times what the evidence says: so large are the errors on rows left out, `
      + 'of this network and of the same one with shuffled weights, which has learnt none of them by heart.'
  return `From ${rows} training rows the noise has standard deviation ${noise}${each(sigma)}, by the evidence of the `
    + 'linear model over all weights, which knows how much of the residuals the network could have learnt by heart.'
    + `${size} ${mean}`
}

function givenNoise(sigma: readonly number[]): string {
  return `The noise has standard deviation ${sigma.map(value => value.toPrecision(3)).join(', ')}${each(sigma)}, as it `
    + 'was given.'
}

function meanOf(ratio: number, networkWeight: number, linearWeight: number): string {
  if (linearWeight === 1) {
    return `The network's errors on rows that it has seen are ${ratio.toPrecision(3)} times the linear model's on rows `
      + 'that it has not: it is not trained to the end, or its targets were on another scale. The linear model answers.'
  }
  return networkWeight === linearWeight
    ? 'The mean is halfway between network and linear model.'
    : `The mean is ${percent(networkWeight)} the network's and ${percent(linearWeight)} the linear model's.`
}

/** The sentences of a regression by its last layer, whose noise comes from all weights. */
export function explainNoiseOfAllWeights(sigma: readonly number[], rows: number): string {
  const noise = sigma.map(value => value.toPrecision(3)).join(', ')
  return `From ${rows} training rows the noise has standard deviation ${noise}${
    sigma.length > 1 ? ' (an output each)' : ''
  }, by the leave-one-out residuals `
    + 'of the linear model over all weights: what the last layer alone cannot know counts as noise. The mean is '
    + 'halfway between network and linear model.'
}

/** The sentences of a regression by its last layer; `given`: whether its noise was given. */
export function explainLastLayerRegression(sigma: readonly number[], given: boolean, rows: number): string {
  if (given) return `${givenNoise(sigma)} The mean is halfway between network and linear model.`
  const noise = sigma.map(value => value.toPrecision(3)).join(', ')
  return `From ${rows} training rows the noise has standard deviation ${noise}${each(sigma)}, by the leave-one-out `
    + "residuals of the last layer's linear model. Its features have seen the rows, so that it may still be too small; "
    + 'held-out rows would settle it. The mean is halfway between network and linear model.'
}

function each(sigma: readonly number[]): string {
  return sigma.length > 1 ? ' (an output each)' : ''
}

/** The sentences of a choice by held-out rows: what they say of it, what it is, and the baseline. */
export function explainHeldOut(scores: HeldOutScores, choice: Choice): string {
  const { networkTemperature, delta, s, sigmaNoise } = choice
  const { rows, nll, networkNll } = scores
  const scaled = networkTemperature === undefined
    ? ''
    : ` (its logits divided by ${networkTemperature.toPrecision(3)})`
  const parts = sigmaNoise === undefined
    ? `variance factor ${s}`
    : `noise ${sigmaNoise.map(nats).join(', ')}${each(sigmaNoise)}`
  return `${verdictOfHeldOut(scores)} It is ${partsOf(choice, scaled)}, with prior precision ${
    delta.map(nats).join(', ')
  } and ${parts}. On the ${rows} held-out rows it `
    + `scores ${nats(nll)} nats a label (less is better), the network ${nats(networkNll)}${baselineOf(scores)}.`
}

/** Whether the held-out rows tell a better answer from the one of the training rows. */
function verdictOfHeldOut({ rows, trainingNll, gain, gainError }: HeldOutScores): string {
  if (gain === undefined || gainError === undefined || trainingNll === undefined) {
    return `The answer was chosen with ${rows} held-out rows.`
  }
  if (!isGain({ mean: gain, error: gainError })) {
    const best = gain > 0
      ? `the best found gains ${nats(gain)} nats a label on them, with a standard error of ${nats(gainError)}`
      : 'none that was tried is better on them'
    return `The ${rows} held-out rows do not tell a better answer from the one that the training rows choose (${best}`
      + '), so that one stays.'
  }
  return `The ${rows} held-out rows chose the answer: it gains ${nats(gain)} nats a label, with a standard error of ${
    nats(gainError)
  }, over the one that the training rows alone choose, which scores ${nats(trainingNll)}.`
}

/** The scores of the baselines on the same rows. */
function baselineOf({ temperature, temperatureNll, noiseNll }: HeldOutScores): string {
  if (noiseNll !== undefined) return ` with the same noise, and ${nats(noiseNll)} with the noise that fits them best`
  if (temperature === undefined || temperatureNll === undefined) return ''
  return `, and by temperature scaling, the baseline, ${nats(temperatureNll)} (temperature ${nats(temperature)})`
}
