/**
 * @file Mutated real files: every one ends in a result or in an error of ours, quickly. About ten seconds here; longer
 * by hand: `POLYLAPLACE_FUZZ_SECONDS=600 npx tap test/adapters/fuzz.test.ts`. A failure prints the seed that repeats it
 * (`POLYLAPLACE_FUZZ_SEED`).
 */
import { inflateRawSync } from 'node:zlib'
import t from 'tap'
import { readFluxTensors } from '../../adapters/flux/index.js'
import { readKeras } from '../../adapters/keras/index.js'
import { readOnnx, readOnnxTensors } from '../../adapters/onnx/index.js'
import { readPyTorchTensors } from '../../adapters/pytorch/index.js'
import { readSafetensorsTensors } from '../../adapters/safetensors/index.js'
import { crc32 } from '../../adapters/zip/index.js'
import { LaplaceError } from '../../core/errors/errors.js'
import { fixture } from '../support/fixture.js'
import { fastest, HANG, stopwatch } from '../support/time-limits.js'
import { chain, dense, file, numbers as juliaNumbers } from './flux/julia-writer.js'

const SECONDS = Number(process.env['POLYLAPLACE_FUZZ_SECONDS'] ?? 10)
const SEED = Number(process.env['POLYLAPLACE_FUZZ_SEED'] ?? 20)
/**
 * One file may take this long on the processor, the collector's threads and a slow machine included: far more than any
 * of these needs.
 */
const MOST_MILLISECONDS = 3000
const LEAST_ROUNDS = 100

const inflate = (bytes: Uint8Array, most: number): Uint8Array =>
  inflateRawSync(bytes, { maxOutputLength: Math.max(most, 1) })

interface Target {
  readonly name: string
  readonly seeds: readonly Uint8Array[]
  readonly read: (bytes: Uint8Array) => unknown
}

const random = juliaNumbers(1)
const targets: readonly Target[] = [
  // Checksums would hide what is behind them: one of the two readers is told that every checksum is right.
  { name: 'PyTorch', seeds: ['regression-1d', 'binary', 'sequence'].map(name => fixture(`cases/${name}/model.pt`)),
    read: bytes => readPyTorchTensors(bytes, { zip: { inflate } }) },
  { name: 'PyTorch, with checksums made to fit', seeds: [fixture('cases/regression-1d/model.pt')],
    read: bytes => readPyTorchTensors(withChecksums(bytes), { zip: { inflate } }) },
  { name: 'safetensors',
    seeds: ['regression-1d', 'binary', 'sequence'].map(name => fixture(`cases/${name}/model.safetensors`)),
    read: bytes => readSafetensorsTensors(bytes) },
  { name: 'ONNX', seeds: ['regression-1d', 'cnn', 'sequence'].map(name => fixture(`cases/${name}/model.onnx`)),
    read: bytes => {
      readOnnxTensors(bytes)
      readOnnx(bytes)
    } },
  { name: 'Flux', seeds: [file({ model: chain(dense(3, 2, random(6), random(3)), dense(1, 3, random(3), random(1))) })],
    read: bytes => readFluxTensors(bytes) },
  { name: 'Keras .h5', seeds: ['perceptron', 'recurrent'].map(name => fixture(`keras/${name}.h5`)),
    read: bytes => readKeras(bytes) },
  { name: 'Keras .keras', seeds: ['perceptron'].map(name => fixture(`keras/${name}.keras`)),
    read: bytes => readKeras(withChecksums(bytes)) },
]

