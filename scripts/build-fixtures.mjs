// Writes protocol/fixtures/v1: one frame of every kind of message (NAME.bin) with its description (NAME.json), and
// frames that must be refused; and protocol/fixtures/v1.ts, the same frames as a module for `--selftest`. The encoder
// here is independent of protocol/frames/encode.ts, so that the tests compare two writings of the rules. Fixtures of a
// released protocol version never change: new ones are added.
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), 'protocol/fixtures/v1')

const u16 = n => [n >> 8 & 255, n & 255]
const u32 = n => [n >>> 24 & 255, n >>> 16 & 255, n >>> 8 & 255, n & 255]
const sized = (n, short, code8, code16, code32) =>
  short !== undefined && n < short[1]
    ? [short[0] | n]
    : code8 !== undefined && n < 256
    ? [code8, n]
    : n < 65536
    ? [code16, ...u16(n)]
    : [code32, ...u32(n)]

function pack(value) {
  if (value === null) return [0xc0]
  if (value === true || value === false) return [value ? 0xc3 : 0xc2]
  if (typeof value === 'string') {
    const text = [...new TextEncoder().encode(value)]
    return [...sized(text.length, [0xa0, 32], 0xd9, 0xda, 0xdb), ...text]
  }
  if (value instanceof Uint8Array) return [...sized(value.length, undefined, 0xc4, 0xc5, 0xc6), ...value]
  if (Array.isArray(value)) return [...sized(value.length, [0x90, 16], undefined, 0xdc, 0xdd), ...value.flatMap(pack)]
  if (typeof value === 'object') {
    const pairs = Object.entries(value)
    return [...sized(pairs.length, [0x80, 16], undefined, 0xde, 0xdf),
      ...pairs.flatMap(([k, v]) => [...pack(k), ...pack(v)])]
  }
  if (!Number.isInteger(value) || value >= 2 ** 32 || value < -(2 ** 31)) {
    const b = new DataView(new ArrayBuffer(8))
    b.setFloat64(0, value)
    return [0xcb, ...new Uint8Array(b.buffer)]
  }
  if (value >= 0) {
    return value < 128
      ? [value]
      : value < 256
      ? [0xcc, value]
      : value < 65536
      ? [0xcd, ...u16(value)]
      : [0xce, ...u32(value)]
  }
  return value >= -32
    ? [value & 255]
    : value >= -128
    ? [0xd0, value & 255]
    : value >= -32768
    ? [0xd1, ...u16(value & 65535)]
    : [0xd2, ...u32(value >>> 0)]
}

const frame = body =>
  Uint8Array.from([body.length & 255, body.length >> 8 & 255, body.length >> 16 & 255, body.length >>> 24, ...body])
const bytes = typed => new Uint8Array(typed.buffer)
const array = (shape, values, dtype = 'f64', order = 'C') => ({ dtype, shape, order, data: bytes(
  { f64: v => Float64Array.from(v), f32: v => Float32Array.from(v), i32: v => Int32Array.from(v),
    i64: v => BigInt64Array.from(v, BigInt), u8: v => Uint8Array.from(v), bool: v => Uint8Array.from(v) }[dtype](
      values,
    ),
) })
const request = (id, method, params, more = {}) => ({ t: 'req', id, method, params, ...more })
const result = (id, ok) => ({ t: 'res', id, ok })

const x = array([3, 2], [0.5, -1, 2, 0.25, -0.125, 3])
const summary = {
  likelihood: 'classification',
  subset: 'last_layer',
  structure: 'kron',
  curvature: 'ggn',
  outputs: 3,
  parameterCount: 12,
  examples: 3,
  loss: 0.75,
  logLikelihood: -0.75,
  logMarginalLikelihood: -2.5,
  priorPrecision: array([1], [0.5]),
  priorMean: 0,
  sigmaNoise: 1,
  temperature: 1,
  tuned: 'linearized',
  effectiveParameters: 4.25,
  precision: 'float64',
  engine: 'typescript',
  seed: 0,
  notes: ['The network ends in softmax; the logits below it are used.'],
  digest: 'aa'.repeat(32),
  parameters: [{ name: '2.weight', shape: [3, 3], size: 9 }, { name: '2.bias', shape: [3], size: 3 }],
}
const fitOptions = { likelihood: 'classification', subset: 'last_layer', structure: 'kron' }

