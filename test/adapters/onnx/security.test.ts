import t, { type Test } from 'tap'
import { externalLocations, readOnnx, readOnnxTensors } from '../../../adapters/onnx/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { LaplaceError } from '../../../core/errors/errors.js'
import { laplace } from '../../../core/laplace/laplace.js'
import { prepareNetwork } from '../../../core/network/network.js'
import { tensor } from '../../../core/tensor/tensor.js'
import { quickest } from '../../support/time-limits.js'
import * as b from './onnx-bytes.js'

const MOST_MILLISECONDS = 1000

const data = (values: ArrayBufferView): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength)

interface Expected {
  name?: string
  code?: string
  message?: RegExp
}

const DAMAGED: Expected = { name: 'UntrustedInputError', code: 'UNTRUSTED_INPUT' }
const FORMAT: Expected = { name: 'UntrustedInputError', code: 'UNSUPPORTED_FORMAT' }

/** Runs an attack: it must end in a typed error in less than a second and leave prototypes alone. */
function refuses(t: Test, attack: string, expected: Expected, run: () => unknown): LaplaceError | undefined {
  let error: unknown
  const took = quickest(MOST_MILLISECONDS, () => {
    try {
      run()
    } catch (thrown) {
      error = thrown
    }
  })
  t.ok(error instanceof LaplaceError, `${attack}: refused with a typed error`, { error })
  t.match(error, expected, `${attack}: ${expected.code ?? ''}`)
  t.ok(took < MOST_MILLISECONDS, `${attack}: in less than a second`, { took })
  t.same([({} as Record<string, unknown>)['x'], Object.keys(Object.prototype)], [undefined, []],
    `${attack}: prototypes are untouched`)
  return error instanceof LaplaceError ? error : undefined
}

t.test('32 more outputs than an operator has', t => {
  const network = b.smallModel({ nodes: [b.node('Gemm', ['x', 'w', 'b'], ['y', 'z'], { transB: 1 })] })
  t.throws(() => laplace(readOnnx(network), { likelihood: 'regression' }), { code: 'BAD_GRAPH',
    message: /names 2 outputs, and the operator has 1/ })
  t.end()
})

const read = (bytes: Uint8Array) => (): unknown => readOnnx(bytes)

/** Reads a network and runs it: what the reader lets pass, the core refuses. */
const run = (bytes: Uint8Array) => (): unknown => {
  const graph = readOnnx(bytes)
  prepareNetwork(graph, 'regression', { output: graph.outputs[0], input: graph.inputs[0]?.name })
  return runGraph(graph, new Map([[graph.inputs[0].name, tensor('float32', [1, 2], [0, 0])]]), 'float32')
}

/** A file of graphs in attributes in nodes. */
const nested = (depth: number): Uint8Array => {
  // Lengths from the inside out, then bytes from the outside in: quadratic copies would take too long.
  const heads: number[][] = []
  let length = 0
  for (let i = 0; i < 3 * depth; i++) {
    const head = [...b.varint([6, 5, 1][i % 3] * 8 + 2), ...b.varint(length)]
    heads.push(head)
    length += head.length
  }
  return b.field(7, b.join(heads.reverse()))
}