/** Writes the right checksum into each header of a zip archive, as far as it can still be followed. */
function withChecksums(bytes: Uint8Array): Uint8Array {
  const fixed = bytes.slice()
  const view = new DataView(fixed.buffer)
  for (let at = 0; at + 46 <= fixed.length; at++) {
    if (fixed[at] !== 0x50 || view.getUint32(at, true) !== 0x02014B50) continue
    const header = view.getUint32(at + 42, true)
    if (header + 30 > fixed.length) continue
    const start = header + 30 + view.getUint16(header + 26, true) + view.getUint16(header + 28, true)
    const end = start + view.getUint32(at + 20, true)
    const sum = crc32(fixed.subarray(start, end))
    view.setUint32(at + 16, sum, true)
    if ((view.getUint16(header + 6, true) & 8) === 0) view.setUint32(header + 14, sum, true)
    else if (end + 8 <= fixed.length) view.setUint32(end + 4, sum, true)
  }
  return fixed
}

/** Numbers below a bound, the same for the same seed. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0
  return below => {
    state = (state + 0x6D2B79F5) >>> 0
    let z = Math.imul(state ^ (state >>> 15), state | 1)
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61)
    return Math.floor(((z ^ (z >>> 14)) >>> 0) / 2 ** 32 * below)
  }
}

const EDGES = [0, 1, 0x7F, 0x80, 0xFF]

/** One to four changes: bytes, edge values of 4 and 8 bytes, parts removed, doubled, exchanged. */
function mutate(seed: Uint8Array, next: (below: number) => number): Uint8Array {
  let bytes = seed.slice()
  // Files have most of their structure at the ends.
  const place = (): number => (next(3) === 0
    ? Math.min(bytes.length - 1, next(256))
    : next(3) === 0
    ? Math.max(0, bytes.length - 1 - next(512))
    : next(bytes.length))
  for (let change = next(4); change >= 0 && bytes.length > 16; change--) {
    const at = place()
    const length = 1 + next(16)
    switch (next(7)) {
      case 0:
        bytes[at] = next(256)
        break
      case 1:
        bytes[at] ^= 1 << next(8)
        break
      case 2:
        bytes.fill(EDGES[next(EDGES.length)], at, at + [1, 2, 4, 8][next(4)])
        break
      case 3:
        bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + length)])
        break
      case 4:
        bytes = Uint8Array.from([...bytes.subarray(0, at + length), ...bytes.subarray(at)])
        break
      case 5:
        bytes.copyWithin(place(), at, at + length)
        break
      case 6:
        bytes = bytes.slice(0, next(8) === 0 ? at : bytes.length)
        break
    }
  }
  return bytes
}

/** What is thrown, or nothing. */
async function failureOf(run: () => unknown): Promise<unknown> {
  try {
    await run()
    return undefined
  } catch (error) {
    return error
  }
}

for (const target of targets) {
  t.test(`${target.name}`, { timeout: 1000 * SECONDS + HANG }, async t => {
    const until = performance.now() + 1000 * SECONDS / targets.length
    let [round, refused] = [0, 0]
    // What is loaded and compiled at the first file is not counted.
    await target.read(target.seeds[0])
    // A machine that is busy still tries some.
    for (; round < LEAST_ROUNDS || performance.now() < until; round++) {
      const next = generator(SEED * 1_000_003 + round)
      const bytes = mutate(target.seeds[next(target.seeds.length)], next)
      let failure: unknown
      const took = await fastest(MOST_MILLISECONDS, async () => {
        const elapsed = stopwatch()
        failure = await failureOf(() => target.read(bytes))
        return elapsed()
      }, 3)
      if (failure !== undefined) refused++
      const untyped = failure !== undefined && (!(failure instanceof LaplaceError) || failure.code === 'INTERNAL')
      if (untyped || took >= MOST_MILLISECONDS) {
        const what = failure instanceof Error ? failure.stack : String(failure)
        t.fail(`POLYLAPLACE_FUZZ_SEED=${SEED}, round ${round}, ${took} ms: ${what}`)
        return
      }
    }
    t.ok(refused > round / 10, `${refused} of ${round} files are refused, the others read`)
    t.notOk('x' in {}, 'the prototype of objects is as before')
    t.same(Object.keys(Object.prototype), [])
  })
}