const MESSAGES = {
  'hello-request': ['The first request.',
    request(1, 'hello', { protocol: [1, 1], client: 'example/1.0', pid: 4242, maxFrame: 1073741824,
      capabilities: ['progress'] })],
  'hello-result': ['The answer to hello.', result(1, {
    protocol: 1,
    server: 'polylaplace',
    version: '0.1.0',
    limits: { maxFrame: 1073741824, maxInFlight: 64, maxHandles: 1000, maxDepth: 16, maxItems: 10000 },
    methods: ['hello', 'ping', 'fit'],
    dtypes: ['f64', 'f32', 'i32', 'i64', 'u8', 'bool'],
    features: ['progress'],
    buildHash: '0123456789abcdef',
  })],
  'hello-token-request': ['hello over the loopback transport.',
    request(1, 'hello', { protocol: [1, 1], client: 'example/1.0', token: '0123456789abcdef0123456789abcdef' })],
  'ping-request': ['With an echo.', request(2, 'ping', { echo: 'é€😀' })],
  'ping-result': ['The echo.', result(2, { echo: 'é€😀' })],
  'stats-request': ['No parameters.', request(3, 'stats', {})],
  'stats-result': ['What lives on the connection.',
    result(3, { uptime: 1.5, requests: 3, inFlight: 0, workers: 1, rss: 73400320,
      handles: [{ handle: 'model:1', kind: 'model', age: 0.25 }] })],
  'free-request': ['Frees two handles.', request(4, 'free', { handles: ['model:1', 'posterior:2'] })],
  'free-result': ['How many there were.', result(4, { freed: 2 })],
  'shutdown-request': ['The last request.', request(4294967295, 'shutdown', {})],
  'shutdown-result': ['The last answer; id is the largest there is.', result(4294967295, {})],
  'readNetwork-bytes-request': ['A model file (here only its first bytes) with hints.',
    request(5, 'readNetwork', { bytes: Uint8Array.from([8, 9, 18, 0]),
      hints: { input: 'x', architecture: [{ type: 'Linear', name: '0' }, { type: 'Tanh' }] } })],
  'readNetwork-layers-request': ['Layers with their tensors.', request(6, 'readNetwork', {
    layers: [{ type: 'Linear', name: '0' }, { type: 'Conv2d', name: 'c1', stride: 2, padding: [1, 1] }],
    tensors: { '0.weight': array([1, 2], [0.5, 1.5], 'f32'), '0.bias': array([1], [0.25], 'f32') },
  })],
  'readNetwork-nnet-request': ['An R nnet object; the weights as a plain list.', request(7, 'readNetwork', {
    nnet: { n: [1, 1, 1], wts: [0.5, -1.5, 0.25, 2], linout: true, softmax: false, entropy: false },
  })],
  'readNetwork-sklearn-request': ['A scikit-learn MLP.', request(8, 'readNetwork', {
    sklearn: { coefs: [array([2, 1], [0.5, 1.5])], intercepts: [array([1], [0.25])], activation: 'relu',
      outActivation: 'identity' },
  })],
  'readNetwork-result': ['A handle and a summary; -1 is the batch axis.', result(8, {
    handle: 'model:1',
    summary: {
      format: 'sklearn',
      inputs: [{ name: 'x', dtype: 'float64', shape: [-1, 2] }],
      outputs: [{ name: 'y', shape: [-1, 1] }],
      parameters: [{ name: '0.weight', shape: [1, 2], size: 2 }, { name: '0.bias', shape: [1], size: 1 }],
      parameterCount: 3,
      layers: [{ name: '0', type: 'Gemm', parameters: 3 }],
      precision: 'float64',
      digest: '0f'.repeat(32),
      notes: [],
    },
  })],
  'inspect-request': ['What a fit would cost.', request(9, 'inspect', { model: 'model:1', likelihood: 'regression' })],
  'forward-request': ['The plain network; column-major data.',
    request(10, 'forward', { model: 'model:1', x: array([3, 2], [0.5, 2, -0.125, -1, 0.25, 3], 'f64', 'F') })],
  'forward-result': ['Its outputs.', result(10, { outputs: array([3, 1], [0.5, -0.5, 1.25]) })],
  'fit-request': ['A fit with a deadline and progress; class labels as int32.',
    request(11, 'fit', { model: 'model:1', options: { ...fitOptions, seed: 9007199254740991 }, x,
      y: array([3], [0, 2, 1], 'i32') }, { deadline: 60000, progress: true })],
  'fit-prior-request': ['Nothing is tuned with a prior precision given; validation data.',
    request(12, 'fit', { model: 'model:1',
      options: { ...fitOptions, priorPrecision: array([2], [0.5, 2]), sigmaNoise: 0.3 }, x,
      y: array([3], [0, 2, 1], 'i64'), validation: { x, y: array([3], [1, 1, 0], 'u8') } })],
  'fit-result': ['A posterior and its summary.', result(11, { handle: 'posterior:2', summary })],
  'progress-note': ['Progress of request 11.', { t: 'note', method: 'progress',
    params: { id: 11, stage: 'fit', done: 512, total: 60000, message: '' } }],
  'log-note': ['Something the user should know.', { t: 'note', method: 'log',
    params: { level: 'warning', message: 'A compute thread ended.' } }],
  'cancel-note': ['Cancels request 11.', { t: 'note', method: 'cancel', params: { id: 11 } }],
  'cancelled-error': ['The answer to a cancelled request.', { t: 'res', id: 11,
    err: { code: 801, name: 'CANCELLED', message: 'The work was cancelled.', data: {}, retryable: false } }],
  'busy-error': ['The one error worth trying again.', { t: 'res', id: 300,
    err: { code: 704, name: 'BUSY', message: '64 requests are under way; send more when one of them has been answered.',
      data: { limit: 64 }, retryable: true } }],
  'shape-error': ['An error with data.', { t: 'res', id: 13,
    err: { code: 101, name: 'SHAPE_MISMATCH', message: 'x has 3 rows and y has 2; each example needs its label.',
      data: { expected: 3, actual: 2 }, retryable: false } }],
  'fitBegin-request': ['A streamed fit.', request(14, 'fitBegin', { model: 'model:1', options: fitOptions })],
  'fitBegin-result': ['Its handle.', result(14, { handle: 'fit:3' })],
  'fitBatch-request': ['One batch; booleans.',
    request(15, 'fitBatch', { fit: 'fit:3', x, y: array([3, 1], [0, 1, 1], 'bool') })],
  'fitBatch-result': ['How many examples there were so far.', result(15, { examples: 3 })],
  'fitEnd-request': ['The end of the data.', request(16, 'fitEnd', { fit: 'fit:3' })],
  'fitPartial-request': ['A part of the data.',
    request(17, 'fitPartial', { model: 'model:1', options: fitOptions, x, y: array([3], [0, 2, 1], 'i32') })],
  'fitPartial-result': ['A portable partial fit.',
    result(17, { partial: new TextEncoder().encode('PLAPLACE'), examples: 3 })],
  'mergePartials-request': ['Adds partial fits.',
    request(18, 'mergePartials', { partials: [Uint8Array.from([1, 2]), new Uint8Array(0)] })],
  'fitMerged-request': ['A posterior from merged parts.',
    request(19, 'fitMerged', { model: 'model:1', options: { ...fitOptions, priorPrecision: 1 },
      partial: Uint8Array.from([1, 2, 3]) })],
  'tune-request': ['Another prior.',
    request(20, 'tune', { posterior: 'posterior:2',
      options: { tune: 'marglik', priorStructure: 'layerwise', sigmaNoise: true } })],
  'tune-data-request': ['Tuning that reads the training data once more.',
    request(34, 'tune', { posterior: 'posterior:2', options: { tune: 'linearized' }, x,
      y: array([3], [0, 2, 1], 'i32') })],
  'withPrior-request': ["A prior of one's own.",
    request(21, 'withPrior', { posterior: 'posterior:2', priorPrecision: 2.5, temperature: 1 })],
  'predict-request': ['With options.',
    request(22, 'predict', { posterior: 'posterior:2', x,
      options: { link: 'mc', samples: 100, seed: 7, covariance: true } })],
  'predict-result': ['Arrays; single precision among them.',
    result(22, { mean: array([1, 2], [0.5, -0.5]), variance: array([1, 2], [0.1, 0.2]),
      probabilities: array([1, 2], [0.75, 0.25], 'f32'), aleatoric: array([1], [0.5]), epistemic: array([1], [0.0625]),
      covariance: array([1, 2, 2], [0.1, 0, 0, 0.2]), seed: 7, notes: [] })],
  'functionalVariance-request': ['Of the outputs.',
    request(23, 'functionalVariance', { posterior: 'posterior:2', x, joint: false })],
  'sample-request': ['Draws of the parameters.',
    request(24, 'sample', { posterior: 'posterior:2', samples: 10, seed: 0 })],
  'predictiveSamples-request': ['Draws of predictions.',
    request(25, 'predictiveSamples', { posterior: 'posterior:2', x, samples: 10, seed: 4294967296, predictive: 'nn' })],
  'functionalSamples-request': ['Draws of outputs.',
    request(26, 'functionalSamples', { posterior: 'posterior:2', x, samples: 10, seed: 70000 })],
  'logProb-request': ['Log density.',
    request(27, 'logProb', { posterior: 'posterior:2', theta: array([2], [-0.5, 1e300]) })],
  'logMarginalLikelihood-request': ['At other hyper-parameters.',
    request(28, 'logMarginalLikelihood', { posterior: 'posterior:2', priorPrecision: 0.1, sigmaNoise: null })],
  'logMarginalLikelihood-result': ['A negative number.', result(28, { value: -12.75 })],
  'get-request': ['Several values.', request(29, 'get', { posterior: 'posterior:2', names: ['H', 'scatter'] })],
  'get-result': ['A Kronecker H.', result(29, {
    H: { structure: 'kron',
      blocks: [{ name: '2.weight', kind: 'weight', B: array([1, 1], [2.5]), A: array([1, 1], [0.5]) }, {
        name: '2.bias',
        kind: 'dense',
        B: array([1, 1], [2.5]),
      }] },
    scatter: 3.5,
  })],
  'save-request': ['The posterior without its network.',
    request(30, 'save', { posterior: 'posterior:2', network: false })],
  'save-result': ['Bytes to keep; long enough for a 16-bit length.',
    result(30, { data: Uint8Array.from({ length: 300 }, (_, i) => i & 255) })],
  'load-request': ['Bytes from somewhere.',
    request(31, 'load', { data: Uint8Array.from([80, 76, 65, 80]), model: 'model:1' })],
  'metrics-request': ['Scores of predictions.',
    request(32, 'metrics', { likelihood: 'classification', y: array([2], [0, 1], 'i32'),
      probabilities: array([2, 2], [0.75, 0.25, 0.5, 0.5]) })],
  'conformalize-request': ['Calibrates sets of classes by held-out rows.',
    request(35, 'conformalize', { posterior: 'posterior:2', x: array([3, 2], [0.5, -1, 2, 0.25, -0.125, 3]),
      y: array([3], [0, 2, 1], 'i32'), score: 'lac' })],
  'predict-level-request': ['Intervals and quantiles of a regression.',
    request(36, 'predict', { posterior: 'posterior:2', x: array([1, 2], [0.5, -1]),
      options: { level: 0.9, quantiles: array([2], [0.25, 0.75]), noise: false } })],
  'numbers': ['Every width of every number, and text and containers at the edges of their headers.',
    request(33, 'ping', {
      integers: [0, 127, 128, 255, 256, 65535, 65536, 4294967295, -1, -32, -33, -128, -129, -32768, -32769,
        -2147483648],
      doubles: [0.5, -0.1, 1e300, 5e-324, 4294967296, -2147483649, 9007199254740991],
      flags: [true, false, null],
      texts: ['', 'a'.repeat(31), 'b'.repeat(32), 'c'.repeat(255), 'd'.repeat(256)],
      lists: [[], Array.from({ length: 15 }, () => 0), Array.from({ length: 16 }, () => 0)],
      map: Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`k${i}`, i])),
    })],
}

