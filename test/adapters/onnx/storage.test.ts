import t from 'tap'
import { readOnnx, readOnnxTensors } from '../../../adapters/onnx/index.js'
import { toTensor } from '../../../adapters/tensors/convert.js'
import * as b from './onnx-bytes.js'

const raw = (data: ArrayBufferView): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

/** The values of one initialiser. */
function valuesOf(fields: b.TensorFields): { dtype: string, values: number[] } {
  const read = readOnnxTensors(b.model({ tensors: [b.tensor({ name: 'w', ...fields })] })).get('w')!
  return { dtype: read.dtype, values: Array.from(toTensor(read, 'w').data) }
}

t.test('every storage field of every element type', async t => {
  const dims = [3]
  const same = (fields: b.TensorFields, dtype: string, values: number[]): void => {
    t.same(valuesOf({ dims, ...fields }), { dtype, values },
      `${dtype} in ${Object.keys(fields).filter(key => key !== 'type').join()}`)
  }
  same({ type: b.FLOAT, float: [1.5, -2, 0.25] }, 'float32', [1.5, -2, 0.25])
  same({ type: b.FLOAT, raw: raw(Float32Array.of(1.5, -2, 0.25)) }, 'float32', [1.5, -2, 0.25])
  same({ type: b.DOUBLE, double: [0.1, -1e300, 5e-324] }, 'float64', [0.1, -1e300, 5e-324])
  same({ type: b.DOUBLE, raw: raw(Float64Array.of(0.1, -1e300, 5e-324)) }, 'float64', [0.1, -1e300, 5e-324])
  same({ type: b.INT64, int64: [-1, 2 ** 40, -(2 ** 52) - 1] }, 'int64', [-1, 2 ** 40, -(2 ** 52) - 1])
  same({ type: b.INT64, raw: raw(BigInt64Array.of(-1n, 300n, 7n)) }, 'int64', [-1, 300, 7])
  same({ type: b.UINT64, uint64: [0, 2 ** 40, 128] }, 'uint64', [0, 2 ** 40, 128])
  same({ type: b.UINT32, uint64: [0, 4294967295, 128] }, 'uint32', [0, 4294967295, 128])
  same({ type: b.INT32, int32: [-2147483648, 2147483647, -1] }, 'int32', [-2147483648, 2147483647, -1])
  same({ type: b.INT16, int32: [-32768, 32767, -1] }, 'int16', [-32768, 32767, -1])
  same({ type: b.UINT16, int32: [0, 65535, 300] }, 'uint16', [0, 65535, 300])
  same({ type: b.INT8, int32: [-128, 127, -1] }, 'int8', [-128, 127, -1])
  same({ type: b.UINT8, int32: [0, 255, 128] }, 'uint8', [0, 255, 128])
  same({ type: b.BOOL, int32: [0, 1, 1] }, 'bool', [0, 1, 1])
  same({ type: b.FLOAT16, int32: [0x3c00, 0xc100, 0x0001] }, 'float16', [1, -2.5, 2 ** -24])
  same({ type: b.FLOAT16, raw: raw(Uint16Array.of(0x3c00, 0xc100, 0x0001)) }, 'float16', [1, -2.5, 2 ** -24])
  same({ type: b.BFLOAT16, int32: [0x3f80, 0xc020, 0x0080] }, 'bfloat16', [1, -2.5, 2 ** -126])
  same({ type: b.BFLOAT16, raw: raw(Uint16Array.of(0x3f80, 0xc020, 0x0080)) }, 'bfloat16', [1, -2.5, 2 ** -126])
  same({ type: b.INT4, raw: Uint8Array.of(0x8f, 0x07) }, 'int8', [-1, -8, 7])
  same({ type: b.UINT4, int32: [0x8f, 0x07] }, 'uint8', [15, 8, 7])
})

t.test('values at odd addresses of the file and in several parts', async t => {
  for (let shift = 0; shift < 8; shift++) {
    const bytes = b.model({
      tensors: [
        b.tensor({ name: 'w'.repeat(shift + 1), dims: [2], type: b.DOUBLE, raw: raw(Float64Array.of(1 / 3, 7)) }),
      ],
    })
    t.same(Array.from(toTensor(readOnnxTensors(bytes).get('w'.repeat(shift + 1))!, 'w').data), [1 / 3, 7])
    t.same(Array.from(toTensor(readOnnxTensors(Buffer.from(bytes)).get('w'.repeat(shift + 1))!, 'w').data), [1 / 3, 7],
      'a Buffer of Node')
  }
  const parts = b.join([b.tensor({ name: 'w', dims: [4], float: [1, 2] }), b.field(4, raw(Float32Array.of(3, 4)))])
  t.same(Array.from(toTensor(readOnnxTensors(b.model({ tensors: [parts] })).get('w')!, 'w').data), [1, 2, 3, 4])
})

t.test('scalars and empty tensors', async t => {
  t.same(valuesOf({ dims: [], type: b.FLOAT, float: [2] }).values, [2])
  t.same(valuesOf({ dims: [0, 5], type: b.FLOAT }).values, [])
})

t.test('the largest integers stand for the end of an axis', async t => {
  const graph = readOnnx(
    b.smallModel({
      nodes: [b.node('Gemm', ['x', 'w', 'b'], ['h'], { transB: 1 }),
        b.node('Slice', ['h', 'from', 'to', 'axes'], ['y'])],
      tensors: [b.floats('w', [3, 2], [1, 2, 3, 4, 5, 6]), b.floats('b', [3], [0, 0, 0]), b.integers('from', [1], [1]),
        b.integers('to', [1], [2n ** 63n - 1n]), b.integers('axes', [1], [1])],
    }),
  )
  t.same(Array.from(graph.initializers.get('to')!.data), [Number.MAX_SAFE_INTEGER])
})

t.test('Constant nodes hold weights as well as initialisers do', async t => {
  const constant = (output: string, attributes: Parameters<typeof b.node>[3]): Uint8Array =>
    b.node('Constant', [], [output], attributes)
  const graph = readOnnx(b.smallModel({
    nodes: [
      constant('w', { value: { tensor: b.floats('', [3, 2], [1, 2, 3, 4, 5, 6]) } }),
      constant('b', { value_floats: { floats: [1, 2, 3] } }),
      constant('two', { value_float: { float: 2 } }),
      constant('shape', { value_ints: [-1, 3] }),
      constant('axis', { value_int: 1 }),
      b.node('Gemm', ['x', 'w', 'b'], ['h'], { transB: 1 }),
      b.node('Pow', ['h', 'two'], ['p']),
      b.node('Reshape', ['p', 'shape'], ['q']),
      b.node('ReduceSum', ['q', 'axis'], ['y']),
    ],
    tensors: [],
  }))
  t.same(graph.parameters.map(parameter => parameter.name), ['w', 'b'])
  t.same(graph.nodes.map(node => node.op), ['Gemm', 'Pow', 'Reshape', 'ReduceSum'])
  t.same(graph.initializers.get('shape'), { dtype: 'int64', shape: [2], data: Float64Array.of(-1, 3) })
  t.same(graph.initializers.get('two'), { dtype: 'float32', shape: [], data: Float32Array.of(2) })
})

t.test('initialisers that are also inputs are no inputs', async t => {
  const graph = readOnnx(
    b.smallModel({ inputs: [b.value('w', [3, 2]), b.value('x', ['n', 2]), b.value('b', [3])], ir: 3 }),
  )
  t.same(graph.inputs.map(input => input.name), ['x'])
})
