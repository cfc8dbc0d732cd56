import { gzipSync } from 'node:zlib'
import t from 'tap'
import { describeFile, formatOf, FORMATS, readNetwork } from '../../../adapters/network/index.js'
import { fixture } from '../../support/fixture.js'
import { ascii, join, pickle, STOP } from '../../support/pickle-writer.js'
import { zip } from '../../support/zip-writer.js'
import { chain, dense, file as bson, numbers } from '../flux/julia-writer.js'
import { file as safetensors, raw } from '../safetensors/write.js'

const random = numbers(1)
const flux = bson({ model: chain(dense(2, 3, random(6), random(2))) })

t.test('formats that can be read are told by content', async t => {
  const files: [string, Uint8Array][] = [
    ['onnx', fixture('cases/binary/model.onnx')],
    ['pytorch', fixture('cases/binary/model.pt')],
    ['safetensors', fixture('cases/binary/model.safetensors')],
    ['safetensors-index', ascii('{"metadata":{"total_size":8},"weight_map":{"a":"b.safetensors"}}')],
    ['flux', flux],
    ['jld2', fixture('flux/state.jld2')],
    ['keras', fixture('keras/perceptron.h5')],
    ['keras', fixture('keras/perceptron.keras')],
  ]
  for (const [format, bytes] of files) t.equal(formatOf(bytes), format)
  // A view into a larger buffer is the same file.
  const shifted = new Uint8Array(files[0][1].length + 3)
  shifted.set(files[0][1], 3)
  t.equal(formatOf(shifted.subarray(3)), 'onnx')
  t.equal(formatOf(flux.subarray(0, flux.length - 1)), 'flux', 'a BSON file cut short goes to its reader')
  t.equal(formatOf(pickle([0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19])), 'pytorch',
    'the stream of PyTorch before 1.6')
})