t.test('32: wire format', async t => {
  refuses(t, 'varint of 11 bytes', DAMAGED, read(b.join([[8], Array(10).fill(0x80), [1], b.smallModel()])))
  refuses(t, 'varint of 11 bytes inside of a tensor', DAMAGED, read(
    b.smallModel({ tensors: [b.join([[8], Array(11).fill(0xff), [0], b.floats('w', [3, 2], [1, 2, 3, 4, 5, 6])])] }),
  ))
  refuses(t, 'varint of 11 bytes in packed numbers', DAMAGED, read(
    b.smallModel({
      tensors: [
        b.join([b.tensor({ name: 'w', dims: [1], type: b.INT64 }),
          b.field(7, Uint8Array.from([...Array(10).fill(0x80), 1]))]),
      ],
    }),
  ))
  refuses(t, 'tag 0', DAMAGED, read(b.join([b.smallModel(), [0, 0]])))
  refuses(t, 'tag beyond 32 bits', DAMAGED, read(b.join([b.smallModel(), [0xf8, 0xff, 0xff, 0xff, 0x7f, 0]])))
  for (const wire of [3, 4, 6, 7]) {
    refuses(t, `wire type ${wire}`, DAMAGED, read(b.join([b.smallModel(), [15 * 8 + wire, 0]])))
  }
  for (const wire of [0, 1, 3, 5]) {
    refuses(t, `graph with wire type ${wire}`, DAMAGED, read(b.join([[7 * 8 + wire], Array(12).fill(0)])))
  }
  refuses(t, 'length 2^31 - 1', DAMAGED, read(b.join([b.smallModel(), [10], b.varint(2 ** 31 - 1)])))
  refuses(t, 'length 2^63', DAMAGED, read(b.join([b.smallModel(), [10], b.varint(2n ** 63n)])))
  refuses(t, 'a claim of 2 GiB of weights', DAMAGED, read(
    b.join([[7 * 8 + 2], b.varint(2 ** 31 - 8), [5 * 8 + 2], b.varint(2 ** 31 - 20), [9 * 8 + 2],
      b.varint(2 ** 31 - 40)]),
  ))
  refuses(t, 'a million groups inside of each other', DAMAGED,
    read(b.join([b.smallModel(), Array(1e6).fill(3 * 8 + 3)])))
  refuses(t, 'a tensor that is longer than its graph', DAMAGED, read(b.field(7, b.join([[5 * 8 + 2], [100], [1, 2]]))))
  refuses(t, 'two graphs', DAMAGED, read(b.join([b.smallModel(), b.field(7, b.graph({}))])))
  refuses(t, 'text that is not UTF-8', DAMAGED,
    read(b.smallModel({ nodes: [b.message([[1, ['x', 'w']], [2, Uint8Array.of(0xff, 0xfe)], [4, 'MatMul']])] })))
  refuses(t, 'a name of 100 kB', DAMAGED,
    read(b.smallModel({ nodes: [b.node('Gemm', ['x', 'w', 'b'], ['y'.repeat(1e5)])] })))
  refuses(t, 'graphs in attributes in nodes, to a depth of 100,000', { ...DAMAGED,
    message: /more than 64 messages inside of each other/ }, read(nested(1e5)))
  let deep = b.graph({})
  for (let i = 0; i < 100; i++) {
    deep = b.graph({ nodes: [b.node('If', ['c'], ['y'], { then_branch: { graph: deep } })] })
  }
  refuses(t, '100 subgraphs inside of each other', { ...DAMAGED, message: /more than 64/ }, read(b.field(7, deep)))
  const whole = b.smallModel()
  for (let length = 1; length < whole.length; length++) {
    try {
      readOnnx(whole.subarray(0, length))
    } catch (error) {
      if (!(error instanceof LaplaceError)) t.fail(`cut after ${length} bytes`, { error })
    }
  }
  refuses(t, 'a file cut short', { ...DAMAGED, message: /damaged/ }, read(whole.subarray(0, whole.length - 3)))
})

t.test('every fault has its offset and its path', async t => {
  const bytes = b.smallModel({
    tensors: [b.join([b.floats('w', [3, 2], [1, 2, 3, 4, 5, 6]), [2 * 8 + 5], Array(4).fill(0)])],
  })
  const error = refuses(t, 'a number with the wrong wire type', DAMAGED, read(bytes))
  t.same(error?.data['path'], 'graph.initializer.data_type')
  t.same(bytes[error?.data['offset'] as number], 2 * 8 + 5)
})

