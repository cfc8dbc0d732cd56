// Fuzzing: mutated files of every reader, frames of the protocol, posteriors and partial fits. Every one must end in a
// result or in an error of ours, within a second of the processor's time.
//
//   npm run fuzz -- --seconds 60              about as long in all
//   npm run fuzz -- --inputs 1000000          as many inputs
//   npm run fuzz -- --seed 7 --target ONNX    what a failure prints, to repeat it; --round N for one input
//   npm run fuzz -- --inputs 30000 --keep DIR keeps what was accepted; test/peers/compare_kept.py DIR compares it with
//                                             what torch, safetensors, onnx and bson of Python read
//
// Prints a table, and one line for each failure with the seed and the round that make it again.
import { build } from 'esbuild'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { inflateRawSync } from 'node:zlib'
import { readFlux, readFluxTensors, readJld2Tensors } from '../dist/adapters/flux/index.js'
import { readKeras } from '../dist/adapters/keras/index.js'
import { describeFile, readNetwork } from '../dist/adapters/network/index.js'
import { readOnnx, readOnnxTensors } from '../dist/adapters/onnx/index.js'
import { readPyTorchTensors } from '../dist/adapters/pytorch/index.js'
import { readSafetensorsTensors } from '../dist/adapters/safetensors/index.js'
import { LaplaceError } from '../dist/core/errors/errors.js'
import { laplace } from '../dist/core/laplace/laplace.js'
import { loadPosterior } from '../dist/core/laplace/load-posterior.js'
import { readPartialFit, writePartialFit } from '../dist/core/storage/partial-fit-file.js'
import { randomGenerator } from '../dist/core/tensor/random.js'
import { tensor } from '../dist/core/tensor/tensor.js'
import { READING_FUNCTIONS } from '../dist/node/files/reading-functions.js'
import '../dist/node/runtime/runtime.js'
import { decodeMessage } from '../dist/protocol/frames/decode.js'
import { encodeFrame } from '../dist/protocol/frames/encode.js'

const { values: options } = parseArgs({
  options: { seconds: { type: 'string' }, inputs: { type: 'string' }, seed: { type: 'string', default: '1' },
    target: { type: 'string' }, round: { type: 'string' }, keep: { type: 'string' } },
})
const seed = Number(options.seed)
const MOST_MILLISECONDS = 1000
/** The library of HDF5 can be made to run for ever; the thread that it has for itself is ended after 5 s. */
const MOST_MILLISECONDS_OF_HDF5 = 8000
/** An input that takes longer ends the fuzzing: nothing would come after it. */
const HANGING_MILLISECONDS = 60_000

const file = path => new Uint8Array(readFileSync(new URL(`../test/fixtures/${path}`, import.meta.url)))
const files = (...paths) => paths.map(file)
const inflate = (bytes, most) => inflateRawSync(bytes, { maxOutputLength: Math.max(most, 1) })

const [posteriors, partials] = await savedFiles()
const fluxFiles = await writtenByJulia()
const cases = ['regression-1d', 'binary', 'sequence']

/** Where the reader of a checksum or a digest would hide what is behind it, that is made to fit after the mutation. */
const TARGETS = [
  { name: 'PyTorch', seeds: files(...cases.map(name => `cases/${name}/model.pt`)),
    read: bytes => readPyTorchTensors(bytes, { zip: { inflate, crc32: undefined } }) },
  { name: 'safetensors', seeds: files(...cases.map(name => `cases/${name}/model.safetensors`)),
    read: readSafetensorsTensors },
  { name: 'ONNX', seeds: files(...['regression-1d', 'cnn', 'sequence'].map(name => `cases/${name}/model.onnx`)),
    read: bytes => [readOnnxTensors(bytes), readOnnx(bytes)] },
  { name: 'Flux', seeds: [...fluxFiles, file('attacks/tag-is-dict.bson')],
    read: bytes => [readFluxTensors(bytes), readFlux(bytes)] },
  { name: 'JLD2', seeds: files('flux/state.jld2'), read: readJld2Tensors },
  // Each of these has a thread of its own, which takes as long as a thousand others.
  { name: 'Keras', seeds: files('keras/perceptron.h5', 'keras/perceptron.keras'),
    read: bytes => readKeras(bytes, READING_FUNCTIONS), share: 0.8, inputShare: 0.005,
    most: MOST_MILLISECONDS_OF_HDF5 },
  { name: 'any format',
    seeds: [...files('cases/binary/model.onnx', 'cases/binary/model.safetensors', 'cases/binary/model.pt'),
      ...fluxFiles],
    read: async bytes => [await describeFile(bytes), await readNetwork(bytes, { activation: 'tanh' })] },
  { name: 'posterior', seeds: posteriors, read: bytes => loadPosterior(bytes), refused: true },
  { name: 'partial fit', seeds: partials, read: readPartialFit, refused: true },
  { name: 'posterior of 0.1.0',
    seeds: files(...['kron', 'full', 'diag'].map(name => `posteriors-0.1.0/${name}.posterior`)),
    read: bytes => loadPosterior(bytes) },
  { name: 'partial fit of 0.1.0',
    seeds: files(...['kron', 'full', 'diag'].map(name => `posteriors-0.1.0/${name}.partial`)), read: readPartialFit },
  { name: 'frame of the protocol', seeds: frames(), read: decodeMessage },
]

