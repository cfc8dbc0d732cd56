/**
 * Reads Keras files and runs them, for the tests in Python: one JSON line `{"path", "inputs": [{"shape", "data"}]}` a
 * network on stdin, one JSON line on stdout: `{"outputs": [{"shape", "data"}], "parameters", "notes"}`, or
 * `{"error": {"code", "message"}}`.
 */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import * as zlib from 'node:zlib'
import { readKeras } from 'polylaplace/adapters/keras'
import { runGraph } from '../../dist/core/engine/typescript.js'
import { tensor } from '../../dist/core/tensor/tensor.js'

const zip = { crc32: zlib.crc32,
  inflate: (bytes, most) => zlib.inflateRawSync(bytes, { maxOutputLength: Math.max(most, 1) }) }

async function answer({ path, inputs }) {
  try {
    const graph = await readKeras(new Uint8Array(readFileSync(path)), { zip })
    const given = new Map(
      graph.inputs.map(({ name, dtype }, i) => [name, tensor(dtype, inputs[i].shape, inputs[i].data.map(Number))]),
    )
    return {
      outputs: [...runGraph(graph, given, 'float32').values()].map(({ shape, data }) => ({ shape,
        data: Array.from(data) })
      ),
      parameters: graph.parameters.map(({ name, shape }) => [name, shape]),
      notes: graph.notes,
    }
  } catch (error) {
    return { error: { code: error.code ?? 'none', message: error.message, stack: error.stack } }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`)
}