t.test('33: tensors that contradict themselves', async t => {
  const weight = (fields: b.TensorFields): Uint8Array =>
    b.smallModel({ tensors: [b.tensor({ name: 'w', dims: [3, 2], ...fields }), b.floats('b', [3], [0, 0, 0])] })
  const six = data(Float32Array.of(1, 2, 3, 4, 5, 6))
  refuses(t, 'dimension -1', DAMAGED, read(weight({ dims: [-1, 2], raw: six })))
  refuses(t, 'dimension 2^63', DAMAGED, read(weight({ dims: [2n ** 63n, 2], raw: six })))
  refuses(t, 'dimensions whose product overflows', DAMAGED,
    read(weight({ dims: [2 ** 31 - 1, 2 ** 31 - 1, 2 ** 31 - 1], raw: six })))
  refuses(t, 'an overflowing product that ends in 0', DAMAGED,
    read(weight({ dims: [2 ** 31 - 1, 2 ** 31 - 1, 0], raw: new Uint8Array(0) })))
  refuses(t, '100 axes', DAMAGED, read(weight({ dims: Array(100).fill(1), raw: data(Float32Array.of(1)) })))
  refuses(t, 'raw_data shorter than its shape', DAMAGED, read(weight({ raw: six.subarray(4) })))
  refuses(t, 'raw_data longer than its shape', DAMAGED, read(weight({ raw: b.join([six, six]) })))
  refuses(t, 'no data', DAMAGED, read(weight({})))
  refuses(t, 'a billion elements without data', DAMAGED, read(weight({ dims: [1e9], int32: [], type: b.INT32 })))
  refuses(t, 'raw_data and float_data', DAMAGED, read(weight({ raw: six, float: [1, 2, 3, 4, 5, 6] })))
  refuses(t, 'float_data and double_data', DAMAGED, read(weight({ double: [1], float: [1, 2, 3, 4, 5, 6] })))
  refuses(t, 'floats in int32_data', DAMAGED, read(weight({ int32: [1, 2, 3, 4, 5, 6] })))
  refuses(t, 'doubles in float_data', DAMAGED, read(weight({ type: b.DOUBLE, float: [1, 2, 3, 4, 5, 6] })))
  refuses(t, 'float_data of five values', DAMAGED, read(weight({ float: [1, 2, 3, 4, 5] })))
  refuses(t, 'int64_data of five values', DAMAGED, read(weight({ type: b.INT64, int64: [1, 2, 3, 4, 5] })))
  refuses(t, 'float_data that is no multiple of four bytes', DAMAGED, read(
    b.smallModel({
      tensors: [b.join([b.tensor({ name: 'w', dims: [1] }), b.field(4, Uint8Array.of(1, 2, 3, 4, 5))])],
    }),
  ))
  refuses(t, 'float_data that is not packed', DAMAGED,
    read(b.smallModel({ tensors: [b.join([b.tensor({ name: 'w', dims: [1] }), b.field(4, { float: 1 })])] })))
  refuses(t, 'a segment', DAMAGED, read(weight({ raw: six, segment: b.message([[1, 0], [2, 3]]) })))
  refuses(t, 'text where numbers are needed', { code: 'UNSUPPORTED_OPERATOR' },
    run(weight({ type: b.STRING, text: ['a', 'b', 'c', 'd', 'e', 'f'] })))
  refuses(t, 'unknown element type', DAMAGED, read(weight({ type: 99, raw: six })))
  refuses(t, 'element type 0', DAMAGED, read(weight({ type: 0, raw: six })))
  for (const [type, name] of [[14, 'COMPLEX64'], [15, 'COMPLEX128']] as const) {
    refuses(t, name, { ...FORMAT, message: new RegExp(name) }, read(weight({ type, raw: six })))
  }
})

