/**
 * @file Seeded random numbers, the same bytes on every machine and in every language.
 *
 * Generator: xoshiro128** 1.1 (Blackman and Vigna), its state filled by splitmix32 from the seed. Normal deviates: the
 * ziggurat of Marsaglia and Tsang (2000) with 128 layers in Doornik's (2005) form, on 53-bit uniforms.
 */
import { OptionError } from '../errors/errors.js'
import { shown } from '../errors/shown.js'

/** A stream of random numbers; every call moves it on. */
export interface RandomGenerator {
  /** Uniform in [0, 1) with 53 random bits. */
  uniform(): number
  /** Standard normal. */
  normal(): number
  /** Fills an array with standard normals. */
  fillNormal(out: Float64Array): Float64Array
}

const LAYERS = 128
// Both belong to 128 layers: changed alone they would give numbers that look normal and have wrong tails.
const TAIL = 3.442619855899
const LAYER_AREA = 9.91256303526217e-3

const edges = new Float64Array(LAYERS + 1)
const ratios = new Float64Array(LAYERS)
fillZiggurat()

function fillZiggurat(): void {
  let height = Math.exp(-0.5 * TAIL * TAIL)
  edges[0] = LAYER_AREA / height
  edges[1] = TAIL
  for (let i = 2; i < LAYERS; i++) {
    edges[i] = Math.sqrt(-2 * Math.log(LAYER_AREA / edges[i - 1] + height))
    height = Math.exp(-0.5 * edges[i] * edges[i])
  }
  for (let i = 0; i < LAYERS; i++) ratios[i] = edges[i + 1] / edges[i]
}

/** 32 random bits at each call. @throws OptionError BAD_OPTION unless the seed is a whole number from 0 to 2^53 - 1 */
function randomBits(seed: number): () => number {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new OptionError('BAD_OPTION', `Option seed must be a whole number from 0 to 2^53 - 1; got ${shown(seed)}.`, {
      option: 'seed',
      value: seed,
    })
  }
  const state = new Uint32Array(4)
  let mix = (seed ^ Math.imul(Math.floor(seed / 2 ** 32), 0x9e3779b1)) >>> 0
  for (let i = 0; i < 4; i++) {
    mix = (mix + 0x9e3779b9) >>> 0
    let z = mix
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
    state[i] = (z ^ (z >>> 15)) >>> 0
  }
  let [s0, s1, s2, s3] = state

  return () => {
    const product = Math.imul(s1, 5)
    const result = Math.imul((product << 7) | (product >>> 25), 9)
    const shifted = s1 << 9
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= shifted
    s3 = (s3 << 11) | (s3 >>> 21)
    return result >>> 0
  }
}

/**
 * A generator for a seed: a whole number from 0 to 2^53 - 1.
 * @throws OptionError BAD_OPTION when the seed is not such a number
 */
export function randomGenerator(seed: number): RandomGenerator {
  const bits = randomBits(seed)
  const uniform = (): number => {
    // The high part first: in the other order every seed would give other numbers than it did.
    const high = bits() >>> 5
    const low = bits() >>> 6
    return (high * 67108864 + low) / 9007199254740992
  }
  const tail = (negative: boolean): number => {
    for (;;) {
      const x = Math.log(1 - uniform()) / TAIL
      const y = Math.log(1 - uniform())
      if (-2 * y >= x * x) return negative ? x - TAIL : TAIL - x
    }
  }
  const normal = (): number => {
    for (;;) {
      const u = 2 * uniform() - 1
      // Bits of its own: with those of u, as in 2000, layers and values would be correlated (Doornik 2005).
      const layer = bits() & 127
      if (Math.abs(u) < ratios[layer]) return u * edges[layer]
      if (layer === 0) return tail(u < 0)
      const x = u * edges[layer]
      const outer = Math.exp(-0.5 * (edges[layer] * edges[layer] - x * x))
      const inner = Math.exp(-0.5 * (edges[layer + 1] * edges[layer + 1] - x * x))
      if (inner + uniform() * (outer - inner) < 1) return x
    }
  }
  return {
    uniform,
    normal,
    fillNormal: out => {
      for (let i = 0; i < out.length; i++) out[i] = normal()
      return out
    },
  }
}
