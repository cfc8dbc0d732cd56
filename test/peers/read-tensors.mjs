/**
 * Reads model files and prints their tensors, for the tests in Python: one JSON line `{"reader", "path", "options"}`
 * a file on stdin, one JSON line on stdout: `{"tensors": [{"name", "dtype", "shape", "bytes"}], "notes"}` with base64
 * bytes, or `{"error": {"code", "message"}}`.
 */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import * as zlib from 'node:zlib'
import { readOnnxTensors } from 'polylaplace/adapters/onnx'
import { readPyTorchTensors } from 'polylaplace/adapters/pytorch'
import { readSafetensorsTensors } from 'polylaplace/adapters/safetensors'

const zip = { crc32: zlib.crc32,
  inflate: (bytes, most) => zlib.inflateRawSync(bytes, { maxOutputLength: Math.max(most, 1) }) }
const readers = {
  pytorch: (bytes, options) => readPyTorchTensors(bytes, { ...options, zip }),
  safetensors: (bytes, options) => ({ tensors: readSafetensorsTensors(bytes, options), notes: [] }),
  onnx: (bytes, options) => ({ tensors: readOnnxTensors(bytes, options), notes: [] }),
}

function answer({ reader, path, options = {} }) {
  try {
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