t.test('other files are named, with the way out', async t => {
  const tar = new Uint8Array(600)
  tar.set(ascii('ustar'), 257)
  const files: [RegExp, RegExp, Uint8Array][] = [
    [/ONNX Runtime file/, /\.onnx file/, join([8, 0, 0, 0], ascii('ORTM'), new Uint8Array(20))],
    [/TensorFlow Lite/, /tf2onnx/, join([0x1c, 0, 0, 0], ascii('TFL3'), new Uint8Array(20))],
    [/GGUF/, /safetensors/, join(ascii('GGUF'), new Uint8Array(20))],
    [/NumPy array/, /safetensors/, join([0x93], ascii('NUMPY'), [1, 0], new Uint8Array(20))],
    [/NumPy archive/, /safetensors/, zip([{ name: 'x.npy', data: [1] }])],
    [/SavedModel/, /tf2onnx/, zip([{ name: 'm/saved_model.pb', data: [1] }])],
    [/SavedModel/, /tf2onnx/, join([0x08, 0x01, 0x12, 0x90, 0x4e], new Uint8Array(10_000))],
    [/torch\.export/, /dynamo=True/, zip([{ name: 'm/data/weights/model_weights_config.json', data: [1] }])],
    [/zip archive of other files \('a.txt'\)/, /unpack/, zip([{ name: 'a.txt', data: [1] }])],
    [/gzip/, /safe_save_file/, gzipSync('X')],
    [/bzip2/, /unpack/, ascii('BZh91AY&SY')],
    [/xz/, /unpack/, Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0)],
    [/zstd/, /unpack/, Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0)],
    [/7z/, /unpack/, Uint8Array.of(0x37, 0x7a, 0xbc, 0xaf, 0x27, 0x1c)],
    [/rar/, /unpack/, ascii('Rar!\x1a\x07')],
    [/tar archive/, /state_dict/, tar],
    [/R object/, /laplace\(\)/, join(ascii('X\n'), [0, 0, 0, 3, 0, 4, 2, 2])],
    [/R workspace/, /laplace\(\)/, ascii('RDX3\nX\n')],
    [/Julia's Serialization/, /BSON/, ascii('7JL\x1a\x04')],
    [/MATLAB/, /ONNX/, ascii('MATLAB 5.0 MAT-file')],
    [/scikit-learn/, /polylaplace\.Laplace/, pickle([0x8c, 30], ascii('sklearn.neural_network._multila'.slice(0, 30)))],
    [/scikit-learn/, /not run/, join([0x80, 4, 0x95], new Uint8Array(8), ascii('sklearn.preprocessing._data'), STOP)],
    [/pickle of joblib/, /not run/, join([0x80, 4], ascii('joblib.numpy_pickle\nNumpyArrayWrapper'), STOP)],
    [/Git LFS/, /git lfs pull/, ascii('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 10\n')],
    [/web page/, /download/, ascii('<!DOCTYPE html><html><body>Not Found</body></html>')],
    [/XML/, /ONNX/, ascii('<?xml version="1.0"?><pmml/>')],
    [/ONNX as text/, /onnx.save/, ascii('ir_version: 8\ngraph {\n  node { op_type: "Relu" }\n}\n')],
    [/ONNX as text/, /onnx.save/, ascii('<\n  ir_version: 8,\n  opset_import: ["" : 18]\n>\n')],
    [/an architecture/, /as architecture/, ascii('[{"type":"Linear","name":"0"}]')],
    [/Keras network/, /no weights/, ascii('{"class_name": "Sequential", "config": {}}')],
    [/JSON/, /weights by name/, ascii('{"a": [1, 2]}')],
    [/text/, /give the network/, ascii('a,b\n1,2\n')],
    [/picture/, /network/, Uint8Array.of(0x89, 0x50, 0x4e, 0x47)],
    [/PDF/, /network/, ascii('%PDF-1.7')],
    [/ONNX tensor/, /beside it/, Uint8Array.of(0x08, 0x02, 0x08, 0x03, 0x10, 0x01, 0x4a, 0x18, ...new Uint8Array(24))],
    [/no known format/, /known are ONNX/, Uint8Array.of(0xfe, 0xfe, 0xfe, 0xfe)],
    [/no known format/, /known are/, new Uint8Array(100)],
  ]
  for (const [name, advice, bytes] of files) {
    await t.rejects(readNetwork(bytes), { code: 'UNSUPPORTED_FORMAT', message: name }, String(name))
    await t.rejects(readNetwork(bytes), { message: advice }, `${String(name)}: ${String(advice)}`)
    const about = await describeFile(bytes)
    t.match(about.format, name)
    t.same([about.supported, about.tensors, about.problem?.code], [false, [], 'UNSUPPORTED_FORMAT'])
  }
  await t.rejects(readNetwork(new Uint8Array()), { code: 'UNTRUSTED_INPUT', message: /empty/ })
  t.match(await describeFile(new Uint8Array()), { format: 'an empty file', supported: false })
  t.match(await describeFile(zip([{ name: 'x', data: [1] }]).subarray(0, 40)), { format: 'a damaged zip archive',
    supported: false, problem: { code: 'UNTRUSTED_INPUT' } })
})

t.test('hints are checked', async t => {
  const bytes = safetensors({ '0.weight': { shape: [1, 1], data: [1] } })
  // @ts-expect-error a hint that is not known
  await t.rejects(readNetwork(bytes, { architectur: [] }), { code: 'UNKNOWN_OPTION',
    message: /Did you mean 'architecture'/ })
  // @ts-expect-error a format that is not known
  await t.rejects(readNetwork(bytes, { format: 'safetensor' }), { code: 'BAD_OPTION',
    message: /Did you mean 'safetensors'/ })
  await t.rejects(readNetwork(bytes, { format: 'onnx' }), { name: 'UntrustedInputError' })
  for (const format of FORMATS) {
    if (format !== 'safetensors') {
      await t.rejects(readNetwork(bytes, { format }), { name: 'UntrustedInputError' }, format)
    }
  }
  await t.rejects(readNetwork(bytes, { output: 'logit' }), { code: 'AMBIGUOUS_NETWORK', message: /no output 'logit'/ })
  await t.rejects(readNetwork(bytes, { input: 'x' }), { code: 'AMBIGUOUS_NETWORK',
    message: /no input 'x'; it has input/ })
  const graph = await readNetwork(bytes, { input: 'input' })
  t.same((await readNetwork(bytes, { output: graph.outputs[0] })).outputs, graph.outputs)
  // @ts-expect-error files that are no bytes
  await t.rejects(readNetwork(raw('{}'), { format: 'safetensors-index', files: { a: 'text' } }), {
    code: 'UNTRUSTED_INPUT',
  })
})