async function savedFiles() {
  const graph = readOnnx(file('cases/binary/model.onnx'))
  const data = JSON.parse(new TextDecoder().decode(file('cases/binary/data.json')))
  const array = ({ shape, data: numbers }) => tensor('float64', shape, numbers)
  const made = [[], []]
  for (const structure of ['kron', 'diag']) {
    const prepared = laplace(graph, { likelihood: 'binary', subset: 'last_layer', structure })
    made[0].push((await prepared.fit(array(data.x), array(data.y))).save())
    made[1].push(writePartialFit(await prepared.fitPartial(array(data.x), array(data.y))))
  }
  return made
}

/** Small networks as BSON.jl writes them; the writer is that of the reader's tests. */
async function writtenByJulia() {
  const { outputFiles } = await build({ bundle: true, write: false, format: 'esm', platform: 'node',
    entryPoints: [fileURLToPath(new URL('../test/adapters/flux/julia-writer.ts', import.meta.url))] })
  const source = Buffer.from(outputFiles[0].contents).toString('base64')
  const { chain, dense, file: fileOf, numbers } = await import(`data:text/javascript;base64,${source}`)
  const random = numbers(1)
  return [fileOf({ model: chain(dense(3, 2, random(6), random(3)), dense(1, 3, random(3), random(1))) })]
}

function frames() {
  const messages = [{ id: 1, method: 'hello', params: { versions: [1], client: 'fuzz' } }, { id: 2,
    method: 'readNetwork', params: { bytes: new Uint8Array(64), hints: { activation: 'relu' } } }, { id: 3,
    method: 'fit', params: { x: { dtype: 'float64', shape: [2, 1], data: new Uint8Array(16) }, y: [1, 2] } }]
  return messages.map(message => encodeFrame(message).slice(4))
}

/** Numbers below a bound, the same for the same seed. */
function generator(start) {
  const random = randomGenerator(start >>> 0)
  return below => Math.floor(random.uniform() * below)
}

const EDGES = [0, 1, 0x7F, 0x80, 0xFF]

/** One to four changes: bits, bytes, edge values, parts removed, doubled, exchanged, the end cut off. */
function mutate(start, next) {
  let bytes = start.slice()
  const place = () => (next(3) === 0
    ? Math.min(bytes.length - 1, next(256))
    : next(3) === 0
    ? Math.max(0, bytes.length - 1 - next(512))
    : next(bytes.length))
  for (let change = next(4); change >= 0 && bytes.length > 8; change--) {
    const [at, length] = [place(), 1 + next(16)]
    const kind = next(7)
    if (kind === 0) bytes[at] = next(256)
    else if (kind === 1) bytes[at] ^= 1 << next(8)
    else if (kind === 2) bytes.fill(EDGES[next(EDGES.length)], at, at + [1, 2, 4, 8][next(4)])
    else if (kind === 3) bytes = joined(bytes.subarray(0, at), bytes.subarray(at + length))
    else if (kind === 4) bytes = joined(bytes.subarray(0, at + length), bytes.subarray(at))
    else if (kind === 5) bytes.copyWithin(place(), at, at + length)
    else if (next(8) === 0) bytes = bytes.slice(0, at)
  }
  return bytes
}

function joined(a, b) {
  const bytes = new Uint8Array(a.length + b.length)
  bytes.set(a)
  bytes.set(b, a.length)
  return bytes
}

const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i])