const key = (...pairs) => pairs
const REFUSED = {
  'extension': ['An extension type (0xd4).', [0x81, ...pack('a'), 0xd4, 1, 0]],
  'record-extension': ['The record extension of one decoder (0xd4 0x72).', [0x81, ...pack('a'), 0xd4, 0x72, 0x40]],
  'timestamp': ['A timestamp (extension -1).', [0x81, ...pack('a'), 0xd6, 0xff, 0, 0, 0, 0]],
  'unused-byte': ['The byte 0xc1.', [0x81, ...pack('a'), 0xc1]],
  'single-float': ['A 32-bit float scalar.', [0x81, ...pack('a'), 0xca, 0x3f, 0x80, 0, 0]],
  'duplicate-key': ['A key twice.', [0x82, ...pack('a'), 1, ...pack('a'), 2]],
  'number-key': ['A key that is a number.', [0x81, 1, 1]],
  'proto-key': ['The key __proto__.', [0x81, ...pack('__proto__'), 0x80]],
  'invalid-utf8': ['Text that is not UTF-8.', [0x81, ...pack('a'), 0xa1, 0xff]],
  'split-utf8': ['Text that ends inside a character.', [0x81, ...pack('a'), 0xa2, 0xe2, 0x82]],
  'too-deep': ['Seventeen containers inside of each other.', [0x81, ...pack('a'), ...Array(16).fill(0x91), 0xc0]],
  'too-many-items': ['A list of 10,001 items.', [0x81, ...pack('a'), 0xdc, ...u16(10001), ...Array(10001).fill(0)]],
  'array32-bomb': ['A list that claims 2^32 - 1 items.', [0x81, ...pack('a'), 0xdd, 255, 255, 255, 255]],
  'map32-bomb': ['A map that claims 2^32 - 1 items.', [0xdf, 255, 255, 255, 255]],
  'bin32-bomb': ['Bin that claims 2^32 - 1 bytes.', [0x81, ...pack('a'), 0xc6, 255, 255, 255, 255]],
  'large-unsigned': ['2^64 - 1.', [0x81, ...pack('a'), 0xcf, 255, 255, 255, 255, 255, 255, 255, 255]],
  'large-negative': ['-2^63.', [0x81, ...pack('a'), 0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0]],
  'truncated': ['A map that ends early.', [0x82, ...pack('a'), 1]],
  'trailing': ['Bytes after the map.', [0x80, 0xc0]],
  'not-a-map': ['A message that is a list.', [0x91, 1]],
}

