/**
 * Reads model files and prints their tensors, for the tests in Python: one JSON line `{"reader", "path", "options"}`
 * a file on stdin, one JSON line on stdout: `{"tensors": [{"name", "dtype", "shape", "bytes"}], "notes"}` with base64
 * bytes, or `{"error": {"code", "message"}}`. The reader `onnx-run` runs the network on inputs of its own, and prints
 * `{"inputs", "outputs"}`: `{"name", "dtype", "shape", "data"}` each.
 */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import * as zlib from 'node:zlib'
import { readOnnx, readOnnxTensors } from 'polylaplace/adapters/onnx'
import { readPyTorchTensors } from 'polylaplace/adapters/pytorch'
import { readSafetensorsTensors } from 'polylaplace/adapters/safetensors'
import { runGraph } from '../../dist/core/engine/typescript.js'
import { inferTypes } from '../../dist/core/passes/infer.js'
import { tensor } from '../../dist/core/tensor/tensor.js'

const zip = { crc32: zlib.crc32,
  inflate: (bytes, most) => zlib.inflateRawSync(bytes, { maxOutputLength: Math.max(most, 1) }) }
const readers = {
  pytorch: (bytes, options) => readPyTorchTensors(bytes, { ...options, zip }),
  safetensors: (bytes, options) => ({ tensors: readSafetensorsTensors(bytes, options), notes: [] }),
  onnx: (bytes, options) => ({ tensors: readOnnxTensors(bytes, options), notes: [] }),
}

const ROWS = 3

/** Runs a network on numbers between -1 and 1; whole numbers are 0 or 1. */
function run(bytes) {
  const graph = readOnnx(bytes)
  inferTypes(graph)
  const inputs = graph.inputs.map(({ name, dtype, shape }) => {
    const own = shape.map((extent, axis) => (typeof extent === 'number' ? extent : axis === 0 ? ROWS : 1))
    const whole = !dtype.startsWith('float')
    return { name, dtype, shape: own,
      data: Array.from({ length: own.reduce((a, b) => a * b, 1) },
        (_, i) => (whole ? i % 2 : Math.fround(Math.sin(1 + i)))) }
  })
  const given = new Map(inputs.map(({ name, dtype, shape, data }) => [name, tensor(dtype, shape, data)]))
  const double = inputs.some(({ dtype }) => dtype === 'float64')
  const outputs = [...runGraph(graph, given, double ? 'float64' : 'float32')]
    .map(([name, { dtype, shape, data }]) => ({ name, dtype, shape, data: Array.from(data, String) }))
  return { inputs, outputs }
}

function answer({ reader, path, options = {} }) {
  try {
    if (reader === 'onnx-run') return run(new Uint8Array(readFileSync(path)))
    const { tensors, notes } = readers[reader](new Uint8Array(readFileSync(path)), options)
    return {
      tensors: [...tensors].map(([name, { dtype, shape, bytes }]) => ({ name, dtype, shape,
        bytes: Buffer.from(bytes).toString('base64') })
      ),
      notes,
    }
  } catch (error) {
    return { error: { code: error.code ?? 'none', message: error.message } }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(answer(JSON.parse(line)))}\n`)
}
