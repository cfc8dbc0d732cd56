/** @file The reference cases as graphs and tensors. */
import { readdirSync, readFileSync } from 'node:fs'
import { GraphBuilder } from '../../core/graph/builder.js'
import { BATCH, type Graph } from '../../core/graph/graph.js'
import { sizeOf, type Tensor, tensor } from '../../core/tensor/tensor.js'

const CASES = new URL('../fixtures/cases/', import.meta.url)

export interface ReferenceArray {
  shape: number[]
  data: number[]
}
interface Layer {
  type: string
  name: string
  layers?: Layer[]
  dim?: number
  eps?: number
  stride?: number | number[]
  padding?: number | number[]
  kernel_size?: number | number[]
}

/* eslint-disable @typescript-eslint/no-explicit-any */
export interface ReferenceCase {
  graph: Graph
  /** Name of the input. */
  input: string
  output: string
  x: Tensor
  y: Tensor
  xTest: Tensor
  yTest: Tensor
  /** expected.json as it is. */
  expected: any
}

/** The names of the cases, in alphabetical order. */
export function caseNames(): string[] {
  return readdirSync(CASES).sort()
}

/** Reads a case and builds its network in float64, one Gemm or MatMul and Add for each linear layer. */
export function referenceCase(name: string): ReferenceCase {
  const read = (file: string): any => JSON.parse(readFileSync(new URL(`${name}/${file}`, CASES), 'utf8'))
  const expected = read('expected.json')
  const data = readdirSync(new URL(`${name}/`, CASES)).includes('data.json')
    ? arraysOf(read('data.json'))
    : readSafetensors(readFileSync(new URL(`${name}/data.safetensors`, CASES)))
  const builder = new GraphBuilder('float64')
  const input = builder.input('x', [BATCH, ...data['x'].shape.slice(1)])
  const theta: number[] = expected.theta.data ?? expected.theta
  const parameter = (key: string): string => {
    const { shape, offset } = expected.parameters.find((p: any) => p.name === key)
    return builder.parameter(key, tensor('float64', shape, theta.slice(offset, offset + sizeOf(shape))))
  }
  const output = appendLayers(builder, read('architecture.json'), input, data['x'].shape.length, parameter).value
  return { graph: builder.build([output]), input, output, x: data['x'], y: data['y'], xTest: data['x_test'],
    yTest: data['y_test'], expected }
}

function arraysOf(file: Record<string, ReferenceArray>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(file).map(([key, { shape, data }]) => [key, tensor('float64', shape, data)]))
}

function readSafetensors(bytes: Buffer): Record<string, Tensor> {
  const length = Number(bytes.readBigUInt64LE(0))
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Record<string,
    { dtype: string, shape: number[], data_offsets: [number, number] }>
  return Object.fromEntries(
    Object.entries(header).filter(([key]) => key !== '__metadata__').map(
      ([key, { dtype, shape, data_offsets: [from, to] }]) => {
        const raw = bytes.buffer.slice(bytes.byteOffset + 8 + length + from, bytes.byteOffset + 8 + length + to)
        const values = dtype === 'I64'
          ? Array.from(new BigInt64Array(raw), Number)
          : dtype === 'F32'
          ? new Float32Array(raw)
          : new Float64Array(raw)
        return [key, tensor('float64', shape, values)]
      },
    ),
  )
}

/** A value under construction and its rank. */
interface Value {
  value: string
  rank: number
}

const SIMPLE: Record<string, string> = { Tanh: 'Tanh', Sigmoid: 'Sigmoid', ReLU: 'Relu', GELU: 'Gelu', ELU: 'Elu',
  Softplus: 'Softplus' }

function appendLayers(builder: GraphBuilder, layers: readonly Layer[], value: string, rank: number,
  parameter: (key: string) => string): Value {
  let current: Value = { value, rank }
  for (const layer of layers) current = appendLayer(builder, layer, current, parameter)
  return current
}

function appendLayer(builder: GraphBuilder, layer: Layer, { value, rank }: Value,
  parameter: (key: string) => string): Value {
  const { type, name } = layer
  if (type in SIMPLE) return { value: builder.node(SIMPLE[type], [value]), rank }
  switch (type) {
    case 'Linear': {
      const [weight, bias] = [parameter(`${name}.weight`), parameter(`${name}.bias`)]
      if (rank === 2) return { value: builder.node('Gemm', [value, weight, bias], { transB: 1 }), rank }
      return {
        value: builder.node('Add', [
          builder.node('MatMul', [value, builder.node('Transpose', [weight], { perm: [1, 0] })]),
          bias,
        ]),
        rank,
      }
    }
    case 'SiLU':
      return { value: builder.node('Mul', [value, builder.node('Sigmoid', [value])]), rank }
    case 'Residual':
      return { value: builder.node('Add', [value, appendLayers(builder, layer.layers!, value, rank, parameter).value]),
        rank }
    case 'LayerNorm':
      return {
        value: builder.node('LayerNormalization', [value, parameter(`${name}.weight`), parameter(`${name}.bias`)], {
          epsilon: layer.eps!,
        }),
        rank,
      }
    case 'Mean':
      return { value: builder.node('ReduceMean', [value, builder.integers([layer.dim!])], { keepdims: 0 }),
        rank: rank - 1 }
    case 'Flatten':
      return { value: builder.node('Flatten', [value]), rank: 2 }
    case 'Conv2d': {
      const [strides, pads] = [pair(layer.stride ?? 1), pair(layer.padding ?? 0)]
      return {
        value: builder.node('Conv', [value, parameter(`${name}.weight`), parameter(`${name}.bias`)], { strides,
          pads: [...pads, ...pads], kernel_shape: pair(layer.kernel_size!) }),
        rank,
      }
    }
    case 'MaxPool2d':
      return {
        value: builder.node('MaxPool', [value], { kernel_shape: pair(layer.kernel_size!),
          strides: pair(layer.stride ?? layer.kernel_size!) }),
        rank,
      }
    default:
      throw new Error(`no layer of type ${type}`)
  }
}

function pair(value: number | number[]): number[] {
  return typeof value === 'number' ? [value, value] : value
}
