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

function initialState(seed: number): Uint32Array {
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
  return state
}

/** The next bits of xoshiro128**, as many as the block has. */
function fillBits(state: Uint32Array, block: Uint32Array): void {
  let [s0, s1, s2, s3] = state
  for (let i = 0; i < block.length; i++) {
    const product = Math.imul(s1, 5)
    block[i] = Math.imul((product << 7) | (product >>> 25), 9)
    const shifted = s1 << 9
    s2 ^= s0
    s3 ^= s1
    s1 ^= s2
    s0 ^= s3
    s2 ^= shifted
    s3 = (s3 << 11) | (s3 >>> 21)
  }
  state.set([s0, s1, s2, s3])
}

/** Random bits made at a time: so many that the state stays in registers, so few that a single draw costs nothing. */
const BLOCK = 256

/** A class, not closures: its draws are compiled into one loop, and take half the time. */
class Xoshiro implements RandomGenerator {
  private readonly state: Uint32Array
  private readonly block = new Uint32Array(BLOCK)
  private next = BLOCK

  constructor(seed: number) {
    this.state = initialState(seed)
  }

  uniform(): number {
    // The high part first: in the other order every seed would give other numbers than it did.
    const high = this.bits() >>> 5
    const low = this.bits() >>> 6
    return (high * 67108864 + low) / 9007199254740992
  }

  normal(): number {
    for (;;) {
      const u = 2 * this.uniform() - 1
      // Bits of its own: with those of u, as in 2000, layers and values would be correlated (Doornik 2005).
      const layer = this.bits() & 127
      if (Math.abs(u) < ratios[layer]) return u * edges[layer]
      if (layer === 0) return this.tail(u < 0)
      const x = u * edges[layer]
      const outer = Math.exp(-0.5 * (edges[layer] * edges[layer] - x * x))
      const inner = Math.exp(-0.5 * (edges[layer + 1] * edges[layer + 1] - x * x))
      if (inner + this.uniform() * (outer - inner) < 1) return x
    }
  }

  fillNormal(out: Float64Array): Float64Array {
    for (let i = 0; i < out.length; i++) out[i] = this.normal()
    return out
  }

  private bits(): number {
    if (this.next === BLOCK) {
      fillBits(this.state, this.block)
      this.next = 0
    }
    return this.block[this.next++]
  }

  private tail(negative: boolean): number {
    for (;;) {
      const x = Math.log(1 - this.uniform()) / TAIL
      const y = Math.log(1 - this.uniform())
      if (-2 * y >= x * x) return negative ? x - TAIL : TAIL - x
    }
  }
}

/**
 * A generator for a seed: a whole number from 0 to 2^53 - 1.
 * @throws OptionError BAD_OPTION when the seed is not such a number
 */
export function randomGenerator(seed: number): RandomGenerator {
  return new Xoshiro(seed)
}
