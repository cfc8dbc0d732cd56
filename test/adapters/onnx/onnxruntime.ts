/** @file Runs ONNX files in ONNX Runtime, to compare with. */
import * as ort from 'onnxruntime-node'
import type { Test } from 'tap'
import { writeOnnx } from '../../../adapters/onnx/index.js'
import { runGraph } from '../../../core/engine/typescript.js'
import { concreteShape, type Graph } from '../../../core/graph/graph.js'
import { type Precision, sizeOf, type Tensor, tensor } from '../../../core/tensor/tensor.js'
import { relativeDifference } from '../../support/compare.js'

/** Outputs by name. @throws what ONNX Runtime throws */
export async function runInOnnxRuntime(bytes: Uint8Array,
  inputs: ReadonlyMap<string, Tensor>): Promise<Map<string, Tensor>> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 4, intraOpNumThreads: 1 })
  const results = await session.run(
    Object.fromEntries([...inputs].map(([name, value]) => [name, toOnnxRuntime(value)])),
  )
  await session.release()
  return new Map(Object.entries(results).map(([name, value]) => [name, fromOnnxRuntime(value)]))
}

function toOnnxRuntime({ dtype, shape, data }: Tensor): ort.Tensor {
  if (dtype === 'int64') return new ort.Tensor('int64', BigInt64Array.from(data, BigInt), shape)
  return new ort.Tensor(dtype, data as Float32Array, shape)
}

function fromOnnxRuntime({ type, dims, data }: ort.Tensor): Tensor {
  const dtype = type === 'float32' || type === 'float64' || type === 'bool' ? type : 'int64'
  return tensor(dtype, [...dims], Array.from(data as unknown as ArrayLike<number>, Number))
}

/** Numbers between -1 and 1. */
export const numbers = (length: number): number[] => Array.from({ length }, (_, i) => Math.sin(i + 1))

/**
 * Asserts that a graph, written and run by ONNX Runtime, gives what the embedded engine gives; integer inputs are 0
 * to 3.
 */
export async function agree(t: Test, graph: Graph, precision: Precision, examples = 3,
  tolerance = precision === 'float32' ? 1e-6 : 1e-14): Promise<void> {
  const inputs = new Map(graph.inputs.map(({ name, dtype, shape }) => {
    const extents = concreteShape(shape, examples)
    const values = numbers(sizeOf(extents))
    return [name, tensor(dtype, extents, dtype === 'int64' ? values.map(value => Math.floor(2 + 2 * value)) : values)]
  }))
  const theirs = await runInOnnxRuntime(writeOnnx(graph), inputs)
  for (const [name, value] of runGraph(graph, inputs, precision)) {
    t.same([theirs.get(name)!.dtype, theirs.get(name)!.shape], [value.dtype, value.shape], `${name}, ${precision}`)
    t.ok(relativeDifference(theirs.get(name)!.data, value.data) < tolerance, `${name}, ${precision}`)
  }
}