t.test('34: graphs', async t => {
  const gemm = b.node('Gemm', ['x', 'w', 'b'], ['y'], { transB: 1 })
  const many = (count: number, part: Uint8Array): Uint8Array => {
    const bytes = new Uint8Array(count * part.length)
    bytes.set(part)
    for (let filled = part.length; filled < bytes.length; filled *= 2) bytes.copyWithin(filled, 0, filled)
    return bytes
  }
  refuses(t, 'ten million nodes', DAMAGED, read(b.field(7, many(1e7, Uint8Array.of(1 * 8 + 2, 0)))))
  refuses(t, 'ten million initialisers', DAMAGED, read(b.field(7, many(1e7, Uint8Array.of(5 * 8 + 2, 0)))))
  refuses(t, 'ten million inputs of a node', DAMAGED,
    read(b.field(7, b.field(1, many(1e7, Uint8Array.of(1 * 8 + 2, 0))))))
  refuses(t, 'ten million integers of an attribute', DAMAGED,
    read(b.field(7, b.field(1, b.field(5, b.field(8, new Uint8Array(1e7)))))))
  refuses(t, 'two initialisers of one name', { ...DAMAGED, message: /two tensors named 'w'/ },
    read(b.smallModel({ tensors: [b.floats('w', [3, 2], [1, 2, 3, 4, 5, 6]), b.floats('w', [3], [1, 2, 3])] })))
  refuses(t, 'a tensor without a name', DAMAGED, read(b.smallModel({ tensors: [b.floats('', [1], [1])] })))
  refuses(t, 'two nodes with one result', { code: 'BAD_GRAPH' }, read(b.smallModel({ nodes: [gemm, gemm] })))
  refuses(t, 'a cycle', { code: 'BAD_GRAPH', message: /cycle/ }, read(
    b.smallModel({
      nodes: [b.node('Add', ['x', 'q'], ['p']), b.node('Relu', ['p'], ['q']), b.node('Add', ['q', 'x'], ['y'])],
    }),
  ))
  refuses(t, 'a missing input', { code: 'BAD_GRAPH', message: /'z' is neither/ },
    read(b.smallModel({ nodes: [b.node('Add', ['x', 'z'], ['y'])] })))
  refuses(t, 'too few inputs', { code: 'BAD_GRAPH' }, run(b.smallModel({ nodes: [b.node('Gemm', ['x'], ['y'])] })))
  refuses(t, 'no inputs at all', { name: 'GraphError' }, run(b.smallModel({ nodes: [b.node('Relu', [], ['y'])] })))
  refuses(t, 'an output that nothing computes', { code: 'BAD_GRAPH' },
    read(b.smallModel({ outputs: [b.value('nowhere', ['n'])] })))
  refuses(t, 'a node without outputs', { code: 'BAD_GRAPH' },
    read(b.smallModel({ nodes: [gemm, b.node('Relu', ['y'], [])] })))
  refuses(t, 'no operator', DAMAGED, read(b.smallModel({ nodes: [b.node('', ['x'], ['y'])] })))
  refuses(t, 'no graph', DAMAGED, read(b.message([[1, 8], [2, 'somebody']])))
  refuses(t, 'an unknown operator', { code: 'UNSUPPORTED_OPERATOR',
    message: /'Frobnicate' is not supported. Supported are .*Gemm/ },
    run(b.smallModel({ nodes: [b.node('Frobnicate', ['x'], ['y'])] })))
  refuses(t, 'an unknown domain', { code: 'UNSUPPORTED_OPERATOR', message: /'evil::Relu'/ },
    run(b.smallModel({ nodes: [b.node('Relu', ['x'], ['y'], {}, 'evil')] })))
  refuses(t, 'an operator named __proto__', { code: 'UNSUPPORTED_OPERATOR' },
    run(b.smallModel({ nodes: [b.node('__proto__', ['x'], ['y'])] })))
  refuses(t, 'an operator named constructor', { code: 'UNSUPPORTED_OPERATOR' },
    run(b.smallModel({ nodes: [b.node('constructor', ['x'], ['y'])] })))
  refuses(t, 'an unknown operator set', FORMAT, read(b.smallModel({ opset: 2 ** 40 })))
  refuses(t, 'a negative operator set', FORMAT, read(b.smallModel({ opset: -1 })))
  const branch = { graph: b.graph({ nodes: [b.node('Relu', ['x'], ['y'])], outputs: [b.value('y', ['n', 2])] }) }
  for (const [op, attributes] of [['If', { then_branch: branch, else_branch: branch }], ['Loop', { body: branch }], [
    'Scan',
    { body: branch, num_scan_inputs: 1 },
  ]] as const) {
    refuses(t, op, { code: 'UNSUPPORTED_OPERATOR',
      message: new RegExp(`'${op} .*' is not supported. .*Supported are`) },
      run(b.smallModel({ nodes: [b.node(op, ['x'], ['y'], attributes)] })))
  }
  refuses(t, 'a local function that takes the name of an operator', { code: 'UNSUPPORTED_OPERATOR' },
    run(b.smallModel({ nodes: [b.node('Relu', ['x'], ['y'])], functions: [b.message([[1, 'Relu']])] })))
  const layer = (...nodes: Uint8Array[]): Uint8Array =>
    b.message([[1, 'Layer'], [10, 'mine'], [4, 'x'], [5, 'y'], [7, nodes]])
  const called = [b.node('Layer', ['x'], ['y'], {}, 'mine')]
  refuses(t, 'a function that calls itself', { code: 'UNSUPPORTED_OPERATOR', message: /mine::Layer \(a function/ },
    run(b.smallModel({ nodes: called, functions: [layer(...called)] })))
  refuses(t, 'a function without its output', { code: 'BAD_GRAPH' },
    run(b.smallModel({ nodes: called, functions: [b.message([[1, 'Layer'], [10, 'mine']])] })))
  const doubling = Array.from({ length: 30 }, (_, i) =>
    b.message([[1, `F${i}`], [10, 'mine'], [4, 'x'], [5, 'y'], [7, [
      b.node(`F${i + 1}`, ['x'], ['a'], {}, 'mine'),
      b.node(`F${i + 1}`, ['a'], ['y'], {}, 'mine'),
    ]]]))
  refuses(t, 'functions that double each other', { code: 'UNTRUSTED_INPUT', message: /more than 200000 nodes/ },
    read(b.smallModel({ nodes: [b.node('F0', ['x'], ['y'], {}, 'mine')], functions: doubling })))
  const chained = Array.from({ length: 20_000 },
    (_, i) =>
      b.message([[1, `F${i}`], [10, 'mine'], [4, 'x'], [5, 'y'], [7, [b.node(`F${i + 1}`, ['x'], ['y'], {}, 'mine')]]]))
  refuses(t, 'functions that call each other in a long chain', { ...DAMAGED, message: /call each other 256 deep/ },
    read(b.smallModel({ nodes: [b.node('F0', ['x'], ['y'], {}, 'mine')], functions: chained })))
  refuses(t, 'a sparse initialiser', { code: 'UNSUPPORTED_OPERATOR', message: /sparse tensors \('s'\)/ },
    read(b.smallModel({ sparse: [b.message([[1, b.floats('s', [1], [1])]])] })))
  refuses(t, 'a sparse constant', { code: 'UNSUPPORTED_OPERATOR' }, read(
    b.smallModel({
      nodes: [b.message([[4, 'Constant'], [2, 'c'], [5, b.message([[1, 'sparse_value'], [20, 11]])]]), gemm],
    }),
  ))
  refuses(t, 'symbolic lengths that fit no weight', { code: 'AMBIGUOUS_NETWORK',
    message: /'x' of shape n x t x 2 leaves lengths open/ },
    read(b.smallModel({ inputs: [b.value('x', ['n', 't', 2])] })))
  refuses(t, 'an input of rank 100', FORMAT, read(b.smallModel({ inputs: [b.value('x', Array(100).fill(1))] })))
  refuses(t, 'an input with an axis of length 2^62', FORMAT,
    read(b.smallModel({ inputs: [b.value('x', ['n', 2 ** 62])] })))
  refuses(t, 'an input of text', FORMAT, read(b.smallModel({ inputs: [b.value('x', ['n', 2], b.STRING)] })))
  refuses(t, 'an input without a type', FORMAT, read(b.smallModel({ inputs: [b.message([[1, 'x']])] })))
  refuses(t, 'an attribute twice', DAMAGED, read(
    b.smallModel({
      nodes: [
        b.message([[1, ['x', 'w', 'b']], [2, 'y'], [4, 'Gemm'], [5, [b.attribute('transB', 1),
          b.attribute('transB', 0)]]]),
      ],
    }),
  ))
  refuses(t, 'an attribute named __proto__', DAMAGED, read(
    b.smallModel({
      nodes: [b.node('Gemm', ['x', 'w', 'b'], ['y'], JSON.parse('{"__proto__": 1}') as Record<string, number>)],
    }),
  ))
  refuses(t, 'an attribute of the wrong kind', DAMAGED,
    run(b.smallModel({ nodes: [b.node('Gemm', ['x', 'w', 'b'], ['y'], { transB: 'yes' })] })))
  refuses(t, 'a constant that expands to a terabyte', { name: 'GraphError' }, run(b.smallModel({
    nodes: [b.node('Expand', ['one', 'size'], ['huge']), b.node('Add', ['x', 'huge'], ['y'])],
    tensors: [b.floats('one', [1], [1]), b.integers('size', [2], [2 ** 20, 2 ** 20])],
  })))
})

t.test('34: names that are special elsewhere are ordinary here', async t => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
    const bytes = b.smallModel({ nodes: [b.node('Gemm', ['x', name, 'b'], ['y'], { transB: 1 })],
      tensors: [b.floats(name, [3, 2], [1, 2, 3, 4, 5, 6]), b.floats('b', [3], [0, 0, 0])] })
    const graph = readOnnx(bytes)
    t.same(graph.parameters.map(parameter => parameter.name), [name, 'b'])
    t.same(Array.from(runGraph(graph, new Map([['x', tensor('float32', [1, 2], [1, 1])]]), 'float32').get('y')!.data), [
      3,
      7,
      11,
    ])
    t.ok(readOnnxTensors(bytes).has(name))
  }
  t.equal(({} as Record<string, unknown>)['x'], undefined)
})

