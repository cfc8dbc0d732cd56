/** @file 51 of the list of attacks: NaN and infinity in the weights of every format, refused by the tensor's name. */
import t from 'tap'
import { readNetwork } from '../../../adapters/network/index.js'
import { readNeuralnet, readNnet } from '../../../adapters/nnet/index.js'
import { crc32, isZip, openZip } from '../../../adapters/zip/index.js'
import { float64 } from '../../../core/tensor/tensor.js'
import { fixture } from '../../support/fixture.js'
import { zip } from '../../support/zip-writer.js'
import { chain, dense, file as juliaFile } from '../flux/julia-writer.js'

const BAD = [NaN, Infinity, -Infinity]

/** For files that hold weights alone. */
const HINTS = { activation: 'relu' } as const

const FILES = ['cases/tabular-iris/model.onnx', 'cases/tabular-iris/model.pt', 'cases/tabular-iris/model.safetensors',
  'keras/perceptron.h5', 'keras/perceptron.keras', 'flux/state.jld2']

/** The bytes of a number as files hold it. */
function bytesOf(value: number, width: 4 | 8): Uint8Array {
  return new Uint8Array(width === 4 ? Float32Array.of(value).buffer : Float64Array.of(value).buffer)
}

/** Where `wanted` stands in `bytes`. */
function placeOf(bytes: Uint8Array, wanted: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf(wanted)
}

/** A file with some numbers of it replaced by another one, archives entry by entry. */
function withNumber(file: Uint8Array, run: Uint8Array, value: Uint8Array): Uint8Array | undefined {
  if (!isZip(file)) {
    const at = placeOf(file, run)
    if (at < 0) return undefined
    const changed = file.slice()
    changed.set(value, at)
    return changed
  }
  const archive = openZip(file)
  const items = archive.names.map(name => ({ name, data: archive.read(name) }))
  const hit = items.findIndex(({ data }) => withNumber(data, run, value) !== undefined)
  if (hit < 0) return undefined
  return zip(items.map(({ name, data }, i) => {
    const own = i === hit ? withNumber(data, run, value) ?? data : data
    return { name, data: own, crc: crc32(own) }
  }))
}

for (const name of FILES) {
  t.test(`51 ${name}`, async t => {
    const file = fixture(name)
    const graph = await readNetwork(file, HINTS)
    const { data } = graph.parameters.map(({ name: own }) => graph.initializers.get(own)!).find(({ data: numbers }) =>
      numbers.length > 2 && numbers.some(number => number !== 0)
    )!
    t.ok(data.length > 2)
    // Two neighbours tell the place; formats that transpose have others.
    let tried = 0
    for (const value of BAD) {
      const changed = ([4, 8] as const).flatMap(width => {
        const run = bytesOf(Number(data[0]), width)
        return withNumber(file, run, bytesOf(value, width)) ?? []
      })
      if (changed.length === 0) continue
      tried++
      await t.rejects(readNetwork(changed[0], HINTS), { code: 'UNTRUSTED_INPUT',
        message: /'[^']+'.*(NaN|Infinity|infinit)/ }, `${value}`)
    }
    t.equal(tried, BAD.length)
  })
}

t.test('51 BSON of Flux, and of nnet', async t => {
  for (const value of BAD) {
    const file = juliaFile({ model: chain(dense(2, 1, [0.5, 1], [0.1, 0.2]), dense(1, 2, [1, value], [0.3])) })
    await t.rejects(readNetwork(file), { code: /UNTRUSTED_INPUT|NOT_FINITE/,
      message: /'[^']+'.*(NaN|Infinity|infinit)/ }, `${value}`)
    t.throws(() => readNnet({ n: [1, 1, 1], wts: [0.1, 0.2, value, 1], linout: true, softmax: false, entropy: false }),
      { code: /UNTRUSTED_INPUT|NOT_FINITE|BAD_ARRAY/, message: /NaN|Infinity|infinit|finite/ }, `${value}`)
  }
})

t.test('51 architectures and objects of R', async t => {
  for (const value of BAD) {
    const weights = [float64([3, 2], [0.1, 0.2, 1, value, 0.5, 2]), float64([3, 1], [0.3, -0.7, 1.5])]
    t.throws(() => readNeuralnet({ weights, activation: 'logistic', linearOutput: true }), { code: 'NOT_FINITE',
      message: /weights\[0\].*(NaN|Infinity)/ })
  }
})