const toJson = value =>
  value instanceof Uint8Array
    ? { $bin: Buffer.from(value).toString('base64') }
    : Array.isArray(value)
    ? value.map(toJson)
    : value !== null && typeof value === 'object'
    ? Object.fromEntries(Object.entries(value).map(([k, v]) => key(k, toJson(v))))
    : value

await mkdir(join(folder, 'refused'), { recursive: true })
for (const [name, [description, message]] of Object.entries(MESSAGES)) {
  await writeFile(join(folder, `${name}.bin`), frame(pack(message)))
  await writeFile(join(folder, `${name}.json`),
    `${JSON.stringify({ description, message: toJson(message) }, null, 1)}\n`)
}
for (const [name, [description, body]] of Object.entries(REFUSED)) {
  await writeFile(join(folder, 'refused', `${name}.bin`), frame(body))
  await writeFile(join(folder, 'refused', `${name}.json`), `${JSON.stringify({ description }, null, 1)}\n`)
}

const table = entries =>
  Object.entries(entries).map(([name, bytes]) => `  '${name}': '${Buffer.from(bytes).toString('base64')}',`).join('\n')
const frames = Object.fromEntries(Object.entries(MESSAGES).map(([name, [, message]]) => [name, frame(pack(message))]))
const refused = Object.fromEntries(Object.entries(REFUSED).map(([name, [, body]]) => [name, frame(body)]))
await writeFile(`${folder}.ts`,
  '/** @file Made by scripts/build-fixtures.mjs: the frames of the folder beside this file, ' +
    `for the self-test of programs without it. */

/** One frame of every kind of message, in base64. */
export const FRAMES: Readonly<Record<string, string>> = {
${table(frames)}
}

/** Frames that must be refused, in base64. */
export const REFUSED_FRAMES: Readonly<Record<string, string>> = {
${table(refused)}
}
`)