t.test('35: places of external data', async t => {
  const located = (...external: [string, string][]): Uint8Array =>
    b.smallModel({
      tensors: [b.tensor({ name: 'w', dims: [3, 2], external, location: 1 }), b.floats('b', [3], [0, 0, 0])],
    })
  for (const location of ['../w.bin', 'a/../../w.bin', '/etc/passwd', 'C:\\w.bin', 'C:w.bin', '\\\\server\\w.bin',
    '//server/w.bin', 'http://example.org/w.bin', 'file:///etc/passwd', 'a\\..\\w.bin', 'w\0.bin', 'w\n.bin', '', '.',
    '*/_ORT_MEM_ADDR_/*', 'a/_ORT_MEM_ADDR_/b', '..', `${'a/'.repeat(3000)}w`]) {
    refuses(t, `the location ${JSON.stringify(location.slice(0, 40))}`, DAMAGED, read(located(['location', location])))
    refuses(t, `the location ${JSON.stringify(location.slice(0, 40))}, listed`, DAMAGED, () =>
      externalLocations(located(['location', location])))
  }
  refuses(t, 'no location', DAMAGED, read(located()))
  refuses(t, 'a location twice', DAMAGED, read(located(['location', 'a.bin'], ['location', '../b.bin'])))
  refuses(t, 'an unknown place', DAMAGED,
    read(b.smallModel({ tensors: [b.tensor({ name: 'w', dims: [3, 2], location: 2 })] })))
  refuses(t, 'data here and elsewhere', DAMAGED, read(
    b.smallModel({
      tensors: [b.tensor({ name: 'w', dims: [1], float: [1], external: [['location', 'w.bin']], location: 1 })],
    }),
  ))
  const files = { externalData: new Map([['w.bin', new Uint8Array(24)]]) }
  for (const [key, text] of [['offset', '-4'], ['offset', '4'], ['offset', '1e3'], ['offset', '0x10'], ['offset',
    '99999999999999999999'], ['length', '23'], ['length', '25'], ['length', '-1'], ['offset', ''], ['length',
    '24.0']]) {
    refuses(t, `${key} ${text}`, DAMAGED, () => readOnnx(located(['location', 'w.bin'], [key, text]), files))
  }
  refuses(t, 'a file that was not given is named', { ...DAMAGED, message: /the file 'w.bin' beside it/ },
    read(located(['location', 'w.bin'])))
  t.equal(
    readOnnx(located(['location', './w.bin'], ['offset', '0'], ['length', '24'], ['checksum', 'abc']), files).parameters
      .length,
    2,
    'an honest one is read',
  )
})