/** What is wrong with how an input ended, and whether it was accepted. */
async function attempt(target, bytes, original, tries = 3) {
  const [begun, start] = [performance.now(), process.cpuUsage()]
  let [accepted, fault] = [true, undefined]
  try {
    await target.read(bytes)
    if (target.refused === true && !same(bytes, original)) fault = 'a changed file was accepted'
  } catch (error) {
    accepted = false
    if (!(error instanceof LaplaceError) || error.code === 'INTERNAL') fault = String(error?.stack ?? error)
    else if (error.message.length > 2000) fault = `a message of ${error.message.length} characters`
  }
  const { user, system } = process.cpuUsage(start)
  // A busy clock counts what others do, the processor's time the collector's threads, and the first time compiling:
  // slow is what is slow again, too.
  const milliseconds = Math.min(performance.now() - begun, (user + system) / 1000)
  if (milliseconds > (target.most ?? MOST_MILLISECONDS) && fault === undefined) {
    if (tries > 1) return attempt(target, bytes, original, tries - 1)
    fault = `${milliseconds.toFixed(0)} ms`
  }
  if ('x' in {} || Object.keys(Object.prototype).length > 0) fault ??= 'the prototype of objects was changed'
  return { accepted, fault }
}

/** Where the fuzzing is, for the thread that watches it: the target, the round, how many inputs there were. */
const place = new Int32Array(new SharedArrayBuffer(12))

/** A thread that ends the process when one input does not end, and says which. */
function watchForHanging() {
  const source = `
    const { workerData: { place, names, seed, milliseconds } } = require('node:worker_threads')
    const { writeSync } = require('node:fs')
    let last = -1
    setInterval(() => {
      if (place[2] === last) {
        writeSync(1, \`--target '\${names[place[0]]}' --seed \${seed} --round \${place[1]}: did not end\\n\`)
        process.kill(process.pid, 'SIGKILL')
      }
      last = place[2]
    }, milliseconds)`
  const workerData = { place, names: chosen.map(({ name }) => name), seed, milliseconds: HANGING_MILLISECONDS }
  new Worker(source, { eval: true, workerData }).unref()
}

/** Rounds of one target until time or number is used up. */
async function run(target, milliseconds, most) {
  const count = { inputs: 0, accepted: 0, faults: 0 }
  // What is loaded and compiled at the first file is not counted.
  await attempt(target, target.seeds[0], target.seeds[0])
  const until = performance.now() + milliseconds
  const first = options.round === undefined ? 0 : Number(options.round)
  const last = options.round === undefined ? most : first + 1
  for (let round = first; round < last && performance.now() < until; round++) {
    const next = generator(seed * 1_000_003 + round)
    const original = target.seeds[next(target.seeds.length)]
    const bytes = mutate(original, next)
    place.set([chosen.indexOf(target), round, place[2] + 1])
    const { accepted, fault } = await attempt(target, bytes, original)
    count.inputs++
    if (accepted) count.accepted++
    if (accepted && options.keep !== undefined) keep(target.name, round, bytes)
    if (fault === undefined) continue
    count.faults++
    if (count.faults <= 5) console.log(`--target '${target.name}' --seed ${seed} --round ${round}: ${fault}`)
  }
  return count
}

/** Accepted files, for other readers to compare. */
function keep(name, round, bytes) {
  mkdirSync(options.keep, { recursive: true })
  writeFileSync(`${options.keep}/${name.replaceAll(' ', '-')}-${seed}-${round}`, bytes)
}

const chosen = TARGETS.filter(({ name }) => options.target === undefined || name === options.target)
watchForHanging()
const byInputs = options.inputs !== undefined
const shareOf = ({ share = 1, inputShare = share }) => (byInputs ? inputShare : share)
const shares = chosen.reduce((sum, target) => sum + shareOf(target), 0)
const seconds = byInputs ? Infinity : Number(options.seconds ?? 60)
let [inputs, faults] = [0, 0]
console.log(
  `seed ${seed}\n${'target'.padEnd(24)}${'inputs'.padStart(10)}${'accepted'.padStart(10)}${'faults'.padStart(8)}`,
)
for (const target of chosen) {
  const share = shareOf(target) / shares
  const most = byInputs ? Math.ceil(Number(options.inputs) * share) : Infinity
  const count = await run(target, 1000 * seconds * share, most)
  inputs += count.inputs
  faults += count.faults
  console.log(
    `${target.name.padEnd(24)}${String(count.inputs).padStart(10)}${String(count.accepted).padStart(10)}${
      String(count.faults).padStart(8)
    }`,
  )
}
console.log(`${'all'.padEnd(24)}${String(inputs).padStart(10)}${''.padStart(10)}${String(faults).padStart(8)}`)
process.exit(faults === 0 && inputs > 0 ? 0 : 1)
