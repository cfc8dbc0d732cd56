/** @file Runs ONNX files in ONNX Runtime, to compare with. */
import * as ort from 'onnxruntime-node'
import { type Tensor, tensor } from '../../../core/tensor.js'

/** Outputs by name. @throws what ONNX Runtime throws */
export async function runInOnnxRuntime(bytes: Uint8Array, inputs: ReadonlyMap<string, Tensor>): Promise<Map<string, Tensor>> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 4, intraOpNumThreads: 1 })
  const results = await session.run(Object.fromEntries([...inputs].map(([name, value]) => [name, toOnnxRuntime(value)])))
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