t.test('36: other files are named', async t => {
  refuses(t, 'an empty file', { ...DAMAGED, message: /is empty/ }, read(new Uint8Array(0)))
  refuses(t, 'more than 2 GiB', { ...DAMAGED, message: /2 GiB/ }, read(new Uint8Array(2 ** 31)))
  const text = (content: string): Uint8Array => new TextEncoder().encode(content)
  refuses(t, 'protobuf as text', { ...FORMAT, message: /ONNX as text/ },
    read(text('ir_version: 8\ngraph {\n  node {\n    op_type: "Relu"\n  }\n}\n')))
  refuses(t, 'the text form of ONNX', { ...FORMAT, message: /ONNX as text/ },
    read(text('<\n  ir_version: 8\n>\ng (float[N] x) => (float[N] y) { y = Relu(x) }')))
  refuses(t, 'JSON', { ...FORMAT, message: /JSON/ }, read(text('{"irVersion": 8}')))
  refuses(t, 'the ORT format', { ...FORMAT, message: /ORT/ },
    read(b.join([[0x1c, 0, 0, 0], text('ORTM'), new Uint8Array(64)])))
  refuses(t, 'a zip archive', { ...FORMAT, message: /zip/ }, read(text('PK\x03\x04' + '\0'.repeat(60))))
  refuses(t, 'HDF5', { ...FORMAT, message: /HDF5/ }, read(b.join([[0x89], text('HDF\r\n\x1a\n'), new Uint8Array(64)])))
  refuses(t, 'a pickle', { ...FORMAT, message: /pickle/ }, read(Uint8Array.of(0x80, 2, 0x7d, 0x2e)))
  refuses(t, 'a pointer of Git LFS', { ...FORMAT, message: /LFS/ },
    read(text('version https://git-lfs.github.com/spec/v1\noid sha256:00\n')))
  refuses(t, 'noise', DAMAGED, read(Uint8Array.from({ length: 1000 }, (_, i) => (i * i * 31 + 200) & 255)))
})

