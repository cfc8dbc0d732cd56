/** @file A minimal ONNX model, c = a b, to time onnxruntime's matrix product. */

/** The model's bytes, written field by field (tag, length, contents). */
export function matMulModel(dtype) {
  const bytes = (field, contents) => [field << 3 | 2, contents.length, ...contents]
  const text = (field, value) => bytes(field, Buffer.from(value))
  const number = (field, value) => [field << 3, value]
  const dimension = name => bytes(1, text(2, name))
  const tensorType = names =>
    bytes(2, bytes(1, [...number(1, dtype === 'float64' ? 11 : 1), ...bytes(2, names.flatMap(dimension))]))
  const value = (field, name, names) => bytes(field, [...text(1, name), ...tensorType(names)])
  const node = bytes(1, [...text(1, 'a'), ...text(1, 'b'), ...text(2, 'c'), ...text(4, 'MatMul')])
  const graph = bytes(7, [...node, ...text(2, 'g'), ...value(11, 'a', ['m', 'k']), ...value(11, 'b', ['k', 'n']),
    ...value(12, 'c', ['m', 'n'])])
  return Uint8Array.from([...number(1, 8), ...graph, ...bytes(8, number(2, 13))])
}