t.test('37: NaN and infinite weights', async t => {
  for (const bad of [NaN, Infinity, -Infinity]) {
    const bytes = b.smallModel({
      tensors: [b.floats('w', [3, 2], [1, 2, bad, 4, 5, 6]), b.floats('b', [3], [0, 0, 0])],
    })
    refuses(t, `a weight that is ${bad}`, { ...DAMAGED, message: new RegExp(`'w' holds ${bad} at element 2`) },
      read(bytes))
    t.equal(readOnnx(bytes, { allowNonFinite: true }).parameters.length, 2, 'accepted where allowed')
  }
  const clip = (bound: number): Uint8Array =>
    b.smallModel({
      nodes: [b.node('Gemm', ['x', 'w', 'b'], ['h'], { transB: 1 }), b.node('Clip', ['h', '', 'max'], ['y'])],
      tensors: [b.floats('w', [3, 2], [1, 2, 3, 4, 5, 6]), b.floats('b', [3], [0, 0, 0]), b.floats('max', [], [bound])],
    })
  t.equal(readOnnx(clip(Infinity)).parameters.length, 2, 'an infinite bound is no weight')
  refuses(t, 'a bound that is NaN', DAMAGED, read(clip(NaN)))
  const statistics = [b.floats('s', [2], [1, 1]), b.floats('o', [2], [0, 0]), b.floats('m', [2], [0, 0]),
    b.floats('v', [2], [1, Infinity])]
  refuses(t, 'an infinite running variance', DAMAGED, read(
    b.smallModel({ nodes: [b.node('BatchNormalization', ['x', 's', 'o', 'm', 'v'], ['y'])], tensors: statistics }),
  ))
})

t.test('files with changed bytes are read or refused, never more', async t => {
  const whole = b.smallModel({
    nodes: [b.node('Gemm', ['x', 'w', 'b'], ['h'], { transB: 1, alpha: { float: 1 } }),
      b.node('Reshape', ['h', 'shape'], ['r']), b.node('Softmax', ['r'], ['y'], { axis: 1 })],
    tensors: [b.floats('w', [3, 2], [1, 2, 3, 4, 5, 6]), b.tensor({ name: 'b', dims: [3], float: [1, 2, 3] }),
      b.integers('shape', [2], [-1, 3])],
    opset: 11,
  })
  let [accepted, refused] = [0, 0]
  let seed = 1
  const random = (below: number): number => (seed = seed * 48271 % 2147483647) % below
  for (let i = 0; i < 2000; i++) {
    const bytes = whole.slice()
    for (let k = 0; k <= random(3); k++) bytes[random(bytes.length)] = random(256)
    try {
      const graph = readOnnx(bytes)
      accepted++
      prepareNetwork(graph, 'regression')
    } catch (error) {
      if (!(error instanceof LaplaceError) || error.code === 'INTERNAL') {
        t.fail(`an untyped error after change ${i}`, { error })
      }
      refused++
    }
  }
  t.ok(accepted > 100 && refused > 100, `${accepted} were read, ${refused} were refused`)
  t.same(Object.keys(Object.prototype), [])
})
